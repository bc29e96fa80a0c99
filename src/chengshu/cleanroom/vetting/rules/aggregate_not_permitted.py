"""``aggregate-not-permitted``: an aggregate that the column's owner does not permit, or of more than a plain column."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, written
from chengshu.cleanroom.model import Aggregate, Column, ProductTerms
from chengshu.cleanroom.vetting.buckets import constant
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "aggregate-not-permitted"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse aggregates of expressions, DISTINCT outside COUNT, and what the column's role or type does not permit."""
    del terms
    for node in every(query, *AGGREGATES):
        function, one = AGGREGATES[type(node)], written(node)
        if one is not None and one.counts_rows and (one.condition is not None or isinstance(one.of, exp.Star)):
            continue
        origin = None if one is None else origin_of(one.of)
        if origin is None or one is None:
            return _refused(node, "expected one plain column, and DISTINCT in COUNT only", None)
        if function not in origin.column.permitted or (origin.bucketed and function is not Aggregate.COUNT):
            return _refused(node, f"{function.value} of this column is not permitted", origin.column)
        if one.otherwise is not None and constant(one.otherwise, origin.type) is None:
            return _refused(node, "expected a number of the column's own type after ELSE", origin.column)
    return None


def _refused(node: exp.Expr, why: str, column: Column | None) -> Refused:
    permitted = ", ".join(sorted(column.permitted)) if column is not None else ""
    if not permitted:
        text = Text("An aggregate of one plain column that its owner lists.", "对单独一列使用其所有者许可的聚合。")
    else:
        text = Text(f"On this column: {permitted}.", f"该列可用：{permitted}。")
    return refused(RULE, node, why=why, would_pass=text, column=column.name if column is not None else "")
