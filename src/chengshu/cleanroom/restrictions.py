"""What agreed rows look like in a document, and whether they are of columns that can tell rows apart without a doubt."""

import re
from collections.abc import Mapping
from datetime import date, datetime

from chengshu.catalog.restriction import Predicate, Restriction
from chengshu.cleanroom.reading import choice, mapping, sequence, text, wrong

_WRITTEN: Mapping[str, str] = {
    "boolean": "true|false",
    "integer": r"-?\d{1,18}",
    "text": r".*",
    "date": r"\d{4}-\d{2}-\d{2}",
    "timestamp": r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?",
}
"""How values of each type of column are written. Doubles are no such type: holder and engine order those that are no number differently."""
_ORDERS = frozenset({Predicate.LESS, Predicate.AT_MOST, Predicate.MORE, Predicate.AT_LEAST})
_MEMBERSHIPS = frozenset({Predicate.AMONG, Predicate.NOT_AMONG})


def parse_restriction(document: object, path: str) -> Restriction:
    """Return the restriction that ``document`` describes; raise Invalid naming the field."""
    found = mapping(document, path, required=("column", "predicate"), optional=("values",))
    values = tuple(
        text(one, f"{path}.values", pattern=".*", expected="texts") for one in sequence(found.get("values", []), f"{path}.values")
    )
    return Restriction(text(found["column"], f"{path}.column"), choice(found["predicate"], f"{path}.predicate", among=Predicate), values)


def check_restriction(restriction: Restriction, types: Mapping[str, str]) -> None:
    """Raise Invalid for a restriction of no column of these, each with its type, or of values that such a column cannot have."""
    kind = types.get(restriction.column)
    if kind is None:
        raise wrong("schema.rows.column", expected="the name of a declared column", got="another name")
    if kind not in _WRITTEN:
        raise wrong("schema.rows.column", expected=f"a column of {', '.join(_WRITTEN)}", got=f"one of {kind}")
    if restriction.predicate in _ORDERS and kind == "boolean":
        raise wrong("schema.rows.predicate", expected="one without an order for a boolean column", got=restriction.predicate)
    least, most = (1, 1000) if restriction.predicate in _MEMBERSHIPS else (1, 1) if restriction.predicate in _ORDERS else (0, 0)
    if not least <= len(restriction.values) <= most or not all(_is_written(one, kind) for one in restriction.values):
        raise wrong("schema.rows.values", expected=f"{least} to {most} values of a column of {kind}", got="others")


def _is_written(value: str, kind: str) -> bool:
    if re.fullmatch(_WRITTEN[kind], value, flags=re.ASCII) is None or not value.isprintable():
        return False
    reads = {"date": date.fromisoformat, "timestamp": datetime.fromisoformat}.get(kind)
    try:
        return reads is None or reads(value) is not None
    except ValueError:
        return False
