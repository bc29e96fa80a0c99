"""``set-operation``: UNION, INTERSECT and EXCEPT, which put single rows beside groups and compare their presence."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.clauses import refused
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "set-operation"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every set operation."""
    del terms
    node = first(query, exp.SetOperation)
    if node is None:
        return None
    return refused(
        RULE,
        node,
        why="UNION, INTERSECT and EXCEPT are not vetted",
        would_pass=Text("Ask each SELECT as a question of its own.", "请将每条 SELECT 作为单独的问题提出。"),
    )
