"""``window``: OVER (…) over rows, whose frames can be drawn around one, and every form that is not on the list.

Over groups it is arithmetic with what has been released, as ORDER BY is: groups that were left out are in no frame.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import exactly, first, own_nodes
from chengshu.cleanroom.vetting.windows import OVER, is_over
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "window"
_WOULD_PASS = Text(
    "In the outermost SELECT or ORDER BY, beside GROUP BY: ROW_NUMBER, RANK, DENSE_RANK, LAG, LEAD, COUNT, SUM, AVG, MIN, MAX over groups "
    "and aggregates, OVER ([PARTITION BY …] [ORDER BY …] [ROWS BETWEEN n PRECEDING AND n FOLLOWING]).",
    "在最外层 SELECT 或 ORDER BY 中并配合 GROUP BY：对分组与聚合使用 ROW_NUMBER、RANK、DENSE_RANK、LAG、LEAD、COUNT、SUM、AVG、MIN、MAX，"
    "OVER ([PARTITION BY …] [ORDER BY …] [ROWS BETWEEN n PRECEDING AND n FOLLOWING])。",
)


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse window functions anywhere but over released groups, and QUALIFY."""
    del terms
    node = first(query, exp.Window, exp.Qualify)
    if node is not None:
        return refused(RULE, node, why="this form of a window is not vetted", would_pass=_WOULD_PASS)
    for over in filter(is_over, exactly(query, OVER)):
        if not isinstance(query, exp.Select) or not _is_grouped(query) or not _is_in_place(over, query):
            return refused(RULE, over, why="a window over rows can be drawn around one of them", would_pass=_WOULD_PASS)
    return None


def _is_grouped(query: exp.Select) -> bool:
    return bool(query.args.get("group")) or next(own_nodes(query, exp.AggFunc), None) is not None


def _is_in_place(over: exp.Expr, query: exp.Select) -> bool:
    """Whether it is in the outermost SELECT's own columns or order, and neither in an aggregate nor in another window."""
    below = over
    while below.parent is not None and below.parent is not query:
        below = below.parent
        if isinstance(below, exp.AggFunc | exp.Filter | exp.Case | exp.Select) or is_over(below):
            return False
    return below.arg_key in {"expressions", "order"}
