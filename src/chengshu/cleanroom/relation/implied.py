"""Whether one condition holds only where another does, as far as their normal forms show it; never looking at any data.

"No" means only that it is not seen. A condition holds where it is true: where it is unknown it does not.
"""

import math
from collections.abc import Iterable

from chengshu.cleanroom.model import ColumnType
from chengshu.cleanroom.relation.model import AllOf, AnyOf, Compare, Comparison, Condition, Missing, Not, Within
from chengshu.cleanroom.relation.released import Constant

_UPPER = frozenset({Comparison.LT, Comparison.LE})
_LOWER = frozenset({Comparison.GT, Comparison.GE})


def imply(ours: Iterable[Condition], theirs: Iterable[Condition]) -> bool:
    """Whether rows of which all of ``ours`` hold are seen to be rows of which all of ``theirs`` hold."""
    known = list(ours)
    return all(any(implies(one, other) for one in known) for other in theirs)


def implies(one: Condition, other: Condition) -> bool:
    """Whether ``other`` is seen to hold wherever ``one`` does; both in normal form."""
    if one == other:
        return True
    if isinstance(one, AnyOf):
        return all(implies(part, other) for part in one.conditions)
    if isinstance(other, AllOf):
        return all(implies(one, part) for part in other.conditions)
    if isinstance(other, AnyOf) and any(implies(one, part) for part in other.conditions):
        return True
    if isinstance(one, AllOf):
        return any(implies(part, other) for part in one.conditions)
    return _of_one_column(one, other)


def _of_one_column(one: Condition, other: Condition) -> bool:
    match one, other:
        case ((Compare(left=left) | Within(left=left)), Not(of=Missing(left=same))):
            return left == same
        case Within(left=left, among=among), _:
            return all(_of_one_column(Compare(Comparison.EQ, left, value), other) for value in among)
        case Compare(operator=Comparison.EQ, left=left, right=Constant() as right), Within(left=same, among=among):
            return left == same and right in among
        case Compare(left=left, right=Constant()), Compare(left=same, right=Constant()):
            return left == same and _bounds(one, other)
        case _:
            return False


def _bounds(one: Compare, other: Compare) -> bool:
    assert isinstance(one.right, Constant) and isinstance(other.right, Constant)  # noqa: S101, PT018  # as the caller has matched
    value, limit = one.right.value, other.right.value
    if one.right.type is ColumnType.DOUBLE and value != limit and _may_be_one(value, limit):
        return False
    below, above = value < limit, value > limit  # type: ignore[operator]  # constants of one column are of one type
    match one.operator, other.operator:
        case Comparison.EQ, operator:
            return _holds(operator, is_below=below, is_above=above)
        case ours, theirs if ours in _UPPER and theirs in _UPPER:
            return below or (value == limit and (ours is theirs or ours is Comparison.LT))
        case ours, theirs if ours in _LOWER and theirs in _LOWER:
            return above or (value == limit and (ours is theirs or ours is Comparison.GT))
        case ours, Comparison.NE if ours in _UPPER:
            return below or (value == limit and ours is Comparison.LT)
        case ours, Comparison.NE if ours in _LOWER:
            return above or (value == limit and ours is Comparison.GT)
        case _:
            return False


def _may_be_one(value: object, limit: object) -> bool:
    """Whether two numbers may be one and the same in the double precision in which an engine compares them."""
    return math.isclose(float(str(value)), float(str(limit)), rel_tol=1e-12)


def _holds(operator: Comparison, *, is_below: bool, is_above: bool) -> bool:
    match operator:
        case Comparison.EQ:
            return not (is_below or is_above)
        case Comparison.NE:
            return is_below or is_above
        case Comparison.LT:
            return is_below
        case Comparison.LE:
            return not is_above
        case Comparison.GT:
            return is_above
        case Comparison.GE:
            return not is_below
