"""Which declared columns stand behind what a vetted question groups by and lets out, read off our own representation."""

from collections.abc import Iterator, Mapping
from typing import assert_never

from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import (
    Body,
    Bucket,
    BucketKind,
    Derived,
    Labelled,
    Measure,
    Ref,
    Rows,
    Scalar,
    Table,
    Union,
    VettedQuery,
)
from chengshu.cleanroom.relation.normal import operands
from chengshu.cleanroom.relation.released import AggregateValue, Arithmetic, Constant, GroupValue, NullIf, Rounded, Value, Windowed

Origin = tuple[str, str]
"""A product and one of its columns."""

Types = Mapping[Origin, ColumnType]

Shown = tuple[str, str | None]
"""As what something is shown (``group-key``, an aggregate's name, or ``condition`` of one),
and of which ``party.product.column`` (None: of whole rows)."""


def group_keys(vetted: VettedQuery) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the products by whose columns the question groups, each with those columns, in order of their names."""
    found: dict[str, set[str]] = {}
    for scalar in vetted.summary.groups:
        for product, column in origins(scalar, vetted.summary.body):
            found.setdefault(product, set()).add(column)
    return tuple((product, tuple(sorted(columns))) for product, columns in sorted(found.items()))


def outputs(vetted: VettedQuery) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
    """Return the columns of the answer, each with what it is computed from, in order of appearance."""
    summary = vetted.summary
    found = []
    for one in vetted.finish.outputs:
        shown: set[Shown] = set()
        for value in _leaves(one.value):
            if isinstance(value, GroupValue):
                shown |= {("group-key", ".".join(one)) for one in origins(summary.groups[value.place], summary.body)}
            else:
                shown |= _aggregate(summary.measures[value.place], summary.body)
        found.append((one.name, tuple(sorted(shown, key=lambda pair: (pair[0], pair[1] or "")))))
    return tuple(found)


def clipped(vetted: VettedQuery) -> tuple[str, ...]:
    """Return every ``party.product.column`` that is clipped to its declared range before anything is computed with it."""
    body = vetted.summary.body
    of = [one.of for one in vetted.summary.measures if isinstance(one.of, Ref) and one.column is not None]
    return tuple(sorted({".".join(one) for ref in of for one in origins(ref, body)}))


def origins(scalar: Scalar, body: Body) -> frozenset[Origin]:
    """Return the product and the declared column behind a column of a body, or behind a bucket of one; of a union those of each part."""
    ref = scalar.of if isinstance(scalar, Bucket | Labelled) else scalar
    source = body.source_of(ref)
    match source:
        case Table(product=product):
            return frozenset({(product, ref.column)})
        case Derived(rows=rows):
            return origins(below(ref, rows), rows.body)
        case Union(parts=parts):
            return frozenset().union(*(origins(part.columns[int(ref.column[1:])], part.body) for part in parts))
        case _:
            assert_never(source)


def below(ref: Ref, rows: Rows) -> Scalar:
    """Return what a column of a sub-query is within it."""
    place = int(ref.column[1:])
    unit = rows.units[place] if ref.column.startswith("u") else None
    return rows.columns[place] if unit is None else unit


def _aggregate(measure: Measure, body: Body) -> set[Shown]:
    name = f"{measure.function.value}-distinct" if measure.distinct else measure.function.value
    shown: set[Shown] = {(name, None)}
    if isinstance(measure.of, Ref):
        shown = {(name, ".".join(one)) for one in origins(measure.of, body)}
    under = () if measure.when is None else operands(measure.when)
    return shown | {("condition", ".".join(one)) for scalar in under for one in origins(scalar, body)}


def _leaves(value: Value) -> Iterator[GroupValue | AggregateValue]:
    match value:
        case GroupValue() | AggregateValue():
            yield value
        case Arithmetic(left=left, right=right):
            yield from _leaves(left)
            yield from _leaves(right)
        case NullIf(of=of) | Rounded(of=of):
            yield from _leaves(of)
        case Windowed(of=of, partition=partition, order=order):
            for one in (*(() if of is None else (of,)), *partition, *(key.value for key in order)):
                yield from _leaves(one)
        case Constant():
            return
        case _:
            assert_never(value)


def types_of(query: VettedQuery) -> Types:
    """Return the types of the columns that a question reads, as their owners declare them."""
    return {(one.product, column.name): column.type for one in query.inputs for column in one.columns}


def type_of(column: Scalar, body: Body, types: Types) -> ColumnType:
    """Return the type of a column of a body, or of a bucket of one; decimals of a union have been made doubles."""
    if isinstance(column, Labelled):
        return column.type
    if isinstance(column, Bucket):
        return ColumnType.DOUBLE if column.kind is BucketKind.NUMBER_STEP else ColumnType.INTEGER
    source = body.source_of(column)
    match source:
        case Table(product=product):
            return types[product, column.column]
        case Derived(rows=rows):
            return type_of(below(column, rows), rows.body, types)
        case Union(types=kinds):
            kind = kinds[int(column.column.removeprefix("c"))]
            return ColumnType.DOUBLE if kind is ColumnType.DECIMAL else kind
        case _:
            assert_never(source)
