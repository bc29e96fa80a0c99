"""Aggregates as a parsed question writes them: of what, and under which condition, by CASE or by FILTER."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.relation.released import Constant
from chengshu.cleanroom.vetting.buckets import constant
from chengshu.cleanroom.vetting.tree import every

AGGREGATES: Mapping[type[exp.Expr], Aggregate] = {
    exp.Count: Aggregate.COUNT,
    exp.Sum: Aggregate.SUM,
    exp.Avg: Aggregate.AVG,
    exp.Min: Aggregate.MIN,
    exp.Max: Aggregate.MAX,
}
CONDITIONAL = frozenset({Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG})
"""The aggregates that may have a condition: a least or greatest value under one is the value of few."""
_READ = "chengshu.written"


@dataclass(frozen=True, slots=True)
class Written:
    """One aggregate. ``of`` is a column, ``*``, or, under a condition, a number; ``otherwise`` is what stands after ELSE but NULL.

    ``condition`` is nothing where every row counts.
    """

    function: Aggregate
    of: exp.Expr
    distinct: bool
    condition: exp.Expr | None = None
    otherwise: exp.Expr | None = None

    @property
    def counts_rows(self) -> bool:
        """Whether it is about rows, whatever their values are: ``COUNT(*)``, or a number under a condition."""
        return not isinstance(self.of, exp.Column)


def written(node: exp.Expr) -> Written | None:
    """Return what an aggregate of the listed functions is about, nothing where it is none of the forms that are understood.

    It is read once for everybody who asks, and nobody changes what is below an aggregate from then on.
    """
    known = node.meta
    if _READ not in known:
        known[_READ] = _written(node)
    found: Written | None = known[_READ]
    return found


def _written(node: exp.Expr) -> Written | None:
    function = AGGREGATES.get(type(node))
    if function is None or node.expressions or (isinstance(node, exp.Min | exp.Max) and node.args.get("count")):
        return None
    distinct = isinstance(node.this, exp.Distinct)
    if distinct and (function is not Aggregate.COUNT or len(node.this.expressions) != 1 or node.this.args.get("on")):
        return None
    argument = node.this.expressions[0] if distinct else node.this
    filtered = _filter_of(node)
    if filtered is not None and (function not in CONDITIONAL or not isinstance(filtered.expression, exp.Where)):
        return None
    if isinstance(argument, exp.Column) or (isinstance(argument, exp.Star) and function is Aggregate.COUNT and not distinct):
        return Written(function, argument, distinct, None if filtered is None else filtered.expression.this)
    case = argument.unnest() if isinstance(argument, exp.Expr) else None
    return _by_case(function, case, distinct=distinct) if isinstance(case, exp.Case) and filtered is None else None


def _by_case(function: Aggregate, case: exp.Case, *, distinct: bool) -> Written | None:
    arms, otherwise = case.args.get("ifs") or [], case.args.get("default")
    if function not in CONDITIONAL or case.this is not None or len(arms) != 1 or arms[0].args.get("false") is not None:
        return None
    condition, then = arms[0].this, arms[0].args["true"].unnest()
    otherwise = None if otherwise is None or isinstance(otherwise.unnest(), exp.Null) else otherwise.unnest()
    if otherwise is not None and (function is Aggregate.COUNT or number(otherwise) is None):
        return None  # whatever stands after ELSE, COUNT counts it
    if not isinstance(then, exp.Column) and (distinct or number(then) is None):
        return None
    return Written(function, then, distinct, condition, otherwise)


def values_of(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the columns whose values an aggregate is of: not those of its condition, but all of a form that is not understood."""
    found = written(node)
    yield from (found.of,) if found is not None else node.find_all(exp.Column)


def row_conditions(query: exp.Expr) -> Iterator[exp.Expr]:
    """Yield every condition that is put to single rows: those of WHERE and FILTER, and those of CASE in an aggregate."""
    for node in every(query, exp.Where, exp.Case):
        if isinstance(node, exp.Where):
            yield node.this
        else:
            yield from (arm.this for arm in node.args.get("ifs") or ())


def number(expression: exp.Expr) -> Constant | None:
    """Return the number that a literal writes, whole where it is one."""
    return constant(expression, ColumnType.INTEGER) or constant(expression, ColumnType.DOUBLE)


def plain(node: exp.Expr) -> exp.Expr:
    """Return the aggregate in FILTER, or the node itself."""
    return node.this if isinstance(node, exp.Filter) else node


def _filter_of(node: exp.Expr) -> exp.Filter | None:
    return node.parent if isinstance(node.parent, exp.Filter) and node.parent.this is node else None
