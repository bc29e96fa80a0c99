"""``recursive-query``: WITH RECURSIVE, which can run for ever."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "recursive-query"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse recursion in common tables."""
    del terms
    for node in every(query, exp.With):
        if node.args.get("recursive"):
            return refused(
                RULE, node, why="recursion is not vetted", would_pass=Text("WITH without RECURSIVE.", "不带 RECURSIVE 的 WITH。")
            )
    return None
