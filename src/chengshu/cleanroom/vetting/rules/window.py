"""``window``: OVER (…), whose frames can be drawn around one row."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "window"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse window functions and QUALIFY."""
    del terms
    node = first(query, exp.Window, exp.Qualify)
    if node is None:
        return None
    return refused(
        RULE, node, why="window functions are not vetted", would_pass=Text("Aggregates with GROUP BY.", "配合 GROUP BY 的聚合函数。")
    )
