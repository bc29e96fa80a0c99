"""``grouping-sets``: ROLLUP, CUBE, GROUPING SETS and GROUP BY ALL, whose totals give away the groups left out."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "grouping-sets"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every grouping but a list of terms."""
    del terms
    node: exp.Expr | None = first(query, exp.Rollup, exp.Cube, exp.GroupingSets)
    group = first(query, exp.Group)
    if node is None and group is not None and any(value for name, value in group.args.items() if name != "expressions"):
        node = group
    if node is None:
        return None
    return refused(RULE, node, why="only a list of columns is vetted", would_pass=Text("GROUP BY column, column.", "GROUP BY 列, 列。"))
