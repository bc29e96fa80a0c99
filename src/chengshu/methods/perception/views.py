"""The product tables of each party, taken from the recorded world through what the party can see."""

from math import ceil

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.methods.perception.parameters import TERMS, ViewParameters
from chengshu.methods.perception.sight import Corridor, Floats, Ints, seen_from_masts, seen_from_vehicles
from chengshu.methods.perception.world import World, pseudonym
from chengshu.methods.recording import Recording

KINDS = ("car", "truck", "bus", "motorcycle", "bicycle", "pedestrian")
NEW_SIGHTING_MS = 1000
"""A tracker that has lost an object for longer gives it a new number when it comes back."""


def fleet_views(world: World, parameters: ViewParameters) -> dict[str, pa.Table]:
    """Return fleet_gnss, probe_gnss and link_speed: disjoint or overlapping samples of human-driven vehicles, once a second."""
    fleet = _members(world, parameters.fleet_share, parameters.seed, stream=1)
    platform = _members(world, parameters.platform_share, parameters.seed, stream=2)
    probe_rows = _once_a_second(world, platform, parameters.seed, stream=4)
    return {
        "fleet_gnss": _gnss(world, parameters, "fleet_gnss", _once_a_second(world, fleet, parameters.seed, stream=3)),
        "probe_gnss": _gnss(world, parameters, "probe_gnss", probe_rows),
        "link_speed": _link_speed(world, parameters, probe_rows),
    }


def vehicle_views(world: World, parameters: ViewParameters, street: Corridor) -> dict[str, pa.Table]:
    """Return av_state and av_objects: what the automated vehicles say of themselves and what they see around them."""
    own = np.flatnonzero(world.is_av[world.veh])
    generator = np.random.default_rng([parameters.seed, 5])
    viewers, targets = seen_from_vehicles(world.bodies, world.is_av[world.veh], parameters.range_m, street)
    return {
        "av_state": _av_state(world, parameters, own, generator),
        "av_objects": _av_objects(world, parameters, viewers, targets, generator),
    }


def roadside_view(world: World, parameters: ViewParameters, junctions: pa.Table, street: Corridor) -> pa.Table:
    """Return rsu_objects: what the masts at the equipped signalled junctions see."""
    names, masts = equipped(junctions, parameters)
    generator = np.random.default_rng([parameters.seed, 7])
    mast, rows = seen_from_masts(world.bodies, masts, parameters.rsu_range_m, street)
    number = _sightings(mast, world.veh[rows], world.t_ms[rows])
    kept = generator.random(len(rows)) < parameters.detect_p
    east, north = _error(generator, number, TERMS["rsu_objects"].sigma_m, parameters.bias_share)
    ghosts = _ghosts(generator, len(masts), world, parameters, reach=parameters.rsu_range_m)
    x = np.concatenate([(world.x[rows] + east)[kept], masts[ghosts[0], 0] + ghosts[2]])
    y = np.concatenate([(world.y[rows] + north)[kept], masts[ghosts[0], 1] + ghosts[3]])
    speed = np.maximum(0, np.concatenate([world.speed[rows][kept], ghosts[4]]) + generator.normal(0, 0.2, len(x)))
    heading = np.concatenate([world.heading[rows][kept], ghosts[5]]) + generator.normal(0, 1.5, len(x))
    kinds = np.concatenate([world.kinds[world.veh[rows]][kept], np.full(len(ghosts[0]), "car", dtype=object)])
    mast_all = np.concatenate([mast[kept], ghosts[0]])
    t_ms = np.concatenate([world.t_ms[rows][kept], ghosts[1]])
    lat, lon = _degrees(world, x, y)
    return _product(
        "rsu_objects",
        {
            "rsu_id": pa.array(np.asarray(names, dtype=object)[mast_all], pa.string()),
            "t_ms": t_ms,
            "ptc_id": _shuffled(parameters.seed, 10, number[kept], ghosts[6]),
            "ptc_type": pa.array(["car" if kind == "av" else kind for kind in kinds], pa.string()),
            "lat_e7": lat,
            "lon_e7": lon,
            "speed_mps": speed,
            "heading_deg": heading % 360,
            "len_m": np.concatenate([world.length[rows][kept], np.full(len(ghosts[0]), 4.5)]),
            "wid_m": np.concatenate([world.width[rows][kept], np.full(len(ghosts[0]), 1.8)]),
            "pos_conf_m": np.full(len(t_ms), TERMS["rsu_objects"].sigma_m),
        },
        order=np.lexsort((mast_all, t_ms)),
    )


