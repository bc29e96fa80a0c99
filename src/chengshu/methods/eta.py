"""How well each party, and all together, would have foretold how long trips take: a second multiplier, told even where there is none.

Speeds are averaged per stretch of road over the last minutes before departure; a stretch without data is driven at its limit. Signals,
not missing probes, make up most of what is left, so a ratio near 1 is the expected answer (no lift).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from chengshu.methods.multiplier import Multiplier, error_multiplier, not_measured
from chengshu.methods.perception.parameters import PARTY_PRODUCTS
from chengshu.methods.projection import LocalFrame
from chengshu.methods.sightings import Floats, Ints, Sightings, read_sightings

_LATER = 10**14  # more than any epoch in ms: makes one sortable key of a stretch and a time


@dataclass(frozen=True, slots=True)
class EtaParameters:
    """``stretch_m``: length of road whose speed is averaged; ``window_ms`` before departure; ``least_samples``: fewer say nothing."""

    stretch_m: float = 30.0
    window_ms: int = 600_000
    least_samples: int = 3
    slowest_mps: float = 0.5
    match_m: float = 10.0
    sample_every_ms: int = 1000


@dataclass(frozen=True, slots=True)
class EtaReport:
    """``errors``: one row a predictor (free_flow, each party, fused): mae_s, bias_s, covered (share of route stretches with data), trips.

    ``multiplier``: mean absolute error of the best single party over the fused one, per trip.
    """

    errors: pa.Table
    multiplier: Multiplier


def trips(tracks: pa.Table, lanes: pa.Table, *, started_ms: int) -> pa.Table:
    """Return the trips that lie wholly inside a recording: trip, seq, edge_id, enter_ms, leave_ms (UTC epoch ms), in driving order.

    The time inside a junction belongs to the edge before it. Trips over fewer than three edges, and vehicles present at the first or last
    tick, are left out.
    """
    internal = np.asarray(lanes["is_internal"].to_pylist(), dtype=bool)
    names = np.asarray(lanes["edge_id"].to_pylist(), dtype=object)
    row_of = np.full(int(np.max(np.asarray(lanes["lane"]), initial=-1)) + 2, -1, np.int64)
    row_of[np.asarray(lanes["lane"], dtype=np.int64)] = np.arange(lanes.num_rows)
    veh, t_ms = np.asarray(tracks["veh"], dtype=np.int64), np.asarray(tracks["t_ms"], dtype=np.int64)
    row = row_of[np.asarray(tracks["lane"], dtype=np.int64)]
    cut = np.unique(veh[(t_ms == t_ms.min()) | (t_ms == t_ms.max())]) if len(t_ms) else veh
    edge_code = np.unique(names.astype(str), return_inverse=True)[1]
    on_edge = (row >= 0) & ~internal[row] & ~np.isin(veh, cut)
    last = np.full(int(veh.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(last, veh, t_ms)
    veh, t_ms, row = veh[on_edge], t_ms[on_edge], row[on_edge]
    order = np.lexsort((t_ms, veh))
    veh, t_ms, row = veh[order], t_ms[order], row[order]
    fresh = np.ones(len(veh), np.bool_)
    fresh[1:] = (np.diff(veh) != 0) | (np.diff(edge_code[row]) != 0)
    begin = np.flatnonzero(fresh)
    veh, enter, row = veh[begin], t_ms[begin], row[begin]
    leave = np.where(np.append(np.diff(veh) == 0, False), np.append(enter[1:], 0), last[veh]) if len(veh) else enter
    first = np.searchsorted(veh, veh)
    table = pa.table(
        {
            "trip": veh,
            "seq": np.arange(len(veh)) - first,
            "edge_id": pa.array(names[row], pa.string()),
            "enter_ms": enter + started_ms,
            "leave_ms": leave + started_ms,
        }
    )
    many = np.bincount(veh)[veh] >= 3 if len(veh) else np.zeros(0, np.bool_)
    return table.filter(pa.array(many))


def eta_report(
    trip_table: pa.Table,
    lanes: pa.Table,
    products: Mapping[str, pa.Table],
    *,
    frame: LocalFrame,
    seed: int,
    parameters: EtaParameters | None = None,
) -> EtaReport:
    """Return how far each predictor was off, in seconds a trip, predicting at departure from data that had arrived by then.

    ``trip_table``: see :func:`trips`; ``lanes``: the product map_lane. Raises Invalid when a product lacks a column.
    """
    chosen = parameters or EtaParameters()
    network = _network(lanes, chosen)
    routes = _routes(trip_table, network)
    sightings, _ = read_sightings(products, frame)
    samples = {
        party: [_samples(sightings[source], network, chosen) for source in sources if source in sightings]
        for party, sources in PARTY_PRODUCTS.items()
    }
    predictors = {"free_flow": [], **samples, "fused": [part for parts in samples.values() for part in parts]}
    errors: dict[str, Floats] = {}
    rows = []
    for name, parts in predictors.items():
        speed, known = _speeds(parts, routes, network, chosen)
        predicted = np.bincount(routes.trip, weights=network.stretch_m[routes.stretch] / speed, minlength=len(routes.duration_s))
        errors[name] = predicted - routes.duration_s
        rows.append(
            {
                "predictor": name,
                "mae_s": float(np.abs(errors[name]).mean()) if len(errors[name]) else None,
                "bias_s": float(errors[name].mean()) if len(errors[name]) else None,
                "covered": float(known.mean()) if len(known) else 0.0,
                "trips": len(errors[name]),
            }
        )
    with_data = [row for row in rows if row["predictor"] in samples and row["covered"]]
    if not with_data:
        return EtaReport(pa.Table.from_pylist(rows), not_measured("no party has speeds on any route"))
    best = str(min(with_data, key=lambda row: (row["mae_s"], row["predictor"]))["predictor"])
    return EtaReport(pa.Table.from_pylist(rows), error_multiplier(errors[best], errors["fused"], baseline=best, seed=seed))


@dataclass(frozen=True, slots=True)
class _Network:
    """Normal lanes as lines, the first stretch of each lane's edge, and per stretch its length and free-flow speed."""

    lines: NDArray[np.object_]
    edge_first: Ints
    edge_length: Floats
    stretch_m: Floats
    free_mps: Floats
    first_of: Mapping[str, int]
    count_of: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Routes:
    """One row per trip and stretch: trip row, stretch, departure; and per trip its true duration in s."""

    trip: Ints
    stretch: Ints
    depart_ms: Ints
    duration_s: Floats


