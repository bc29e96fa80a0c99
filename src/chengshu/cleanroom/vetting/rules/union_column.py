"""``union-column``: a place in a UNION ALL that is not one column of one type throughout, and what compares values of its parts.

A number of different values over two parts, beside those of each part, is how many values both have: one vehicle in both is found.
"""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.conditions.written import AGGREGATES, values_of
from chengshu.cleanroom.model import Aggregate, ProductTerms
from chengshu.cleanroom.unions.merging import same_range
from chengshu.cleanroom.unions.parts import parts_of
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import Origin, origin_of
from chengshu.cleanroom.vetting.rules.filter_form import filtered_type
from chengshu.cleanroom.vetting.tree import every, first
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "union-column"


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse parts whose columns are not of one type, COUNT(DISTINCT …) over them, and sums of what is clipped to several ranges."""
    del terms
    union = first(query, exp.Union)
    if union is None:
        return None
    parts = list(parts_of(union))
    for place in zip(*(part.expressions for part in parts), strict=True):
        kinds = {filtered_type(one.unalias()) for one in place if not _is_unknown(one)}
        if len(kinds) > 1 or None in kinds:
            return _of_types(place[0])
    for node in every(query, *AGGREGATES):
        for column in values_of(node):
            origin = origin_of(column)
            refusal = None if origin is None or not origin.parts else _compared(node, origin)
            if refusal is not None:
                return refusal
    return None


def _is_unknown(selected: exp.Expr) -> bool:
    """Whether a column's name could not be traced, for which there is a rule of its own."""
    return any(origin_of(column) is None for column in selected.find_all(exp.Column))


def _compared(node: exp.Expr, origin: Origin) -> Refused | None:
    if isinstance(node.this, exp.Distinct):
        return _of_values(node, origin.column.name)
    if AGGREGATES[type(node)] is not Aggregate.COUNT and not same_range(tuple(one.column for one in origin.parts)):
        return _of_ranges(node, origin.column.name)
    return None


def _of_types(node: exp.Expr) -> Refused:
    return refused(
        RULE,
        node,
        why="expected in each place a column, or a listed bucket of one, of the same type in every part",
        would_pass=Text(
            "Columns of one declared type under one another; ask the owners to declare one type.",
            "上下对应的列须为同一声明类型；可请各所有者声明同一类型。",
        ),
        column=node.alias_or_name,
    )


def _of_values(node: exp.Expr, column: str) -> Refused:
    return refused(
        RULE,
        node,
        why="different values over several products tell which values two of them share",
        would_pass=Text(
            "COUNT, SUM, AVG, MIN and MAX over the parts; COUNT(DISTINCT …) of each product in a question of its own.",
            "对各部分使用 COUNT、SUM、AVG、MIN、MAX；COUNT(DISTINCT …) 请对每个产品单独提问。",
        ),
        column=column,
    )


def _of_ranges(node: exp.Expr, column: str) -> Refused:
    return refused(
        RULE,
        node,
        why="the owners of the parts clip this column to different ranges",
        would_pass=Text(
            "COUNT over the parts; each product in a question of its own; one declared range in all of them.",
            "对各部分使用 COUNT；或对每个产品单独提问；或各方声明同一范围。",
        ),
        column=column,
    )
