"""Forms of OAuth 2.0 as doors read them: small, in ASCII, every parameter once."""

from urllib.parse import parse_qsl

from fastapi import Request

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MAX_FORM = 4096
MAX_FIELDS = 16


async def form_of(request: Request, *, beside: str = "") -> dict[str, str]:
    """Return the parameters of a request's body, and those ``beside`` it in another text of their form.

    Raises Invalid for too many or too long ones, or one that comes twice.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise malformed(f"expected a form of at most {MAX_FORM} bytes, got more")
    try:
        pairs = [pair for text in (body.decode("ascii"), beside) for pair in parse_qsl(text, max_num_fields=MAX_FIELDS)]
    except ValueError as error:
        raise malformed("expected a form, got something else") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise malformed("expected each parameter once, got one twice")
    return dict(pairs)


def malformed(message: str) -> Invalid:
    """Return the error for a form that is none."""
    return Invalid("signaling.malformed", message, hint=Text("See RFC 6749.", "请参阅 RFC 6749。"))
