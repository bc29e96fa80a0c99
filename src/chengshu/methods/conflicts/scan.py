"""The scan: every tick, every near pair, the relation it is in and its measures."""

from typing import NamedTuple

import numpy as np
from numba import njit

from chengshu.methods.conflicts.areas import CROSSING, MERGING
from chengshu.methods.conflicts.crossing import crossing_measures, merging_measures
from chengshu.methods.conflicts.following import following_measures, gap_ahead
from chengshu.methods.conflicts.grid import lay_out
from chengshu.methods.conflicts.growth import grown
from chengshu.methods.conflicts.lanes import Floats, Ints
from chengshu.methods.conflicts.measures import NEVER

FOLLOWING = 0
_PAST_M = 20.0
"""An area further behind the front than this is not what a pair is concerned with, if it shares others."""


class Rows(NamedTuple):
    """Tracks as the scan takes them: one array a column, rows sorted by (trip, time)."""

    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    accel: Floats
    length: Floats
    width: Floats
    lane: Ints
    pos: Floats


class Limits(NamedTuple):
    """How far is looked, and from where on a pair is critical (``ttc_s`` or less, ``drac_mps2`` or more)."""

    reach_m: float
    ttc_s: float
    drac_mps2: float


@njit(cache=True)
def _nearest_shared_area(stay_a, stay_b, odo_a, odo_b, paths):  # type: ignore[no-untyped-def] # numba infers these
    """Return (area's ref of a, distance of a, distance of b) of the nearest area that both paths lead through, −1 if none.

    Both lists ascend by area, so that one pass over the two finds what they share; equal sides are the same movement and no conflict.
    """
    i, end_i = paths.ref_start[stay_a], paths.ref_start[stay_a + 1]
    j, end_j = paths.ref_start[stay_b], paths.ref_start[stay_b + 1]
    best, best_a, best_b, nearest = -1, 0.0, 0.0, NEVER
    while i < end_i and j < end_j:
        ref_a, ref_b = paths.ref[i], paths.ref[j]
        if ref_a // 2 == ref_b // 2 and ref_a != ref_b:
            d_a, d_b = paths.ref_at[i] - odo_a, paths.ref_at[j] - odo_b
            if d_a > -_PAST_M and d_b > -_PAST_M and abs(d_a) + abs(d_b) < nearest:
                best, best_a, best_b, nearest = ref_a, d_a, d_b, abs(d_a) + abs(d_b)
        if ref_a <= ref_b:
            i += 1
        else:
            j += 1
    return best, best_a, best_b


@njit(cache=True)
def _follows(a, b, rows, paths, reach_m):  # type: ignore[no-untyped-def] # numba infers these
    """Return (whether row a follows row b, TTC, DRAC)."""
    ahead, gap = gap_ahead(paths, paths.stay[a], rows.pos[a], rows.lane[b], rows.pos[b], rows.length[b])
    if ahead <= 0.0 or gap > reach_m:
        return False, NEVER, 0.0
    ttc, drac = following_measures(gap, rows.speed[a], rows.speed[b])
    return True, ttc, drac


@njit(cache=True)
def _pair(a, b, rows, paths, areas, reach_m):  # type: ignore[no-untyped-def] # numba infers these
    """Return (kind, TTC, DRAC, whether a is second, area) for rows a and b, (−1, …) if their paths have nothing to do with each other."""
    follows, ttc, drac = _follows(a, b, rows, paths, reach_m)
    if follows:
        return FOLLOWING, ttc, drac, True, -1
    follows, ttc, drac = _follows(b, a, rows, paths, reach_m)
    if follows:
        return FOLLOWING, ttc, drac, False, -1
    found, d_a, d_b = _nearest_shared_area(paths.stay[a], paths.stay[b], paths.odometer[a], paths.odometer[b], paths)
    area, side = found // 2, found % 2
    # the range counts to the junction's edge, as in the SSM device: a large junction has areas deep inside
    if found < 0 or d_a - areas.place[area, side] > reach_m or d_b - areas.place[area, 1 - side] > reach_m:
        return -1, NEVER, 0.0, False, -1
    if areas.kind[area] == MERGING:
        ttc, drac, a_second = merging_measures(d_a, rows.length[a], rows.speed[a], d_b, rows.length[b], rows.speed[b])
        return MERGING, ttc, drac, a_second, area
    entry_a = d_a - 0.5 * rows.width[b] - areas.margin[area, side]
    entry_b = d_b - 0.5 * rows.width[a] - areas.margin[area, 1 - side]
    through_a, through_b = rows.width[b] + rows.length[a], rows.width[a] + rows.length[b]
    ttc, drac, a_second = crossing_measures(
        entry_a, through_a, rows.speed[a], rows.accel[a], entry_b, through_b, rows.speed[b], rows.accel[b]
    )
    return CROSSING, ttc, drac, a_second, area


@njit(cache=True)
def _conflict_point(first, area, rows, areas):  # type: ignore[no-untyped-def] # numba infers these
    """Return where it would happen: the area's centre, or the leader's rear bumper."""
    if area >= 0:
        return areas.x[area], areas.y[area]
    angle = np.radians(rows.heading[first])
    return rows.x[first] - rows.length[first] * np.sin(angle), rows.y[first] - rows.length[first] * np.cos(angle)


@njit(cache=True)
def scan_ticks(by_tick, tick_start, rows, paths, areas, limits):  # type: ignore[no-untyped-def] # numba infers these
    """Return (rows of the one behind, rows of the other, kinds, values) of all pairs whose TTC or DRAC passes its threshold.

    ``by_tick`` lists row numbers by time, ``tick_start`` where each tick begins in it. ``values`` holds four numbers for each
    hit: TTC (inf if none), DRAC, and the x, y of the conflict point.
    """
    second, first, kinds = np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64), np.empty(1024, dtype=np.int64)
    values = np.empty(4096)
    found = 0
    radius = 2.0 * limits.reach_m
    for tick in range(len(tick_start) - 1):
        here = by_tick[tick_start[tick] : tick_start[tick + 1]]
        order, cell, start, nx = lay_out(rows.x[here], rows.y[here], radius)
        for p in range(len(here)):
            for run in range(2):
                low, high = (p + 1, start[cell[p] + 2]) if run == 0 else (start[cell[p] + nx - 1], start[cell[p] + nx + 2])
                for q in range(low, high):
                    a, b = here[order[p]], here[order[q]]
                    if (rows.x[b] - rows.x[a]) ** 2 + (rows.y[b] - rows.y[a]) ** 2 > radius * radius:
                        continue
                    kind, ttc, drac, a_second, area = _pair(a, b, rows, paths, areas, limits.reach_m)
                    if kind < 0 or not (ttc <= limits.ttc_s or drac >= limits.drac_mps2):
                        continue
                    second, first, kinds = grown(second, found + 1), grown(first, found + 1), grown(kinds, found + 1)
                    values = grown(values, 4 * found + 4)
                    second[found], first[found], kinds[found] = (a, b, kind) if a_second else (b, a, kind)
                    values[4 * found], values[4 * found + 1] = ttc, drac
                    values[4 * found + 2], values[4 * found + 3] = _conflict_point(first[found], area, rows, areas)
                    found += 1
    return second[:found], first[:found], kinds[:found], values[: 4 * found]
