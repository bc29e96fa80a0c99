"""``filter-form``: conditions other than a column compared with constants of its own type."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import row_conditions
from chengshu.cleanroom.model import ColumnType, ProductTerms
from chengshu.cleanroom.vetting.buckets import coarser, constant, takes, type_after
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of
from chengshu.cleanroom.vetting.row_binding import COMPARISONS
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "filter-form"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a condition in WHERE, FILTER or CASE that compares columns, converts, computes, or is not on the list."""
    del terms
    for condition in row_conditions(query):
        wrong = _wrong(condition)
        if wrong is not None:
            column = wrong.find(exp.Column)
            return refused(
                RULE,
                wrong,
                why="expected a column (or a bucket of one) compared with constants of its own type",
                would_pass=Text(
                    "column = 'text', column BETWEEN 1 AND 5, column IN (…), column IS NULL, joined by AND, OR, NOT.",
                    "列 = 'text'、列 BETWEEN 1 AND 5、列 IN (…)、列 IS NULL，可用 AND、OR、NOT 连接。",
                ),
                column=column.name if column is not None else "",
            )
    return None


def _wrong(condition: exp.Expr) -> exp.Expr | None:
    node = condition.unnest()
    if isinstance(node, exp.And | exp.Or):
        return next((wrong for one in node.flatten() if (wrong := _wrong(one)) is not None), None)
    if isinstance(node, exp.Not):
        return _wrong(node.this)
    return None if _is_comparison(node) else node


def _is_comparison(node: exp.Expr) -> bool:
    if type(node) in COMPARISONS:
        kind = filtered_type(node.this)
        column, value = (node.this, node.expression) if kind is not None else (node.expression, node.this)
        return _fits(column, [value])
    match node:
        case exp.Between():
            return _fits(node.this, [node.args["low"], node.args["high"]])
        case exp.In():
            return _fits(node.this, node.expressions)
        case exp.Is():
            return isinstance(node.expression, exp.Null) and filtered_type(node.this) is not None
        case _:
            return filtered_type(node) is ColumnType.BOOLEAN


def _fits(column: exp.Expr, values: list[exp.Expr]) -> bool:
    kind = filtered_type(column)
    return kind is not None and bool(values) and all(constant(one, kind) is not None for one in values)


def filtered_type(expression: exp.Expr) -> ColumnType | None:
    """Return the type of a column or a bucket of one, nothing where it is neither."""
    how = coarser(expression)
    origin = None if how is None else origin_of(how[2])
    if how is None or origin is None or not takes(how[0], origin.type):
        return None
    return type_after(how[0], origin.type)
