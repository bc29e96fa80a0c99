"""Window functions in a parsed question, put apart from aggregates: ``SUM(…) OVER (…)`` adds up released groups, and never rows."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.relation.released import Frame, WindowFunction
from chengshu.cleanroom.vetting.buckets import whole_number
from chengshu.cleanroom.vetting.tree import every, forget

FUNCTIONS: Mapping[type[exp.Expr], WindowFunction] = {
    exp.RowNumber: WindowFunction.ROW_NUMBER,
    exp.Rank: WindowFunction.RANK,
    exp.DenseRank: WindowFunction.DENSE_RANK,
    exp.Lag: WindowFunction.LAG,
    exp.Lead: WindowFunction.LEAD,
    exp.Count: WindowFunction.COUNT,
    exp.Sum: WindowFunction.SUM,
    exp.Avg: WindowFunction.AVG,
    exp.Min: WindowFunction.MIN,
    exp.Max: WindowFunction.MAX,
}
PLACES = frozenset({WindowFunction.ROW_NUMBER, WindowFunction.RANK, WindowFunction.DENSE_RANK})
_ROWS = "ROWS"
_MOST_STEPS = 1_000_000


OVER = exp.Expression
"""What stands in the place of a window function over released groups: the parser's base class, of which it makes no node by itself.

A class of our own below it could not be, where the parser is compiled. ``this`` is what the function is of, nothing for functions of
places and COUNT(*); the others are ``function``, ``steps``, ``partition_by``, ``order`` and ``frame``.
"""


def is_over(node: object) -> bool:
    """Whether a node is one that :func:`lifted` has put in the place of a window function."""
    return type(node) is OVER and isinstance(node.args.get("function"), WindowFunction)


def lifted(query: exp.Expr) -> exp.Expr:
    """Return the question with an :data:`OVER` in the place of every window function of a form that is understood; others stay."""
    for window in every(query, exp.Window):
        over = _over(window)
        if over is not None:
            if window is query:
                return over
            window.replace(over)
            forget(query)
    return query


def _over(window: exp.Window) -> exp.Expr | None:
    function = FUNCTIONS.get(type(window.this))
    said = {name for name, value in window.args.items() if value not in (None, False, [])}
    if function is None or not said <= {"this", "partition_by", "order", "spec", "over"} or not _is_plain(window.this):
        return None
    frame = _frame(window.args.get("spec"))
    steps = _steps(window.this)
    if frame is False or steps is None:
        return None
    of = window.this.args.get("this")
    parts = {"partition_by": window.args.get("partition_by") or [], "order": window.args.get("order")}
    return OVER(this=None if isinstance(of, exp.Star) else of, function=function, steps=steps, frame=frame or None, **parts)


def _is_plain(function: exp.Expr) -> bool:
    of = function.args.get("this")
    said = {name for name, value in function.args.items() if value not in (None, False, [])}
    if FUNCTIONS[type(function)] in PLACES:
        return not said
    return said <= {"this", "offset", "big_int"} and of is not None and not isinstance(of, exp.Distinct)


def _steps(function: exp.Expr) -> int | None:
    offset = function.args.get("offset")
    steps = 1 if offset is None else whole_number(offset)
    return steps if steps is not None and 0 <= steps <= _MOST_STEPS else None


def _frame(spec: exp.Expr | None) -> Frame | bool | None:
    """The frame; nothing where none is written, False for one that is not understood."""
    if spec is None:
        return None
    said = {name: value for name, value in spec.args.items() if value not in (None, False, [])}
    if said.get("kind") != _ROWS or not said.keys() <= {"kind", "start", "start_side", "end", "end_side"}:
        return False
    before = _bound(said.get("start"), said.get("start_side"), towards="PRECEDING")
    after = _bound(said.get("end", "CURRENT ROW"), said.get("end_side"), towards="FOLLOWING")
    return False if before is False or after is False else Frame(before, after)


def _bound(bound: object, side: object, *, towards: str) -> int | bool | None:
    if bound == "CURRENT ROW" and side is None:
        return 0
    if side != towards:
        return False
    if bound == "UNBOUNDED":
        return None
    steps = whole_number(bound) if isinstance(bound, exp.Expr) else None
    return steps if steps is not None and steps <= _MOST_STEPS else False
