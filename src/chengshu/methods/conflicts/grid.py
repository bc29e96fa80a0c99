"""A uniform grid over one tick: cells as wide as the reach, vehicles laid out by cell, so that every near pair is met once.

:func:`lay_out` is a counting sort; the pairs of a vehicle are then two unbroken runs: the rest of its own cell and the cell to the right,
and the three cells above. :func:`closing_pairs` is the planar predicate that needs no map, the one on which engines are compared.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chengshu.methods.conflicts.growth import grown

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Int32s = NDArray[np.int32]

HALF_LANE_M = 1.6
SAME_WAY_COSINE = 0.8660254037844387
"""Of 30 degrees."""
_MOST_CELLS_PER_VEHICLE = 64


@njit(cache=True)
def lay_out(x: Floats, y: Floats, cell_m: float) -> tuple[Int32s, Int32s, Int32s, int]:
    """Return (order, cell of each in order, start of each cell, cells in a row) for positions in metres; cells widen if they are too many.

    The grid has an empty column on either side and an empty row above, so that neighbours need no bounds check.
    """
    n = len(x)
    x0, y0, x1, y1 = x[0], y[0], x[0], y[0]
    for i in range(n):
        x0, y0, x1, y1 = min(x0, x[i]), min(y0, y[i]), max(x1, x[i]), max(y1, y[i])
    nx, ny = int((x1 - x0) / cell_m) + 3, int((y1 - y0) / cell_m) + 2
    while nx * ny > _MOST_CELLS_PER_VEHICLE * n + 4096:
        cell_m *= 2.0
        nx, ny = int((x1 - x0) / cell_m) + 3, int((y1 - y0) / cell_m) + 2
    start = np.zeros(nx * ny + 1, dtype=np.int32)
    cell = np.empty(n, dtype=np.int32)
    for i in range(n):
        cell[i] = int((y[i] - y0) / cell_m) * nx + int((x[i] - x0) / cell_m) + 1
        start[cell[i]] += 1
    for c in range(nx * ny):
        start[c + 1] += start[c]
    order = np.empty(n, dtype=np.int32)
    placed = np.empty(n, dtype=np.int32)
    for i in range(n - 1, -1, -1):  # each start is now its cell's end, and is its beginning once the cell is full
        start[cell[i]] -= 1
        order[start[cell[i]]], placed[start[cell[i]]] = i, cell[i]
    return order, placed, start, nx


@njit(cache=True)
def _closes(dx, dy, ux, uy, closing, length, ttc_s, drac_mps2):  # type: ignore[no-untyped-def] # numba infers these
    """Return whether one behind, heading (ux, uy), closes on one at (dx, dy) of this ``length`` within the thresholds."""
    if closing <= 0.0:
        return False
    gap = dx * ux + dy * uy - length
    if gap <= 0.0 or abs(dx * uy - dy * ux) > HALF_LANE_M:
        return False
    return gap < ttc_s * closing or closing * closing > 2.0 * drac_mps2 * gap


@njit(cache=True)
def _closing(x, y, ux, uy, v, length, limits):  # type: ignore[no-untyped-def] # numba infers these
    n = len(x)
    reach, ttc_s, drac_mps2 = limits
    order, cell, start, nx = lay_out(x, y, reach)
    table = np.empty((n, 6))  # a vehicle's columns side by side: one cache line serves a candidate
    for k in range(n):
        i = order[k]
        table[k, 0], table[k, 1], table[k, 2], table[k, 3], table[k, 4], table[k, 5] = x[i], y[i], ux[i], uy[i], v[i], length[i]
    followers, leaders = np.empty(n + 64, dtype=np.int64), np.empty(n + 64, dtype=np.int64)
    found = 0
    for a in range(n):
        above = cell[a] + nx
        x_a, y_a, ux_a, uy_a, v_a, length_a = table[a, 0], table[a, 1], table[a, 2], table[a, 3], table[a, 4], table[a, 5]
        for run in range(2):
            low, high = (a + 1, start[cell[a] + 2]) if run == 0 else (start[above - 1], start[above + 2])
            for b in range(low, high):
                dx, dy = table[b, 0] - x_a, table[b, 1] - y_a
                ux_b, uy_b = table[b, 2], table[b, 3]
                if (dx * dx + dy * dy > reach * reach) | (ux_a * ux_b + uy_a * uy_b < SAME_WAY_COSINE):
                    continue
                forward = _closes(dx, dy, ux_a, uy_a, v_a - table[b, 4], table[b, 5], ttc_s, drac_mps2)
                if forward or _closes(-dx, -dy, ux_b, uy_b, table[b, 4] - v_a, length_a, ttc_s, drac_mps2):
                    followers, leaders = grown(followers, found + 1), grown(leaders, found + 1)
                    followers[found] = order[a] if forward else order[b]
                    leaders[found] = order[b] if forward else order[a]
                    found += 1
    return followers[:found], leaders[:found]


def closing_pairs(
    x: Floats, y: Floats, *, ux: Floats, uy: Floats, v: Floats, length: Floats, reach_m: float, ttc_s: float, drac_mps2: float
) -> tuple[Ints, Ints]:
    """Return (followers, leaders), positions in the arrays, of all pairs of one tick that close on each other in the plane.

    A pair counts if it is within ``reach_m``, heads the same way (within 30°), the leader is ahead and no more than half a lane
    (1.6 m) to the side of the follower's line of travel, and TTC < ``ttc_s`` or DRAC > ``drac_mps2`` for the gap from front to rear bumper.
    Positions in metres, (ux, uy) the unit vector of travel, ``v`` in m/s, ``length`` in metres; all finite float64.
    """
    if len(x) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    followers, leaders = _closing(x, y, ux, uy, v, length, (float(reach_m), float(ttc_s), float(drac_mps2)))
    return followers, leaders
