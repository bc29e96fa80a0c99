"""``raw-rows``: single records in the output."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.vetting.binding import alias_or_self, order_target
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.tree import own_nodes
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "raw-rows"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a SELECT without groups and aggregates, and a selected or ordered column outside both."""
    del terms
    if not isinstance(query, exp.Select):
        return None
    group = query.args.get("group")
    terms_of_group = [alias_or_self(query, one).unnest() for one in group.expressions] if group else []
    if not terms_of_group and next(own_nodes(query, exp.AggFunc), None) is None:
        return _refused(query, "")
    order = query.args.get("order")
    ordered = [order_target(query, key.this) for key in order.expressions] if order else []
    for one in (*query.expressions, *ordered):
        bare = _bare(one.unalias(), terms_of_group)
        if bare is not None:
            return _refused(one, bare.name)
    return None


def _bare(expression: exp.Expr, groups: list[exp.Expr]) -> exp.Column | None:
    if expression.unnest() in groups or _same_column(expression.unnest(), groups) or isinstance(expression, exp.AggFunc | exp.Filter):
        return None
    if isinstance(expression, exp.Column):
        return expression
    return next((bare for child in expression.iter_expressions() if (bare := _bare(child, groups)) is not None), None)


def _same_column(expression: exp.Expr, groups: list[exp.Expr]) -> bool:
    """Whether a column is a group written with another qualifier or case; what it really is, binding decides."""
    return isinstance(expression, exp.Column) and any(
        isinstance(one, exp.Column) and one.name.lower() == expression.name.lower() for one in groups
    )


def _refused(node: exp.Expr, column: str) -> Refused:
    return refused(
        RULE,
        node,
        why="single records may not leave the room",
        would_pass=Text("Aggregates, and columns that are also in GROUP BY.", "聚合，以及同时出现在 GROUP BY 中的列。"),
        column=column,
    )
