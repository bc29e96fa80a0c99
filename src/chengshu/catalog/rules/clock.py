"""Rules about clocks: the error a source states of its own, and its offset from another source that saw the same things."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chengshu.catalog.model import Semantic, Severity
from chengshu.catalog.rules.sheet import NO_ROWS, Hit, Sheet
from chengshu.catalog.rules.tracks import Floats, Ints, apart
from chengshu.kernel.text import Text

BUDGET_MS = 100.0
LIMIT_MS = 200.0
"""Measured: 100 ms costs 2 points of recall and 500 ms costs 17; above 200 ms a source is not used for times to collision."""

REACH_MS = 3_000.0
CELL_M = 5.0
CLOSE_M = 4.0
SAME_WAY_DEG = 15.0
MOVING_MPS = 4.0
SAMPLE = 4_000
BIN_MS = 50.0
MIN_MATCHES = 60
MIN_PEAK = 3.0

_CLOCK = Text(
    "Synchronise the device's clock (NTP or GNSS time) and publish again; use the data for counts meanwhile.",
    "请校准设备时钟（NTP 或卫星授时）后重新发布；其间数据只宜用于计数。",
)


@dataclass(frozen=True, slots=True)
class Offset:
    """How far one source's clock is ahead of another's, in milliseconds, and from how many common sightings that is known."""

    ms: float
    sightings: int


def stated_error(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield rows whose stated clock error is above the budget (flagged) or above the limit for times to collision (an error)."""
    error = sheet.about(Semantic.CLOCK_ERROR)
    if error is None:
        return None
    return _judge_stated(sheet, np.nan_to_num(np.abs(error)))


def _judge_stated(sheet: Sheet, error: Floats) -> Iterator[Hit]:
    column = sheet.contract.about(Semantic.CLOCK_ERROR)[0]
    over, above = np.flatnonzero(error > LIMIT_MS), np.flatnonzero((error > BUDGET_MS) & (error <= LIMIT_MS))
    if len(over):
        yield Hit("clock-error", column, Severity.ERROR, over, f"at most {LIMIT_MS:g} ms", "more", _CLOCK)
    if len(above):
        yield Hit("clock-error", column, Severity.WARNING, above, f"at most {BUDGET_MS:g} ms", "more", _CLOCK)


def skew(sheet: Sheet, reference: Sheet) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when its clock and the reference's differ; None where they saw too little in common."""
    offset = offset_between(sheet, reference)
    if offset is None:
        return None
    return _judge_offset(sheet, offset)


def _judge_offset(sheet: Sheet, offset: Offset) -> Iterator[Hit]:
    if abs(offset.ms) <= BUDGET_MS:
        return
    severity = Severity.ERROR if abs(offset.ms) > LIMIT_MS else Severity.WARNING
    got = f"about {abs(offset.ms):.0f} ms {'ahead' if offset.ms > 0 else 'behind'}, from {offset.sightings} common sightings"
    yield Hit("clock-skew", sheet.contract.about(Semantic.TIME)[0], severity, NO_ROWS, f"a clock within {BUDGET_MS:g} ms", got, _CLOCK)


def offset_between(sheet: Sheet, reference: Sheet) -> Offset | None:
    """Estimate how far the sheet's clock is ahead of the reference's from moving things that both saw at one place.

    Every pair of sightings close in space, alike in heading and within 3 s gives a time difference, corrected for the distance
    left between them at the stated speed. Pairs of one thing agree on the offset and make a peak; pairs of two different things
    are spread by their headways. The estimate is the median around the peak; a peak that does not stand out gives None.
    """
    ours, theirs = _sightings(sheet), _sightings(reference)
    if ours is None or theirs is None:
        return None
    lon_cos = float(np.cos(np.radians(np.mean(theirs.lat))))
    differences = _differences(ours.on_plane(theirs, lon_cos), theirs.on_plane(theirs, lon_cos))
    return _peak(differences)


