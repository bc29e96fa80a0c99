"""Conflict detection: the planar predicate by three engines at 100,000 vehicles a tick.

    python -m benchmarks.conflicts [--out build/bench/conflicts.json] [--recording FOLDER] [--vehicles 100000] [--ticks 7]

The engines are Chengshu's Numba grid, SciPy's cKDTree with NumPy, and a DuckDB SQL self-join over grid cells. All run in one thread
on the same ticks (vehicles of a recording, other moments of it side by side until there are enough), all must give the same pairs. Time is
CPU time, so other programs on the machine matter less; the ratios to quote are medians over the ticks of each tick's ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from benchmarks.judging import BUILD, machine, record
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from chengshu.methods.conflicts import closing_pairs, tracks_of
from chengshu.methods.conflicts.grid import HALF_LANE_M, SAME_WAY_COSINE
from chengshu.methods.recording import Recording, read_recording

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data" / "recording"
REACH_M, TTC_S, DRAC_MPS2 = 50.0, 3.0, 3.0

Floats = NDArray[np.float64]
Pairs = NDArray[np.int64]

SQL = f"""
WITH placed AS (SELECT *, CAST(floor(x / {REACH_M}) AS INTEGER) AS cx, CAST(floor(y / {REACH_M}) AS INTEGER) AS cy FROM tick),
spread AS (
    SELECT p.*, cx + dx AS nx, cy + dy AS ny
    FROM placed p, (SELECT unnest([-1, 0, 1]) AS dx) AS columns, (SELECT unnest([-1, 0, 1]) AS dy) AS rows
)
SELECT a.id AS follower, b.id AS leader
FROM spread a JOIN placed b ON a.nx = b.cx AND a.ny = b.cy
WHERE a.v > b.v
  AND (b.x - a.x) * (b.x - a.x) + (b.y - a.y) * (b.y - a.y) <= {REACH_M * REACH_M}
  AND a.ux * b.ux + a.uy * b.uy >= {SAME_WAY_COSINE!r}
  AND (b.x - a.x) * a.ux + (b.y - a.y) * a.uy - b.length > 0
  AND abs((b.x - a.x) * a.uy - (b.y - a.y) * a.ux) <= {HALF_LANE_M}
  AND ((b.x - a.x) * a.ux + (b.y - a.y) * a.uy - b.length < {TTC_S} * (a.v - b.v)
       OR (a.v - b.v) * (a.v - b.v) > {2.0 * DRAC_MPS2} * ((b.x - a.x) * a.ux + (b.y - a.y) * a.uy - b.length))
"""  # noqa: S608 # only numbers of this module go into it


@dataclass(frozen=True, slots=True)
class Tick:
    """Vehicles of one moment: positions (m), unit vectors of travel, speeds (m/s), lengths (m)."""

    x: Floats
    y: Floats
    ux: Floats
    uy: Floats
    v: Floats
    length: Floats


def tiled(recording: Recording, *, vehicles: int, rng: np.random.Generator) -> Tick:
    """One tick of at least ``vehicles``, cut to that number: moments of the recording side by side, 200 m apart."""
    tracks = tracks_of(recording.tracks, vehicles=recording.vehicles)
    column = {name: tracks[name].to_numpy() for name in ("t_ms", "x_m", "y_m", "heading_deg", "speed_mps", "len_m")}
    start = np.flatnonzero(np.concatenate(([True], np.diff(column["t_ms"]) != 0, [True])))
    wide, tall = np.ptp(column["x_m"]) + 200.0, np.ptp(column["y_m"]) + 200.0
    moments, total = [], 0
    while total < vehicles:
        moment = int(rng.integers(len(start) - 1))
        moments.append(moment)
        total += int(start[moment + 1] - start[moment])
    side = int(np.ceil(np.sqrt(len(moments))))
    rows = np.concatenate([np.arange(start[m], start[m + 1]) for m in moments])[:vehicles]
    tile = np.concatenate([np.full(start[m + 1] - start[m], i) for i, m in enumerate(moments)])[:vehicles]
    shuffled = rng.permutation(vehicles)  # rows do not come in the order of the street
    rows, tile = rows[shuffled], tile[shuffled]
    heading = np.radians(column["heading_deg"][rows])
    return Tick(
        x=column["x_m"][rows] + (tile % side) * wide,
        y=column["y_m"][rows] + (tile // side) * tall,
        ux=np.sin(heading),
        uy=np.cos(heading),
        v=column["speed_mps"][rows],
        length=column["len_m"][rows],
    )


def by_grid(tick: Tick) -> Pairs:
    """Chengshu's grid."""
    followers, leaders = closing_pairs(
        tick.x, tick.y, ux=tick.ux, uy=tick.uy, v=tick.v, length=tick.length, reach_m=REACH_M, ttc_s=TTC_S, drac_mps2=DRAC_MPS2
    )
    return np.column_stack((followers, leaders))


