"""Filters of a catalog request: a small closed language, read into a question; whatever is outside of it is refused by name.

A filter is an array of objects (or one object); every member of every object must hold. Eclipse EDC's query (offset, limit, sortField,
sortOrder, filterExpression) is understood where it asks for equality and begins at the beginning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chengshu.catalog.listing import Member, Wanted
from chengshu.dsp.translate.words import clean
from chengshu.kernel.clock import from_iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MAX_TERMS = 16
MAX_VALUE = 512
EDC = "https://w3id.org/edc/v0.0.1/ns/"

_EQUAL = ("=", "eq")
_EDC_TYPES = ("QuerySpec", EDC + "QuerySpec")
_EDC_MEMBERS: Mapping[str, Member] = {"id": Member.ID} | {member.value: member for member in Member}


@dataclass(frozen=True, slots=True)
class Filter:
    """What a filter asks for, and how many datasets a page may have at the most where it says so."""

    wanted: Wanted = field(default_factory=Wanted)
    limit: int | None = None


def read_filter(value: Any) -> Filter:
    """Return what a ``filter`` asks for; raises Invalid naming the term that is not understood."""
    terms = value if isinstance(value, list) else [] if value is None else [value]
    if len(terms) > MAX_TERMS:
        raise _refused(f"expected at most {MAX_TERMS} terms, got {len(terms)}")
    found = Filter()
    for term in terms:
        if not isinstance(term, dict):
            raise _refused(f"expected an object, got {_kind(term)}")
        found = _edc_query(found, term) if _is_edc(term) else _term(found, term)
    return found


def _term(found: Filter, term: Mapping[str, Any]) -> Filter:
    for name, value in term.items():
        read = _TERMS.get(name)
        if read is None:
            raise _refused(f"expected one of {', '.join(_TERMS)}, got {clean(name)!r}")
        found = replace(found, wanted=read(found.wanted, value))
    return found


def _keyword(wanted: Wanted, value: Any) -> Wanted:
    words = _text("keyword", value).casefold().split()
    if len(wanted.words) + len(words) > MAX_TERMS:
        raise _refused(f"at keyword: expected at most {MAX_TERMS} words, got more")
    return replace(wanted, words=(*wanted.words, *words))


def _property(wanted: Wanted, value: Any) -> Wanted:
    if not isinstance(value, dict) or not value:
        raise _refused(f"at property: expected an object such as {{'version': '1.0.0'}}, got {_kind(value)}")
    for name, text in value.items():
        if name not in list(Member):
            raise _refused(f"at property: expected one of {', '.join(Member)}, got {clean(name)!r}")
        wanted = _equal(wanted, Member(name), _text(f"property.{name}", text))
    return wanted


def _publisher(wanted: Wanted, value: Any) -> Wanted:
    return _equal(wanted, Member.PUBLISHER, _text("publisher", value))


def _format(wanted: Wanted, value: Any) -> Wanted:
    return replace(wanted, formats=(*wanted.formats, _text("format", value)))


def _updated_since(wanted: Wanted, value: Any) -> Wanted:
    text = _text("updatedSince", value)
    try:
        since = from_iso(text)
    except (ValueError, OverflowError) as error:
        expected = "a date and time with its zone such as 2026-11-27T00:00:00Z (RFC 3339)"
        raise _refused(f"at updatedSince: expected {expected}, got another text") from error
    return replace(wanted, since=since if wanted.since is None else max(since, wanted.since))


_TERMS: Mapping[str, Callable[[Wanted, Any], Wanted]] = {
    "keyword": _keyword,
    "property": _property,
    "publisher": _publisher,
    "format": _format,
    "updatedSince": _updated_since,
}


def _is_edc(term: Mapping[str, Any]) -> bool:
    names = {_edc_name(name) for name in term}
    return bool(names & {"offset", "limit", "filterExpression", "sortOrder", "sortField"}) or term.get("@type") in _EDC_TYPES


def _edc_query(found: Filter, term: Mapping[str, Any]) -> Filter:
    query = {_edc_name(name): value for name, value in term.items()}
    for name, value in query.items():
        match name, value:
            case ("@type" | "@context" | "sortOrder", _) | ("offset", 0) | ("sortField", None | ""):
                pass
            case "limit", int() if value is not True and value > 0:
                found = replace(found, limit=value)
            case "filterExpression", list():
                for criterion in value:
                    found = replace(found, wanted=_criterion(found.wanted, criterion))
            case "filterExpression", dict():
                found = replace(found, wanted=_criterion(found.wanted, value))
            case _:
                raise _refused(f"at {clean(name)}: expected a query from the beginning in the catalog's own order, got another value")
    return found


def _criterion(wanted: Wanted, value: Any) -> Wanted:
    if not isinstance(value, dict):
        raise _refused(f"at filterExpression: expected an object, got {_kind(value)}")
    criterion = {_edc_name(name): part for name, part in value.items()}
    left, operator, right = (criterion.get(name) for name in ("operandLeft", "operator", "operandRight"))
    member = _EDC_MEMBERS.get(_edc_name(left)) if isinstance(left, str) else None
    if member is None:
        shown = clean(left) if isinstance(left, str) else _kind(left)
        raise _refused(f"at operandLeft: expected one of {', '.join(_EDC_MEMBERS)}, got {shown!r}")
    if operator not in _EQUAL:
        shown = clean(operator) if isinstance(operator, str) else _kind(operator)
        raise _refused(f"at operator: expected =, got {shown!r}")
    return _equal(wanted, member, _text("operandRight", right))


def _edc_name(name: str) -> str:
    return name.removeprefix(EDC).removeprefix("edc:")


def _equal(wanted: Wanted, member: Member, text: str) -> Wanted:
    return replace(wanted, equal=(*wanted.equal, (member, text)))


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_VALUE or "\0" in value:
        raise _refused(f"at {clean(place)}: expected a text of 1 to {MAX_VALUE} characters, got {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    match value:
        case str():
            return f"a text of {len(value)} characters"
        case dict():
            return "an object"
        case list():
            return "an array"
        case None:
            return "nothing"
        case _:
            return "a number or a truth value"


def _refused(problem: str) -> Invalid:
    return Invalid(
        "catalog.filter",
        f"filter: {problem}",
        hint=Text(
            f"Filter by {', '.join(_TERMS)}, each in an object of the array; all must hold.",
            f"请按 {'、'.join(_TERMS)} 过滤，每项为数组中的一个对象，须同时满足。",
        ),
    )
