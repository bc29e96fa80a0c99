"""``aggregate-filter``: FILTER of what is no count, sum or mean, or has a condition already; WITHIN GROUP; an order inside an aggregate."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, CONDITIONAL
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "aggregate-filter"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse WITHIN GROUP, IGNORE NULLS, and FILTER but of a COUNT, SUM or AVG without CASE."""
    del terms
    for node in every(query, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls):
        if not isinstance(node.this, exp.AnyValue) and not _is_plain_filter(node):
            return refused(
                RULE,
                node,
                why="this condition or order inside an aggregate escapes the group's size",
                would_pass=Text(
                    "COUNT, SUM or AVG of a column with FILTER (WHERE condition); the condition in WHERE.",
                    "对一列的 COUNT、SUM 或 AVG 使用 FILTER (WHERE 条件)；或将条件写入 WHERE。",
                ),
            )
    return None


def _is_plain_filter(node: exp.Expr) -> bool:
    return (
        isinstance(node, exp.Filter)
        and AGGREGATES.get(type(node.this)) in CONDITIONAL
        and isinstance(node.expression, exp.Where)
        and node.this.find(exp.Case) is None
    )
