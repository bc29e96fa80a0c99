"""Paths ahead: for each stay of a vehicle on a lane, the lanes it will reach and the conflict areas on them.

A *stay* is a run of rows of one trip on one lane. A *trip* is a run of rows of one track without a long silence. The *odometer* is the
distance driven since the trip began; each conflict area on a path is kept as the odometer reading at which the front bumper is at its
centre, so that one subtraction gives the distance at any row, ahead or behind.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from chengshu.methods.conflicts.areas import ConflictAreas
from chengshu.methods.conflicts.growth import grown
from chengshu.methods.conflicts.lanes import Bools, Floats, Ints, LaneGraph

BEHIND_M = 40.0
"""Areas stay in sight this far behind the front: the longest vehicles and the widest areas fit in."""
_UNDECIDED_M = 4.0
"""An area that was this near ahead on the path before is kept, even if the new lane's path does not lead through it."""
_BACKWARDS_M = 5.0
"""A position that falls by more than this on one lane is a new round on it, not noise."""
_STRAIGHT_ON = 3.0
"""For how many vehicles seen going straight on a lane's geometry counts, before any has been seen."""
_MOST_LANES, _MOST_REFS = 512, 4096
"""How much of one path is kept; a path of 50 m has a few lanes and a few dozen areas."""


class Paths(NamedTuple):
    """Stays with their paths, as flat arrays (CSR by stay); a named tuple, which compiled loops can take."""

    stay: Ints
    """The stay each row belongs to."""
    odometer: Floats
    """Metres driven since the row's trip began."""
    first_row: Ints
    trip: Ints
    """The trip of each stay."""
    lane_start: Ints
    lane: Ints
    lane_offset: Floats
    """Metres from the beginning of the stay's lane to the beginning of this lane."""
    ref_start: Ints
    ref: Ints
    """2 · area + side, ascending within a stay."""
    ref_at: Floats
    """Odometer reading at which the front bumper is at the area's centre."""


class _Stays(NamedTuple):
    """What is known of each stay before its path is."""

    trip: Ints
    lane: Ints
    odometer: Floats
    pos: Floats
    """Odometer and position on the lane at its first row."""
    guess: Bools
    """Whether to assume straight on where nothing shows the way."""
    hop: Ints
    """Four columns, −1 if unknown: the next edge, the edge after it, the lane by which the first is entered, the stay there."""
    t_ms: Ints
    """When it began."""
    taken_start: Ints
    taken_ms: Ints
    """When others took each connection, ascending (CSR by connection); only what is earlier than a stay may be used for it."""


def paths_ahead(
    trip: Ints, t_ms: Ints, *, lane: Ints, pos: Floats, speed: Floats, graph: LaneGraph, areas: ConflictAreas, reach_m: float, driven: bool
) -> Paths:
    """Return the paths of rows (at least one) that are sorted by (trip, t_ms), as far as ``reach_m`` beyond each stay's lane.

    ``driven`` looks into the rest of the trip, and assumes straight on only where the batch ends; else the way is assumed that vehicles
    took most often before out of that lane, straight on counting for three of them.
    """
    fresh = np.ones(len(trip), dtype=np.bool_)
    fresh[1:] = (trip[1:] != trip[:-1]) | (lane[1:] != lane[:-1])
    first_row = np.flatnonzero(fresh).astype(np.int64)
    odometer = _odometer(trip, t_ms, lane, pos, speed)
    stay_lane, stay_trip = lane[first_row], trip[first_row]
    trip_end = np.searchsorted(trip, stay_trip, side="right") - 1
    began = t_ms[first_row]
    entered = np.zeros(len(first_row), dtype=np.bool_) if driven else _enters(stay_trip, stay_lane, graph)
    taken_start, taken_ms = _taken(graph.conn_of[stay_lane[entered]], began[entered], len(graph.conn_to))
    stays = _Stays(
        trip=stay_trip,
        lane=stay_lane,
        odometer=odometer[first_row],
        pos=pos[first_row],
        guess=(t_ms[trip_end] >= t_ms.max()) if driven else np.ones(len(first_row), dtype=np.bool_),
        hop=_hops(stay_trip, stay_lane, graph) if driven else np.full((len(first_row), 4), -1, dtype=np.int64),
        t_ms=began,
        taken_start=taken_start,
        taken_ms=taken_ms,
    )
    return Paths(np.cumsum(fresh).astype(np.int64) - 1, odometer, first_row, stay_trip, *_walk(stays, graph, areas, reach_m))


def _enters(stay_trip: Ints, stay_lane: Ints, graph: LaneGraph) -> Bools:
    """Return whether a stay is the first of its trip on a connection."""
    conn = np.where(stay_lane >= 0, graph.conn_of[stay_lane], -1)
    entered = conn >= 0
    entered[1:] &= (conn[1:] != conn[:-1]) | (stay_trip[1:] != stay_trip[:-1])
    return np.asarray(entered, dtype=np.bool_)


