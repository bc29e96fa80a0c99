"""``having-form``: HAVING on anything but aggregates compared with numbers.

HAVING itself is allowed because it is applied to released groups and released (rounded) values only. In the engine it would
run before small groups are left out, and the number of groups left out would answer any question about one record.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, plain
from chengshu.cleanroom.model import ColumnType, ProductTerms
from chengshu.cleanroom.vetting.binding import OPERATORS, alias_or_self
from chengshu.cleanroom.vetting.buckets import constant, whole_number
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.row_binding import COMPARISONS
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "having-form"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse conditions in HAVING that are not comparisons of aggregates, or arithmetic on them, with numbers."""
    del terms
    having = query.args.get("having")
    if not isinstance(query, exp.Select) or having is None or _is_condition(having.this, query):
        return None
    return refused(
        RULE,
        having,
        why="expected aggregates compared with numbers",
        would_pass=Text("HAVING COUNT(*) > 20; conditions on columns belong in WHERE.", "HAVING COUNT(*) > 20；对列的条件请写入 WHERE。"),
    )


def _is_condition(expression: exp.Expr, select: exp.Select) -> bool:
    node = expression.unnest()
    match node:
        case exp.And() | exp.Or():
            return all(_is_condition(one, select) for one in node.flatten())
        case exp.Not():
            return _is_condition(node.this, select)
        case exp.Between():
            return all(_is_number(one, select) for one in (node.this, node.args["low"], node.args["high"]))
        case exp.Is():
            return isinstance(node.expression, exp.Null) and _is_number(node.this, select)
        case _:
            return type(node) in COMPARISONS and _is_number(node.this, select) and _is_number(node.expression, select)


def _is_number(expression: exp.Expr, select: exp.Select) -> bool:
    node = alias_or_self(select, expression.unnest()) if isinstance(expression.unnest(), exp.Column) else expression.unnest()
    if type(plain(node)) in AGGREGATES or constant(node, ColumnType.DOUBLE) is not None:
        return True
    match node:
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            return type(node) in OPERATORS and _is_number(node.this, select) and _is_number(node.expression, select)
        case exp.Nullif():
            return _is_number(node.this, select)
        case exp.Round():
            return _is_number(node.this, select) and (not node.args.get("decimals") or whole_number(node.args["decimals"]) is not None)
        case _:
            return False
