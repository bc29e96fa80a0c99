"""``too-complex``: a question that nobody could review, or that unfolds without end."""

from collections import Counter
from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import depth, every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "too-complex"
MOST_NODES = 3000
DEEPEST = 120
MOST_JOINS = 12


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse more than so many parts, levels or joins, and a common table that is read twice (it unfolds at each reading)."""
    del terms
    read = Counter(table.name.lower() for table in every(query, exp.Table) if not table.db)
    if max(read.values(), default=0) > 1:
        why = "a common table is read more than once"
    elif len(list(every(query, exp.Join))) > MOST_JOINS:
        why = f"more than {MOST_JOINS} joins"
    elif sum(1 for _ in every(query, exp.Expr)) > MOST_NODES or depth(query) > DEEPEST:
        why = f"more than {MOST_NODES} parts or {DEEPEST} levels"
    else:
        return None
    return refused(
        RULE,
        query,
        why=why,
        would_pass=Text("Split the question; write each common table out where it is read.", "请拆分问题；公用表表达式每处各写一次。"),
    )