@dataclass(frozen=True, slots=True)
class _Samples:
    """Speeds on stretches, sorted by ``key`` = stretch and time of arrival, with running sums (one longer than the keys)."""

    key: Ints
    speed_sum: Floats


def _network(lanes: pa.Table, parameters: EtaParameters) -> _Network:
    lengths: list[float] = []
    limits: list[float] = []
    first_of: dict[str, int] = {}
    count_of: dict[str, int] = {}
    lines, lane_first, lane_length = [], [], []
    for lane in lanes.select(["edge_id", "is_internal", "length_m", "speed_limit_mps", "xs", "ys"]).to_pylist():
        if lane["is_internal"] or len(lane["xs"]) < 2:
            continue
        edge, length = lane["edge_id"], max(float(lane["length_m"]), 0.1)
        if edge not in first_of:
            count = max(1, round(length / parameters.stretch_m))
            first_of[edge], count_of[edge] = len(lengths), count
            lengths += [length / count] * count
            limits += [max(float(lane["speed_limit_mps"]), parameters.slowest_mps)] * count
        lines.append(shapely.LineString(np.column_stack([lane["xs"], lane["ys"]])))
        lane_first.append(first_of[edge])
        lane_length.append(length)
    return _Network(
        np.asarray(lines, dtype=object), np.asarray(lane_first, dtype=np.int64), np.asarray(lane_length), np.asarray(lengths),
        np.asarray(limits), first_of, count_of,
    )  # fmt: skip # seven columns


