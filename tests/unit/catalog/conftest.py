"""A small town whose traffic is exactly known: streets, vehicles that keep to their lanes, and the contract they are published under."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chengshu.catalog.model import DataContract
from chengshu.catalog.odcs import read_contract

CONTRACTS = Path(__file__).parents[3] / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data"
LAT0, LON0 = 39.9, 116.4
METRES = 111_194.93
STARTED_MS = 1_767_225_600_000
LANE_M = 1.6


def to_wgs84(x, y):
    return LAT0 + y / METRES, LON0 + x / (METRES * np.cos(np.radians(LAT0)))


def from_wgs84(lat, lon):
    return (lon - LON0) * METRES * np.cos(np.radians(LAT0)), (lat - LAT0) * METRES


@dataclass(frozen=True)
class Town:
    """Streets on irregular distances, so that no shift but none fits."""

    xs: np.ndarray
    ys: np.ndarray

    def lanes(self) -> pa.Table:
        lines = []
        for x in self.xs:
            lines += [([x + LANE_M, x + LANE_M], [self.ys[0], self.ys[-1]]), ([x - LANE_M, x - LANE_M], [self.ys[-1], self.ys[0]])]
        for y in self.ys:
            lines += [([self.xs[0], self.xs[-1]], [y - LANE_M, y - LANE_M]), ([self.xs[-1], self.xs[0]], [y + LANE_M, y + LANE_M])]
        return pa.table({"xs": [line[0] for line in lines], "ys": [line[1] for line in lines]})

    def route(self, rng, legs):
        column, row = int(rng.integers(1, len(self.xs) - 1)), int(rng.integers(1, len(self.ys) - 1))
        places, vertical = [(column, row)], bool(rng.integers(2))
        for _ in range(legs):
            if vertical:
                row = int(rng.choice([one for one in range(len(self.ys)) if one != row]))
            else:
                column = int(rng.choice([one for one in range(len(self.xs)) if one != column]))
            places.append((column, row))
            vertical = not vertical
        return np.array([(self.xs[column], self.ys[row]) for column, row in places])


def drive(town, *, vehicles, seconds, hz, seed):
    """Columns x, y (m), speed, heading, t (ms) and vehicle number for vehicles that vary their speed and keep to their lane."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(vehicles):
        t = np.arange(0, seconds, 1 / hz)
        speed = 10 + 3 * np.sin(t / 7 + rng.uniform(0, 6))
        way = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2 / hz)])
        nodes = town.route(rng, legs=60)
        leg = np.diff(nodes, axis=0)
        length = np.hypot(leg[:, 0], leg[:, 1])
        ends = np.cumsum(length)
        index = np.searchsorted(ends, way, side="right")
        along = (way - (ends - length)[index]) / length[index]
        direction = leg[index] / length[index][:, None]
        x = nodes[index, 0] + along * leg[index, 0] + LANE_M * direction[:, 1]
        y = nodes[index, 1] + along * leg[index, 1] - LANE_M * direction[:, 0]
        heading = np.degrees(np.arctan2(direction[:, 0], direction[:, 1])) % 360
        parts.append((x, y, speed, heading, (t * 1000).round().astype(np.int64), np.full(len(t), number)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def state_table(x, y, speed, heading, t, vehicle) -> pa.Table:
    lat, lon = to_wgs84(x, y)
    rows = len(x)
    pid = pa.array([f"av-{number:04d}" for number in range(int(vehicle.max()) + 1)]).take(pa.array(vehicle))
    return pa.table(
        {
            "veh_pid": pid,
            "trip_pid": pid,
            "seq": pa.array(np.arange(rows), pa.int32()),
            "t_ms": STARTED_MS + t,
            "clock_err_ms": np.full(rows, 2.0),
            "lat_e7": np.round(lat * 1e7).astype(np.int64),
            "lon_e7": np.round(lon * 1e7).astype(np.int64),
            "pos_sigma_m": np.full(rows, 0.1),
            "speed_mps": speed,
            "heading_deg": heading,
            "accel_lon_mps2": np.zeros(rows),
            "control_mode": pa.array(["auto"]).take(pa.array(np.zeros(rows, np.int64))),
            "sw_version": pa.array(["4.2.1"]).take(pa.array(np.zeros(rows, np.int64))),
            "len_m": np.full(rows, 4.5),
            "wid_m": np.full(rows, 1.8),
        }
    )


@dataclass(frozen=True)
class Traffic:
    """Vehicles in the town as av_state rows, and ways to spoil them."""

    town: Town
    contract: DataContract
    columns: tuple
    table: pa.Table
    lanes: pa.Table
    from_wgs84: Callable
    contracts: Path = CONTRACTS

    def with_column(self, name, change) -> pa.Table:
        place = self.table.schema.get_field_index(name)
        values = self.table.column(name).to_numpy().copy()
        changed = change(values)
        return self.table.set_column(place, name, pa.array(changed, self.table.schema.field(name).type))

    def moved(self, dx, dy) -> pa.Table:
        x, y, *rest = self.columns
        return state_table(x + dx, y + dy, *rest)

    def per_vehicle(self, values) -> np.ndarray:
        return np.asarray(values)[self.columns[5]]

    def number_of_vehicles(self) -> int:
        return int(self.columns[5].max()) + 1

    def once_a_second(self) -> pa.Table:
        return self.table.filter(pa.array(self.columns[4] % 1000 == 0))


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    rng = np.random.default_rng(7)
    town = Town(np.cumsum(rng.uniform(90, 210, 9)), np.cumsum(rng.uniform(90, 210, 9)))
    columns = drive(town, vehicles=20, seconds=90, hz=10, seed=11)
    contract = read_contract(CONTRACTS / "av_state.yaml")
    return Traffic(town, contract, columns, state_table(*columns), town.lanes(), from_wgs84)


@pytest.fixture(scope="session")
def big_table() -> pa.Table:
    rng = np.random.default_rng(7)
    town = Town(np.cumsum(rng.uniform(90, 210, 9)), np.cumsum(rng.uniform(90, 210, 9)))
    return state_table(*drive(town, vehicles=200, seconds=100, hz=10, seed=5))
