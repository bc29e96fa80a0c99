"""Which numbers are added up for a question: for each of its measures a count and, but for counts, a sum, as whole numbers.

Sums of whole numbers that are clipped to a small range have 64 bits; all others 128, the last 52 of them behind the point, so that a sum of
doubles is exact to 2**-52 for each holder. A group whose sum does not fit, or is no number, is left out at its holder as a small one is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.engines.rendering import summary_sql
from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.planning.lineage import Types, type_of, types_of
from chengshu.cleanroom.relation.model import Body, Finish, Input, Measure, Ref, VettedQuery, products
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.secure_aggregation.words import Size, Words
from chengshu.cleanroom.vetting.vetter import gates_of
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Text

Key = tuple[Any, ...]
"""The values that a group is named by."""

_FRACTION_BITS = 52
_NARROW_BOUND = 2**20
_LARGEST_NARROW = 2**56
_LARGEST_WIDE = 2**120
"""64 holders' numbers below these fit with a sign."""
_LARGEST_COUNT = 2**62
_WHOLE = pa.decimal128(38, 0)
"""The type that an engine has for sums of whole numbers."""
_ASK = Text("Ask the operators of the holders' nodes, and sign a new job.", "请联系各持有方节点的运营人员，并签署新的作业。")
_NOTHING_AFTER = Finish((), None, (), None, 0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that every holder has for each group."""

    measure: Measure
    is_wide: bool
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Form:
    """The figures of a question, and for each of its measures the places of its count and of its sum (None: it is a count)."""

    figures: tuple[Figure, ...]
    measures: tuple[tuple[Measure, int, int | None], ...]
    groups: int

    @classmethod
    def of(cls, vetted: VettedQuery) -> "Form":
        """Return the form of a question that fits (:func:`~chengshu.cleanroom.secure_aggregation.fitting.misfit`)."""
        types = types_of(vetted)
        figures: dict[Figure, int] = {}
        measures = []
        for measure in vetted.summary.measures:
            count = figures.setdefault(_count(measure), len(figures))
            total = None if measure.function is Aggregate.COUNT else figures.setdefault(_sum(measure, vetted, types), len(figures))
            measures.append((measure, count, total))
        return cls(tuple(figures), tuple(measures), len(vetted.summary.groups))

    def part(self, vetted: VettedQuery, body: Body) -> VettedQuery:
        """Return what one holder computes: the figures over the rows of its own product, all that ``body`` reads, under its own gates."""
        (product,) = products(body)
        summary = replace(
            vetted.summary,
            body=body,
            measures=tuple(one.measure for one in self.figures),
            counts=tuple(one for one in vetted.summary.counts if one.product == product),
            dominances=tuple(one for one in vetted.summary.dominances if one.product == product),
        )
        gates = gates_of(summary, least=max((one.minimum for one in summary.counts), default=1))
        inputs: tuple[Input, ...] = tuple(one for one in vetted.inputs if one.product == product)
        return VettedQuery(summary_sql(summary), summary, _NOTHING_AFTER, gates, inputs)

    def size(self, groups: int) -> Size:
        """Return how long the vector of so many groups is."""
        wide = sum(one.is_wide for one in self.figures)
        return Size(groups * (len(self.figures) - wide), groups * wide)

    def groups_of(self, result: pa.Table) -> pa.Table:
        """Return the names of the groups of a part's result, ``g0…``; where nothing is grouped by, one column that says nothing.

        Whole numbers are of 64 bits and others doubles, whatever a holder keeps them in: so they are where rows lie under one another.
        """
        if self.groups == 0:
            return pa.table({"all": pa.array([True] * result.num_rows, pa.bool_())})
        names = [f"g{place}" for place in range(self.groups)]
        return pa.table({name: _wide(result.column(name)) for name in names})

    def figures_of(self, result: pa.Table) -> dict[Key, list[int]]:
        """Return the figures of each group of a part's result, without those that do not fit."""
        columns = [result.column(f"a{place}").to_pylist() for place in range(len(self.figures))]
        found = {}
        for key, values in zip(keys_of(result, self.groups), zip(*columns, strict=True), strict=True):
            numbers = [_number(one, value) for one, value in zip(self.figures, values, strict=True)]
            if None not in numbers:
                found[key] = [one for one in numbers if one is not None]
        return found

    def vector(self, numbers: Mapping[Key, Sequence[int]], keys: Sequence[Key]) -> Words:
        """Return the figures of the groups ``keys``, in that order."""
        narrow, wide = (
            [numbers[key][place] for place, one in enumerate(self.figures) if one.is_wide is is_wide for key in keys]
            for is_wide in (False, True)
        )
        return Words.of(narrow, wide)

    def totals(self, words: Words, groups: pa.Table) -> pa.Table:
        """Return what the question's engine would have returned for these groups: ``g0…`` and ``a0…``.

        Raises Tampered for counts that no groups have: somebody has masked with other secrets than were opened.
        """
        narrow, wide = (iter(one) for one in words.numbers())
        columns = [[next(wide if one.is_wide else narrow) for _ in range(groups.num_rows)] for one in self.figures]
        for figure, numbers in zip(self.figures, columns, strict=True):
            if figure.measure.function is Aggregate.COUNT and not all(0 <= one < _LARGEST_COUNT for one in numbers):
                raise Tampered("secure-aggregation.total", "expected counts that groups can have, got others", hint=_ASK)
        found = {name: groups.column(name) for name in groups.column_names if name.startswith("g")}
        for place, (measure, count, total) in enumerate(self.measures):
            found[f"a{place}"] = self._column(measure, columns[count], total, None if total is None else columns[total])
        return pa.table(found)

    def _column(self, measure: Measure, counts: Sequence[int], place: int | None, sums: Sequence[int] | None) -> pa.Array:
        if place is None or sums is None:
            return pa.array(counts, pa.int64())
        figure = self.figures[place]
        exact = [
            Fraction(one, 2**_FRACTION_BITS if figure.is_wide else 1) if count else None for one, count in zip(sums, counts, strict=True)
        ]
        if measure.function is Aggregate.AVG:
            means = [None if one is None else float(one / count) for one, count in zip(exact, counts, strict=True)]
            return pa.array(means, pa.float64())
        if figure.is_whole:
            return pa.array([None if one is None else Decimal(int(one)) for one in exact], _WHOLE)
        return pa.array([None if one is None else float(one) for one in exact], pa.float64())


def _wide(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64())
    return values.cast(pa.float64(), safe=False) if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type) else values


