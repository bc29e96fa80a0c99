"""Map matching: which lane each row of a track is on, for tracks that do not say.

The nearest centreline wins among those that head the same way, with a preference for what continues the lane before; afterwards rows
inside a junction are put on the connection that links the lanes before and after it. It is a greedy form of the
matching of Newson and Krumm (2009): at 10 Hz and with errors well below a lane's width the transition decides little.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numba import njit

from chengshu.methods.conflicts.lanes import Floats, Ints, LaneGraph
from chengshu.methods.conflicts.tables import Tracks

REACH_M = 5.0
"""Rows further than this from every centreline are on no lane."""
HEADING_GATE_DEG = 60.0
_CELL_M = 20.0
_METRES_PER_DEGREE = 0.03
"""What a degree between heading and lane costs, as metres of distance."""
_SIDEWAYS_M, _ELSEWHERE_M = 1.0, 2.5
"""What a change to a lane beside, and to one that does not follow at all, costs."""


class _Segments(NamedTuple):
    """A grid in which a cell lists every centreline segment within reach of it: ``lane``, and ``point``, the shape point it begins at."""

    start: Ints
    lane: Ints
    point: Ints
    x0: float
    y0: float
    nx: int
    ny: int


def match_lanes(rows: Tracks, graph: LaneGraph, *, hindsight: bool = True) -> tuple[Ints, Floats]:
    """Return (lane, position on it in metres) of each row; lane −1 where no centreline is within 5 m and 60° of heading.

    With ``hindsight`` the rows inside a junction are settled by the lane that comes after it, else every row by what came before it alone.
    """
    segments = _segments(graph)
    sine, cosine = np.sin(np.radians(rows.heading)), np.cos(np.radians(rows.heading))
    lane, pos = _nearest(rows.trip, rows.x, rows.y, sine, cosine, segments, graph)
    if hindsight:
        _settle(rows.trip, rows.x, rows.y, lane, pos, graph)
    return lane, pos


def _segments(graph: LaneGraph) -> _Segments:
    x0, y0 = float(graph.shape_x.min()) - REACH_M, float(graph.shape_y.min()) - REACH_M
    nx = int((float(graph.shape_x.max()) + REACH_M - x0) / _CELL_M) + 1
    ny = int((float(graph.shape_y.max()) + REACH_M - y0) / _CELL_M) + 1
    point = np.delete(np.arange(len(graph.shape_x)), graph.shape_start[1:] - 1)  # a lane's last point begins no segment
    lane = np.repeat(np.arange(len(graph.length)), np.diff(graph.shape_start) - 1)
    x, y = graph.shape_x - x0, graph.shape_y - y0
    left, right = _extent(x[point], x[point + 1])
    low, high = _extent(y[point], y[point + 1])
    wide, tall = right - left + 1, high - low + 1
    segment = np.repeat(np.arange(len(point)), wide * tall)
    within = np.arange(len(segment)) - np.repeat(np.cumsum(wide * tall) - wide * tall, wide * tall)
    cell = (low[segment] + within // wide[segment]) * nx + left[segment] + within % wide[segment]
    order = np.argsort(cell, kind="stable")
    start = np.searchsorted(cell[order], np.arange(nx * ny + 1)).astype(np.int64)
    return _Segments(start, lane[segment[order]].astype(np.int64), point[segment[order]].astype(np.int64), x0, y0, nx, ny)


def _extent(a: Floats, b: Floats) -> tuple[Ints, Ints]:
    """Return the first and last cell within reach of intervals from a to b (whose coordinates are at least the reach)."""
    low = np.floor((np.minimum(a, b) - REACH_M) / _CELL_M).astype(np.int64)
    return np.maximum(low, 0), ((np.maximum(a, b) + REACH_M) / _CELL_M).astype(np.int64)


def smoothed(rows: Tracks, *, width_s: float) -> Tracks:
    """Return the rows with positions and speeds averaged over a centred window, which narrows towards the ends of a trip."""
    t_ms = rows.t_ms.astype(np.float64)
    first = np.searchsorted(rows.trip, rows.trip, side="left")
    last = np.searchsorted(rows.trip, rows.trip, side="right") - 1
    half = np.minimum(width_s * 500.0, np.minimum(t_ms - t_ms[first], t_ms[last] - t_ms))
    span = t_ms.max() - t_ms.min() + 4.0 * width_s * 1000.0
    key = rows.trip * span + (t_ms - t_ms.min())  # ascending over the whole table, trips well apart
    low = np.searchsorted(key, key - half - 0.5, side="left")
    high = np.searchsorted(key, key + half + 0.5, side="right")

    def mean(values: Floats) -> Floats:
        centre = values.mean()
        total = np.concatenate(([0.0], np.cumsum(values - centre)))
        result: Floats = centre + (total[high] - total[low]) / (high - low)
        return result

    return replace(rows, x=mean(rows.x), y=mean(rows.y), speed=np.maximum(mean(rows.speed), 0.0))


def smoothed_by_the_past(rows: Tracks, *, width_s: float) -> Tracks:
    """Return the rows with positions and speeds averaged over the ``width_s`` before each, as a live run could.

    Earlier positions are carried forward at the speed and heading they had, so that a steady drive is not lagged behind.
    """
    seconds = (rows.t_ms - rows.t_ms.min()) / 1000.0
    key = rows.trip * (seconds.max() + 4.0 * width_s) + seconds  # ascending over the whole table, trips well apart
    low = np.searchsorted(key, key - width_s + 5e-4, side="left")
    count = np.arange(1, len(key) + 1) - low

    def mean(values: Floats) -> Floats:
        total = np.concatenate(([0.0], np.cumsum(values)))
        result: Floats = (total[1:] - total[low]) / count
        return result

    begun = seconds[np.searchsorted(rows.trip, rows.trip, side="left")]
    age = seconds - begun
    carried = []
    for values, direction in ((rows.x, np.sin(np.radians(rows.heading))), (rows.y, np.cos(np.radians(rows.heading)))):
        velocity, centre = rows.speed * direction, values.mean()
        carried.append(centre + mean(values - centre - velocity * age) + mean(velocity) * age)
    return replace(rows, x=carried[0], y=carried[1], speed=np.maximum(mean(rows.speed), 0.0))


@njit(cache=True)
def _project(px, py, k, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return (distance, station) of a point's nearest place on the segment that begins at shape point ``k``."""
    x, y = graph.shape_x, graph.shape_y
    ux, uy = x[k + 1] - x[k], y[k + 1] - y[k]
    squared = ux * ux + uy * uy
    part = ((px - x[k]) * ux + (py - y[k]) * uy) / squared if squared > 0.0 else 0.0
    part = min(max(part, 0.0), 1.0)
    off = np.hypot(px - x[k] - part * ux, py - y[k] - part * uy)
    return off, graph.shape_s[k] + part * (graph.shape_s[k + 1] - graph.shape_s[k])


