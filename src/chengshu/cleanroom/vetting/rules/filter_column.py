"""``filter-column``: a condition on a key or a measure, which finds one record or closes in on its value."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import row_conditions
from chengshu.cleanroom.model import ProductTerms, Role
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "filter-column"
_ROLES = frozenset({Role.FILTER, Role.GROUP, Role.FREE})


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse columns in WHERE, FILTER or a CASE's condition that are not filter, group or free."""
    del terms
    for condition in row_conditions(query):
        for node in condition.find_all(exp.Column):
            origin = origin_of(node)
            if origin is not None and origin.column.role not in _ROLES:
                return refused(
                    RULE,
                    node,
                    why=f"a column of role {origin.column.role.value} may not be filtered",
                    would_pass=Text("Conditions on filter, group and free columns.", "对 filter、group、free 角色的列设条件。"),
                    column=origin.column.name,
                )
    return None
