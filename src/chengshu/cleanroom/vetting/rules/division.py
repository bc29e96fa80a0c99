"""``division``: a divisor that could be zero, whose failure tells something about the row it fails on."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ColumnType, ProductTerms
from chengshu.cleanroom.vetting.buckets import constant
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "division"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse division by anything but a constant that is not zero or NULLIF(…, 0); refuse integer division and remainder."""
    del terms
    for node in every(query, exp.Div, exp.IntDiv, exp.Mod):
        if not isinstance(node, exp.Div) or not _is_safe(node.expression.unnest()):
            return refused(
                RULE,
                node,
                why="the divisor could be zero",
                would_pass=Text("a / NULLIF(b, 0), or division by a constant.", "a / NULLIF(b, 0)，或除以非零常量。"),
            )
    return None


def _is_safe(divisor: exp.Expr) -> bool:
    if isinstance(divisor, exp.Nullif):
        unless = constant(divisor.expression, ColumnType.DOUBLE)
        return unless is not None and unless.value == 0
    written = constant(divisor, ColumnType.DOUBLE)
    return written is not None and written.value != 0
