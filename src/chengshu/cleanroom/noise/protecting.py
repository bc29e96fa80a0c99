"""From a vetted question over a product whose answers carry noise to one whose numbers each unit changes by a known amount.

Rows are bounded exactly: of those that the question is about, each protected unit keeps at most as many as its owner's terms say, chosen by
a hash of the rows themselves, so that who else is there makes no difference to the choice. Rows that belong to no unit are left out.
Whatever cannot be bounded so is refused, with what would pass.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlglot import exp

from chengshu.cleanroom.conditions.cells import adds_nothing_else
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, Privacy, ProductTerms
from chengshu.cleanroom.noise.protection import Mean, Part, Plain, Protection
from chengshu.cleanroom.relation.model import Bounded, Condition, Measure, Operand, Ref, Scalar, Steps, Summary, products
from chengshu.cleanroom.relation.normal import meanings, normal, operands, said_by, scalars_of
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.vetting.row_binding import RowBinder, Unit
from chengshu.cleanroom.vetting.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

FINEST = 1_000_000
"""A sum is counted in steps of which about so many make the largest value; a value's own rounding is less than one step."""
LARGEST = 10**12
"""Bounds beyond this are refused: sums must stay whole numbers that are added exactly."""
UNITS = "units"


def protected(query: exp.Select, terms: Mapping[str, ProductTerms], summary: Summary) -> tuple[Bounded, Protection] | Refused | None:
    """Return what the engine computes instead and how it becomes an answer, or why it cannot; None where no answer carries noise."""
    read = list(products(summary.body))
    noisy = sorted({name for name in read if terms[name].privacy is not None and not terms[name].of_asker})
    if not noisy:
        return None
    if first(query, exp.Union) is not None:
        return _united(noisy[0])
    if len([name for name in read if terms[name].sheltered]) > 1:
        return _joined(noisy[0])
    unit = _unit(query, terms, noisy[0])
    return unit if isinstance(unit, Refused) else _Plan(terms[noisy[0]], unit, summary).planned()


def _unit(query: exp.Select, terms: Mapping[str, ProductTerms], product: str) -> Unit | Refused:
    is_joined = query.find(exp.Join) is not None
    _, units = RowBinder(terms, numbered=is_joined).body(query, {})
    (unit,) = (one for one in units if one.product == product)
    if unit.ref is None and is_joined:
        return Refused(
            "privacy-unit",
            f"JOIN: expected {product} to name its privacy unit, got a product whose records a join could repeat without bound",
            Text(
                "The same question without a join, or a product whose owner names the unit.",
                "不含连接的同一问题，或其所有者声明了隐私单元的产品。",
            ),
        )
    return unit


@dataclass(slots=True)
class _Plan:
    """Gathers the parts that a question's measures need; lives for one call.

    Groups and parts stand in the order of what they mean, not of how they are written: an answer that is kept is read again by a question
    that is written otherwise.
    """

    terms: ProductTerms
    unit: Unit
    summary: Summary
    columns: list[Scalar | Steps] = field(default_factory=list)
    parts: dict[Part, Measure] = field(default_factory=dict)
    meant: dict[Operand, Scalar] = field(init=False)
    """What every column in the question's scope is, through sub-queries."""

    def __post_init__(self) -> None:
        of = (scalar for one in self.summary.measures for scalar in scalars_of(one))
        self.meant = meanings(self.summary.body, [*self.summary.groups, *of, *([self.unit.ref] if self.unit.ref else [])])[1]

    def planned(self) -> tuple[Bounded, Protection] | Refused:
        groups = sorted(set(self.summary.groups), key=lambda one: repr(self.meant[one]))
        self.columns += groups
        units = Part(UNITS, self._records if groups else 1)
        self.parts[units] = Measure(Aggregate.COUNT, self._unit_column, distinct=self._unit_column is not None, column=None)
        needed = []
        for measure in self.summary.measures:
            parts = self._needed(measure)
            if isinstance(parts, Refused):
                return parts
            needed.append(parts)
        order = [units, *sorted((part for part in self.parts if part != units), key=repr)]
        measures = tuple(
            _taken(measure, [order.index(part) for part in parts]) for measure, parts in zip(self.summary.measures, needed, strict=True)
        )
        schema = self.terms.schema
        protection = Protection(
            schema.product,
            schema.privacy_unit,
            Privacy(self._privacy.rho, self._records),
            self.terms.smallest_group,
            tuple(order),
            tuple(groups.index(one) for one in self.summary.groups),
            measures,
        )
        computed = tuple(self.parts[part] for part in order)
        return Bounded(tuple(self.columns), len(groups), computed, self.summary.body, self.unit.ref, self._records), protection

    @property
    def _privacy(self) -> Privacy:
        assert self.terms.privacy is not None  # noqa: S101  # the caller has chosen a product that has them
        return self.terms.privacy

    @property
    def _records(self) -> int:
        """The most records of one unit; where each record is a unit, it is one, whatever the terms say."""
        return 1 if self.unit.ref is None else self._privacy.contributions

    @property
    def _unit_column(self) -> Ref | None:
        return None if self.unit.ref is None else Ref("t0", "u0")

    def _needed(self, measure: Measure) -> list[Part] | Refused:
        match measure:
            case Measure(function=Aggregate.MIN | Aggregate.MAX):
                return _unbounded_aggregate(measure)
            case Measure(of=Constant()):
                return [self._count(measure)] if _counts_one(measure) else _unbounded_number(measure)
            case Measure(otherwise=Constant()) if not adds_nothing_else(measure):
                return _unbounded_number(measure)
            case Measure(function=Aggregate.COUNT):
                return [self._count(measure)]
            case _:
                column = measure.column
                if column is None or column.lower is None or column.upper is None or max(abs(column.lower), abs(column.upper)) > LARGEST:
                    return _unbounded_column(measure)
                total = self._sum(measure, column)
                return [total, self._count(measure)] if measure.function is Aggregate.AVG else [total]

    def _count(self, measure: Measure) -> Part:
        of = measure.of if isinstance(measure.of, Ref) else None
        under, when = self._under(measure)
        is_unit = measure.distinct and of is not None and self.unit.ref is not None and self.meant[of] == self.meant[self.unit.ref]
        if when is None and (is_unit or (of is None and self._records == 1)):
            return next(iter(self.parts))  # where a unit has one record, rows are units
        if of is None:
            return self._keep(
                Part(f"rows{under}", self._records**2), Measure(Aggregate.COUNT, None, distinct=False, column=None, when=when)
            )
        part = Part(f"{'distinct' if measure.distinct else 'count'} {self.meant[of]!r}{under}", self._records**2)
        return self._keep(part, Measure(Aggregate.COUNT, self._column(of), measure.distinct, column=None, when=when))

    def _sum(self, measure: Measure, column: Column) -> Part:
        assert isinstance(measure.of, Ref) and column.lower is not None and column.upper is not None  # noqa: S101, PT018  # as its caller saw
        top = max(abs(column.lower), abs(column.upper))
        steps = _steps(column, top)
        under, when = self._under(measure)
        part = Part(f"sum {self.meant[measure.of]!r}{under}", (self._records * math.ceil(top * steps)) ** 2, steps)
        inner = self._column(Steps(measure.of, column, steps))
        return self._keep(part, Measure(Aggregate.SUM, inner, distinct=False, column=None, when=when))

    def _under(self, measure: Measure) -> tuple[str, Condition | None]:
        """What an aggregate's condition means, and the condition over the rows that are kept; a unit changes no more under one."""
        if measure.when is None:
            return "", None
        kept: dict[Operand, Scalar] = {one: self._column(one) for one in operands(measure.when)}
        return f" where {normal(said_by(measure.when, self.meant))!r}", said_by(measure.when, kept)

    def _column(self, scalar: Scalar | Steps) -> Ref:
        if scalar not in self.columns:
            self.columns.append(scalar)
        return Ref("t0", f"c{self.columns.index(scalar)}")

    def _keep(self, part: Part, measure: Measure) -> Part:
        self.parts.setdefault(part, measure)
        return part


