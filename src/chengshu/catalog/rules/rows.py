"""Rules about whole rows: empty ticks, exact and key duplicates, unique columns, lateness, and the promised rate."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from chengshu.catalog.model import Semantic, Severity
from chengshu.catalog.rules.sheet import NO_ROWS, Hit, Ints, Sheet, group_codes, repeats
from chengshu.kernel.text import Text

RATE_TOLERANCE = 1.8
"""Half the promised rate is a broken promise; losing one row in five is not (measured: dropping 20 % costs 0.5 points of recall)."""

_DROP_EMPTY = Text("Leave out ticks without any object.", "请去除没有任何对象的时刻行。")
_DROP_DOUBLE = Text("The first of the equal rows is kept; publish each row once.", "相同行只保留第一行；请勿重复发布。")
_ONE_ROW = Text(
    "Give each key one row: two different rows with one key mean a shared pseudonym, or two devices that write under one name.",
    "每个键只能有一行：同一键出现不同内容，说明化名重复，或两台设备使用了同一名称。",
)
_SORT = Text(
    "Sort by time before publishing, or accept that late rows are used in time order.",
    "请在发布前按时间排序；否则迟到的行将按时间顺序使用。",
)
_RATE = Text(
    "Publish at the promised rate, or state the real rate in x-rate-hz: 1 Hz data loses two thirds of conflicts that need 10 Hz.",
    "请按承诺的频率发布，或在 x-rate-hz 中写明实际频率：需要 10 Hz 的冲突识别在 1 Hz 数据下会漏掉三分之二。",
)


def empty_rows(sheet: Sheet) -> Iterator[Hit]:
    """Yield rows that carry a time and nothing else; they are set aside, the rest stays."""
    rows = np.flatnonzero(sheet.empty_rows)
    if len(rows):
        yield Hit("empty-row", "", Severity.ROWS, rows, "a row about something", "a row with nothing but a time", _DROP_EMPTY)


def duplicates(sheet: Sheet) -> Iterator[Hit]:
    """Yield exact copies (set aside, all but the first) and different rows under one primary key (an error)."""
    key = sheet.contract.primary_key()
    names = list(key) or sheet.table.column_names
    codes = group_codes(sheet.table, names)
    later = repeats(codes)
    if not len(later):
        return
    same = np.flatnonzero(np.isin(codes, codes[later]) & ~sheet.empty_rows)
    exact = same[repeats(group_codes(sheet.table.take(pa.array(same)), sheet.table.column_names))]
    if len(exact):
        yield Hit("duplicate-row", "", Severity.ROWS, exact, "each row once", "an exact copy of an earlier row", _DROP_DOUBLE)
    clash = np.setdiff1d(np.setdiff1d(later, exact), np.flatnonzero(sheet.empty_rows))
    if key and len(clash):
        yield Hit(
            "duplicate-key", "+".join(key), Severity.ERROR, clash, "one row for each key", "a different row with the same key", _ONE_ROW
        )


def unique_columns(sheet: Sheet) -> Iterator[Hit]:
    """Yield cells that repeat in a column promised to be unique."""
    for column in sheet.contract.columns:
        if column.unique:
            later = repeats(group_codes(sheet.table, [column.name]))
            rows = later[~sheet.missing(column.name)[later]]
            if len(rows):
                yield Hit("not-unique", column.name, Severity.ERROR, rows, "each value once", "a value that stood before", _ONE_ROW)


def lateness(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield rows that come after a later row of the same track (of the whole file where no track is named); kept, flagged."""
    times = sheet.about(Semantic.TIME)
    if times is None:
        return None
    return _late(sheet, times)


def rate(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when rows of a track are further apart than the promised rate allows."""
    times, tracks, promised = sheet.about(Semantic.TIME), sheet.tracks, sheet.contract.rate_hz
    if times is None or tracks is None or promised is None:
        return None
    order = np.lexsort((times, tracks))
    gaps = np.diff(times[order])[np.diff(tracks[order]) == 0]
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return None
    return _slow(sheet, float(np.median(gaps)), promised)


def _late(sheet: Sheet, times: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Iterator[Hit]:
    tracks = sheet.tracks
    order: Ints = np.arange(sheet.rows) if tracks is None else np.argsort(tracks, kind="stable")
    step = np.diff(times[order])
    same = np.ones(len(step), dtype=np.bool_) if tracks is None else np.diff(tracks[order]) == 0
    rows = order[1:][(step < 0) & same]
    if len(rows):
        name = sheet.contract.about(Semantic.TIME)[0]
        yield Hit("out-of-order", name, Severity.WARNING, rows, "times that do not go back", "a time before that of an earlier row", _SORT)


def _slow(sheet: Sheet, gap_ms: float, promised: float) -> Iterator[Hit]:
    if gap_ms > RATE_TOLERANCE * 1000 / promised:
        name = sheet.contract.about(Semantic.TIME)[0]
        got = f"a median distance of {gap_ms / 1000:g} s"
        yield Hit("rate-too-low", name, Severity.ERROR, NO_ROWS, f"{promised:g} Hz for each track", got, _RATE)
