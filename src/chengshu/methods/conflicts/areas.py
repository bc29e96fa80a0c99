"""Conflict areas: where two connections of a junction cross, or run into the same lane."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from chengshu.methods.conflicts.lanes import Floats, Ints, LaneGraph

MERGING = 1
CROSSING = 2
_LEAST_SINE = 0.2
"""Below this angle (about 12 degrees) the stretch of a slanting area is capped."""


class ConflictAreas(NamedTuple):
    """Where pairs of connections meet; a named tuple, which compiled loops can take.

    Area ``k`` is of ``kind[k]``; its centre lies ``place[k, side]`` metres into connection ``conn[k, side]`` and at (x, y). For a
    merging the place is the end of the connection, which is the beginning of the lane both run into.
    A vehicle is in a crossing area from ``place − half the other's width − margin`` until its rear has passed that point by the
    other's width (the extent SUMO's SSM device gives it: exact for a right angle, widened where lanes slant).
    ``ref_start`` and ``ref`` list (CSR) for each connection the areas on it as ``2 · area + side``.
    """

    kind: Ints
    conn: NDArray[np.int64]
    place: NDArray[np.float64]
    margin: NDArray[np.float64]
    """How much earlier than half the other vehicle's width the area begins on each side, because the lanes cross at a slant."""
    x: Floats
    y: Floats
    ref_start: Ints
    ref: Ints


def conflict_areas(graph: LaneGraph, *, foes: pa.Table | None) -> ConflictAreas:
    """Return the conflict areas of ``graph``, computed from the centrelines of its internal lanes.

    ``foes`` (lane_a, lane_b) limits them to the pairs the network's right-of-way declares; without it (or if it is empty) every
    pair of one junction counts that comes from different lanes. Two connections into different lanes of one edge do not conflict,
    nor do parallel ones of one movement (as in SUMO's SSM device).
    """
    pairs = _declared(graph, foes) if foes is not None and foes.num_rows else _together(graph)
    found = [area for a, b in pairs if (area := _area(graph, a, b)) is not None]
    return _indexed(len(graph.conn_from), found)


@dataclass(frozen=True, slots=True)
class _Area:
    kind: int
    conn: tuple[int, int]
    place: tuple[float, float]
    margin: tuple[float, float]
    point: tuple[float, float]


def _area(graph: LaneGraph, a: int, b: int) -> _Area | None:
    if graph.conn_to[a] == graph.conn_to[b]:
        at = graph.shape_start[graph.conn_to[a]]
        point = (float(graph.shape_x[at]), float(graph.shape_y[at]))
        return _Area(MERGING, (a, b), (graph.conn_length[a], graph.conn_length[b]), (0.0, 0.0), point)
    if graph.edge[graph.conn_to[a]] == graph.edge[graph.conn_to[b]]:
        return None
    ax, ay, a_s = _centreline(graph, a)
    bx, by, b_s = _centreline(graph, b)
    crosses, s_a, s_b, x, y, sine = _first_crossing(ax, ay, a_s, bx, by, b_s)
    if not crosses:
        return None
    slant = 1.0 / max(sine, _LEAST_SINE) - 1.0
    margins = (_margin(graph, a, b, place=s_a, slant=slant), _margin(graph, b, a, place=s_b, slant=slant))
    return _Area(CROSSING, (a, b), (s_a, s_b), margins, (x, y))


def _margin(graph: LaneGraph, conn: int, other: int, *, place: float, slant: float) -> float:
    """Return the margin of an area on ``conn``; past a waiting place inside the junction the area begins at that place."""
    width = _width(graph, other)
    for lane in graph.conn_lanes[graph.conn_lane_start[conn] + 1 : graph.conn_lane_start[conn + 1]]:
        if graph.conn_offset[lane] <= place <= graph.conn_offset[lane] + graph.length[lane]:
            return float(place - graph.conn_offset[lane] - 0.5 * width)
    return slant * width


def _width(graph: LaneGraph, conn: int) -> float:
    return float(graph.width[graph.conn_lanes[graph.conn_lane_start[conn]]])


