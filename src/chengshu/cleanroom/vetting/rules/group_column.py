"""``group-column``: groups by a key, a measure or a filter column, whose values would be shown."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms, Role
from chengshu.cleanroom.vetting.binding import alias_or_self
from chengshu.cleanroom.vetting.buckets import coarser
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.labels import labels_of
from chengshu.cleanroom.vetting.names import Origin, found, origin_of
from chengshu.cleanroom.vetting.rules.filter_form import filtered_type
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "group-column"
_ROLES = frozenset({Role.GROUP, Role.FREE})


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse GROUP BY terms that are not group or free columns, or listed buckets of them."""
    del terms
    group = query.args.get("group")
    if not isinstance(query, exp.Select) or group is None:
        return None
    for term in group.expressions:
        origin = _grouped_by(alias_or_self(query, term))
        if origin is None:
            return _refused(term, "expected a column, a listed bucket of one, or labels for the values of one", "")
        if origin.column.role not in _ROLES:
            under = " under this agreement, which does not list it among those shown" if origin.column.narrowed else ""
            return _refused(term, f"a column of role {origin.column.role.value} may not be grouped by{under}", origin.column.name)
    return None


def _grouped_by(expression: exp.Expr) -> Origin | None:
    """The declared column by which, or by a bucket or labels of which, rows are grouped."""
    labels = labels_of(expression.unnest())
    if labels is not None:
        traced = {found(column) for column in labels.columns}
        one = next(iter(traced)) if len(traced) == 1 else None
        return None if one is None else one.origin
    how = coarser(expression)
    return None if how is None or filtered_type(expression) is None else origin_of(how[2])


def _refused(term: exp.Expr, why: str, column: str) -> Refused:
    return refused(
        RULE,
        term,
        why=why,
        would_pass=Text(
            "Group and free columns, DATE_TRUNC, TIME_BUCKET or EXTRACT of a time, FLOOR(x / step) * step of a number, "
            "CASE WHEN condition on one such column THEN label … END.",
            "group 与 free 列；对时间用 DATE_TRUNC、TIME_BUCKET、EXTRACT；对数值用 FLOOR(x / 步长) * 步长；"
            "对单独一列用 CASE WHEN 条件 THEN 标签 … END。",
        ),
        column=column,
    )
