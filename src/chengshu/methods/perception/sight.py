"""Lines of sight over a street map: who is hidden by a vehicle's body, and who is round the corner.

Without building outlines the street itself is the only free space: a ray must stay on cells within the setback of a lane area.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_CELLS = 60_000_000


@dataclass(frozen=True, slots=True)
class Corridor:
    """A grid of cells (1 = free) with its south-west corner ``x0, y0`` and ``cell`` size in metres; an empty grid means open ground."""

    free: NDArray[np.uint8]
    x0: float
    y0: float
    cell: float


@dataclass(frozen=True, slots=True)
class Bodies:
    """Vehicle bodies sorted by tick: ``start`` [ticks + 1] rows of each tick; centre, unit heading, half length and half width [n]."""

    start: Ints
    x: Floats
    y: Floats
    ux: Floats
    uy: Floats
    half_len: Floats
    half_wid: Floats


def corridor(lanes: pa.Table, setback_m: float) -> Corridor:
    """Return the free cells within half a lane's width and ``setback_m`` of any lane's centreline (columns xs, ys, width_m)."""
    if lanes.num_rows == 0:
        return Corridor(np.zeros((0, 0), np.uint8), 0.0, 0.0, 1.0)
    xs, ys = lanes["xs"].combine_chunks(), lanes["ys"].combine_chunks()
    lane_of = np.asarray(xs.value_parent_indices(), dtype=np.int64)
    x, y = np.asarray(xs.flatten(), dtype=np.float64), np.asarray(ys.flatten(), dtype=np.float64)
    reach = np.asarray(lanes["width_m"], dtype=np.float64)[lane_of] / 2 + setback_m
    margin = float(reach.max()) + 2
    x0, y0 = float(x.min()) - margin, float(y.min()) - margin
    wide, high = float(x.max()) + margin - x0, float(y.max()) + margin - y0
    cell = max(1.0, float(np.sqrt(wide * high / MOST_CELLS)))
    free = np.zeros((int(high / cell) + 1, int(wide / cell) + 1), np.uint8)
    _paint(free, x - x0, y - y0, lane_of, reach, cell)
    return Corridor(free, x0, y0, cell)


def seen_from_vehicles(bodies: Bodies, is_viewer: NDArray[np.bool_], range_m: float, street: Corridor) -> tuple[Ints, Ints]:
    """Return (viewer rows, target rows): bodies whose centre, front or rear is in sight of a viewer's roof within ``range_m``."""
    pairs = _near_pairs(bodies.start, bodies.x, bodies.y, is_viewer, range_m)
    visible = _unhidden(
        pairs,
        bodies.start,
        (bodies.x, bodies.y, bodies.ux, bodies.uy, bodies.half_len, bodies.half_wid),
        street.free,
        (street.x0, street.y0, street.cell),
    )
    return pairs[visible, 0], pairs[visible, 1]


