"""``conditional``: CASE, IF, COALESCE and the like, conditions on single rows inside a group that is large enough."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.clauses import refused
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "conditional"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every conditional expression but NULLIF(…, 0) below a division."""
    del terms
    node = first(query, exp.Case, exp.If, exp.Coalesce, exp.CountIf)
    if node is None:
        return None
    return refused(
        RULE,
        node,
        why="a condition on single rows escapes the group's size",
        would_pass=Text("The condition in WHERE, or the column in GROUP BY.", "将条件写入 WHERE，或将该列写入 GROUP BY。"),
    )