@njit(cache=True)
def _jump(before, after, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return what it costs (m) to be on ``after`` next when one was on ``before``: nothing if it follows or is the same."""
    if before < 0 or before == after:
        return 0.0
    conn_a, conn_b = graph.conn_of[before], graph.conn_of[after]
    follows = False
    if conn_b >= 0:
        follows = graph.conn_from[conn_b] == before or conn_b == conn_a
        # at the mouth of a junction the turns still lie on top of each other: to go over to a sister turn is a small step
        if not follows and conn_a >= 0 and graph.conn_from[conn_a] == graph.conn_from[conn_b]:
            return 0.5 * _SIDEWAYS_M
    elif conn_a >= 0:
        follows = graph.conn_to[conn_a] == after
    else:
        for conn in range(graph.from_start[before], graph.from_start[before + 1]):
            follows = follows or graph.conn_to[conn] == after
    if follows:
        return 0.0
    return _SIDEWAYS_M if graph.edge[before] == graph.edge[after] else _ELSEWHERE_M


@njit(cache=True)
def _turned(k, sine, cosine, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return the angle in degrees between a heading (0 = north, clockwise) and the segment at shape point ``k``."""
    ux, uy = graph.shape_x[k + 1] - graph.shape_x[k], graph.shape_y[k + 1] - graph.shape_y[k]
    along = (sine * ux + cosine * uy) / max(np.hypot(ux, uy), 1e-9)
    return np.degrees(np.arccos(min(max(along, -1.0), 1.0)))


@njit(cache=True)
def _nearest(trip, x, y, sine, cosine, segments, graph):  # type: ignore[no-untyped-def] # numba infers these
    lanes, stations = np.full(len(x), -1, dtype=np.int64), np.zeros(len(x))
    for i in range(len(x)):
        before = lanes[i - 1] if i > 0 and trip[i] == trip[i - 1] else -1
        column, row = int(np.floor((x[i] - segments.x0) / _CELL_M)), int(np.floor((y[i] - segments.y0) / _CELL_M))
        if not (0 <= column < segments.nx and 0 <= row < segments.ny):
            continue
        cell = row * segments.nx + column
        best = np.inf
        for s in range(segments.start[cell], segments.start[cell + 1]):
            lane, k = segments.lane[s], segments.point[s]
            off, station = _project(x[i], y[i], k, graph)
            if off > REACH_M or off >= best:
                continue
            turned = _turned(k, sine[i], cosine[i], graph)
            cost = off + _METRES_PER_DEGREE * turned + _jump(before, lane, graph)
            if turned <= HEADING_GATE_DEG and cost < best:
                best, lanes[i], stations[i] = cost, lane, station
    return lanes, stations


@njit(cache=True)
def _linking(lane, target, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Return the connection from one lane to another, −1 if there is none."""
    for conn in range(graph.from_start[lane], graph.from_start[lane + 1]):
        if graph.conn_to[conn] == target:
            return conn
    return -1


@njit(cache=True)
def _put(i, conn, x, y, lanes, stations, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Put row ``i`` on the nearest place of a connection, in place."""
    best = np.inf
    for part in range(graph.conn_lane_start[conn], graph.conn_lane_start[conn + 1]):
        lane = graph.conn_lanes[part]
        for point in range(graph.shape_start[lane], graph.shape_start[lane + 1] - 1):
            off, station = _project(x[i], y[i], point, graph)
            if off < best:
                best, lanes[i], stations[i] = off, lane, station


@njit(cache=True)
def _settle(trip, x, y, lanes, stations, graph):  # type: ignore[no-untyped-def] # numba infers these
    """Put the rows between two lanes that a connection links onto that connection, in place."""
    before = -1  # the last row that was on a lane outside junctions
    for i in range(len(x)):
        if lanes[i] < 0 or graph.internal[lanes[i]]:
            continue
        if before >= 0 and i > before + 1 and trip[before] == trip[i]:
            conn = _linking(lanes[before], lanes[i], graph)
            if conn >= 0:
                for k in range(before + 1, i):
                    if lanes[k] >= 0:
                        _put(k, conn, x, y, lanes, stations, graph)
        before = i
