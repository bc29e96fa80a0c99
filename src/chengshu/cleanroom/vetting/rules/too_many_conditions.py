"""``too-many-conditions``: more conditions inside aggregates than what they tell apart can be held to a group's size."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.cells import MOST_CELLS, cells
from chengshu.cleanroom.conditions.written import AGGREGATES, written
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.relation.normal import normal
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.row_binding import RowBinder, filter_of
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "too-many-conditions"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse conditions that part a group in more cells than :data:`MOST_CELLS`."""
    found = [one for node in every(query, *AGGREGATES) if (one := written(node)) is not None and one.condition is not None]
    conditions = [one.condition for one in found if one.condition is not None]
    if not conditions or not isinstance(query, exp.Select) or _are_few(query, conditions, terms):
        return None
    return refused(
        RULE,
        conditions[-1],
        why=f"expected conditions that tell at most {MOST_CELLS} parts of a group apart, got more",
        would_pass=Text(
            "Fewer conditions, or ones that exclude one another, such as the values of one column; or the column in GROUP BY.",
            "更少的条件，或互斥的条件（如同一列的不同取值）；或将该列写入 GROUP BY。",
        ),
    )


def _are_few(query: exp.Select, conditions: list[exp.Expr], terms: Mapping[str, ProductTerms]) -> bool:
    try:
        body, _ = RowBinder(terms, numbered=False).body(query, {})
        given = None if body.where is None else normal(body.where)
        return cells([None, *(filter_of(one, body) for one in conditions)], given) is not None
    except Invalid:
        return True  # what is not understood is refused as that
