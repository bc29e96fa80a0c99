"""``table-function``: rows from anywhere but a product: files, settings, catalogues, generated series, listed values."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every, first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "table-function"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse functions, lists and lateral items in FROM."""
    del terms
    functions = (table for table in every(query, exp.Table) if not isinstance(table.this, exp.Identifier))
    node = next(functions, None) or first(query, exp.Lateral, exp.Unnest, exp.Values)
    if node is None:
        return None
    return refused(
        RULE,
        node,
        why="expected a product, got a function or a list of values",
        would_pass=Text("FROM party.product, a product under contract.", "FROM 参与方.产品，且该产品已有合约。"),
    )
