"""Time windows on wall clocks, turned into intervals of UTC milliseconds."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from chengshu.kernel.text import Text
from chengshu.methods.pilot.reading import Node, invalid

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Holidays = Literal["include", "exclude", "only"]
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAY_MIN = 24 * 60
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A daily window [start, end) in minutes of the wall clock of ``tz``; ``end_min`` beyond 1440 runs into the next day.

    ``days`` (0 = Monday) and ``holidays`` are asked of the day on which the window starts.
    """

    days: tuple[int, ...]
    start_min: int
    end_min: int
    tz: str
    holidays: Holidays

    def opens_on(self, day: date, calendar: Collection[str]) -> bool:
        """Say whether the window starts on ``day``, given the holiday calendar (ISO dates)."""
        if self.holidays != "include" and (day.isoformat() in calendar) != (self.holidays == "only"):
            return False
        return day.weekday() in self.days


def window_of(node: Node) -> Window:
    """Read one window; an end before the start is a window over midnight only where ``crosses_midnight`` says so."""
    node.only({"days", "start", "end", "tz", "holidays", "crosses_midnight"})
    days = tuple(DAYS.index(day) for day in node.words("days", least=1, of=DAYS))
    start, end = _minutes(node, "start"), _minutes(node, "end")
    crosses = node.flag("crosses_midnight")
    if start == end:
        raise invalid(node.at("end"), "an end that differs from the start (a whole day is 00:00 to 24:00)", "the same time")
    if end < start and not crosses:
        raise invalid(
            node.at("end"),
            "an end after the start",
            "a window that ends before it starts",
            code="permit.window-reversed",
            hint=Text('If it runs over midnight say "crosses_midnight": true.', '若跨越午夜，请写明 "crosses_midnight": true。'),
        )
    if end > start and crosses:
        raise invalid(node.at("crosses_midnight"), "false for a window that ends on the day it starts", "true")
    holidays = cast("Holidays", node.word("holidays", {"include", "exclude", "only"}))
    return Window(days, start, end + _DAY_MIN if crosses else end, _zone(node), holidays)


def intervals(windows: Iterable[Window], calendar: Collection[str], *, from_ms: int, to_ms: int) -> NDArray[np.int64]:
    """Return the open times between two UTC moments as rows [begin_ms, end_ms), sorted, merged, not cut at the two moments."""
    rows = [
        row
        for window in windows
        for day in _days(from_ms, to_ms)
        if window.opens_on(day, calendar) and (row := _on(window, day))[1] > from_ms and row[0] <= to_ms
    ]
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(rows):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return np.array(merged, dtype=np.int64).reshape(-1, 2)


def within(moments: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say for each moment whether one of the sorted, disjoint intervals [begin, end) holds it."""
    if not len(rows):
        return np.zeros(len(moments), dtype=np.bool_)
    at = np.searchsorted(rows[:, 0], moments, side="right") - 1
    return np.asarray((at >= 0) & (moments < rows[np.maximum(at, 0), 1]), dtype=np.bool_)


def _minutes(node: Node, key: str) -> int:
    text = node.text(key)
    if key == "end" and text == "24:00":
        return _DAY_MIN
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise invalid(node.at(key), "a time as HH:MM", "another text")
    return int(match[1]) * 60 + int(match[2])


def _zone(node: Node) -> str:
    name = node.text("tz")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        hint = Text("Use a name such as Asia/Shanghai.", "请使用 Asia/Shanghai 这样的时区名。")
        raise invalid(node.at("tz"), "a time zone of the IANA database", "a name it does not have", hint=hint) from error
    return name


def _days(from_ms: int, to_ms: int) -> list[date]:
    """Every calendar day that could matter: two before and one after, whatever the zone."""
    first = (_EPOCH + timedelta(milliseconds=from_ms)).date() - timedelta(days=2)
    last = (_EPOCH + timedelta(milliseconds=to_ms)).date() + timedelta(days=1)
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def _on(window: Window, day: date) -> tuple[int, int]:
    zone = ZoneInfo(window.tz)
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - wall clock on purpose: the zone is applied to the sum
    begin, end = (
        ((midnight + timedelta(minutes=minutes)).replace(tzinfo=zone).astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
        for minutes in (window.start_min, window.end_min)
    )
    return begin, end
