"""Turns what a simulation wrote into a Recording."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from benchmarks.sumo.networks import ATTRIBUTION, LABEL, LICENCE, Network, sumo_version
from benchmarks.sumo.roads import Roads, read_roads, xml_root
from benchmarks.sumo.simulate import SSM, STEP_MS, VEHICLE_TYPES

from chengshu.methods.recording import (
    DETECTOR_1MIN,
    FOES,
    JUNCTIONS,
    LANES,
    LINKS,
    SIGNALS,
    TRACKS,
    VEHICLES,
    Recording,
)
from chengshu.methods.ssm import read_ssm

STARTED_AT = "2026-06-15T06:00:00Z"
"""When the recording is said to have begun: eight in the morning in Berlin, a Monday."""


def convert(network: Network, folder: Path, *, seed: int, warm_up_s: int, seconds: int) -> Recording:
    """Return the recording of the last ``seconds`` of a simulation that ``simulate`` left in ``folder``."""
    start_ms, duration_ms = warm_up_s * 1000, seconds * 1000
    roads = read_roads(folder / "net.xml")
    rows = {lane.id: row for row, lane in enumerate(roads.lanes)}
    tracks, vehicles = _driven(pq.read_table(folder / "fcd.parquet"), rows, start_ms=start_ms, duration_ms=duration_ms)
    numbers = dict(zip(vehicles["veh_id"].to_pylist(), vehicles["veh"].to_pylist(), strict=True))
    truth = read_ssm((folder / "ssm.xml").read_bytes(), numbers=numbers, start_ms=start_ms, duration_ms=duration_ms)
    heads = _heads(roads)
    return Recording(
        tracks=tracks,
        vehicles=vehicles,
        lanes=_rows(list(_lanes(roads, rows)), LANES),
        junctions=_rows([(j.id, j.x_m, j.y_m, j.is_signal) for j in roads.junctions], JUNCTIONS),
        foes=_rows(sorted((min(rows[a], rows[b]), max(rows[a], rows[b])) for a, b in roads.foes), FOES),
        links=_rows(list(_links(roads, heads, rows)), LINKS),
        signals=_rows(list(_signals(folder, heads, start_ms=start_ms, duration_ms=duration_ms)), SIGNALS),
        detector_1min=_rows(list(_detectors(folder, rows, start_ms=start_ms, duration_ms=duration_ms)), DETECTOR_1MIN),
        truth=truth.table,
        meta=_meta(network, roads, seed=seed, warm_up_s=warm_up_s, seconds=seconds)
        | {"truth": {"source": "SUMO SSM device on all vehicles", "settings": SSM, "dropped": asdict(truth.dropped)}}
        | {"simulation": _account(folder)},
    )


def _driven(fcd: pa.Table, rows: dict[str, int], *, start_ms: int, duration_ms: int) -> tuple[pa.Table, pa.Table]:
    # A step without vehicles is written as one row without a vehicle.
    fcd = fcd.filter(pc.is_valid(fcd["vehicle_id"]))
    t = np.rint(fcd["timestep_time"].to_numpy() * 1000.0).astype(np.int64) - start_ms
    within = (t >= 0) & (t < duration_ms)
    fcd, t = fcd.filter(pa.array(within)), t[within]
    ids = pc.unique(fcd["vehicle_id"])
    veh = pc.index_in(fcd["vehicle_id"], ids).to_numpy().astype(np.int64)
    lane_ids = pc.index_in(fcd["vehicle_lane"], pa.array(list(rows)))
    if lane_ids.null_count:
        raise ValueError("expected every lane driven on to be one open to cars, got another")
    lane = pa.array(list(rows.values()), pa.int32()).take(lane_ids.combine_chunks())
    order = np.lexsort((veh, t))
    columns = {
        "t_ms": t,
        "veh": veh,
        "x_m": fcd["vehicle_x"].to_numpy(),
        "y_m": fcd["vehicle_y"].to_numpy(),
        "heading_deg": fcd["vehicle_angle"].to_numpy(),
        "speed_mps": fcd["vehicle_speed"].to_numpy(),
        "accel_mps2": np.zeros(len(t)),
        "lane": lane.to_numpy(),
        "pos_m": fcd["vehicle_pos"].to_numpy(),
    }
    tracks = pa.table([pa.array(columns[f.name][order].astype(f.type.to_pandas_dtype())) for f in TRACKS], schema=TRACKS)
    first = np.unique(veh, return_index=True)[1]
    kinds = [VEHICLE_TYPES[name] for name in fcd["vehicle_type"].take(pa.array(first)).to_pylist()]
    vehicles = [(row, name, kind.kind, kind.len_m, kind.wid_m) for row, (name, kind) in enumerate(zip(ids.to_pylist(), kinds, strict=True))]
    return tracks, _rows(vehicles, VEHICLES)


def _lanes(roads: Roads, rows: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    for row, lane in enumerate(roads.lanes):
        xs, ys = [x for x, _ in lane.shape], [y for _, y in lane.shape]
        follow = [rows[name] for name in lane.next if name in rows]
        size = (lane.speed_limit_mps, lane.width_m, lane.length_m)
        yield row, lane.id, lane.edge, lane.is_internal, lane.junction, *size, xs, ys, follow


def _heads(roads: Roads) -> dict[str, tuple[str, list[int]]]:
    """For each junction under signals: the program that rules it and which letters of the program's state are its own.

    One program may rule several junctions, and its name is not always that of a junction; here each junction has its own state.
    """
    heads: dict[str, tuple[str, list[int]]] = {}
    for movement in roads.movements:
        if movement.program is not None:
            _, letters = heads.setdefault(movement.junction, (movement.program, []))
            letters.append(movement.index)
    return {junction: (program, sorted(set(letters))) for junction, (program, letters) in heads.items()}


def _links(roads: Roads, heads: dict[str, tuple[str, list[int]]], rows: dict[str, int]) -> Iterator[tuple[Any, ...]]:
    for movement in roads.movements:
        if movement.program is not None:
            link = heads[movement.junction][1].index(movement.index)
            via = rows[movement.via[0]] if movement.via else -1
            yield movement.junction, link, rows[movement.from_lane], via, rows[movement.to_lane]


def _signals(folder: Path, heads: dict[str, tuple[str, list[int]]], *, start_ms: int, duration_ms: int) -> Iterator[tuple[int, str, str]]:
    switched: dict[str, list[tuple[int, str]]] = {}
    for switch in xml_root(folder / "switches.xml").iter("tlsState"):
        at = max(round(float(switch.get("time", "0")) * 1000.0) - start_ms, 0)
        switched.setdefault(switch.get("id", ""), []).append((at, switch.get("state", "")))
    found: list[tuple[int, str, str]] = []
    for junction, (program, letters) in heads.items():
        # Everything before the beginning falls on 0, where the last one counts.
        states = {at: "".join(state[letter] for letter in letters) for at, state in switched[program] if at < duration_ms}
        shown = ""
        for at, state in sorted(states.items()):
            if state != shown:
                found.append((at, junction, state))
            shown = state
    yield from sorted(found)


def _detectors(folder: Path, rows: dict[str, int], *, start_ms: int, duration_ms: int) -> Iterator[tuple[Any, ...]]:
    loops = {loop.get("id", ""): loop for loop in xml_root(folder / "loops.xml").iter("inductionLoop")}
    for interval in xml_root(folder / "e1.xml").iter("interval"):
        at = round(float(interval.get("begin", "0")) * 1000.0) - start_ms
        if 0 <= at < duration_ms:
            name, speed = interval.get("id", ""), float(interval.get("speed", "-1"))
            place = rows[loops[name].get("lane", "")], float(loops[name].get("pos", "0"))
            count = int(interval.get("nVehContrib", "0")), float(interval.get("occupancy", "0"))
            # SUMO writes −1 for "no vehicle passed".
            yield name, *place, at, *count, speed if speed >= 0.0 else None


def _meta(network: Network, roads: Roads, *, seed: int, warm_up_s: int, seconds: int) -> dict[str, Any]:
    return {
        "network": network.name,
        "place": network.place,
        "label": LABEL,
        "licence": LICENCE,
        "attribution": ATTRIBUTION,
        "source": f"eclipse-sumo {sumo_version()}: {network.source}",
        "sumo": sumo_version(),
        "seed": seed,
        "step_ms": STEP_MS,
        "duration_ms": seconds * 1000,
        "warm_up_ms": warm_up_s * 1000,
        "departure_period_s": network.period_s,
        "started_at": STARTED_AT,
        "proj": roads.proj,
        "crs": _crs(roads.proj),
        "net_offset": list(roads.offset),
    }


def _crs(proj: str) -> str:
    words = dict(word.removeprefix("+").partition("=")[::2] for word in proj.split())
    if words.get("proj") != "utm" or "south" in words:
        raise ValueError("expected a network in a northern UTM zone, got another projection")
    return f"EPSG:326{int(words['zone']):02d}"


def _account(folder: Path) -> dict[str, int]:
    root = xml_root(folder / "statistics.xml")
    wanted = (
        ("vehicles", "inserted"),
        ("vehicles", "waiting"),
        ("teleports", "total"),
        ("safety", "collisions"),
        ("safety", "emergencyBraking"),
    )
    counts: Counter[str] = Counter()
    for tag, attribute in wanted:
        element = root.find(tag)
        counts[f"{tag}_{attribute}" if attribute == "total" else attribute] = int(element.get(attribute, "0")) if element is not None else 0
    return dict(counts)


def _rows(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else ([] for _ in schema)
    return pa.table([pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)