def by_tree(tick: Tick) -> Pairs:
    """SciPy's k-d tree for the near pairs, NumPy for the predicate."""
    near = cKDTree(np.column_stack((tick.x, tick.y))).query_pairs(REACH_M * (1.0 + 1e-9), output_type="ndarray")
    swap = tick.v[near[:, 0]] < tick.v[near[:, 1]]
    a, b = np.where(swap, near[:, 1], near[:, 0]), np.where(swap, near[:, 0], near[:, 1])
    dx, dy = tick.x[b] - tick.x[a], tick.y[b] - tick.y[a]
    closing = tick.v[a] - tick.v[b]
    gap = dx * tick.ux[a] + dy * tick.uy[a] - tick.length[b]
    hit = (
        (closing > 0.0)
        & (dx * dx + dy * dy <= REACH_M * REACH_M)
        & (tick.ux[a] * tick.ux[b] + tick.uy[a] * tick.uy[b] >= SAME_WAY_COSINE)
        & (gap > 0.0)
        & (np.abs(dx * tick.uy[a] - dy * tick.ux[a]) <= HALF_LANE_M)
        & ((gap < TTC_S * closing) | (closing * closing > 2.0 * DRAC_MPS2 * gap))
    )
    return np.column_stack((a[hit], b[hit])).astype(np.int64)


def by_sql(tick: Tick, connection: duckdb.DuckDBPyConnection) -> Pairs:
    """DuckDB, one thread, reading the tick as an Arrow table."""
    columns = {name: getattr(tick, name) for name in ("x", "y", "ux", "uy", "v", "length")}
    connection.register("tick", pa.table({"id": np.arange(len(tick.x)), **columns}))
    found = connection.sql(SQL).to_arrow_table()
    return np.column_stack((found["follower"].to_numpy(), found["leader"].to_numpy())).astype(np.int64)


def cpu(call: Callable[[], Pairs]) -> tuple[Pairs, float]:
    """What a call returns, its pairs in order, and its CPU seconds."""
    start = time.process_time()
    pairs = call()
    spent = time.process_time() - start
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], spent


def engines(recording: Recording, *, vehicles: int, ticks: int) -> dict[str, object]:
    """CPU milliseconds a tick for each engine (medians), ratios, and on how many ticks the pairs differ."""
    rng = np.random.default_rng(20260101)
    connection = duckdb.connect()
    connection.execute("SET threads = 1")
    calls: dict[str, Callable[[Tick], Pairs]] = {
        "grid": by_grid,
        "ckdtree_numpy": by_tree,
        "duckdb_sql": lambda tick: by_sql(tick, connection),
    }
    warm = tiled(recording, vehicles=min(vehicles, 1000), rng=rng)
    for call in calls.values():
        call(warm)
    spent: dict[str, list[float]] = {name: [] for name in calls}
    hits, differ = [], 0
    for _ in range(ticks):
        tick = tiled(recording, vehicles=vehicles, rng=rng)
        results = {name: cpu(lambda call=call, tick=tick: call(tick)) for name, call in calls.items()}  # type: ignore[misc] # bound now
        for name, (_, seconds) in results.items():
            spent[name].append(seconds)
        hits.append(len(results["grid"][0]))
        differ += not all(np.array_equal(results["grid"][0], pairs) for pairs, _ in results.values())
    medians = {name: statistics.median(seconds) * 1e3 for name, seconds in spent.items()}

    def ratio(name: str) -> float:
        return round(statistics.median(theirs / ours for theirs, ours in zip(spent[name], spent["grid"], strict=True)), 1)

    return {
        "vehicles_per_tick": vehicles,
        "ticks": ticks,
        "hits_per_tick": statistics.median(hits),
        "ticks_that_differ": differ,
        "cpu_ms_per_tick": {name: round(value, 2) for name, value in medians.items()},
        "ratio_ckdtree_numpy": ratio("ckdtree_numpy"),
        "ratio_duckdb_sql": ratio("duckdb_sql"),
        "grid_updates_per_cpu_s": round(vehicles / medians["grid"] * 1e3),
    }


def main() -> None:
    """Run the engines, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "conflicts.json")
    parser.add_argument("--recording", type=Path, default=SAMPLE)
    parser.add_argument("--vehicles", type=int, default=100_000)
    parser.add_argument("--ticks", type=int, default=7)
    options = parser.parse_args()
    result = engines(read_recording(options.recording), vehicles=options.vehicles, ticks=options.ticks)
    record(options.out, {**result, **machine("duckdb", "numba", "numpy", "pyarrow", "scipy")})


if __name__ == "__main__":
    main()
