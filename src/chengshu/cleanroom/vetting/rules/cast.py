"""``cast``: conversions, whose failure tells something about the row it fails on."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.buckets import is_time_literal
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "cast"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse every cast but the way in which a date or a time is written."""
    del terms
    for node in every(query, exp.Cast, exp.Convert):
        if not is_time_literal(node):
            return refused(
                RULE,
                node,
                why="conversions are not vetted",
                would_pass=Text(
                    "A constant of the column's own type: 5, 'text', DATE '2026-01-01', TIMESTAMP '2026-01-01 08:00:00'.",
                    "与列同类型的常量：5、'text'、DATE '2026-01-01'、TIMESTAMP '2026-01-01 08:00:00'。",
                ),
            )
    return None
