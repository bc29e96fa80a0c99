"""``no-agreement``: a table that is no product under contract for this job."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import table_name
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "no-agreement"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a product without terms, a name without a party that is no common table, and a SELECT without FROM."""
    common = {one.alias.lower() for one in every(query, exp.CTE)}
    for node in every(query, exp.Table):
        known = table_name(node) in terms and not node.catalog if node.db else node.name.lower() in common
        if not known:
            return _refused(node)
    for select in every(query, exp.Select):
        if select.args.get("from_") is None:
            return _refused(select)
    return None


def _refused(node: exp.Expr) -> Refused:
    return refused(
        RULE,
        node,
        why="expected a product under contract for this job",
        would_pass=Text(
            "Request an agreement for the product, then name it as party.product.", "先就该产品达成合约，再以 参与方.产品 引用。"
        ),
    )
