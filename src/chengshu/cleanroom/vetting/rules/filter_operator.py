"""``filter-operator``: a comparison that the column's owner does not list.

An order, asked again and again, closes in on a value where single values could only be guessed; whether a value is missing may be what
is to be kept. What is listed are families that each have their contrary in them, so NOT leads to no other.
"""

from collections.abc import Iterator, Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import row_conditions
from chengshu.cleanroom.model import Column, Operators, ProductTerms
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import origin_of
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "filter-operator"
_FAMILIES: Mapping[type[exp.Expr], Operators] = {
    exp.LT: Operators.ORDER,
    exp.LTE: Operators.ORDER,
    exp.GT: Operators.ORDER,
    exp.GTE: Operators.ORDER,
    exp.Between: Operators.ORDER,
    exp.Is: Operators.MISSING,
}
_SIGNS = {Operators.EQUAL: "=, <>, IN", Operators.ORDER: "<, <=, >, >=, BETWEEN", Operators.MISSING: "IS NULL"}


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse comparisons in WHERE, FILTER or CASE of a family that the column's owner does not list."""
    del terms
    for condition in row_conditions(query):
        for node in _comparisons(condition):
            family = _FAMILIES.get(type(node), Operators.EQUAL)
            for column in node.find_all(exp.Column):
                origin = origin_of(column)
                if origin is not None and family not in origin.column.operators:
                    return _refused(node, family, origin.column)
    return None


def _comparisons(condition: exp.Expr) -> Iterator[exp.Expr]:
    node = condition.unnest()
    match node:
        case exp.And() | exp.Or():
            for one in node.flatten():
                yield from _comparisons(one)
        case exp.Not():
            yield from _comparisons(node.this)
        case _:
            yield node


def _refused(node: exp.Expr, family: Operators, column: Column) -> Refused:
    signs = "; ".join(_SIGNS[one] for one in Operators if one in column.operators)
    return refused(
        RULE,
        node,
        why=f"{family.value} comparisons with this column are not listed",
        would_pass=Text(f"Conditions on this column by: {signs}.", f"对该列的条件可用：{signs}。")
        if signs
        else Text("The same question without a condition on this column.", "不对该列设条件的同一问题。"),
        column=column.name,
    )
