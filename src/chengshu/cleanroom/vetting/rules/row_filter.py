"""``row-filter``: a LEFT JOIN to a product of which only some rows are agreed: which of the others there are would show as blanks."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import table_name
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "row-filter"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse it wherever it stands."""
    for join in every(query, exp.Join):
        table = join.this
        if join.args.get("side") and isinstance(table, exp.Table) and table.db and terms[table_name(table)].schema.rows:
            return refused(
                RULE,
                join,
                why=f"{table_name(table)} may be used of some rows only, and a LEFT JOIN would keep what has none of them",
                would_pass=Text(
                    "JOIN in the place of LEFT JOIN, or that product first, in FROM.", "用 JOIN 代替 LEFT JOIN，或将该产品放在 FROM 之后。"
                ),
            )
    return None
