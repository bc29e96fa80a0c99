"""``star``: SELECT *, which shows columns that nobody named."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "star"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every star and COLUMNS(…) but that of COUNT(*)."""
    del terms
    for node in every(query, exp.Star, exp.Columns):
        if isinstance(node, exp.Columns) or not isinstance(node.parent, exp.Count):
            return refused(
                RULE,
                node,
                why="columns must be named one by one",
                would_pass=Text("Named columns, or COUNT(*).", "逐一写出列名，或使用 COUNT(*)。"),
            )
    return None
