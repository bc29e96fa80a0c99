"""What is said of groups that have been released: their values, and what is computed from these alone."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from chengshu.cleanroom.model import ColumnType


@dataclass(frozen=True, slots=True)
class Constant:
    """A value the asker wrote, with the type of the column it is compared with."""

    value: bool | int | Decimal | str | date | datetime
    type: ColumnType


@dataclass(frozen=True, slots=True)
class GroupValue:
    """The value of the n-th group expression of a released row."""

    place: int


@dataclass(frozen=True, slots=True)
class AggregateValue:
    """The value of the n-th aggregate of a released row."""

    place: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """One of ``+ - * /`` over released values, in double precision; dividing by nothing gives nothing."""

    operator: str
    left: "Value"
    right: "Value"


@dataclass(frozen=True, slots=True)
class NullIf:
    """Nothing where ``of`` is exactly ``unless``, else ``of``."""

    of: "Value"
    unless: Constant


@dataclass(frozen=True, slots=True)
class Rounded:
    """A released number rounded to so many decimals."""

    of: "Value"
    decimals: int


class WindowFunction(StrEnum):
    """What may be said of a released group beside the others: where it stands among them, and what they come to together."""

    ROW_NUMBER = "row_number"
    RANK = "rank"
    DENSE_RANK = "dense_rank"
    LAG = "lag"
    LEAD = "lead"
    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Frame:
    """The released groups from so many before one to so many after it; None: all of that side."""

    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One key of the order; blanks come last."""

    value: "Value"
    descending: bool


@dataclass(frozen=True, slots=True)
class Windowed:
    """A function over released groups: those alike in ``partition``, in ``order``, within ``frame`` (None: as SQL has it by itself).

    ``of`` is nothing for functions of places and for the number of groups; ``steps`` counts for LAG and LEAD alone.
    """

    function: WindowFunction
    of: "Value | None"
    partition: tuple["Value", ...]
    order: tuple[OrderKey, ...]
    frame: Frame | None = None
    steps: int = 1


Value = GroupValue | AggregateValue | Constant | Arithmetic | NullIf | Rounded | Windowed
