"""Which numbers are added up for a question: for each of its measures a count, a sum or both, as whole numbers.

A sum needs its count for a mean, and where a group might have no value at all, which the gate mostly rules out.

Sums of whole numbers that are clipped to a small range have 64 bits; all others 128. A group whose sum does not fit, or is no number, is
left out at its holder as a small one is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.engines.rendering import summary_sql
from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.planning.lineage import Types, type_of, types_of
from chengshu.cleanroom.relation.model import Body, Finish, Input, Measure, Ref, VettedQuery, products
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.secure_aggregation.fixed import Numbers, fitting, numbers_of, words_of
from chengshu.cleanroom.secure_aggregation.words import Size, Words
from chengshu.cleanroom.vetting.vetter import gates_of
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Text

Key = tuple[Any, ...]
"""The values that a group is named by."""

_NARROW_BOUND = 2**20
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
    """The figures of a question, and for each of its measures the places of its count and of its sum, where it is made of such."""

    figures: tuple[Figure, ...]
    measures: tuple[tuple[Measure, int | None, int | None], ...]
    groups: int

    @classmethod
    def of(cls, vetted: VettedQuery) -> "Form":
        """Return the form of a question that fits (:func:`~chengshu.cleanroom.secure_aggregation.fitting.misfit`)."""
        types = types_of(vetted)
        figures: dict[Figure, int] = {}
        measures = []
        for measure in vetted.summary.measures:
            count = None if _has_a_value(measure, vetted) else figures.setdefault(_count(measure), len(figures))
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

    def own(self, result: pa.Table) -> "Own":
        """Return the figures of a part's result, group by group, without groups whose figures do not fit.

        Names of groups are whole numbers of 64 bits and doubles, whatever a holder keeps them in: so they are where rows lie under one
        another. Groups are in the order of their names, which is one for all holders.
        """
        groups = self._groups_of(result)
        order = pc.sort_indices(groups, [(name, "ascending") for name in groups.column_names])
        columns = [result.column(f"a{place}").take(order) for place in range(len(self.figures))]
        fit = np.ones(result.num_rows, dtype=np.bool_)
        for one, column in zip(self.figures, columns, strict=True):
            fit &= fitting(column, is_wide=one.is_wide)
        keep = pa.array(fit, pa.bool_())
        words = [words_of(column.filter(keep), is_wide=one.is_wide) for one, column in zip(self.figures, columns, strict=True)]
        return Own(groups.take(order).filter(keep), tuple(words))

    def totals(self, words: Words, groups: pa.Table) -> pa.Table:
        """Return what the question's engine would have returned for these groups: ``g0…`` and ``a0…``.

        Raises Tampered for counts that no groups have: somebody has masked with other secrets than were opened.
        """
        columns = list(self._columns(words, groups.num_rows))
        for figure, column in zip(self.figures, columns, strict=True):
            if figure.measure.function is Aggregate.COUNT and not bool(np.all((column >= 0) & (column < _LARGEST_COUNT))):
                raise Tampered("secure-aggregation.total", "expected counts that groups can have, got others", hint=_ASK)
        found = {name: groups.column(name) for name in groups.column_names if name.startswith("g")}
        for place, (measure, count, total) in enumerate(self.measures):
            counts = None if count is None else columns[count]
            found[f"a{place}"] = pa.array(counts, pa.int64()) if total is None else _total(measure, columns[total], counts)
        return pa.table(found)

    def _columns(self, words: Words, rows: int) -> Iterator[Numbers]:
        """The total of each figure for each group."""
        narrow, wide = 0, 0
        for one in self.figures:
            if one.is_wide:
                yield numbers_of(words.lower[wide : wide + rows], words.upper[wide : wide + rows], is_whole=one.is_whole)
                wide += rows
            else:
                yield words.narrow[narrow : narrow + rows].view(np.int64)
                narrow += rows

    def _groups_of(self, result: pa.Table) -> pa.Table:
        """The names of groups, ``g0…``; where nothing is grouped by, one column that says nothing."""
        if self.groups == 0:
            return pa.table({"all": pa.array([True] * result.num_rows, pa.bool_())})
        return pa.table({f"g{place}": _alike(result.column(f"g{place}")) for place in range(self.groups)})


@dataclass(frozen=True, slots=True)
class Own:
    """What a holder has: the names of its groups, and each figure for all of them."""

    groups: pa.Table
    figures: tuple[Words, ...]

    def vector(self, some: Sequence[bool]) -> Words:
        """Return the figures of the groups that are in ``some``."""
        return Words.joined([one.picked(some) for one in self.figures])

    def plus(self, other: "Own", *, groups: int) -> "Own":
        """Return both added up, for the groups that both have."""
        mine, theirs = keys_of(self.groups, groups), keys_of(other.groups, groups)
        shared = set(mine) & set(theirs)
        ours, others = ([key in shared for key in each] for each in (mine, theirs))
        added = (left.picked(ours).plus(right.picked(others)) for left, right in zip(self.figures, other.figures, strict=True))
        return Own(self.groups.filter(pa.array(ours, pa.bool_())), tuple(added))


def _alike(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_integer(values.type):
        return values.cast(pa.int64())
    return values.cast(pa.float64(), safe=False) if pa.types.is_decimal(values.type) or pa.types.is_floating(values.type) else values


def _total(measure: Measure, sums: Numbers, counts: Numbers | None) -> pa.Array:
    """Sums or means, nothing where there is no value."""
    nothing = np.zeros(len(sums), dtype=np.bool_) if counts is None else counts == 0
    if measure.function is not Aggregate.AVG:
        return pa.array(sums, mask=nothing) if sums.dtype != np.object_ else pa.array(_decimals(sums, nothing), _WHOLE)
    means = sums.astype(np.float64) / np.where(nothing, 1, 1 if counts is None else counts)
    return pa.array(means, pa.float64(), mask=nothing)


def _decimals(sums: Numbers, nothing: Numbers) -> list[Decimal | None]:
    return [None if empty else Decimal(one) for one, empty in zip(sums.tolist(), nothing.tolist(), strict=True)]


def keys_of(table: pa.Table, groups: int) -> list[Key]:
    """Return what the groups of a table are named by, ``g0…``; one without a name where nothing is grouped by."""
    if groups == 0:
        return [()] * table.num_rows
    return list(zip(*(table.column(f"g{place}").to_pylist() for place in range(groups)), strict=True))


def _count(measure: Measure) -> Figure:
    return Figure(replace(measure, function=Aggregate.COUNT, column=None), is_wide=False, is_whole=True)


def _has_a_value(measure: Measure, vetted: VettedQuery) -> bool:
    """Whether a sum has a value in every group that leaves, because the gate asks it of each product."""
    if measure.function is not Aggregate.SUM or measure.when is not None:
        return False
    sure = {one.product for one in vetted.summary.counts if one.present == measure.of and one.cell is None}
    return isinstance(measure.of, Ref) and sure == set(products(vetted.summary.body))


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
