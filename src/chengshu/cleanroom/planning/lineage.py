"""Which declared columns stand behind what a vetted question groups by and lets out, read off our own representation."""

from collections.abc import Iterator
from typing import assert_never

from chengshu.cleanroom.relation import (
    AggregateValue,
    Arithmetic,
    Body,
    Bucket,
    Constant,
    Derived,
    GroupValue,
    Measure,
    NullIf,
    Ref,
    Rounded,
    Scalar,
    Table,
    Value,
    VettedQuery,
)

Origin = tuple[str, str]
"""A product and one of its columns."""

Shown = tuple[str, str | None]
"""As what something is shown (``group-key``, or an aggregate's name), and of which ``party.product.column`` (None: of whole rows)."""


def group_keys(vetted: VettedQuery) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the products by whose columns the question groups, each with those columns, in order of their names."""
    found: dict[str, set[str]] = {}
    for scalar in vetted.summary.groups:
        product, column = origin(scalar, vetted.summary.body)
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
                shown.add(("group-key", ".".join(origin(summary.groups[value.place], summary.body))))
            else:
                shown.add(_aggregate(summary.measures[value.place], summary.body))
        found.append((one.name, tuple(sorted(shown, key=lambda pair: (pair[0], pair[1] or "")))))
    return tuple(found)


def clipped(vetted: VettedQuery) -> tuple[str, ...]:
    """Return every ``party.product.column`` that is clipped to its declared range before anything is computed with it."""
    body = vetted.summary.body
    return tuple(
        sorted({".".join(origin(one.of, body)) for one in vetted.summary.measures if one.of is not None and one.column is not None})
    )


def origin(scalar: Scalar, body: Body) -> Origin:
    """Return the product and the declared column behind a column of a body, or behind a bucket of one."""
    ref = scalar.of if isinstance(scalar, Bucket) else scalar
    source = body.sources[int(ref.source.removeprefix("t"))]
    match source:
        case Table(product=product):
            return product, ref.column
        case Derived(rows=rows):
            below = _below(ref, rows.columns, rows.units)
            return origin(below, rows.body)
        case _:
            assert_never(source)


def _below(ref: Ref, columns: tuple[Scalar, ...], units: tuple[Ref | None, ...]) -> Scalar:
    place = int(ref.column[1:])
    unit = units[place] if ref.column.startswith("u") else None
    return columns[place] if unit is None else unit


def _aggregate(measure: Measure, body: Body) -> Shown:
    name = f"{measure.function.value}-distinct" if measure.distinct else measure.function.value
    return name, None if measure.of is None else ".".join(origin(measure.of, body))


def _leaves(value: Value) -> Iterator[GroupValue | AggregateValue]:
    match value:
        case GroupValue() | AggregateValue():
            yield value
        case Arithmetic(left=left, right=right):
            yield from _leaves(left)
            yield from _leaves(right)
        case NullIf(of=of) | Rounded(of=of):
            yield from _leaves(of)
        case Constant():
            return
        case _:
            assert_never(value)
