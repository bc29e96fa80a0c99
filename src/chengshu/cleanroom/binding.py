"""From a parsed question that passed the rules to our own representation.

This is the second wall: it builds only what it understands and leaves by Invalid for everything else, so that a gap in the
rules refuses a question rather than running it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from chengshu.cleanroom.buckets import coarser, whole_number
from chengshu.cleanroom.fan_out import uniques
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms
from chengshu.cleanroom.names import Origin, alias_target, found
from chengshu.cleanroom.relation import (
    AggregateValue,
    AllOf,
    Arithmetic,
    Body,
    Compare,
    Comparison,
    Condition,
    Constant,
    Dominance,
    Finish,
    GroupValue,
    Measure,
    Missing,
    NullIf,
    OrderKey,
    OutputValue,
    Rounded,
    Scalar,
    Single,
    Summary,
    UnitCount,
    Value,
)
from chengshu.cleanroom.row_binding import COMPARISONS, RowBinder, Unit, constant_of, found_of, logic_of, not_understood, ref_of, scalar_of
from chengshu.cleanroom.tree import first

AGGREGATES: Mapping[type[exp.Expr], Aggregate] = {
    exp.Count: Aggregate.COUNT,
    exp.Sum: Aggregate.SUM,
    exp.Avg: Aggregate.AVG,
    exp.Min: Aggregate.MIN,
    exp.Max: Aggregate.MAX,
}
OPERATORS: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}

_Owners = Sequence[tuple[int, ...]]


def bind(query: exp.Select, terms: Mapping[str, ProductTerms]) -> tuple[Summary, Finish]:
    """Return what an engine computes and what is done after release; raise Invalid for whatever is not understood."""
    rows = RowBinder(terms, numbered=first(query, exp.Join) is not None)
    body, units = rows.body(query, {})
    group = query.args.get("group")
    groups = tuple(scalar_of(alias_or_self(query, one), body)[0] for one in (group.expressions if group else ()))
    after = _After(query, body, groups)
    finish = after.finish()
    measures = tuple(after.measures)
    counts = _counts(measures, after.owners, units)
    singles = _singles(measures, after.owners, units) if rows.numbered else ()
    weighed = any(_weighs(measure) for measure in measures)
    dominances = _dominances(measures, after.owners, units, terms)
    return Summary(groups, measures, counts, singles, uniques(query, terms) if weighed else (), body, dominances), finish


def alias_or_self(select: exp.Select, expression: exp.Expr) -> exp.Expr:
    """Return the selected expression where a group, order or HAVING term only names one, else the term itself."""
    if isinstance(expression, exp.Column) and found(expression) is not None:
        return expression
    return alias_target(select, expression) or expression


def order_target(select: exp.Select, expression: exp.Expr) -> exp.Expr:
    """Return what an ORDER BY term orders by: a selected expression of that name or place comes before a column (SQL:2016, 7.17)."""
    return alias_target(select, expression) or expression


@dataclass(slots=True)
class _After:
    """Binds what is done with released groups, and gathers the measures that this needs; lives for one call."""

    select: exp.Select
    body: Body
    groups: tuple[Scalar, ...]
    measures: dict[Measure, int] = field(default_factory=dict)
    """Each once, with its place."""
    owners: list[tuple[int, ...]] = field(default_factory=list)
    """Of each measure the places of the units of those products whose values it is over."""

    def finish(self) -> Finish:
        outputs = tuple(
            OutputValue(name, self.value(one.unalias()))
            for name, one in zip(_names(self.select.expressions), self.select.expressions, strict=True)
        )
        having = self.select.args.get("having")
        order = self.select.args.get("order")
        keys = tuple(
            OrderKey(self.value(order_target(self.select, key.this)), bool(key.args.get("desc")))
            for key in (order.expressions if order else ())
        )
        return Finish(
            outputs, None if having is None else self._condition(having.this), keys, self._bound("limit"), self._bound("offset") or 0
        )

    def value(self, expression: exp.Expr) -> Value:
        node = expression.unnest()
        grouped = self._group(node)
        if grouped is not None:
            return grouped
        match node:
            case exp.Count() | exp.Sum() | exp.Avg() | exp.Min() | exp.Max():
                return self._aggregate(node)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
                return Arithmetic(OPERATORS[type(node)], self.value(node.this), self.value(node.expression))
            case exp.Nullif():
                return NullIf(self.value(node.this), _number(node.expression))
            case exp.Round():
                decimals = whole_number(node.args["decimals"]) if node.args.get("decimals") else 0
                if decimals is None or decimals > 12 or node.args.get("truncate"):
                    raise not_understood("a number of decimals up to 12")
                return Rounded(self.value(node.this), decimals)
            case _:
                return _number(node)

    def _group(self, node: exp.Expr) -> GroupValue | None:
        if coarser(node) is None:
            return None
        scalar, _ = scalar_of(node, self.body)
        return GroupValue(self.groups.index(scalar)) if scalar in self.groups else None

    def _aggregate(self, node: exp.Expr) -> AggregateValue:
        measure, owners = _measure(node, self.body)
        if measure not in self.measures:
            self.measures[measure] = len(self.measures)
            self.owners.append(owners)
        return AggregateValue(self.measures[measure])

    def _condition(self, expression: exp.Expr) -> Condition:
        node = expression.unnest()
        match node:
            case exp.And() | exp.Or() | exp.Not():
                return logic_of(node, self._condition)
            case exp.EQ() | exp.NEQ() | exp.LT() | exp.LTE() | exp.GT() | exp.GTE():
                return Compare(COMPARISONS[type(node)], self._named(node.this), self._named(node.expression))
            case exp.Between():
                low = Compare(Comparison.GE, self._named(node.this), _number(node.args["low"]))
                return AllOf((low, Compare(Comparison.LE, self._named(node.this), _number(node.args["high"]))))
            case exp.Is() if isinstance(node.expression, exp.Null):
                return Missing(self._named(node.this))
            case _:
                raise not_understood("a comparison of aggregates with numbers")

    def _named(self, expression: exp.Expr) -> Value:
        node = expression.unnest()
        return self.value(alias_or_self(self.select, node) if isinstance(node, exp.Column) else node)

    def _bound(self, clause: str) -> int | None:
        node = self.select.args.get(clause)
        if node is None:
            return None
        bound = whole_number(node.expression)
        if bound is None or node.args.get("limit_options"):
            raise not_understood("a whole number")
        return bound


def _singles(measures: tuple[Measure, ...], owners: _Owners, units: tuple[Unit, ...]) -> tuple[Single, ...]:
    """Return the marks that the gate needs after a join: for each sum, mean and count of values, that no record repeats."""
    wanted = []
    for measure, owner in _owned(measures, owners):
        record = units[owner].record
        if _weighs(measure) and measure.of is not None and record is not None:
            wanted.append(Single(units[owner].product, record, measure.of))
    return tuple(dict.fromkeys(wanted))


def _dominances(
    measures: tuple[Measure, ...], owners: _Owners, units: tuple[Unit, ...], terms: Mapping[str, ProductTerms]
) -> tuple[Dominance, ...]:
    """Return the marks that the gate needs where an owner does not want sums, or means, which are sums, that one unit makes up."""
    wanted = []
    for measure, owner in _owned(measures, owners):
        unit = units[owner]
        percent = terms[unit.product].schema.dominance_percent
        if percent is not None and measure.of is not None and measure.function in {Aggregate.SUM, Aggregate.AVG}:
            record = unit.record if unit.parted else None
            wanted.append(Dominance(unit.product, percent, measure.of, unit.ref, measure.column, record))
    return tuple(dict.fromkeys(wanted))


def _owned(measures: tuple[Measure, ...], owners: _Owners) -> Iterable[tuple[Measure, int]]:
    """Return each measure with each product whose values it is over."""
    return ((measure, one) for measure, each in zip(measures, owners, strict=True) for one in each)


def _weighs(measure: Measure) -> bool:
    """Whether a row that stands there twice counts twice."""
    return measure.function in {Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG} and not measure.distinct


def _counts(measures: tuple[Measure, ...], owners: _Owners, units: tuple[Unit, ...]) -> tuple[UnitCount, ...]:
    """Return the counts that the gate needs: the units of each product, and those with a value for each measure."""
    wanted = [UnitCount(unit.product, unit.minimum, unit.ref, None) for unit in units]
    for measure, owner in _owned(measures, owners):
        unit = units[owner]
        if measure.of is not None and measure.of != unit.ref:
            wanted.append(UnitCount(unit.product, unit.minimum, unit.ref, measure.of))
    return tuple(dict.fromkeys(one for one in wanted if one.minimum > 1))


def _measure(node: exp.Expr, body: Body) -> tuple[Measure, tuple[int, ...]]:
    function = AGGREGATES[type(node)]
    argument = node.this
    if isinstance(argument, exp.Star) and function is Aggregate.COUNT and not node.expressions:
        return Measure(function, None, distinct=False, column=None), (0,)
    distinct = isinstance(argument, exp.Distinct)
    if distinct and (function is not Aggregate.COUNT or len(argument.expressions) != 1 or argument.args.get("on")):
        raise not_understood("COUNT(DISTINCT one column)")
    column = argument.expressions[0] if distinct else argument
    if not isinstance(column, exp.Column) or node.expressions or (isinstance(node, exp.Min | exp.Max) and node.args.get("count")):
        raise not_understood("an aggregate of one plain column")
    one = found_of(column)
    if function not in one.origin.column.permitted or (one.origin.bucketed and function is not Aggregate.COUNT):
        raise not_understood("an aggregate that the column's owner permits")
    if distinct and one.origin.parts:
        raise not_understood("a number of different values of one product")
    return Measure(function, ref_of(one, body), distinct, _clip(one.origin)), one.origin.owners


def _clip(origin: Origin) -> Column | None:
    return origin.column if origin.column.lower is not None or origin.column.upper is not None else None


def _names(expressions: Iterable[exp.Expr]) -> list[str]:
    """Return a name for every output column, each once: the asker's, or the column's, or the aggregate's."""
    names: list[str] = []
    for one in expressions:
        plain = one.alias or (one.name if isinstance(one, exp.Column) else one.unalias().unnest().key)
        name, again = plain, 2
        while name.lower() in {taken.lower() for taken in names}:
            name, again = f"{plain}_{again}", again + 1
        names.append(name)
    return names


def _number(expression: exp.Expr) -> Constant:
    return constant_of(expression, ColumnType.DOUBLE)