def _steps(column: Column, top: Decimal) -> int:
    """In how many steps one is divided: whole numbers in none, others so that the largest value has about :data:`FINEST`."""
    if column.type is ColumnType.INTEGER:
        return 1
    steps = 1
    while top * steps * 10 <= FINEST and steps < FINEST:
        steps *= 10
    return steps


def _taken(measure: Measure, places: list[int]) -> Plain | Mean:
    if measure.function is Aggregate.AVG:
        assert measure.column is not None and measure.column.lower is not None and measure.column.upper is not None  # noqa: S101, PT018  # no mean was planned without
        return Mean(places[0], places[1], measure.column.lower, measure.column.upper)
    is_whole = measure.column is None or measure.column.type is ColumnType.INTEGER or measure.function is Aggregate.COUNT
    return Plain(places[0], is_whole)


def _joined(product: str) -> Refused:
    return Refused(
        "privacy-join",
        f"JOIN: expected {product}, whose answers carry noise, with public products only, got another product that protects somebody",
        Text(
            "A question that reads one protected product once, joined with public ones or none.",
            "仅读取一个受保护产品一次的问题，可与公开产品连接。",
        ),
    )


def _united(product: str) -> Refused:
    return Refused(
        "privacy-join",
        f"UNION ALL: expected {product}, whose answers carry noise, in a question of its own, got rows of other products beside its own",
        Text("The same question of this product alone.", "仅针对该产品的同一问题。"),
    )


def _unbounded_aggregate(measure: Measure) -> Refused:
    return Refused(
        "privacy-aggregate",
        f"{measure.function.value}: expected an aggregate that one unit changes by a known amount, got one that is a single record's value",
        Text("COUNT, SUM and AVG.", "COUNT、SUM 与 AVG。"),
    )


def _counts_one(measure: Measure) -> bool:
    """Whether a sum of numbers under a condition is the count of the rows that it holds of."""
    return measure.function is Aggregate.SUM and isinstance(measure.of, Constant) and measure.of.value == 1 and adds_nothing_else(measure)


def _unbounded_number(measure: Measure) -> Refused:
    return Refused(
        "privacy-aggregate",
        f"{measure.function.value}: expected an aggregate of the rows that a condition holds of, got one with a number for others",
        Text(
            "COUNT(*) FILTER (WHERE …), and SUM or AVG of a column with FILTER (WHERE …).",
            "COUNT(*) FILTER (WHERE …)，或对一列的 SUM、AVG 使用 FILTER (WHERE …)。",
        ),
    )


def _unbounded_column(measure: Measure) -> Refused:
    name = measure.of.column if isinstance(measure.of, Ref) else ""
    return Refused(
        "privacy-bounds",
        f"{measure.function.value}: expected a column with both bounds, neither beyond {LARGEST:,}, got one without",
        Text("A column whose owner declares its least and greatest value, or COUNT.", "其所有者声明了上下限的列，或使用 COUNT。"),
        {"column": name} if name else {},
    )
