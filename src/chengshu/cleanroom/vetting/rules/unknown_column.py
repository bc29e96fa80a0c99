"""``unknown-column``: a name that cannot be traced to exactly one declared column."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import clause_of, refused
from chengshu.cleanroom.vetting.names import alias_target, found
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "unknown-column"
_BY_ALIAS = frozenset({"GROUP BY", "HAVING", "ORDER BY"})


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a column without lineage; GROUP BY, HAVING and ORDER BY may name a selected expression."""
    del terms
    for node in every(query, exp.Column):
        if found(node) is None and not _is_alias(node):
            return refused(
                RULE,
                node,
                why="the name is not that of exactly one declared column",
                would_pass=Text("A column of the product's schema, with the alias of its source.", "产品模式中的列，并加上来源的别名。"),
                column=node.name,
            )
    return None


def _is_alias(node: exp.Column) -> bool:
    select = node.find_ancestor(exp.Select)
    return clause_of(node) in _BY_ALIAS and select is not None and alias_target(select, node) is not None
