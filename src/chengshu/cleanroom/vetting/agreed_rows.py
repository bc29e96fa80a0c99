"""The restriction of a product's rows that its agreement makes, as a part of WHERE: so a question is held against others as it is meant.

The holder leaves the other rows out before it hands any over; here the engine is told so, whoever's rows it computes with.
"""

from collections.abc import Iterator
from datetime import date, datetime
from typing import assert_never

from chengshu.catalog.restriction import Predicate, Restriction
from chengshu.cleanroom.model import ColumnType, Schema
from chengshu.cleanroom.relation.model import Compare, Comparison, Condition, Missing, Not, Ref, Within
from chengshu.cleanroom.relation.released import Constant

_COMPARISONS = {
    Predicate.LESS: Comparison.LT,
    Predicate.AT_MOST: Comparison.LE,
    Predicate.MORE: Comparison.GT,
    Predicate.AT_LEAST: Comparison.GE,
}


def agreed_rows(schema: Schema, source: str) -> Iterator[Condition]:
    """Yield what holds of each row of a product that stands in FROM or JOIN under the generated name ``source``."""
    for one in schema.rows:
        column = schema.column(one.column)
        assert column is not None  # noqa: S101  # a schema with another restriction is none
        yield _condition(one, Ref(source, column.name), column.type)


def _condition(one: Restriction, ref: Ref, kind: ColumnType) -> Condition:
    match one.predicate:
        case Predicate.MISSING:
            return Missing(ref)
        case Predicate.PRESENT:
            return Not(Missing(ref))
        case Predicate.AMONG:
            return Within(ref, tuple(_constant(value, kind) for value in one.values))
        case Predicate.NOT_AMONG:
            return Not(Within(ref, tuple(_constant(value, kind) for value in one.values)))
        case Predicate.LESS | Predicate.AT_MOST | Predicate.MORE | Predicate.AT_LEAST:
            (value,) = one.values
            return Compare(_COMPARISONS[one.predicate], ref, _constant(value, kind))
        case _:
            assert_never(one.predicate)


def _constant(written: str, kind: ColumnType) -> Constant:
    match kind:
        case ColumnType.BOOLEAN:
            return Constant(written == "true", kind)
        case ColumnType.INTEGER:
            return Constant(int(written), kind)
        case ColumnType.DATE:
            return Constant(date.fromisoformat(written), kind)
        case ColumnType.TIMESTAMP:
            return Constant(datetime.fromisoformat(written), kind)
        case _:
            return Constant(written, kind)
