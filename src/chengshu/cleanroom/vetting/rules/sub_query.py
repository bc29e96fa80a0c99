"""``sub-query``: a sub-query anywhere but in FROM, where its answer about one row would steer a condition."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "sub-query"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse scalar sub-queries, EXISTS, IN (SELECT …), ANY and ALL; common tables belong at the start of a SELECT."""
    del terms
    for node in every(query, exp.Select):
        if node is not query and not _is_source(node) and not isinstance(node.parent, exp.Union):  # the rule before has placed unions
            return refused(
                RULE,
                node,
                why="a sub-query may stand in FROM, JOIN and WITH only",
                would_pass=Text("JOIN … ON equal keys, or a list of constants.", "使用键相等的 JOIN … ON，或常量列表。"),
            )
    return None


def _is_source(select: exp.Expr) -> bool:
    parent = select.parent
    if isinstance(parent, exp.CTE):
        return True
    return isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.From | exp.Join) and parent.arg_key == "this"