def seen_from_masts(bodies: Bodies, masts: Floats, range_m: float, street: Corridor) -> tuple[Ints, Ints]:
    """Return (mast index, target rows): bodies within ``range_m`` of masts (float [k, 2]) with a part in sight along the street."""
    found: list[tuple[Ints, Ints]] = []
    for index, (mast_x, mast_y) in enumerate(masts):
        near = np.flatnonzero((bodies.x - mast_x) ** 2 + (bodies.y - mast_y) ** 2 <= range_m**2)
        shown = _open_from(
            mast_x,
            mast_y,
            near,
            (bodies.x, bodies.y, bodies.ux, bodies.uy, bodies.half_len),
            street.free,
            (street.x0, street.y0, street.cell),
        )
        found.append((np.full(int(shown.sum()), index, np.int64), near[shown]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate([mast for mast, _ in found]), np.concatenate([rows for _, rows in found])


@njit(cache=True)
def _paint(free, x, y, lane_of, reach, cell):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    rows, columns = free.shape
    for i in range(len(x) - 1):
        if lane_of[i] != lane_of[i + 1]:
            continue
        r = reach[i]
        dx, dy = x[i + 1] - x[i], y[i + 1] - y[i]
        length2 = dx * dx + dy * dy
        low_row = max(0, int((min(y[i], y[i + 1]) - r) / cell))
        high_row = min(rows, int((max(y[i], y[i + 1]) + r) / cell) + 2)
        low_column = max(0, int((min(x[i], x[i + 1]) - r) / cell))
        high_column = min(columns, int((max(x[i], x[i + 1]) + r) / cell) + 2)
        for row in range(low_row, high_row):
            for column in range(low_column, high_column):
                px, py = (column + 0.5) * cell - x[i], (row + 0.5) * cell - y[i]
                along = 0.0 if length2 == 0 else min(1.0, max(0.0, (px * dx + py * dy) / length2))
                ex, ey = px - along * dx, py - along * dy
                if ex * ex + ey * ey <= r * r:
                    free[row, column] = 1


@njit(cache=True)
def _near_of(i, first, last, x, y, limit, pairs, total):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    # Counts the bodies near viewer i from ``total`` on; writes them where ``pairs`` has room.
    for j in range(first, last):
        if i != j and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 <= limit:
            if total < len(pairs):
                pairs[total, 0], pairs[total, 1] = i, j
            total += 1
    return total


@njit(cache=True)
def _near_pairs(start, x, y, is_viewer, range_m):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    pairs = np.empty((0, 2), np.int64)
    for _ in range(2):  # once to count, once to write
        total = 0
        for tick in range(len(start) - 1):
            for i in range(start[tick], start[tick + 1]):
                if is_viewer[i]:
                    total = _near_of(i, start[tick], start[tick + 1], x, y, range_m * range_m, pairs, total)
        if len(pairs) == 0:
            pairs = np.empty((total, 2), np.int64)
    return pairs


@njit(cache=True)
def _street_open(free, origin, ax, ay, bx, by):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    if free.size == 0:
        return True
    x0, y0, cell = origin
    distance = np.sqrt((bx - ax) ** 2 + (by - ay) ** 2)
    steps = int(distance / cell) + 1
    for step in range(steps + 1):
        share = step / steps
        column = int((ax + share * (bx - ax) - x0) / cell)
        row = int((ay + share * (by - ay) - y0) / cell)
        if row < 0 or column < 0 or row >= free.shape[0] or column >= free.shape[1] or free[row, column] == 0:
            return False
    return True


@njit(cache=True)
def _crosses(ax, ay, bx, by, half_len, half_wid):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    # Slab test (Kay and Kajiya, 1986) of the segment a-b, given in the body's own axes.
    low, high = 0.0, 1.0
    for a, b, half in ((ax, bx, half_len), (ay, by, half_wid)):
        d = b - a
        if abs(d) < 1e-9:
            if abs(a) > half:
                return False
        else:
            first, second = (-half - a) / d, (half - a) / d
            low = max(low, min(first, second))
            high = min(high, max(first, second))
            if low > high:
                return False
    return True


@njit(cache=True)
def _blocked(viewer, target, first, last, px, py, shape):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    x, y, ux, uy, half_len, half_wid = shape
    ax, ay = x[viewer], y[viewer]
    reach2 = (px - ax) ** 2 + (py - ay) ** 2
    for k in range(first, last):
        if k in (viewer, target):
            continue
        qx, qy = x[k] - ax, y[k] - ay
        radius = half_len[k] + half_wid[k]
        along = (qx * (px - ax) + qy * (py - ay)) / max(reach2, 1e-9)
        if along < -0.2 or along > 1.2 or (qx - along * (px - ax)) ** 2 + (qy - along * (py - ay)) ** 2 > radius * radius:
            continue
        sx, sy, ex, ey = -qx, -qy, px - x[k], py - y[k]
        if _crosses(
            sx * ux[k] + sy * uy[k], sy * ux[k] - sx * uy[k], ex * ux[k] + ey * uy[k], ey * ux[k] - ex * uy[k], half_len[k], half_wid[k]
        ):
            return True
    return False


@njit(cache=True)
def _unhidden(pairs, start, shape, free, origin):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    x, y, ux, uy, half_len, _ = shape
    visible = np.zeros(len(pairs), np.bool_)
    tick = 0
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        while start[tick + 1] <= i:
            tick += 1
        for offset in (0.0, 1.0, -1.0):
            px, py = x[j] + offset * half_len[j] * ux[j], y[j] + offset * half_len[j] * uy[j]
            if _street_open(free, origin, x[i], y[i], px, py) and not _blocked(i, j, start[tick], start[tick + 1], px, py, shape):
                visible[p] = True
                break
    return visible


@njit(cache=True)
def _open_from(mast_x, mast_y, rows, shape, free, origin):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    x, y, ux, uy, half_len = shape
    shown = np.zeros(len(rows), np.bool_)
    for r in range(len(rows)):
        j = rows[r]
        for offset in (0.0, 1.0, -1.0):
            px, py = x[j] + offset * half_len[j] * ux[j], y[j] + offset * half_len[j] * uy[j]
            if _street_open(free, origin, mast_x, mast_y, px, py):
                shown[r] = True
                break
    return shown
