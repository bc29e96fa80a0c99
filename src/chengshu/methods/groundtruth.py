"""Which true vehicle a track moves with: judged from positions alone, never from a shared number."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from chengshu.methods.sightings import Floats, Ints, Sightings

Seen = NDArray[np.bool_]
TICK_MS = 100


@dataclass(frozen=True, slots=True)
class TrueStates:
    """True states sorted by tick: ``start`` per tick from ``first_tick`` on, vehicle, position."""

    first_tick: int
    start: Ints
    veh: Ints
    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Followed:
    """For each track the true vehicle it moves with (-1: none); for each sighting whether it lies within the gate of that vehicle."""

    vehicle: Ints
    inside: Seen


def true_states(tracks: pa.Table) -> TrueStates:
    """Return the true states (t_ms, veh, x_m, y_m) by tick of a tenth of a second."""
    tick = np.round(np.asarray(tracks["t_ms"], dtype=np.int64) / TICK_MS).astype(np.int64)
    order = np.argsort(tick, kind="stable")
    first = int(tick.min()) if len(tick) else 0
    start = np.searchsorted(tick[order], np.arange(first, int(tick.max()) + 2)) if len(tick) else np.zeros(1, np.int64)
    veh, x, y = (np.asarray(tracks[name])[order] for name in ("veh", "x_m", "y_m"))
    return TrueStates(first, start.astype(np.int64), veh.astype(np.int64), x.astype(np.float64), y.astype(np.float64))


def present_before(hazards: pa.Table, truth: TrueStates, *, back_ms: int) -> Seen:
    """Return for each hazard whether both road users were in the recording ``back_ms`` before it and are at it (bool [hazards])."""
    tick = np.asarray(hazards["at_ms"], dtype=np.int64) // TICK_MS - truth.first_tick
    back = back_ms // TICK_MS
    here = np.zeros(hazards.num_rows, np.bool_)
    for index, (ego, foe) in enumerate(zip(hazards["ego"].to_pylist(), hazards["foe"].to_pylist(), strict=True)):
        ends = (int(tick[index]) - back, int(tick[index]))
        if ends[0] >= 0 and ends[1] < len(truth.start) - 1:
            here[index] = all({ego, foe} <= set(truth.veh[truth.start[end] : truth.start[end + 1]].tolist()) for end in ends)
    return here


def followed(source: Sightings, truth: TrueStates, *, gate: Floats, least_share: float) -> Followed:
    """Return whom each track moves with: the vehicle inside the ``gate`` (m, per sighting) most often, for ``least_share`` of its life.

    One track follows one vehicle for all its life: a tracker that jumps from one to another has lost the second.
    """
    tick = np.round(source.t_ms / TICK_MS).astype(np.int64) - truth.first_tick
    row, veh, distance = _within(tick, source.x, source.y, gate, truth.start, truth.veh, truth.x, truth.y)
    tracks = int(source.track.max(initial=-1)) + 1
    life = np.bincount(source.track, minlength=tracks)
    width = int(truth.veh.max(initial=0)) + 1
    key, back, near = np.unique(source.track[row] * width + veh, return_inverse=True, return_counts=True)
    away = np.bincount(back, weights=distance, minlength=len(key)) / np.maximum(near, 1)
    vehicle = np.full(tracks, -1, np.int64)
    # Last written wins: the vehicle it is near to most often, the nearer one of two.
    order = np.lexsort((-away, near))
    enough = order[near[order] >= least_share * life[key[order] // width]]
    vehicle[key[enough] // width] = key[enough] % width
    inside = np.zeros(len(source), np.bool_)
    inside[row[veh == vehicle[source.track[row]]]] = True
    return Followed(vehicle, inside)


@njit(cache=True)
def _within(tick, x, y, gate, start, veh, tx, ty):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    total = 0
    for fill in (False, True):
        if fill:
            row, found, distance = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total)
        total = 0
        for i in range(len(tick)):
            t = tick[i]
            if t < 0 or t >= len(start) - 1:
                continue
            for j in range(start[t], start[t + 1]):
                d2 = (x[i] - tx[j]) ** 2 + (y[i] - ty[j]) ** 2
                if d2 <= gate[i] * gate[i]:
                    if fill:
                        row[total], found[total], distance[total] = i, veh[j], np.sqrt(d2)
                    total += 1
    return row, found, distance
