"""``aggregate-filter``: FILTER (WHERE …), a condition on single rows inside a group that is large enough."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.clauses import refused
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "aggregate-filter"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse FILTER, WITHIN GROUP and an order inside an aggregate."""
    del terms
    node = first(query, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
    if node is None or isinstance(node.this, exp.AnyValue):
        return None
    return refused(
        RULE,
        node,
        why="a condition inside an aggregate escapes the group's size",
        would_pass=Text("The condition in WHERE.", "将条件写入 WHERE。"),
    )
