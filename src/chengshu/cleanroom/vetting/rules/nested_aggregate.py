"""``nested-aggregate``: groups inside a sub-query, which the release gate would never see."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every, own_nodes
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "nested-aggregate"
_CLAUSES = ("group", "having", "order", "limit", "offset")


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse aggregates, GROUP BY, HAVING, ORDER BY and LIMIT below the outermost SELECT, and aggregates of aggregates."""
    del terms
    for select in every(query, exp.Select):
        if select is not query and (any(map(select.args.get, _CLAUSES)) or next(own_nodes(select, exp.AggFunc), None) is not None):
            return _refused(select)
    for node in every(query, exp.AggFunc):
        if node.find_ancestor(exp.AggFunc) is not None:
            return _refused(node)
    return None


def _refused(node: exp.Expr) -> Refused:
    return refused(
        RULE,
        node,
        why="groups inside a sub-query or an aggregate cannot be checked for their size",
        would_pass=Text(
            "Sub-queries of plain rows (columns, JOIN, WHERE), and aggregates in the outermost SELECT.",
            "子查询只取普通行（列、JOIN、WHERE），聚合写在最外层 SELECT。",
        ),
    )
