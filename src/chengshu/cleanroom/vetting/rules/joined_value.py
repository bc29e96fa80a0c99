"""``joined-value``: aggregates of one product's values over the records of another one, which protects somebody.

The values may be chosen, or known, so that a sum tells who is in it: one power of ten for each vehicle, and every digit of the sum is
one of them. A least or greatest value is a name outright, and a number of different values tells whether one of them is there.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, values_of
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of, sheltered_tables
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "joined-value"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse an aggregate of a column of public data, or of the asker's own, where the question also reads a protected product."""
    protected = sorted(set(sheltered_tables(query, terms)))
    if not protected:
        return None
    for node in every(query, *AGGREGATES):
        for column in values_of(node):
            origin = origin_of(column)
            if origin is not None and not any(terms[one].sheltered for one in origin.products):
                return refused(
                    RULE,
                    node,
                    why=f"expected an aggregate of a column of {' or '.join(protected)}, got one of a product that is only joined to it",
                    would_pass=Text(
                        f"Aggregates of the columns of {', '.join(protected)}; group and filter by the joined columns.",
                        f"对 {'、'.join(protected)} 的列做聚合；被连接的列用于分组与筛选。",
                    ),
                    column=origin.column.name,
                )
    return None
