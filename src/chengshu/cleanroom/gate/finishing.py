"""What is done with released groups: arithmetic, HAVING, windows, ORDER BY and LIMIT, over released values and nothing else."""

from decimal import Decimal
from typing import Any, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.gate.windows import windowed
from chengshu.cleanroom.relation.model import AllOf, AnyOf, Compare, Comparison, Condition, Finish, Missing, Not, Within
from chengshu.cleanroom.relation.released import AggregateValue, Arithmetic, Constant, GroupValue, NullIf, Rounded, Value, Windowed

_COMPARE = {
    Comparison.EQ: pc.equal,
    Comparison.NE: pc.not_equal,
    Comparison.LT: pc.less,
    Comparison.LE: pc.less_equal,
    Comparison.GT: pc.greater,
    Comparison.GE: pc.greater_equal,
}
_COMPUTE = {"+": pc.add, "-": pc.subtract, "*": pc.multiply, "/": pc.divide}


def finished(released: pa.Table, finish: Finish) -> pa.Table:
    """Return the output columns for the released groups that HAVING keeps, in order, within LIMIT.

    ``released`` has columns ``g0…`` and ``a0…``. Groups are ordered by their values where the asker gives no order, so that the
    same question has the same answer.
    """
    if finish.having is not None:
        released = released.filter(_condition(finish.having, released))
    outputs = {one.name: _value(one.value, released) for one in finish.outputs}
    table = pa.table(outputs).take(_order(released, finish))
    return table.slice(finish.offset, finish.limit)


def _order(released: pa.Table, finish: Finish) -> pa.Array:
    keys = {f"k{place}": _value(key.value, released) for place, key in enumerate(finish.order)}
    directions = ["descending" if key.descending else "ascending" for key in finish.order]
    keys |= {name: released.column(name) for name in released.column_names if name.startswith("g")}
    directions += ["ascending"] * (len(keys) - len(directions))
    if not keys:
        return pa.array(range(released.num_rows), pa.int64())
    return pc.sort_indices(pa.table(keys), sort_keys=list(zip(keys, directions, strict=True)))


def _value(value: Value, released: pa.Table) -> pa.ChunkedArray:
    match value:
        case GroupValue(place=place):
            return released.column(f"g{place}")
        case AggregateValue(place=place):
            return released.column(f"a{place}")
        case Constant():
            return pa.chunked_array([pa.array([_double(value)] * released.num_rows, pa.float64())])
        case Arithmetic(operator=operator, left=left, right=right):
            return _finite(_COMPUTE[operator](_number(left, released), _number(right, released)))
        case NullIf(of=of, unless=unless):
            number = _number(of, released)
            return pc.if_else(pc.equal(number, _double(unless)), pa.scalar(None, pa.float64()), number)
        case Rounded(of=of, decimals=decimals):
            return pc.round(_number(of, released), ndigits=decimals)
        case Windowed():
            return windowed(value, released, lambda one: _value(one, released))
        case _:
            assert_never(value)


def _number(value: Value, released: pa.Table) -> pa.ChunkedArray:
    return _value(value, released).cast(pa.float64(), safe=False)


def _finite(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _double(constant: Constant) -> float:
    return float(constant.value) if isinstance(constant.value, int | float | Decimal) else 0.0


def _condition(condition: Condition, released: pa.Table) -> Any:
    match condition:
        case Compare(operator=operator, left=left, right=right):
            return _COMPARE[operator](_number(left, released), _number(right, released))  # type: ignore[arg-type]  # HAVING holds values only
        case Within(left=left, among=among):
            numbers = pa.array([_double(one) for one in among], pa.float64())
            return pc.is_in(_number(left, released), value_set=numbers)  # type: ignore[arg-type]  # HAVING holds values only
        case Missing(left=left):
            return pc.is_null(_number(left, released))  # type: ignore[arg-type]  # HAVING holds values only
        case Not(of=of):
            return pc.invert(_condition(of, released))
        case AllOf(conditions=conditions):
            return _folded(pc.and_kleene, [_condition(one, released) for one in conditions])
        case AnyOf(conditions=conditions):
            return _folded(pc.or_kleene, [_condition(one, released) for one in conditions])
        case _:
            assert_never(condition)


def _folded(operator: Any, masks: list[Any]) -> Any:
    folded = masks[0]
    for mask in masks[1:]:
        folded = operator(folded, mask)
    return folded