def equipped(junctions: pa.Table, parameters: ViewParameters) -> tuple[tuple[str, ...], Floats]:
    """Return the names and positions (float [k, 2]) of the equipped junctions, rounded up; a larger share contains the smaller one's."""
    signalled = junctions.filter(junctions["is_signal"]).sort_by("junction_id")
    order = np.random.default_rng([parameters.seed, 6]).permutation(signalled.num_rows)
    count = ceil(round(parameters.rsu_share * signalled.num_rows, 6))
    chosen = signalled.take(pa.array(np.sort(order[:count]), pa.int64()))
    masts = np.column_stack([np.asarray(chosen["x_m"], np.float64), np.asarray(chosen["y_m"], np.float64)])
    return tuple(f"rsu-{name}" for name in chosen["junction_id"].to_pylist()), masts.reshape(-1, 2)


def standing_views(recording: Recording, started_ms: int) -> dict[str, pa.Table]:
    """Return spat, map_lane, map_foes and detector_1min: the road operator's own records, with times as UTC epoch ms."""
    return {
        "spat": _shifted(recording.signals, started_ms).select(["junction_id", "t_ms", "state"]),
        "map_lane": recording.lanes,
        "map_foes": recording.foes,
        "detector_1min": _shifted(recording.detector_1min, started_ms),
    }


def _members(world: World, share: float, seed: int, *, stream: int) -> NDArray[np.bool_]:
    return (np.random.default_rng([seed, stream]).random(len(world.ids)) < share) & ~world.is_av


def _once_a_second(world: World, member: NDArray[np.bool_], seed: int, *, stream: int) -> Ints:
    phase = np.random.default_rng([seed, stream]).integers(0, 10, len(world.ids)) * 100
    return np.flatnonzero(member[world.veh] & ((world.t_ms - world.started_ms) % 1000 == phase[world.veh]))


def _gnss(world: World, parameters: ViewParameters, source: str, rows: Ints) -> pa.Table:
    generator = np.random.default_rng([parameters.seed, 8, len(source)])
    veh, sigma = world.veh[rows], TERMS[source].sigma_m
    east, north = _error(generator, veh, sigma, parameters.bias_share)
    lat, lon = _degrees(world, world.x[rows] + east, world.y[rows] + north)
    # Course over ground from Doppler: good while moving, meaningless at rest.
    wander = np.where(world.speed[rows] > 1, 3.0, 60.0)
    columns = {
        "veh_pid": _names(world, parameters.seed, source, veh),
        "t_ms": world.t_ms[rows],
        "lat_e7": lat,
        "lon_e7": lon,
        "pos_sigma_m": np.full(len(rows), sigma),
        "speed_mps": np.maximum(0, world.speed[rows] + generator.normal(0, 0.3, len(rows))),
        "heading_deg": (world.heading[rows] + generator.normal(0, 1, len(rows)) * wander) % 360,
    }
    if source == "fleet_gnss":
        columns |= {"len_m": world.length[rows], "wid_m": world.width[rows]}
    return _product(source, columns)


def _link_speed(world: World, parameters: ViewParameters, rows: Ints) -> pa.Table:
    rows = rows[world.edge[rows] >= 0]
    speed = np.maximum(0, world.speed[rows] + np.random.default_rng([parameters.seed, 9]).normal(0, 0.3, len(rows)))
    cells = pa.table(
        {
            "edge": world.edge[rows],
            "t_ms": world.t_ms[rows] - (world.t_ms[rows] - world.started_ms) % parameters.link_period_ms,
            "speed_mps": speed,
            "veh": world.veh[rows],
        }
    )
    grouped = cells.group_by(["edge", "t_ms"]).aggregate([("speed_mps", "mean"), ("veh", "count_distinct")])
    probes = np.asarray(grouped["veh_count_distinct"], dtype=np.int64)
    # A cell with fewer vehicles would tell where one of them drove.
    grouped = grouped.filter(pa.array(probes >= parameters.min_probes)).sort_by([("t_ms", "ascending"), ("edge", "ascending")])
    names = np.asarray(world.edges, dtype=object)
    return pa.table(
        {
            "edge_id": pa.array(names[np.asarray(grouped["edge"], dtype=np.int64)] if grouped.num_rows else [], pa.string()),
            "t_ms": grouped["t_ms"],
            "speed_mps": grouped["speed_mps_mean"],
            "n_probes": grouped["veh_count_distinct"],
        }
    ).replace_schema_metadata({b"latency_ms": b"2500", b"period_ms": str(parameters.link_period_ms).encode()})