def _indexed(count: int, areas: list[_Area]) -> ConflictAreas:
    conn = np.array([area.conn for area in areas], dtype=np.int64).reshape(-1, 2)
    xy = np.array([area.point for area in areas], dtype=np.float64).reshape(-1, 2)
    flat = conn.ravel()
    order = np.argsort(flat, kind="stable").astype(np.int64)
    return ConflictAreas(
        kind=np.array([area.kind for area in areas], dtype=np.int64),
        conn=conn,
        place=np.array([area.place for area in areas], dtype=np.float64).reshape(-1, 2),
        margin=np.array([area.margin for area in areas], dtype=np.float64).reshape(-1, 2),
        x=np.ascontiguousarray(xy[:, 0]),
        y=np.ascontiguousarray(xy[:, 1]),
        ref_start=np.searchsorted(flat[order], np.arange(count + 1)).astype(np.int64),
        ref=order,
    )


def _declared(graph: LaneGraph, foes: pa.Table) -> list[tuple[int, int]]:
    a = graph.conn_of[foes["lane_a"].to_numpy()]
    b = graph.conn_of[foes["lane_b"].to_numpy()]
    pairs = {(min(i, j), max(i, j)) for i, j in zip(a.tolist(), b.tolist(), strict=True) if i >= 0 and j >= 0 and i != j}
    return [pair for pair in sorted(pairs) if _distinct(graph, *pair)]


def _together(graph: LaneGraph) -> list[tuple[int, int]]:
    by_junction: dict[int, list[int]] = defaultdict(list)
    for conn in range(len(graph.conn_from)):
        start, end = graph.conn_lane_start[conn], graph.conn_lane_start[conn + 1]
        if end > start:
            by_junction[int(graph.junction[graph.conn_lanes[start]])].append(conn)
    pairs = [pair for conns in by_junction.values() for pair in combinations(conns, 2)]
    return [(a, b) for a, b in pairs if graph.conn_from[a] != graph.conn_from[b] and _distinct(graph, a, b)]


def _distinct(graph: LaneGraph, a: int, b: int) -> bool:
    """Return whether two connections are not parallel lanes of one movement."""
    same_from = graph.edge[graph.conn_from[a]] == graph.edge[graph.conn_from[b]]
    same_to = graph.edge[graph.conn_to[a]] == graph.edge[graph.conn_to[b]]
    return not (same_from and same_to)


def _centreline(graph: LaneGraph, conn: int) -> tuple[Floats, Floats, Floats]:
    xs, ys, ss = [], [], []
    for lane in graph.conn_lanes[graph.conn_lane_start[conn] : graph.conn_lane_start[conn + 1]]:
        points = slice(graph.shape_start[lane], graph.shape_start[lane + 1])
        xs.append(graph.shape_x[points])
        ys.append(graph.shape_y[points])
        ss.append(graph.shape_s[points] + graph.conn_offset[lane])
    if not xs:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(ss)


@njit(cache=True)
def _first_crossing(
    ax: Floats, ay: Floats, a_s: Floats, bx: Floats, by: Floats, b_s: Floats
) -> tuple[bool, float, float, float, float, float]:
    """Return whether line b crosses line a, and for the first place along a: stations on a and b, x, y, sine."""
    for i in range(len(ax) - 1):
        ux, uy = ax[i + 1] - ax[i], ay[i + 1] - ay[i]
        best, best_w = 2.0, 0.0
        best_j = -1
        for j in range(len(bx) - 1):
            vx, vy = bx[j + 1] - bx[j], by[j + 1] - by[j]
            cross = ux * vy - uy * vx
            if abs(cross) < 1e-12:
                continue
            dx, dy = bx[j] - ax[i], by[j] - ay[i]
            u = (dx * vy - dy * vx) / cross
            w = (dx * uy - dy * ux) / cross
            if 0.0 <= u <= 1.0 and 0.0 <= w <= 1.0 and u < best:
                best, best_w, best_j = u, w, j
        if best_j >= 0:
            s_a = a_s[i] + best * (a_s[i + 1] - a_s[i])
            s_b = b_s[best_j] + best_w * (b_s[best_j + 1] - b_s[best_j])
            vx, vy = bx[best_j + 1] - bx[best_j], by[best_j + 1] - by[best_j]
            sine = abs(ux * vy - uy * vx) / (np.hypot(ux, uy) * np.hypot(vx, vy))
            return True, s_a, s_b, ax[i] + best * ux, ay[i] + best * uy, sine
    return False, 0.0, 0.0, 0.0, 0.0, 1.0