def keys_of(table: pa.Table, groups: int) -> list[Key]:
    """Return what the groups of a table are named by, ``g0…``; one without a name where nothing is grouped by."""
    if groups == 0:
        return [()] * table.num_rows
    return list(zip(*(table.column(f"g{place}").to_pylist() for place in range(groups)), strict=True))


def _count(measure: Measure) -> Figure:
    return Figure(replace(measure, function=Aggregate.COUNT, column=None), is_wide=False, is_whole=True)


def _sum(measure: Measure, vetted: VettedQuery, types: Types) -> Figure:
    match measure.of:
        case Ref() as ref:
            kind = type_of(ref, vetted.summary.body, types)
        case Constant(type=kind):
            pass
        case None:
            kind = ColumnType.INTEGER
    is_whole = kind is ColumnType.INTEGER
    return Figure(replace(measure, function=Aggregate.SUM), is_wide=not (is_whole and _is_small(measure)), is_whole=is_whole)


def _is_small(measure: Measure) -> bool:
    """Whether every value that is added up lies within 20 bits, by its owner's declaration or because the question says it."""
    bounds = [] if measure.column is None else [measure.column.lower, measure.column.upper]
    if isinstance(measure.of, Ref) and (not bounds or None in bounds):
        return False
    written = [one.value for one in (measure.of, measure.otherwise) if isinstance(one, Constant)]
    numbers = [Decimal(one) for one in (*bounds, *written) if isinstance(one, int | Decimal)]
    return all(abs(one) <= _NARROW_BOUND for one in numbers)


def _number(figure: Figure, value: float | Decimal | None) -> int | None:
    """The value as a whole number; None where it does not fit."""
    if value is None:
        return 0
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not figure.is_wide:
        return int(value) if -_LARGEST_NARROW < value < _LARGEST_NARROW else None
    fixed = round(Fraction(value) * 2**_FRACTION_BITS)
    return fixed if abs(fixed) < _LARGEST_WIDE else None
