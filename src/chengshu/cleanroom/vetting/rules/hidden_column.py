"""``hidden-column``: a column that its owner hides from every clause."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms, Role
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "hidden-column"
_HIDDEN = (
    "the owner hides this column",
    Text("Another column; the owner alone can change its role.", "请改用其他列；只有所有者能更改其角色。"),
)
_NARROWED = (
    "the agreement does not cover this column",
    Text("A column that the agreement lists, or an agreement that lists this one.", "请改用合约列出的列，或另签列出此列的合约。"),
)


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a hidden column wherever it stands, sub-queries included."""
    del terms
    for node in every(query, exp.Column):
        origin = origin_of(node)
        if origin is not None and origin.column.role is Role.HIDDEN:
            why, would_pass = _NARROWED if origin.column.narrowed else _HIDDEN
            return refused(RULE, node, why=why, would_pass=would_pass, column=origin.column.name)
    return None
