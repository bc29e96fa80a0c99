"""JSON bodies of requests: bounded, read whole, an object or an error of ours."""

import json
from typing import Any

from fastapi import Request

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MAX_BODY_BYTES = 8 * 1024 * 1024
Document = dict[str, Any]


async def raw_body(request: Request) -> bytes:
    """Return a request's body; raise Invalid where it is larger than the limit."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            raise malformed(f"expected a body of at most {MAX_BODY_BYTES} bytes, got more")
    return bytes(raw)


def json_object(raw: bytes) -> Document:
    """Return a body as a JSON object; raise Invalid for anything else."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise malformed("expected a JSON body, got something else") from error
    if not isinstance(body, dict):
        raise malformed("expected a JSON object, got another kind")
    return body


def text_of(body: Document, name: str) -> str:
    """Return a member that must be a string."""
    value = body.get(name)
    if not isinstance(value, str):
        raise malformed(f"expected {name} to be a string, got {type(value).__name__}")
    return value


def malformed(message: str) -> Invalid:
    """Return the error for a body that is not what the reference says."""
    return Invalid(
        "api.malformed", message, hint=Text("See docs/reference/room.md for the messages.", "消息格式见 docs/reference/room.md。")
    )