def _av_state(world: World, parameters: ViewParameters, rows: Ints, generator: np.random.Generator) -> pa.Table:
    veh, terms = world.veh[rows], TERMS["av_state"]
    east, north = _error(generator, veh, terms.sigma_m, parameters.bias_share)
    lat, lon = _degrees(world, world.x[rows] + east, world.y[rows] + north)
    names = _names(world, parameters.seed, "av_state", veh)
    first = np.full(len(world.ids), np.iinfo(np.int64).max)
    np.minimum.at(first, veh, world.t_ms[rows])
    since = (world.t_ms[rows] - first[veh]) // 100
    digest = np.asarray([int(pseudonym(parameters.seed, "software", name)[:4], 16) for name in world.ids], dtype=np.int64)
    # One vehicle in ten is driven out of its bay by hand for its first ten seconds.
    manual = (digest[veh] % 10 == 0) & (since < 100)
    columns = {
        "veh_pid": names,
        "trip_pid": _names(world, parameters.seed, "trip", veh),
        "seq": since.astype(np.int32),
        "t_ms": world.t_ms[rows],
        "clock_err_ms": np.abs(generator.normal(0, 2, len(rows))),
        "lat_e7": lat,
        "lon_e7": lon,
        "pos_sigma_m": np.full(len(rows), terms.sigma_m),
        "speed_mps": np.maximum(0, world.speed[rows] + generator.normal(0, 0.05, len(rows))),
        "heading_deg": (world.heading[rows] + generator.normal(0, 0.3, len(rows))) % 360,
        "accel_lon_mps2": world.accel[rows],
        "control_mode": pa.array(np.where(manual, "manual", "auto").tolist(), pa.string()),
        "sw_version": pa.array(np.where(digest[veh] % 4 == 0, "4.1.9", "4.2.1").tolist(), pa.string()),
        "len_m": world.length[rows],
        "wid_m": world.width[rows],
    }
    return _product("av_state", columns)


def _av_objects(world: World, parameters: ViewParameters, viewers: Ints, targets: Ints, generator: np.random.Generator) -> pa.Table:
    terms = TERMS["av_objects"]
    number = _sightings(world.veh[viewers], world.veh[targets], world.t_ms[targets])
    kept = generator.random(len(viewers)) < parameters.detect_p
    east, north = _error(generator, number, terms.sigma_m, parameters.bias_share)
    viewers, targets, number, east, north = viewers[kept], targets[kept], number[kept], east[kept], north[kept]
    course = np.radians(world.heading[targets])
    speed = world.speed[targets]
    avs = np.flatnonzero(world.is_av)
    carrier, moment, ghost_e, ghost_n, ghost_v, ghost_h, ghost_id = _ghosts(
        generator, len(avs), world, parameters, reach=parameters.range_m
    )
    # A false object exists only while its vehicle is on the road.
    present = np.isin(avs[carrier] * 10**13 + moment, world.veh * 10**13 + world.t_ms) if len(carrier) else np.zeros(0, np.bool_)
    ghost_h = np.radians(ghost_h[present])
    kinds = np.concatenate([world.kinds[world.veh[targets]], np.full(int(present.sum()), "car", dtype=object)])
    veh = np.concatenate([world.veh[viewers], avs[carrier[present]]])
    t_ms = np.concatenate([world.t_ms[viewers], moment[present]])
    size = len(t_ms)
    columns = {
        "veh_pid": _names(world, parameters.seed, "av_state", veh),
        "t_ms": t_ms,
        "obj_id": _shuffled(parameters.seed, 11, number, ghost_id[present]),
        "class": pa.array(["car" if kind == "av" else kind for kind in kinds], pa.string()),
        "east_m": np.concatenate([world.x[targets] - world.x[viewers] + east, ghost_e[present]]),
        "north_m": np.concatenate([world.y[targets] - world.y[viewers] + north, ghost_n[present]]),
        "ve_mps": np.concatenate([speed * np.sin(course), ghost_v[present] * np.sin(ghost_h)]) + generator.normal(0, 0.15, size),
        "vn_mps": np.concatenate([speed * np.cos(course), ghost_v[present] * np.cos(ghost_h)]) + generator.normal(0, 0.15, size),
        "sigma_m": np.full(size, terms.sigma_m),
        "exist_p": np.concatenate([generator.uniform(0.6, 1.0, len(targets)), generator.uniform(0.3, 0.9, int(present.sum()))]),
    }
    return _product("av_objects", columns, order=np.lexsort((veh, t_ms)))


