"""Our own small relational representation: the only thing an engine's SQL is ever generated from.

A vetted question has two parts. :class:`Summary` is what the engine computes over rows: groups, plain aggregates of plain
columns, and how many records and protected units stand behind each. :class:`Finish` is what is done afterwards with groups
that passed the release gate: arithmetic, HAVING, ORDER BY, LIMIT. Because the second part sees only released values, it can
reveal nothing that the released table does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from chengshu.cleanroom.model import Aggregate, Column, ColumnType
from chengshu.cleanroom.noise.protection import Protection
from chengshu.cleanroom.relation.released import Constant, OrderKey, Value


class Comparison(StrEnum):
    """The comparisons there are, as SQL writes them."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


class BucketKind(StrEnum):
    """How a column is made coarser."""

    TRUNCATE = "truncate"
    """A time cut to the start of its ``step``: hour, day, …"""
    PART = "part"
    """One part of a time, a whole number: hour of day, …"""
    TIME_STEP = "time-step"
    """A time cut to a multiple of ``step`` seconds."""
    NUMBER_STEP = "number-step"
    """A number cut down to a multiple of ``step``."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A column of a source in scope, both by generated or declared names."""

    source: str
    column: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A column made coarser; ``step`` is a unit's name, a number of seconds, or a width."""

    kind: BucketKind
    step: str
    of: Ref


@dataclass(frozen=True, slots=True)
class Labelled:
    """A column's values under labels: that of the first of ``arms`` whose condition holds, which is about this column alone, or another.

    Labels are of one ``type``: texts, whole numbers or doubles; ``otherwise`` is nothing where there is none.
    """

    of: Ref
    arms: tuple[tuple["Condition", Constant], ...]
    otherwise: Constant | None
    type: ColumnType


Scalar = Ref | Bucket | Labelled


@dataclass(frozen=True, slots=True)
class Steps:
    """A number clipped to ``column``'s declared range, in whole ``steps`` of one: what is added up before noise."""

    of: Ref
    column: Column
    steps: int


Operand = Scalar | Value


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; in WHERE the right side is a constant."""

    operator: Comparison
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Within:
    """Equality with one of some constants."""

    left: Operand
    among: tuple[Constant, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """Whether there is no value."""

    left: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary, in three-valued logic."""

    of: "Condition"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one of some conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of some conditions."""

    conditions: tuple["Condition", ...]


Condition = Compare | Within | Missing | Not | AllOf | AnyOf


ROW_NUMBER = "__row"


@dataclass(frozen=True, slots=True)
class Table:
    """A product; where ``numbered``, with a generated column ``__row`` that tells its records apart."""

    product: str
    numbered: bool


@dataclass(frozen=True, slots=True)
class Derived:
    """A sub-query or common table expression of rows."""

    rows: "Rows"


@dataclass(frozen=True, slots=True)
class Union:
    """Rows of several products under one another, none left out (UNION ALL); the n-th column is called ``c`` and n, and of ``types[n]``.

    The units and records of the n-th part's product are ``u`` and n and ``r`` and n; rows of the other parts have nothing there.
    """

    parts: tuple["Rows", ...]
    types: tuple[ColumnType, ...]


Source = Table | Derived | Union


class JoinKind(StrEnum):
    """The joins there are."""

    INNER = "INNER"
    LEFT = "LEFT"


@dataclass(frozen=True, slots=True)
class Join:
    """A source joined by equality of declared keys."""

    kind: JoinKind
    source: Source
    on: tuple[tuple[Ref, Ref], ...]


@dataclass(frozen=True, slots=True)
class Body:
    """FROM, JOIN and WHERE; the n-th source is called ``t`` and n."""

    source: Source
    joins: tuple[Join, ...]
    where: Condition | None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources in the order of their names."""
        return (self.source, *(join.source for join in self.joins))

    def at(self, place: int) -> Source:
        """Return the source called ``t`` and ``place``."""
        return self.joins[place - 1].source if place else self.source

    def source_of(self, ref: Ref) -> Source:
        """Return the source that a column in this body's scope is of."""
        return self.at(self.place_of(ref))

    def place_of(self, ref: Ref) -> int:
        """Return the place of that source."""
        return int(ref.source.removeprefix("t"))

    def put(self, place: int, source: Source) -> "Body":
        """Return the body with another source in the place of that called ``t`` and ``place``."""
        if place == 0:
            return replace(self, source=source)
        join = replace(self.joins[place - 1], source=source)
        return replace(self, joins=(*self.joins[: place - 1], join, *self.joins[place:]))


