"""Kinds of database columns, and which types of a contract each may become without a guess and without loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

EXACT_DIGITS = 15
"""So many decimal digits a binary64 number carries there and back (IEEE 754-2019, 5.12.2)."""

_WHOLE = ("int8", "int16", "int32", "int64")


class Kind(Enum):
    """What a column's cells are."""

    BOOLEAN = auto()
    TINY = auto()
    SMALL = auto()
    BIG = auto()
    REAL = auto()
    DOUBLE = auto()
    WHOLE_DECIMAL = auto()
    DECIMAL = auto()
    WIDE_WHOLE_DECIMAL = auto()
    WIDE_DECIMAL = auto()
    TEXT = auto()
    DATE = auto()
    INSTANT = auto()
    CLOCK = auto()
    WHOLE_LIST = auto()
    NUMBER_LIST = auto()
    TEXT_LIST = auto()
    OTHER = auto()


BECOMES: Mapping[Kind, tuple[str, ...]] = {
    Kind.BOOLEAN: ("bool",),
    Kind.TINY: (*_WHOLE, "bool", "float32", "float64", "string"),
    Kind.SMALL: (*_WHOLE, "float64", "string"),
    Kind.BIG: (*_WHOLE, "string"),
    Kind.REAL: ("float32", "float64"),
    Kind.DOUBLE: ("float64",),
    Kind.WHOLE_DECIMAL: (*_WHOLE, "float64", "string"),
    Kind.DECIMAL: ("float64", "string"),
    Kind.WIDE_WHOLE_DECIMAL: (*_WHOLE, "string"),
    Kind.WIDE_DECIMAL: ("string",),
    Kind.TEXT: ("string",),
    Kind.DATE: ("date32", "string"),
    Kind.INSTANT: ("timestamp_ms",),
    Kind.CLOCK: ("string",),
    Kind.WHOLE_LIST: ("list<int32>", "list<int64>"),
    Kind.NUMBER_LIST: ("list<float64>",),
    Kind.TEXT_LIST: ("list<string>",),
    Kind.OTHER: (),
}
"""Which types a cell of each kind may become; one that does not fit its type is found, by row and column, as it is read."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table: its type as the database writes it, and its kind."""

    name: str
    type: str
    kind: Kind

    @property
    def becomes(self) -> frozenset[str]:
        """The types of a contract that it may become."""
        return frozenset(BECOMES[self.kind])


def decimal_kind(precision: int | None, scale: int | None) -> Kind:
    """Return the kind of decimals of so many digits, so many of them after the point; None where the database sets no limit."""
    if precision is None:
        return Kind.WIDE_DECIMAL
    if precision <= EXACT_DIGITS:
        return Kind.WHOLE_DECIMAL if scale == 0 else Kind.DECIMAL
    return Kind.WIDE_WHOLE_DECIMAL if scale == 0 else Kind.WIDE_DECIMAL
