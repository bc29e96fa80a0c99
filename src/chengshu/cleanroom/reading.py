"""Read JSON documents field by field; what is wrong is named by its path, never by its content."""

import re
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_Choice = TypeVar("_Choice", bound=StrEnum)
_HINT = Text("Mend the named field; the reference lists every field of this document.", "请修正所指字段；参考文档列出了全部字段。")


def wrong(path: str, *, expected: str, got: str) -> Invalid:
    """Return the error for one field: its path, the kind that was expected, the kind that came."""
    return Invalid("cleanroom.document", f"{path}: expected {expected}, got {got}", hint=_HINT, facts={"field": path})


def mapping(value: object, path: str, *, required: Collection[str], optional: Collection[str] = ()) -> Mapping[str, Any]:
    """Return ``value`` as an object with exactly these fields; raise Invalid for a missing or an unknown one."""
    if not isinstance(value, Mapping):
        raise wrong(path, expected="an object", got=kind(value))
    for name in required:
        if name not in value:
            raise wrong(f"{path}.{name}", expected="a value", got="nothing")
    unknown = sum(1 for name in value if name not in required and name not in optional)
    if unknown:
        raise wrong(path, expected=f"only the fields {', '.join(sorted({*required, *optional}))}", got=f"{unknown} unknown")
    return value


def text(value: object, path: str, *, pattern: str = r"\S(.*\S)?", expected: str = "a non-empty text") -> str:
    """Return ``value`` as text that matches ``pattern`` as a whole; raise Invalid otherwise."""
    if not isinstance(value, str):
        raise wrong(path, expected=expected, got=kind(value))
    if re.fullmatch(pattern, value, flags=re.DOTALL) is None:
        raise wrong(path, expected=expected, got=f"a text of {len(value)} characters that is not one")
    return value


def sequence(value: object, path: str) -> list[Any]:
    """Return ``value`` as a list; raise Invalid otherwise."""
    if not isinstance(value, list):
        raise wrong(path, expected="a list", got=kind(value))
    return value


def truth(value: object, path: str) -> bool:
    """Return ``value`` as a truth value; raise Invalid otherwise."""
    if not isinstance(value, bool):
        raise wrong(path, expected="true or false", got=kind(value))
    return value


def whole(value: object, path: str, *, least: int) -> int:
    """Return ``value`` as a whole number not below ``least``; raise Invalid otherwise."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(path, expected=f"a whole number of at least {least}", got=kind(value))
    if value < least:
        raise wrong(path, expected=f"a whole number of at least {least}", got="a smaller one")
    return value


def choice(value: object, path: str, *, among: type[_Choice]) -> _Choice:
    """Return the member of ``among`` with this value; raise Invalid for anything else."""
    expected = "one of " + ", ".join(among)
    name = text(value, path, expected=expected)
    if name not in set(among):
        raise wrong(path, expected=expected, got="another word")
    return among(name)


def decimal(value: object, path: str) -> Decimal:
    """Return ``value``, a decimal number written as text, exactly; raise Invalid otherwise."""
    written = text(value, path, pattern=r"-?\d{1,18}(\.\d{1,12})?", expected="a decimal number written as text")
    try:
        return Decimal(written)
    except InvalidOperation as error:  # pragma: no cover - other scripts' digits are refused by Decimal, not by the pattern
        raise wrong(path, expected="a decimal number written as text", got="other digits") from error


def kind(value: object) -> str:
    """Return the JSON name of a value's kind."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", int: "a whole number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
