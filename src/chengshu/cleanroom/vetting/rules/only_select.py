"""``only-select``: one SELECT, and nothing that writes, sets, attaches, explains or describes."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "only-select"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse whatever is not a SELECT; set operations have a rule of their own."""
    del terms
    if isinstance(query, exp.Select | exp.SetOperation) and not query.args.get("into"):
        return None
    return refused(
        RULE,
        query,
        why="expected one SELECT, got another statement",
        would_pass=Text("One SELECT with FROM party.product.", "一条以 FROM 参与方.产品 开头取数的 SELECT。"),
    )