@dataclass(frozen=True, slots=True)
class _Sightings:
    """Moving things: when, where (degrees), how fast and which way."""

    t_ms: Floats
    lat: Floats
    lon: Floats
    speed: Floats
    heading: Floats

    def on_plane(self, origin: "_Sightings", lon_cos: float) -> "_Seen":
        """Return the sightings in metres from the first of ``origin``."""
        metres = 111_194.93  # one degree of a great circle on a sphere of 6 371 008.8 m
        x, y = (self.lon - origin.lon[0]) * metres * lon_cos, (self.lat - origin.lat[0]) * metres
        return _Seen(self.t_ms, x, y, self.speed, self.heading)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Moving things: when, where (metres), how fast and which way."""

    t_ms: Floats
    x_m: Floats
    y_m: Floats
    speed: Floats
    heading: Floats


def _sightings(sheet: Sheet) -> _Sightings | None:
    lat, lon = sheet.degrees(Semantic.LATITUDE), sheet.degrees(Semantic.LONGITUDE)
    t_ms, speed, heading = sheet.about(Semantic.TIME), sheet.about(Semantic.SPEED), sheet.about(Semantic.HEADING)
    if lat is None or lon is None or t_ms is None or speed is None or heading is None:
        return None
    usable = np.isfinite(lat) & np.isfinite(lon) & np.isfinite(t_ms) & np.isfinite(heading) & (speed > MOVING_MPS)
    rows = np.flatnonzero(usable)
    if len(rows) < MIN_MATCHES:
        return None
    return _Sightings(t_ms[rows], lat[rows], lon[rows], speed[rows], heading[rows])


def _differences(ours: _Seen, theirs: _Seen) -> Floats:
    """Corrected time differences of all pairs that may be one thing, from an even sample of ours."""
    sample = np.linspace(0, len(ours.t_ms) - 1, min(SAMPLE, len(ours.t_ms))).astype(np.int64)
    keys = _cell(theirs.x_m, theirs.y_m)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    found = [np.empty(0)]
    for east in (-CELL_M, 0.0, CELL_M):
        for north in (-CELL_M, 0.0, CELL_M):
            wanted = _cell(ours.x_m[sample] + east, ours.y_m[sample] + north)
            first, last = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
            mine, place = _pairs(first, last)
            found.append(_close(ours, theirs, sample[mine], order[place]))
    return np.concatenate(found)


def _pairs(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Every (i, j) with first[i] <= j < last[i]."""
    sizes = last - first
    mine = np.repeat(np.arange(len(first)), sizes)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return mine, np.arange(int(sizes.sum())) - starts + np.repeat(first, sizes)


def _close(ours: _Seen, theirs: _Seen, mine: Ints, other: Ints) -> Floats:
    late = ours.t_ms[mine] - theirs.t_ms[other]
    kept = (np.abs(late) <= REACH_MS) & (apart(ours.heading[mine], theirs.heading[other]) < SAME_WAY_DEG)
    mine, other, late = mine[kept], other[kept], late[kept]
    way = np.radians(theirs.heading[other])
    east, north = ours.x_m[mine] - theirs.x_m[other], ours.y_m[mine] - theirs.y_m[other]
    ahead, beside = east * np.sin(way) + north * np.cos(way), east * np.cos(way) - north * np.sin(way)
    kept = (np.abs(ahead) <= CLOSE_M) & (np.abs(beside) <= CLOSE_M / 2)
    return np.asarray((late - 1000 * ahead / theirs.speed[other])[kept], dtype=np.float64)


def _peak(differences: Floats) -> Offset | None:
    if len(differences) < MIN_MATCHES:
        return None
    counts, edges = np.histogram(differences, bins=np.arange(-REACH_MS, REACH_MS + BIN_MS, BIN_MS))
    place = int(np.argmax(counts))
    if counts[place] < MIN_PEAK * max(float(np.median(counts)), 1.0):
        return None
    middle = edges[place] + BIN_MS / 2
    around = differences[np.abs(differences - middle) <= 1.5 * BIN_MS]
    return Offset(float(np.median(around)), len(around))


def _cell(x_m: Floats, y_m: Floats) -> Ints:
    return np.asarray(np.floor(x_m / CELL_M) * 2.0**26 + np.floor(y_m / CELL_M), dtype=np.int64)