def _routes(trip_table: pa.Table, network: _Network) -> _Routes:
    trip: list[int] = []
    stretch: list[int] = []
    depart: list[int] = []
    rows = trip_table.sort_by([("trip", "ascending"), ("seq", "ascending")]).to_pylist()
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    for row in rows:
        begin.setdefault(row["trip"], row["enter_ms"])
        end[row["trip"]] = row["leave_ms"]
    place = {name: index for index, name in enumerate(begin)}
    for row in rows:
        first, count = network.first_of[row["edge_id"]], network.count_of[row["edge_id"]]
        trip += [place[row["trip"]]] * count
        stretch += range(first, first + count)
        depart += [begin[row["trip"]]] * count
    duration = np.asarray([(end[name] - begin[name]) / 1000 for name in begin], dtype=np.float64)
    return _Routes(np.asarray(trip, np.int64), np.asarray(stretch, np.int64), np.asarray(depart, np.int64), duration)


def _samples(source: Sightings, network: _Network, parameters: EtaParameters) -> _Samples:
    """Return a source's speeds once a second, each on the lane that is near and runs the same way."""
    every = max(1, parameters.sample_every_ms // max(source.terms.period_ms, 1))
    thin = source.rows(np.arange(0, len(source), every))
    if len(thin) == 0 or len(network.lines) == 0:
        return _Samples(np.zeros(0, np.int64), np.zeros(1))
    points = shapely.points(thin.x, thin.y)
    row, lane = shapely.STRtree(network.lines).query(points, predicate="dwithin", distance=parameters.match_m)
    line, point = network.lines[lane], points[row]
    along = shapely.line_locate_point(line, point)
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, along + 1.0))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(along - 1.0, 0.0)))
    course = np.arctan2(ahead[:, 0] - behind[:, 0], ahead[:, 1] - behind[:, 1])
    turned = np.cos(course - np.radians(thin.heading[row]))
    fits = turned > 0.7
    row, lane, along, cost = row[fits], lane[fits], along[fits], (shapely.distance(line, point) + 5 * (1 - turned))[fits]
    order = np.lexsort((cost, row))
    best = order[np.append(True, np.diff(row[order]) != 0)] if len(order) else order
    row, lane, along = row[best], lane[best], along[best]
    share = along / np.maximum(shapely.length(network.lines[lane]), 0.1)
    count = np.maximum(1, np.round(network.edge_length[lane] / parameters.stretch_m)).astype(np.int64)
    stretch = network.edge_first[lane] + np.minimum((share * count).astype(np.int64), count - 1)
    key = stretch * _LATER + thin.t_ms[row] + source.terms.latency_ms
    order = np.argsort(key)
    return _Samples(key[order], np.append(0.0, np.cumsum(thin.speed[row][order])))


def _speeds(parts: list[_Samples], routes: _Routes, network: _Network, parameters: EtaParameters) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the speed expected on every route stretch (m/s, free flow where nothing is known) and where something is known."""
    total, count = np.zeros(len(routes.stretch)), np.zeros(len(routes.stretch))
    for part in parts:
        until = np.searchsorted(part.key, routes.stretch * _LATER + routes.depart_ms, side="right")
        since = np.searchsorted(part.key, routes.stretch * _LATER + routes.depart_ms - parameters.window_ms)
        total += part.speed_sum[until] - part.speed_sum[since]
        count += until - since
    known = count >= parameters.least_samples
    free = network.free_mps[routes.stretch]
    mean = np.divide(total, count, out=free.copy(), where=known)
    # Samples once a second weigh a slow vehicle by its time, so their mean is distance over time: the space-mean speed.
    return np.maximum(mean, parameters.slowest_mps), known
