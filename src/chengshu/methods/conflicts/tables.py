"""Tracks in, conflicts out: what the tables look like, and what is refused."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.conflicts.lanes import Floats, Ints

_HINT = Text(
    "Clean the tracks first: nulls, not sentinels, for what is unknown, and leave out rows without a position.",
    "请先清洗轨迹：未知值用空值而非哨兵值，并去掉没有位置的行。",
)
_BOUNDS: dict[str, tuple[float, float]] = {
    "t_ms": (-(2.0**53), 2.0**53),
    "track": (-(2.0**63), 2.0**63),
    "x_m": (-1e8, 1e8),
    "y_m": (-1e8, 1e8),
    "heading_deg": (-360.0, 360.0),
    "speed_mps": (0.0, 120.0),
    "len_m": (0.1, 60.0),
    "wid_m": (0.1, 10.0),
}
ENCOUNTERS = ("following", "merging", "crossing")
"""Names by the kinds' numbers in the scan."""

CONFLICT_SCHEMA = pa.schema(
    [
        ("track_a", pa.int64()),
        ("track_b", pa.int64()),
        ("encounter", pa.string()),
        ("begin_ms", pa.int64()),
        ("end_ms", pa.int64()),
        ("min_ttc_s", pa.float64()),
        ("min_ttc_ms", pa.int64()),
        ("max_drac_mps2", pa.float64()),
        ("max_drac_ms", pa.int64()),
        ("pet_s", pa.float64()),
        ("pet_ms", pa.int64()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Tracks:
    """Rows sorted by (track, time), as arrays; ``lane`` is None where the table has no lanes."""

    t_ms: Ints
    track: Ints
    trip: Ints
    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    length: Floats
    width: Floats
    lane: Ints | None
    pos: Floats | None


def read_tracks(tracks: pa.Table, *, lane_count: int, max_gap_s: float) -> Tracks:
    """Return the checked and sorted rows of ``tracks``; a silence longer than ``max_gap_s`` begins a new trip.

    Raises Invalid with column and row number (from 0, as given) for a missing column, a null, a value that is not finite or
    outside what its unit allows (so sentinels are caught), a lane that is not on the map, and a track twice at one time.
    """
    columns = {name: _column(tracks, name) for name in _BOUNDS}
    has_lanes = "lane" in tracks.column_names and "pos_m" in tracks.column_names
    if has_lanes:
        columns["lane"] = _bounded(tracks, "lane", low=-1, high=lane_count - 1)
        columns["pos_m"] = _bounded(tracks, "pos_m", low=-100.0, high=1e6)
    t_ms, track = columns["t_ms"].astype(np.int64), columns["track"].astype(np.int64)
    order = np.lexsort((t_ms, track))
    t_ms, track = t_ms[order], track[order]
    same = track[1:] == track[:-1]
    twice = np.flatnonzero(same & (t_ms[1:] == t_ms[:-1]))
    if len(twice):
        raise _bad("track-twice", "track", int(order[twice[0] + 1]), expected="one row for a track at a time", got="a second one")
    fresh = np.ones(len(order), dtype=np.int64)
    fresh[1:] = ~same | (np.diff(t_ms) > max_gap_s * 1000)

    def column(name: str) -> Floats:
        return np.ascontiguousarray(columns[name][order], dtype=np.float64)

    return Tracks(
        t_ms=t_ms,
        track=track,
        trip=np.cumsum(fresh) - 1,
        x=column("x_m"),
        y=column("y_m"),
        heading=column("heading_deg"),
        speed=column("speed_mps"),
        length=column("len_m"),
        width=column("wid_m"),
        lane=columns["lane"][order].astype(np.int64) if has_lanes else None,
        pos=column("pos_m") if has_lanes else None,
    )


def _column(tracks: pa.Table, name: str) -> NDArray[np.float64] | Ints:
    if name not in tracks.column_names:
        raise Invalid("conflicts.column-missing", f"expected tracks with a column {name}, got none", hint=_HINT)
    return _bounded(tracks, name, low=_BOUNDS[name][0], high=_BOUNDS[name][1])


def _bounded(tracks: pa.Table, name: str, *, low: float, high: float) -> NDArray[np.float64] | Ints:
    column = tracks[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise Invalid("conflicts.column-type", f"expected numbers in column {name}, got {column.type}", hint=_HINT)
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        raise _bad("null", name, row, expected="a value", got="null")
    values: NDArray[np.float64] | Ints = column.to_numpy()
    wrong = ~((values >= low) & (values <= high))
    if wrong.any():
        row = int(np.argmax(wrong))
        got = "a value that is not finite" if not np.isfinite(values[row]) else "a value outside it"
        raise _bad("value-range", name, row, expected=f"a value from {low:g} to {high:g}", got=got)
    return values


def _bad(code: str, column: str, row: int, *, expected: str, got: str) -> Invalid:
    message = f"tracks, column {column}, row {row}: expected {expected}, got {got}"
    return Invalid(f"conflicts.{code}", message, hint=_HINT, facts={"column": column, "row": row})