@dataclass(frozen=True, slots=True)
class Rows:
    """Selected columns of rows: the n-th is called ``c`` and n.

    What identifies the protected units (``u`` and n) and the records (``r`` and n) of the products below follows them.
    """

    columns: tuple[Scalar, ...]
    body: Body
    units: tuple[Ref | None, ...]
    records: tuple[Ref | None, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One aggregate of one plain column, or of rows where ``of`` is nothing; clipped to ``column``'s declared range.

    With ``when``, only rows of which it holds have a value, which may then be a constant too; the others have ``otherwise``, or none.
    """

    function: Aggregate
    of: Ref | Constant | None
    distinct: bool
    column: Column | None
    when: Condition | None = None
    otherwise: Constant | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of a group of which every condition of ``holds`` is true, and none of ``lacks``: those are false or unknown."""

    holds: tuple[Condition, ...]
    lacks: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class UnitCount:
    """How many distinct units of a product stand behind a group, and how many there must be.

    ``of`` is the column that identifies them, nothing where every row is one. With ``present``, only units count whose
    ``present`` has a value: an average over one value and nine blanks is that one value. With ``cell``, only its rows count.
    """

    product: str
    minimum: int
    of: Ref | None
    present: Ref | None
    cell: Cell | None = None


@dataclass(frozen=True, slots=True)
class Single:
    """Whether each record of a product stands in a group at most once with its value ``present``.

    A join can repeat one record a thousand times; a mean over five people is then the value of one of them.
    """

    product: str
    record: Ref
    present: Ref


@dataclass(frozen=True, slots=True)
class Unique:
    """Whether a whole product holds each value of its join ``keys`` at most once, so that a join with it repeats nobody's record.

    It is asked of the product alone, before any condition: asked of the joined rows, the answer would say who is among them.
    """

    product: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dominance:
    """Whether the contributions of units to a sum are mixed enough: the p%-rule with p = ``percent``.

    With X the sum of what the units contribute, without signs, and x1 and x2 the two largest of them, a group is held back when
    X - x1 - x2 < p/100 · x1: the second largest contributor, who knows its own, could then tell the largest one's to within p percent.
    Hundepool et al., Statistical Disclosure Control (Wiley 2012), on magnitude tables. ``unit`` is the column that identifies
    contributors, nothing where every row is one; ``of`` is clipped to ``column``'s range first. With ``cell``, only its rows contribute. Of
    a union, only the product's own rows do, which have a value in ``record``: the other owners could subtract theirs.
    """

    product: str
    percent: int
    of: Ref
    unit: Ref | None
    column: Column | None
    cell: Cell | None = None
    record: Ref | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What the engine computes.

    Columns ``g0…`` (groups), ``a0…`` (measures), ``__rows``, ``__n0…`` (counts), ``__s0…`` (singles), ``__k0…`` (uniques) and
    ``__d0…`` (dominances).
    """

    groups: tuple[Scalar, ...]
    measures: tuple[Measure, ...]
    counts: tuple[UnitCount, ...]
    singles: tuple[Single, ...]
    uniques: tuple[Unique, ...]
    body: Body
    dominances: tuple[Dominance, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounded:
    """What the engine computes where an answer carries noise: measures of rows of which each unit keeps at most ``most``.

    The rows are those of ``body``, their columns ``c0…``, the first ``groups`` of which are grouped by, and ``u0``, the ``unit`` (None:
    every row is one). Which rows a unit keeps depends on its own rows alone; rows of no unit are left out. Columns ``g0…``, ``a0…``.
    """

    columns: tuple[Scalar | Steps, ...]
    groups: int
    measures: tuple[Measure, ...]
    body: Body
    unit: Ref | None
    most: int


@dataclass(frozen=True, slots=True)
class Differences:
    """How many units, group by group, one of two conditions alone is about: ``where``, and each of ``earlier`` (None: every row).

    For the n-th of ``earlier`` and the m-th of ``units`` (None: rows), columns ``nN_M``: of rows of ``where`` alone, ``oN_M``: of the
    earlier one alone, ``wN_M``: of the earlier one. Groups are columns ``g0…``; ``sources`` have no condition of their own.
    """

    sources: Body
    groups: tuple[Scalar, ...]
    units: tuple[Ref | None, ...]
    where: Condition | None
    earlier: tuple[Condition | None, ...]


@dataclass(frozen=True, slots=True)
class Crossed:
    """An earlier question that groups otherwise: its condition, and whether forms show one to be about rows of the other alone.

    ``is_within``: whatever a group of the question is about lies in one group of the earlier one; ``holds``: the other way round.
    """

    where: Condition | None
    is_within: bool
    holds: bool


@dataclass(frozen=True, slots=True)
class Crossings:
    """Which groups of a question are about nearly the rows of one group of an earlier question, which groups by ``others``.

    Nearly: fewer than ``minimum`` units (None: rows) have rows in the one and not in the other, either way round; a side of which forms
    show that it has none is not counted. Columns are ``g0…`` of such groups, one ``f0`` where nothing is grouped by; ``sources`` have no
    condition of their own. With a ``share``, only one unit in so many is looked at, and the groups are those that are sure to be no such.
    """

    sources: Body
    groups: tuple[Scalar, ...]
    others: tuple[Scalar, ...]
    unit: Ref | None
    minimum: int
    where: Condition | None
    earlier: tuple[Crossed, ...]
    share: int | None = None


@dataclass(frozen=True, slots=True)
class OutputValue:
    """One column that leaves, under the name the asker gave it."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done with released groups only."""

    outputs: tuple[OutputValue, ...]
    having: Condition | None
    order: tuple[OrderKey, ...]
    limit: int | None
    offset: int


def products(body: Body) -> Iterator[str]:
    """Yield the product of every table in a body and below it, in order, repeated where it is read twice."""
    for source in body.sources:
        match source:
            case Table(product=product):
                yield product
            case Derived(rows=rows):
                yield from products(rows.body)
            case Union(parts=parts):
                for part in parts:
                    yield from products(part.body)


@dataclass(frozen=True, slots=True)
class Gate:
    """A hidden column of the engine's result, the least value that lets a group pass, and the rule that speaks where none passes."""

    column: str
    minimum: int
    rule: str = "group-too-small"


@dataclass(frozen=True, slots=True)
class Input:
    """The columns of one product that a question needs, and no others."""

    product: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class VettedQuery:
    """A question that passed every rule: what an engine runs, what the gate checks, what is done afterwards.

    ``sql`` is generated from ``summary``, never taken from the asker. ``minimum_group`` is the strictest owner's.
    ``sql`` is DuckDB's; ``instead`` is what is computed in the place of ``summary``, where there is such a thing: another engine
    writes its own SQL from these two.
    Where the answer carries noise, ``protection`` says how it is made, ``instead`` are its parts, and there are no gates: exact counts
    decide nothing then; ``asked`` is then the normal form of what is computed, by which the same question is known again.
    """

    sql: str
    summary: Summary
    finish: Finish
    gates: tuple[Gate, ...]
    inputs: tuple[Input, ...]
    protection: Protection | None = None
    asked: str = ""
    instead: Bounded | Differences | Crossings | None = None

    @property
    def minimum_group(self) -> int:
        """The least number of records behind any released group."""
        return max((gate.minimum for gate in self.gates), default=1)
