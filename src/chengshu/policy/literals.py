"""The values of constraints as JSON: text as text, everything else as a typed literal, so that no number loses a digit on the way."""

import json
import re
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never

from chengshu.kernel.clock import from_iso, iso
from chengshu.policy.constraint import Value
from chengshu.policy.parameters import ParameterTest, read_test
from chengshu.policy.terms import GEO, XSD, Kind
from chengshu.policy.values import GEOJSON, WKT, Duration, Place, read_duration

MAX_TEXT = 1024
"""Characters of a code or an id."""
_DECIMAL = re.compile(r"\d{1,4}(\.\d{1,9})?", re.ASCII)


def literal(value: Value) -> Any:
    """Return a value as the right operand of a constraint."""
    match value:
        case datetime():
            return _typed(iso(value), XSD + "dateTime")
        case Duration():
            return _typed(str(value), XSD + "duration")
        case Place(text, form):
            return _typed(text, GEO + form)
        case int():
            return _typed(str(value), XSD + "integer")
        case Decimal():
            return _typed(amount(value), XSD + "decimal")
        case str() | ParameterTest():
            return str(value)
        case _:
            assert_never(value)


def read_literal(kind: Kind, right: Any) -> Value:
    """Return the value of a kind that a right operand states; raise ValueError that says what was expected, Invalid for no place."""
    match kind:
        case Kind.MOMENT:
            return _moment(right)
        case Kind.DURATION | Kind.PERIOD:
            text = _untyped(right, XSD + "duration")
            return read_duration(text)
        case Kind.COUNT | Kind.BOUND:
            return _count(right)
        case Kind.LOSS:
            return _amount(right)
        case Kind.PLACE:
            return _place(right)
        case Kind.PARAMETER:
            return read_test(_text(right))
        case _:
            return _text(right)


def amount(value: Decimal) -> str:
    """Return an exact decimal as the one text that states it: no exponent, no zeros that say nothing."""
    return format(value.normalize(), "f")


def members(right: Any) -> list[Any]:
    """Return the members of a set.

    In JSON-LD a set of one may be written as its member; Eclipse EDC writes a larger one of texts as the text of a JSON array.
    """
    if isinstance(right, list):
        return right
    try:
        parts = json.loads(right) if isinstance(right, str) and right.startswith('[{"@value":') else None
    except (ValueError, RecursionError):
        parts = None  # a text that only begins like one
    found = [part.get("@value") if isinstance(part, dict) else None for part in parts] if isinstance(parts, list) else []
    return found if found and all(isinstance(one, str) for one in found) else [right]


def _text(right: Any) -> str:
    if not isinstance(right, str) or not 1 <= len(right) <= MAX_TEXT:
        raise ValueError(f"expected a text of 1 to {MAX_TEXT} characters")
    return right


def _place(right: Any) -> Place:
    for form in (WKT, GEOJSON):
        if isinstance(right, dict) and right.get("@type") == GEO + form:
            return Place(_untyped(right, GEO + form), form)
    raise ValueError(f"expected a literal of the type {GEO}{WKT} or {GEOJSON}")


def _count(right: Any) -> int:
    text = _untyped(right, XSD + "integer")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and text == str(int(text))):
        raise ValueError("expected a whole number of at most nine digits without leading zeros")
    return int(text)


def _amount(right: Any) -> Decimal:
    text = _untyped(right, XSD + "decimal")
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError("expected a decimal number with at most nine decimals")
    return Decimal(text)


def _moment(right: Any) -> datetime:
    text = _untyped(right, XSD + "dateTime")
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise ValueError("expected a time with an offset (RFC 3339)") from error


def _typed(value: str, kind: str) -> dict[str, str]:
    return {"@value": value, "@type": kind}


def _untyped(right: Any, kind: str) -> str:
    """The text of a literal; one that lost its type on the way through another connector (Eclipse EDC) has the operand's own."""
    if isinstance(right, str):
        return right
    if not isinstance(right, dict) or set(right) != {"@value", "@type"} or right["@type"] != kind or not isinstance(right["@value"], str):
        raise ValueError(f"expected a literal with @value (a string) and @type {kind}")
    return right["@value"]
