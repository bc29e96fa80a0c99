"""Tracks on a plane, and the windows along them over which what is said about motion can be compared with it.

Positions are projected at the table's mean latitude; over a few seconds of driving the error is far below any tolerance used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EARTH_RADIUS_M = 6_371_008.8
"""The mean radius of the Earth (R1 of GRS 80)."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a source says about its motion beside where it was: speed in m/s, heading in degrees, standard deviation in metres."""

    speed: Floats | None
    heading: Floats | None
    sigma: Floats | None


@dataclass(frozen=True, slots=True)
class Motion:
    """Positions in track order, in metres on a plane (x east, y north) and seconds; ``order`` maps back to rows."""

    order: Ints
    track: Ints
    t_s: Floats
    x_m: Floats
    y_m: Floats
    speed: Floats | None
    heading: Floats | None
    sigma: Floats | None


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of one track each: index of start, middle and end, and the displacement between the ends."""

    start: Ints
    middle: Ints
    end: Ints
    moved_m: Floats


def motion_of(*, lat: Floats, lon: Floats, t_ms: Floats, track: Ints, said: Said) -> Motion | None:
    """Return tracks in motion order from degrees and milliseconds, without rows that lack one; None when no row is left."""
    whole = np.flatnonzero(np.isfinite(lat) & np.isfinite(lon) & np.isfinite(t_ms))
    if not len(whole):
        return None
    order = whole[np.lexsort((t_ms[whole], track[whole]))]
    mean = np.radians(np.mean(lat[order]))
    return Motion(
        order=order,
        track=track[order],
        t_s=(t_ms[order] - t_ms[order].min()) / 1000,
        x_m=np.radians(lon[order] - lon[order[0]]) * np.cos(mean) * EARTH_RADIUS_M,
        y_m=np.radians(lat[order] - lat[order[0]]) * EARTH_RADIUS_M,
        speed=None if said.speed is None else said.speed[order],
        heading=None if said.heading is None else said.heading[order],
        sigma=None if said.sigma is None else said.sigma[order],
    )


def windows_of(motion: Motion, *, length_s: float) -> Windows:
    """Return one window for each row from which the track goes on for ``length_s`` (and has no gap longer than that)."""
    codes = np.cumsum(np.concatenate([[0], np.diff(motion.track) != 0]))
    key = codes * (motion.t_s.max(initial=0.0) + 10 * length_s) + motion.t_s
    start = np.arange(len(key))
    end = np.searchsorted(key, key + length_s - 1e-6)
    kept = end < len(key)
    start, end = start[kept], end[kept]
    kept = (codes[start] == codes[end]) & (motion.t_s[end] - motion.t_s[start] <= 2 * length_s)
    start, end = start[kept], end[kept]
    middle = np.searchsorted(key, key[start] + length_s / 2 - 1e-6)
    moved = np.hypot(motion.x_m[end] - motion.x_m[start], motion.y_m[end] - motion.y_m[start])
    return Windows(start, middle, end, moved)


def course(motion: Motion, start: Ints, end: Ints) -> Floats:
    """Return the course over ground in degrees, 0 = north, clockwise, between two sets of places in the motion."""
    east, north = motion.x_m[end] - motion.x_m[start], motion.y_m[end] - motion.y_m[start]
    return np.asarray(np.degrees(np.arctan2(east, north)), dtype=np.float64)


def apart(one: Floats, other: Floats) -> Floats:
    """Return the angle between two directions in degrees, 0 to 180."""
    return np.abs((one - other + 180.0) % 360.0 - 180.0)
