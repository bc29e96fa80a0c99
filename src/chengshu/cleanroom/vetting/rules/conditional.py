"""``conditional``: CASE, IF, COALESCE and the like, but for one condition on the rows that an aggregate is about, and labels of groups.

Such a condition tells single rows apart inside a group that is large enough, so what it tells apart is held to the size of a group too
(``chengshu.cleanroom.conditions``). Labels for the values of one column make groups coarser, as buckets do; which column that may be,
``group-column`` decides. Everywhere else nothing would.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, written
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.binding import alias_or_self
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.labels import labels_of
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "conditional"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every conditional expression but NULLIF(…, 0) below a division, one plain CASE in COUNT, SUM or AVG, and labels of groups."""
    del terms
    labels = _labels_of_groups(query)
    for node in every(query, exp.Case, exp.If, exp.Coalesce, exp.CountIf):
        whole = node.parent if isinstance(node, exp.If) and isinstance(node.parent, exp.Case) else node
        if whole not in labels and not _is_in_aggregate(whole):
            return refused(
                RULE,
                node,
                why="a condition on single rows escapes the group's size",
                would_pass=Text(
                    "COUNT, SUM or AVG of CASE WHEN condition THEN column or number [ELSE number] END, or with FILTER (WHERE condition), "
                    "with nothing else in the aggregate; the condition in WHERE, or the column in GROUP BY.",
                    "COUNT、SUM 或 AVG 中仅含 CASE WHEN 条件 THEN 列或数值 [ELSE 数值] END，或使用 FILTER (WHERE 条件)；"
                    "也可将条件写入 WHERE，或将该列写入 GROUP BY。",
                ),
            )
    return None


def _labels_of_groups(query: exp.Expr) -> list[exp.Expr]:
    """Every CASE that the question groups by, written out wherever it stands."""
    group = query.args.get("group")
    if not isinstance(query, exp.Select) or group is None:
        return []
    named = [alias_or_self(query, one).unnest() for one in group.expressions]
    return [one for one in named if labels_of(one) is not None]


def _is_in_aggregate(node: exp.Expr | None) -> bool:
    above = node.parent if isinstance(node, exp.Case) else None
    while isinstance(above, exp.Paren | exp.Distinct):
        above = above.parent
    found = None if above is None or type(above) not in AGGREGATES else written(above)
    return found is not None and found.condition is not None