def _taken(conn: Ints, began: Ints, count: int) -> tuple[Ints, Ints]:
    """Return when each of ``count`` connections was entered, ascending, as CSR by connection."""
    order = np.lexsort((began, conn))
    return np.searchsorted(conn[order], np.arange(count + 1)).astype(np.int64), began[order].astype(np.int64)


@njit(cache=True)
def _odometer(trip: Ints, t_ms: Ints, lane: Ints, pos: Floats, speed: Floats) -> Floats:
    """Return the metres driven: by position while on one lane, so that noise does not add up, else by speed; it never runs backwards."""
    result = np.zeros(len(trip))
    raw = 0.0
    for i in range(1, len(trip)):
        if trip[i] != trip[i - 1]:
            raw = 0.0
            continue
        step = pos[i] - pos[i - 1]
        if lane[i] < 0 or lane[i] != lane[i - 1] or step < -_BACKWARDS_M:
            step = speed[i] * (t_ms[i] - t_ms[i - 1]) * 1e-3
        raw += step
        result[i] = max(result[i - 1], raw)
    return result


@njit(cache=True)
def _hops(stay_trip, stay_lane, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return for each stay the next two edges (not internal) of its trip, the lane by which it enters the first, and the stay there."""
    count = len(stay_lane)
    result = np.full((count, 4), -1, dtype=np.int64)
    for i in range(count - 2, -1, -1):
        if stay_trip[i + 1] != stay_trip[i]:
            continue
        here, lane = stay_lane[i], stay_lane[i + 1]
        beside = here >= 0 and lane >= 0 and not graph.internal[here] and graph.edge[lane] == graph.edge[here]
        if lane < 0 or graph.internal[lane] or beside:
            for k in range(4):
                result[i, k] = result[i + 1, k]
        else:
            result[i, 0], result[i, 1], result[i, 2], result[i, 3] = graph.edge[lane], result[i + 1, 0], lane, i + 1
    return result


@njit(cache=True)
def _leads(lane, want, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return whether a connection leads from ``lane`` to the edge ``want``."""
    for conn in range(graph.from_start[lane], graph.from_start[lane + 1]):  # noqa: SIM110 # numba takes no generators here
        if graph.edge[graph.conn_to[conn]] == want:
            return True
    return False


@njit(cache=True)
def _score(conn, want, then, entered, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return how well a connection fits the way: −1 not at all, more if it leads on, most if it is the one that was taken."""
    target = graph.conn_to[conn]
    if graph.edge[target] != want:  # an edge so short that no row fell on it may lie between
        return 0.0 if _leads(target, want, graph) else -1.0
    score = 2.0 if target == entered else 1.0
    return score + 2.0 if then < 0 or _leads(target, then, graph) else score


@njit(cache=True)
def _custom(conn, now_ms, stays, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return how usual a connection is: how often it was taken before ``now_ms``, and a little for leading straight on."""
    used = stays.taken_ms[stays.taken_start[conn] : stays.taken_start[conn + 1]]
    return np.searchsorted(used, now_ms) + _STRAIGHT_ON * (1.0 - graph.conn_turn[conn] / 180.0)


@njit(cache=True)
def _choose(lane, i, step, stays, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return the connection out of ``lane`` that stay ``i`` is expected to take once it is as far as stay ``step``; −1 if none is known."""
    best, best_score = -1, -0.5
    hop = stays.hop
    if hop[step, 0] < 0 and not stays.guess[i]:
        return best
    for conn in range(graph.from_start[lane], graph.from_start[lane + 1]):
        if hop[step, 0] < 0:
            score = _custom(conn, stays.t_ms[i], stays, graph)
        else:
            score = _score(conn, hop[step, 0], hop[step, 1], hop[step, 2], graph)
        if score > best_score:
            best, best_score = conn, score
    return best


@njit(cache=True)
def _note(conn, begins_at, areas, refs, ref_at, n_refs):  # type: ignore[no-untyped-def] # numba infers these
    """Add the areas of a connection that begins at an odometer reading, and return how many references there are then."""
    for k in range(areas.ref_start[conn], min(areas.ref_start[conn + 1], areas.ref_start[conn] + _MOST_REFS - n_refs)):
        ref = areas.ref[k]
        refs[n_refs], ref_at[n_refs] = ref, begins_at + areas.place[ref // 2, ref % 2]
        n_refs += 1
    return n_refs


@njit(cache=True)
def _look_ahead(i, stays, graph, areas, reach_m, lanes, offsets, refs, ref_at):  # type: ignore[no-untyped-def] # numba infers these
    """Write the path of stay ``i`` into the four arrays and return (lanes written, references written)."""
    lane, step = stays.lane[i], i
    lanes[0], offsets[0] = lane, 0.0
    n_lanes, n_refs = 1, 0
    if graph.internal[lane]:
        conn, offset = graph.conn_of[lane], -graph.conn_offset[lane]
    else:
        conn, offset = _choose(lane, i, step, stays, graph), graph.length[lane]
    limit = graph.length[lane] + reach_m
    while conn >= 0 and offset <= limit and n_lanes < _MOST_LANES - 16:
        n_refs = _note(conn, stays.odometer[i] - stays.pos[i] + offset, areas, refs, ref_at, n_refs)
        for k in range(graph.conn_lane_start[conn], graph.conn_lane_start[conn + 1]):
            inside = graph.conn_lanes[k]
            if offset + graph.conn_offset[inside] > 0.0:
                lanes[n_lanes], offsets[n_lanes] = inside, offset + graph.conn_offset[inside]
                n_lanes += 1
        offset += graph.conn_length[conn]
        target = graph.conn_to[conn]
        lanes[n_lanes], offsets[n_lanes] = target, offset
        n_lanes += 1
        offset += graph.length[target]
        if stays.hop[step, 0] >= 0:
            if graph.edge[target] == stays.hop[step, 0]:
                step = stays.hop[step, 3]
            elif not _leads(target, stays.hop[step, 0], graph):
                break
        conn = _choose(target, i, step, stays, graph)
    return n_lanes, n_refs


@njit(cache=True)
def _look_back(odometer, n_refs, refs, ref_at, old_refs, old_at):  # type: ignore[no-untyped-def] # numba infers these
    """Add the areas of the stay before that the vehicle is still about, put all in ascending order, and return how many there are."""
    fresh = n_refs
    for k in range(len(old_refs)):
        known = old_at[k] > odometer + _UNDECIDED_M or old_at[k] < odometer - BEHIND_M or n_refs == _MOST_REFS
        for j in range(fresh):
            known = known or refs[j] == old_refs[k]
        if not known:
            refs[n_refs], ref_at[n_refs] = old_refs[k], old_at[k]
            n_refs += 1
    for k in range(1, n_refs):  # insertion sort: there are a few dozen
        ref, at, j = refs[k], ref_at[k], k
        while j > 0 and refs[j - 1] > ref:
            refs[j], ref_at[j] = refs[j - 1], ref_at[j - 1]
            j -= 1
        refs[j], ref_at[j] = ref, at
    return n_refs


@njit(cache=True)
def _walk(stays, graph, areas, reach_m):  # type: ignore[no-untyped-def] # numba infers these
    """Return (lane_start, lane, lane_offset, ref_start, ref, ref_at) of all stays."""
    count = len(stays.lane)
    lane_start, ref_start = np.zeros(count + 1, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    lanes, offsets = np.empty(8 * count + 64, dtype=np.int64), np.empty(8 * count + 64)
    refs, ref_at = np.empty(16 * count + 64, dtype=np.int64), np.empty(16 * count + 64)
    new_lanes, new_offsets = np.empty(_MOST_LANES, dtype=np.int64), np.empty(_MOST_LANES)
    new_refs, new_at = np.empty(_MOST_REFS, dtype=np.int64), np.empty(_MOST_REFS)
    for i in range(count):
        n_lanes, n_refs = 0, 0
        if stays.lane[i] >= 0:
            n_lanes, n_refs = _look_ahead(i, stays, graph, areas, reach_m, new_lanes, new_offsets, new_refs, new_at)
        before = ref_start[i - 1] if i > 0 and stays.trip[i - 1] == stays.trip[i] else ref_start[i]
        old_refs, old_at = refs[before : ref_start[i]], ref_at[before : ref_start[i]]
        n_refs = _look_back(stays.odometer[i], n_refs, new_refs, new_at, old_refs, old_at)
        lane_start[i + 1], ref_start[i + 1] = lane_start[i] + n_lanes, ref_start[i] + n_refs
        lanes, offsets = grown(lanes, lane_start[i + 1]), grown(offsets, lane_start[i + 1])
        refs, ref_at = grown(refs, ref_start[i + 1]), grown(ref_at, ref_start[i + 1])
        for k in range(n_lanes):
            lanes[lane_start[i] + k], offsets[lane_start[i] + k] = new_lanes[k], new_offsets[k]
        for k in range(n_refs):
            refs[ref_start[i] + k], ref_at[ref_start[i] + k] = new_refs[k], new_at[k]
    return (
        lane_start,
        lanes[: lane_start[count]],
        offsets[: lane_start[count]],
        ref_start,
        refs[: ref_start[count]],
        ref_at[: ref_start[count]],
    )
