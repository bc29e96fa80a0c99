"""Rules about single cells: missing, sentinel, out of range, not allowed, negative length, time that is not epoch milliseconds."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.catalog.model import Column, Semantic, Severity
from chengshu.catalog.rules.sheet import Bools, Floats, Hit, Sheet
from chengshu.kernel.text import Text

EPOCH_MS_2000 = 946_684_800_000
EPOCH_MS_2100 = 4_102_444_800_000
HUGE = 1e300

_FILL = Text("Fill the cells or leave the rows out before publishing.", "请在发布前补全这些单元格或去除这些行。")
_NULL = Text(
    "Write missing values as null (an empty cell), never as a number such as -1, 8191 or 28800.",
    "缺失值请写作空值（空单元格），不要写成 -1、8191、28800 之类的数字。",
)
_RANGE = Text("Correct the cells, their unit, or the range in the data contract.", "请更正单元格、其单位，或数据合同中的取值范围。")
_ALLOWED = Text("Use one of the values the data contract allows.", "请使用数据合同允许的取值之一。")
_TIME = Text(
    "Give times as milliseconds since 1970-01-01 in UTC; check for seconds, microseconds and local time.",
    "时间请用自 1970-01-01 起的 UTC 毫秒；请检查是否误用了秒、微秒或地方时。",
)


def cells(sheet: Sheet) -> Iterator[Hit]:
    """Yield what is wrong with single cells, one pass over each column."""
    for column in sheet.contract.columns:
        missing = sheet.missing(column.name)
        if column.required:
            yield from _hit(column, missing & ~sheet.empty_rows, "missing", expected="a value in every row", got="nothing", hint=_FILL)
        if sheet.is_numeric(column.name):
            yield from _numeric(column, sheet.numbers(column.name), missing)
        if column.allowed:
            among = pc.is_in(pc.cast(sheet.table.column(column.name), pa.string()), value_set=pa.array(column.allowed))
            bad = ~np.asarray(among.to_numpy(), dtype=np.bool_) & ~missing
            yield from _hit(column, bad, "not-allowed", expected=f"one of {', '.join(column.allowed)}", got="another value", hint=_ALLOWED)


def _numeric(column: Column, values: Floats, missing: Bools) -> Iterator[Hit]:
    sentinel = _sentinels(column, values)
    yield from _hit(column, sentinel, "sentinel", expected="null where a value is missing", got="a sentinel number", hint=_NULL)
    rest = ~sentinel & ~missing
    if column.semantic is Semantic.LENGTH:
        negative = rest & (values <= 0)
        yield from _hit(column, negative, "negative-length", expected="a length above 0", got="0 or below", hint=_RANGE)
        rest &= ~negative
    if column.semantic is Semantic.TIME:
        outside = rest & ((values < EPOCH_MS_2000) | (values > EPOCH_MS_2100))
        yield from _hit(column, outside, "time-unit", expected="milliseconds since 1970 in UTC", got="another order of size", hint=_TIME)
        rest &= ~outside
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    outside = rest & ((values < low) | (values > high) | np.isinf(values))
    yield from _hit(
        column, outside, "out-of-range", expected=f"{low:g} to {high:g} {column.unit or ''}".rstrip(), got="outside", hint=_RANGE
    )


def _sentinels(column: Column, values: Floats) -> Bools:
    """Exact for ordinary sentinels; those near the end of the number range (SUMO's PET of -1.797e308) match all beyond them."""
    found = np.zeros(len(values), dtype=np.bool_)
    for sentinel in column.sentinels:
        if abs(sentinel) < HUGE:
            found |= values == sentinel
        else:
            found |= values <= -HUGE if sentinel < 0 else values >= HUGE
    return found


def _hit(column: Column, where: Bools, rule: str, *, expected: str, got: str, hint: Text) -> Iterator[Hit]:
    rows = np.flatnonzero(where)
    if len(rows):
        yield Hit(rule, column.name, Severity.ERROR, rows, expected, got, hint)
