"""``join-key``: joins on anything but equality of declared keys of one type."""

from collections.abc import Mapping

from sqlglot import exp

from chengshu.cleanroom.model import ProductTerms, Role
from chengshu.cleanroom.vetting.clauses import refused
from chengshu.cleanroom.vetting.names import Found, found
from chengshu.cleanroom.vetting.tree import every
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

RULE = "join-key"
_ROLES = frozenset({Role.KEY, Role.FREE})


def check(query: exp.Expr, terms: Mapping[str, ProductTerms]) -> Refused | None:
    """Refuse a condition in ON that is not key = key across the joined source and an earlier one."""
    del terms
    for select in every(query, exp.Select):
        for place, join in enumerate(select.args.get("joins") or (), start=1):
            for one in _conjuncts(join.args["on"]):
                if not _is_key_equality(one, place):
                    return _refused(one)
    return None


def _conjuncts(on: exp.Expr) -> list[exp.Expr]:
    inner = on.unnest()
    return [one.unnest() for one in inner.flatten()] if isinstance(inner, exp.And) else [inner]


def _is_key_equality(node: exp.Expr, place: int) -> bool:
    if not isinstance(node, exp.EQ):
        return False
    left, right = _key(node.this), _key(node.expression)
    if left is None or right is None:
        return False
    return left.source != right.source and max(left.source, right.source) == place and left.origin.type is right.origin.type


def _key(node: exp.Expr) -> Found | None:
    one = found(node) if isinstance(node, exp.Column) else None
    return one if one is not None and one.origin.column.role in _ROLES and not one.origin.bucketed else None


def _refused(node: exp.Expr) -> Refused:
    column = node.find(exp.Column)
    return refused(
        RULE,
        node,
        why="expected equality of a declared key of the joined source and one of an earlier source, of the same type",
        would_pass=Text("ON a.key = b.key; other conditions belong in WHERE.", "ON a.键 = b.键；其他条件请写入 WHERE。"),
        column=column.name if column is not None else "",
    )
