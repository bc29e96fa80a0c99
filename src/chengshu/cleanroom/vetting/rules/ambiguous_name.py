"""``ambiguous-name``: two things of one name, which two engines could read differently."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import sources_of
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "ambiguous-name"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse two sources of one alias in a FROM, two common tables of one name, and a sub-query without an alias."""
    del terms
    common = [one.alias.lower() for one in every(query, exp.CTE)]
    if len(set(common)) != len(common):
        return _refused(query)
    for select in every(query, exp.Select):
        aliases = [scope.alias for scope in sources_of(select) if scope is not None]
        if len(set(aliases)) != len(aliases) or (len(aliases) > 1 and "" in aliases):
            return _refused(select)
    return None


def _refused(node: exp.Expr) -> Refused:
    return refused(
        RULE,
        node,
        why="two sources have one name, or one has none",
        would_pass=Text("A different alias for each source.", "为每个来源取不同的别名。"),
    )
