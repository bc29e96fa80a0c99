"""Conflicts between vehicles on a mapped road network, from their tracks."""

import numpy as np
import pyarrow as pa

from chengshu.methods.conflicts.areas import CROSSING, ConflictAreas, conflict_areas
from chengshu.methods.conflicts.encroachment import Passages, encroachments, passages
from chengshu.methods.conflicts.episodes import Hits, conflicts_from
from chengshu.methods.conflicts.lanes import Floats, lane_graph
from chengshu.methods.conflicts.matching import match_lanes, smoothed, smoothed_by_the_past
from chengshu.methods.conflicts.parameters import DEFAULTS, ConflictParameters
from chengshu.methods.conflicts.paths import Paths, paths_ahead
from chengshu.methods.conflicts.scan import Limits, Rows, scan_ticks
from chengshu.methods.conflicts.tables import CONFLICT_SCHEMA, Tracks, read_tracks


def detect_conflicts(tracks: pa.Table, *, lanes: pa.Table, foes: pa.Table | None, parameters: ConflictParameters = DEFAULTS) -> pa.Table:
    """Return every following, merging and crossing conflict among ``tracks``, one row for each, by the time it begins.

    ``tracks``: t_ms, track, x_m, y_m (front bumper, metres of the map), heading_deg (0 = north, clockwise), speed_mps, len_m, wid_m, and
    lane, pos_m if they are known (else the rows are matched to the map); ``lanes`` and ``foes`` as in the pilot's map. Rows
    may come in any order. The result has :data:`~chengshu.methods.conflicts.tables.CONFLICT_SCHEMA`; ``track_a`` came second.

    A pair follows if one is ahead on the other's path; else it merges or crosses in the nearest conflict area both paths lead through. Time
    to collision (Hayward 1972), deceleration to avoid it (Cooper & Ferguson 1976) and post-encroachment time (Allen 1978) are those of
    SUMO's SSM device, whose thresholds are the defaults. With ``lookahead="driven"`` (the default) the path is the one the rest of the
    batch shows: an offline figure, better than a live run's; see :class:`~chengshu.methods.conflicts.parameters.ConflictParameters`.
    Raises Invalid for rows or a map that cannot be used.
    """
    graph = lane_graph(lanes)
    tracked = read_tracks(tracks, lane_count=len(graph.length), max_gap_s=parameters.max_gap_s)
    if len(tracked.t_ms) == 0:
        return CONFLICT_SCHEMA.empty_table()
    areas = conflict_areas(graph, foes=foes)
    if parameters.smooth_s > 0:
        tracked = (smoothed_by_the_past if parameters.past_only else smoothed)(tracked, width_s=parameters.smooth_s)
    if tracked.lane is not None and tracked.pos is not None:
        lane, pos = tracked.lane, tracked.pos
    else:
        lane, pos = match_lanes(tracked, graph, hindsight=not parameters.past_only)
    paths = paths_ahead(
        tracked.trip, tracked.t_ms, lane=lane, pos=pos, speed=tracked.speed, graph=graph, areas=areas,
        reach_m=parameters.range_m, driven=parameters.lookahead == "driven",
    )  # fmt: skip
    rows = Rows(tracked.x, tracked.y, tracked.heading, tracked.speed, _acceleration(tracked), tracked.length, tracked.width, lane, pos)
    ticks = _critical_ticks(tracked, rows, paths, areas=areas, parameters=parameters)
    after = _encroachments(tracked, rows, paths, areas=areas, parameters=parameters)
    return conflicts_from(_together(ticks, after), parameters=parameters)


def _acceleration(tracked: Tracks) -> Floats:
    result = np.zeros(len(tracked.t_ms))
    inside = tracked.trip[1:] == tracked.trip[:-1]
    step = np.where(inside, np.diff(tracked.t_ms) * 1e-3, 1.0)
    result[1:] = np.where(inside, np.diff(tracked.speed) / step, 0.0)
    return result


def _critical_ticks(tracked: Tracks, rows: Rows, paths: Paths, *, areas: ConflictAreas, parameters: ConflictParameters) -> Hits:
    by_tick = np.argsort(tracked.t_ms, kind="stable").astype(np.int64)
    times = tracked.t_ms[by_tick]
    tick_start = np.concatenate(([0], np.flatnonzero(np.diff(times)) + 1, [len(times)])).astype(np.int64)
    limits = Limits(float(parameters.range_m), float(parameters.ttc_s), float(parameters.drac_mps2))
    second, first, kind, flat = scan_ticks(by_tick, tick_start, rows, paths, areas, limits)
    values = flat.reshape(-1, 4)
    return Hits(
        second=tracked.track[second],
        first=tracked.track[first],
        kind=kind,
        t_ms=tracked.t_ms[second],
        ttc=np.where(np.isfinite(values[:, 0]), values[:, 0], np.nan),
        drac=np.where(values[:, 1] > 0.0, values[:, 1], np.nan),
        pet=np.full(len(second), np.nan),
        x=values[:, 2],
        y=values[:, 3],
    )


def _encroachments(tracked: Tracks, rows: Rows, paths: Paths, *, areas: ConflictAreas, parameters: ConflictParameters) -> Hits:
    passed = _passages(tracked, paths, areas=areas)
    second, first, area, pet, entry = encroachments(passed, rows, paths.odometer, tracked.t_ms, areas, float(parameters.pet_s))
    never = np.full(len(second), np.nan)
    return Hits(
        second=tracked.track[second],
        first=tracked.track[first],
        kind=np.full(len(second), CROSSING, dtype=np.int64),
        t_ms=np.round(entry).astype(np.int64),
        ttc=never,
        drac=never,
        pet=pet,
        x=areas.x[area],
        y=areas.y[area],
    )


def _passages(tracked: Tracks, paths: Paths, *, areas: ConflictAreas) -> Passages:
    stay, ref, reading = passages(paths, areas)
    row = paths.first_row[stay]
    # readings grow along the whole table once each trip is lifted above the one before it
    lift = tracked.trip * (float(paths.odometer.max()) + 1.0)
    middle = np.interp(reading + lift[row], paths.odometer + lift, tracked.t_ms)
    order = np.lexsort((middle, ref // 2))
    trip_rows = np.searchsorted(tracked.trip, np.arange(tracked.trip[-1] + 2)).astype(np.int64)
    trip = tracked.trip[row[order]]
    return Passages(row[order], trip_rows[trip], trip_rows[trip + 1], ref[order], reading[order], middle[order])


def _together(one: Hits, two: Hits) -> Hits:
    return Hits(**{name: np.concatenate((getattr(one, name), getattr(two, name))) for name in Hits.__dataclass_fields__})