def _sightings(sensor: Ints, target: Ints, t_ms: Ints) -> Ints:
    """Return a number for every unbroken sighting of a target by a sensor, in order of sensor, target and time."""
    order = np.lexsort((t_ms, target, sensor))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(sensor[order]) != 0) | (np.diff(target[order]) != 0) | (np.diff(t_ms[order]) > NEW_SIGHTING_MS)
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(fresh)
    return number


def _shuffled(seed: int, salt: int, real: Ints, ghosts: Ints) -> Ints:
    """Return numbers for rows of real sightings, then of false ones, from one range in no order: a number must not give a ghost away."""
    first_ghost = int(real.max(initial=-1)) + 1
    numbers = np.random.default_rng([seed, salt]).permutation(first_ghost + int(ghosts.max(initial=-1)) + 1)
    return np.asarray(numbers[np.concatenate([real, ghosts + first_ghost])], dtype=np.int64)


def _error(generator: np.random.Generator, group: Ints, sigma: float, bias_share: float) -> tuple[Floats, Floats]:
    white = sigma * np.sqrt(1 - bias_share**2)
    bias = generator.normal(0, sigma * bias_share, (int(group.max(initial=0)) + 1, 2))
    return bias[group, 0] + generator.normal(0, white, len(group)), bias[group, 1] + generator.normal(0, white, len(group))


def _ghosts(
    generator: np.random.Generator, sensors: int, world: World, parameters: ViewParameters, *, reach: float
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats, Ints]:
    """Return false objects as rows: sensor, time, east, north of the sensor, speed, heading, number; each lives 0.3 to 3 s."""
    per_sensor = generator.poisson(parameters.ghosts_per_hour * world.duration_ms / 3_600_000, sensors)
    sensor = np.repeat(np.arange(sensors), per_sensor)
    life = generator.integers(3, 31, len(sensor))
    begin = world.started_ms + generator.integers(0, max(1, world.duration_ms // 100), len(sensor)) * 100
    angle, away = generator.uniform(0, 2 * np.pi, len(sensor)), generator.uniform(0.1, 0.6, len(sensor)) * reach
    speed, heading = generator.uniform(0, 12, len(sensor)), generator.uniform(0, 360, len(sensor))
    ghost = np.repeat(np.arange(len(sensor)), life)
    step = np.arange(len(ghost)) - np.repeat(np.cumsum(life) - life, life)
    travelled, course = speed[ghost] * step / 10, np.radians(heading[ghost])
    east = (away * np.cos(angle))[ghost] + travelled * np.sin(course)
    north = (away * np.sin(angle))[ghost] + travelled * np.cos(course)
    return sensor[ghost], begin[ghost] + step * 100, east, north, speed[ghost], heading[ghost], ghost.astype(np.int64)


def _names(world: World, seed: int, source: str, veh: Ints) -> pa.Array:
    names = pa.array([f"{source[:2]}-{pseudonym(seed, source, name)}" for name in world.ids], pa.string())
    return names.take(pa.array(veh, pa.int64()))


def _degrees(world: World, x: Floats, y: Floats) -> tuple[Ints, Ints]:
    lat, lon = world.frame.to_wgs84(x, y)
    return np.round(np.asarray(lat) * 1e7).astype(np.int64), np.round(np.asarray(lon) * 1e7).astype(np.int64)


def _product(source: str, columns: dict[str, object], *, order: Ints | None = None) -> pa.Table:
    terms = TERMS[source]
    table = pa.table(columns).replace_schema_metadata(
        {b"latency_ms": str(terms.latency_ms).encode(), b"period_ms": str(terms.period_ms).encode()}
    )
    return table if order is None else table.take(pa.array(order, pa.int64()))


def _shifted(table: pa.Table, started_ms: int) -> pa.Table:
    t_ms = np.asarray(table["t_ms"], dtype=np.int64) + started_ms
    return table.set_column(table.schema.get_field_index("t_ms"), "t_ms", pa.array(t_ms, pa.int64()))
