"""From a parsed question that passed the rules to our own representation.

This is the second wall: it builds only what it understands and leaves by Invalid for everything else, so that a gap in the
rules refuses a question rather than running it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from chengshu.cleanroom.conditions.counting import Owned, counts, dominances, given, singles, weighs
from chengshu.cleanroom.conditions.written import Written, number, plain, written
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms
from chengshu.cleanroom.relation.model import (
    AllOf,
    Body,
    Compare,
    Comparison,
    Condition,
    Finish,
    Measure,
    Missing,
    OutputValue,
    Scalar,
    Summary,
)
from chengshu.cleanroom.relation.released import (
    AggregateValue,
    Arithmetic,
    Constant,
    GroupValue,
    NullIf,
    OrderKey,
    Rounded,
    Value,
    Windowed,
    WindowFunction,
)
from chengshu.cleanroom.vetting.buckets import whole_number
from chengshu.cleanroom.vetting.fan_out import uniques
from chengshu.cleanroom.vetting.names import Origin, alias_target, found
from chengshu.cleanroom.vetting.row_binding import (
    COMPARISONS,
    RowBinder,
    Unit,
    constant_of,
    filter_of,
    found_of,
    is_scalar,
    logic_of,
    not_understood,
    ref_of,
    scalar_of,
)
from chengshu.cleanroom.vetting.tree import first
from chengshu.cleanroom.vetting.windows import is_over

_COUNTING = frozenset({WindowFunction.COUNT, WindowFunction.SUM, WindowFunction.AVG})
OPERATORS: Mapping[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}


def bind(query: exp.Select, terms: Mapping[str, ProductTerms]) -> tuple[Summary, Finish]:
    """Return what an engine computes and what is done after release; raise Invalid for whatever is not understood."""
    rows = RowBinder(terms, numbered=first(query, exp.Join) is not None)
    body, units = rows.body(query, {})
    group = query.args.get("group")
    groups = tuple(scalar_of(alias_or_self(query, one), body)[0] for one in (group.expressions if group else ()))
    after = _After(query, body, groups, units)
    finish = after.finish()
    owned = tuple(after.owned)
    unique = uniques(query, terms) if any(weighs(measure) for measure in after.places) else ()
    known = given(owned, body.where)
    behind = (counts(owned, units, known), singles(owned) if rows.numbered else (), unique)
    return Summary(groups, tuple(after.places), *behind, body, dominances(owned, terms, known)), finish


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
    units: tuple[Unit, ...]
    places: dict[Measure, int] = field(default_factory=dict)
    owned: list[Owned] = field(default_factory=list)
    """Each measure once, in the order of their places."""

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
            case exp.Count() | exp.Sum() | exp.Avg() | exp.Min() | exp.Max() | exp.Filter():
                return self._aggregate(plain(node))
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
                return Arithmetic(OPERATORS[type(node)], self._number_of(node.this), self._number_of(node.expression))
            case _ if is_over(node):
                return self._windowed(node)
            case exp.Nullif():
                return NullIf(self._number_of(node.this), _number(node.expression))
            case exp.Round():
                decimals = whole_number(node.args["decimals"]) if node.args.get("decimals") else 0
                if decimals is None or decimals > 12 or node.args.get("truncate"):
                    raise not_understood("a number of decimals up to 12")
                return Rounded(self._number_of(node.this), decimals)
            case _:
                return _number(node)

    def _windowed(self, node: exp.Expr) -> Windowed:
        if any(is_over(one) for one in node.walk() if one is not node):
            raise not_understood("a window over groups and aggregates")
        function, of = node.args["function"], node.args.get("this")
        value = None if of is None else self.value(of)
        if of is not None and function in {WindowFunction.SUM, WindowFunction.AVG}:
            value = self._number_of(of)
        order = node.args.get("order")
        keys = tuple(OrderKey(self.value(key.this), bool(key.args.get("desc"))) for key in (order.expressions if order else ()))
        partition = tuple(self.value(one) for one in node.args["partition_by"])
        return Windowed(function, value, partition, keys, node.args.get("frame"), node.args["steps"])

    def _number_of(self, expression: exp.Expr) -> Value:
        if not self._is_number(expression):
            raise not_understood("a number to compute with")
        return self.value(expression)

    def _is_number(self, expression: exp.Expr) -> bool:
        """Whether what is said of a group is a number whatever its values are: to compute with a text would fail, and quote it."""
        node = plain(expression.unnest())
        if is_scalar(node):
            return scalar_of(node, self.body)[1].is_number
        match node:
            case exp.Min() | exp.Max():
                return found_of(node.this).origin.type.is_number
            case _ if is_over(node) and node.args.get("this") is not None and node.args["function"] not in _COUNTING:
                return self._is_number(node.this)
            case _:
                return True

    def _group(self, node: exp.Expr) -> GroupValue | None:
        if not is_scalar(node):
            return None
        scalar, _ = scalar_of(node, self.body)
        return GroupValue(self.groups.index(scalar)) if scalar in self.groups else None

    def _aggregate(self, node: exp.Expr) -> AggregateValue:
        one = _measure(node, self.body, self.units)
        place = self.places.setdefault(one.measure, len(self.places))
        if place == len(self.owned):
            self.owned.append(one)
        return AggregateValue(place)

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
        return self._number_of(alias_or_self(self.select, node) if isinstance(node, exp.Column) else node)

    def _bound(self, clause: str) -> int | None:
        node = self.select.args.get(clause)
        if node is None:
            return None
        bound = whole_number(node.expression)
        if bound is None or node.args.get("limit_options"):
            raise not_understood("a whole number")
        return bound


def _measure(node: exp.Expr, body: Body, units: tuple[Unit, ...]) -> Owned:
    one = written(node)
    if one is None or (one.counts_rows and one.condition is None and not isinstance(one.of, exp.Star)):
        raise not_understood("an aggregate of one plain column, or of a column or number under one condition")
    when = None if one.condition is None else filter_of(one.condition, body)
    if one.counts_rows:
        of, otherwise = _numbers(one)
        return Owned(Measure(one.function, of, distinct=False, column=None, when=when, otherwise=otherwise), units[:1])
    column = found_of(one.of)
    if one.function not in column.origin.column.permitted or (column.origin.bucketed and one.function is not Aggregate.COUNT):
        raise not_understood("an aggregate that the column's owner permits")
    if one.distinct and column.origin.parts:
        raise not_understood("a number of different values of one product")
    other = None if one.otherwise is None else constant_of(one.otherwise, column.origin.type)
    measure = Measure(one.function, ref_of(column, body), one.distinct, _clip(column.origin), when, other)
    return Owned(measure, tuple(units[place] for place in column.origin.owners))


def _numbers(one: Written) -> tuple[Constant | None, Constant | None]:
    """The numbers after THEN and ELSE, both whole or neither; whichever number is counted, it is rows that are counted."""
    if one.function is Aggregate.COUNT:
        return None, None
    found = [None if each is None else number(each) for each in (one.of, one.otherwise)]
    if any(each is not None and each.type is not ColumnType.INTEGER for each in found):
        found = [None if each is None else replace(each, type=ColumnType.DOUBLE) for each in found]
    return found[0], found[1]


def _clip(origin: Origin) -> Column | None:
    return origin.column if origin.column.lower is not None or origin.column.upper is not None else None


def _kind(node: exp.Expr) -> str:
    return str(node.args["function"].value) if is_over(node) else node.key


def _names(expressions: Iterable[exp.Expr]) -> list[str]:
    """Return a name for every output column, each once: the asker's, or the column's, or the aggregate's."""
    names: list[str] = []
    taken: set[str] = set()
    for one in expressions:
        own = one.alias or (one.name if isinstance(one, exp.Column) else _kind(plain(one.unalias().unnest())))
        name, again = own, 2
        while name.lower() in taken:
            name, again = f"{own}_{again}", again + 1
        names.append(name)
        taken.add(name.lower())
    return names


def _number(expression: exp.Expr) -> Constant:
    return constant_of(expression, ColumnType.DOUBLE)
