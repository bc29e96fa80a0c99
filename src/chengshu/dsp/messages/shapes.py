"""What all messages of the protocol have in common (Dataspace Protocol 2025-1, JSON schemas of the release), and how they are read.

Unknown members are allowed and kept, as the protocol asks; JSON-LD contexts are never fetched.
"""

import json
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
MAX_BYTES = 1 << 20
MAX_DEPTH = 32


def _with_context(value: list[str] | str) -> list[str] | str:
    if CONTEXT not in ([value] if isinstance(value, str) else value):
        raise ValueError(f"expected an array of strings with {CONTEXT}")
    return value


Context = Annotated[list[str] | str, AfterValidator(_with_context)]


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("expected a text without the character NUL, which no database keeps alike")
    return value


Id = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_without_nul)]
Address = Annotated[str, Field(min_length=1, max_length=1024)]


class Shape(BaseModel):
    """Any object of the protocol: its own members are strict, others are allowed and kept."""

    model_config = ConfigDict(extra="allow", strict=True, alias_generator=to_camel)


class Message(Shape):
    """Any message: it has the protocol's context."""

    context: Context = Field(alias="@context")


class Addressed(Message):
    """Any message of a process that both sides have an id of."""

    consumer_pid: Id
    provider_pid: Id


M = TypeVar("M", bound=Message)


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``; raise Invalid for anything that is too large, too deep, not I-JSON (RFC 7493) or no object."""
    if len(raw) > MAX_BYTES:
        raise _invalid("message.too-large", f"expected at most {MAX_BYTES} bytes, got more")
    try:
        value = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _invalid("message.not-json", "expected JSON in UTF-8, got something else") from error
    if not isinstance(value, dict):
        raise _invalid("message.not-object", "expected a JSON object, got another kind")
    if _is_deep(value):
        raise _invalid("message.too-deep", f"expected at most {MAX_DEPTH} levels of nesting, got more")
    canonical(value)  # what has no canonical form (lone surrogates, NaN, huge numbers) could not be signed or compared later
    return value


def parse(kind: type[M], value: dict[str, Any]) -> M:
    """Return ``value`` as a message of ``kind``; raise Invalid naming the member at fault, and never its value."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise _invalid("message.invalid", f"{kind.__name__}: at {place[:200]}: {first['msg']}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("expected each member once")
    return dict(pairs)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for node in level if isinstance(node, dict | list) for item in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return False
    return True


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(
        code,
        message,
        hint=Text("Send the message as the Dataspace Protocol 2025-1 has it.", "请按数据空间协议 2025-1 发送消息。"),
    )
