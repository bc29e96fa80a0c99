"""``parameter``: placeholders, whose values nobody signed."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "parameter"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse placeholders and session variables."""
    del terms
    node = first(query, exp.Placeholder, exp.Parameter, exp.SessionParameter)
    if node is None:
        return None
    return refused(RULE, node, why="a placeholder has no value here", would_pass=Text("The constant itself.", "直接写出常量。"))
