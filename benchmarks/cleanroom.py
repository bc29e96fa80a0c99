"""The price of the clean room: questions vetted and gated against the same questions given to DuckDB, in one run.

    python -m benchmarks.cleanroom [--out build/bench/cleanroom.json] [--rows 100000000] [--counted-rows 10000000]
                                   [--federated-rows 400000] [--rounds 5] [--threads 2]

Both sides read the same Arrow tables with the same threads and memory. Each round runs them one after the other; a ratio is the median
over the rounds of each round's ratio of wall times, and the same of processor times stands beside it, with the load of the machine. Ours
is everything after vetting: a locked-down database of its own, hidden columns, release gate; DuckDB is given the plain SQL in a database
that is open already.

- *made-up trips* (seeded, of nobody): a count and a sum over 1000 groups; with a threshold on rows; clipped; clipped with a threshold on
  people; beside them DuckDB alone with the clipping written into its SQL (``duckdb_clipping``), and over a Parquet file in place; the
  last two again where one fare in ten thousand lies outside of the range, and where none does, since DuckDB and the room clip faster the
  fewer do (``fewer_outside``); and, on ``--counted-rows``, every person counted (``counted``), which is what the proof saves;
- *federated*: four holders' products against one holder's, on real nodes (:mod:`benchmarks.federated`);
- *memory*: a question over an Arrow file of four times the engine's limit, with groups that do not fit: own memory and spill are watched;
- *vetting*: a question of 200 lines. Reading, vetting and planning together: :mod:`benchmarks.planning`; TPC-H: :mod:`benchmarks.tpch`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.federated import federated_price
from benchmarks.judging import BUILD, ROOT, machine, record
from benchmarks.ratios import MEMORY, Terms, beside, load, plain, spent, vetted

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.engine import Spill
from chengshu.cleanroom.engines.process import open_table
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

K = 10
GROUPS = 1000
LIMIT_MIB = 128
CLIP = "CASE WHEN fare < CAST(0 AS DOUBLE) THEN CAST(0 AS DOUBLE) WHEN fare > CAST(100 AS DOUBLE) THEN CAST(100 AS DOUBLE) ELSE fare END"
TRIPS_SQL = "SELECT grp, COUNT(*) AS n, SUM(fare) AS total FROM town.trips GROUP BY grp"
CLIPPED_SQL = TRIPS_SQL.replace("SUM(fare)", f"SUM({CLIP})")


def trips(rows: int) -> pa.Table:
    """Made-up trips of rows/20 people in 1000 groups; a fifth of the fares lie outside what the owner lets count."""
    random = np.random.default_rng(20260101)
    columns = {
        "grp": random.integers(0, GROUPS, rows, dtype=np.int32),
        "person": random.integers(0, max(rows // 20, 1), rows, dtype=np.int32),
        "fare": random.normal(50.0, 40.0, rows),
    }
    return pa.table(columns)


def trip_terms(*, unit: str | None, clipped: bool) -> Terms:
    """Terms on the trips: k people or k rows, clipped or not."""
    bounds = {"lower": Decimal(0), "upper": Decimal(100)} if clipped else {}
    columns = (
        Column("grp", ColumnType.INTEGER, Role.GROUP),
        Column("person", ColumnType.INTEGER, Role.KEY),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, **bounds),
    )
    return {"town.trips": ProductTerms(Schema("town.trips", columns, unit, K))}


def gate_price(rows: int, *, rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """What a threshold on rows costs, and clipping, and clipping with a threshold on people that is proved."""
    tables = {"town.trips": trips(rows)}
    file = folder / "trips.parquet"
    pq.write_table(tables["town.trips"], file)
    in_place = TRIPS_SQL.replace("town.trips", f"'{file}'")
    engine = DuckDBEngine(MEMORY, threads, 3600.0)
    by_rows, clipped, by_people = (
        vetted(TRIPS_SQL, trip_terms(unit=unit, clipped=clips)) for unit, clips in ((None, False), (None, True), ("person", True))
    )
    with plain(tables, threads=threads) as database:
        acts = {
            "rows": lambda: release(engine.run(by_rows, tables), query=by_rows),
            "clip_and_rows": lambda: release(engine.run(clipped, tables), query=clipped),
            "clip_and_people": lambda: release(engine.run(by_people, tables), query=by_people),
            "duckdb_clipping": lambda: database.sql(CLIPPED_SQL).to_arrow_table(),
            "duckdb_over_parquet": lambda: database.sql(in_place).to_arrow_table(),
        }
        told = beside(lambda: database.sql(TRIPS_SQL).to_arrow_table(), acts, rounds=rounds)
    file.unlink()
    return {"trips": rows, "groups": GROUPS, "people": rows // 20, **told}


def fewer_outside(rows: int, *, rounds: int, threads: int) -> dict[str, Any]:
    """What clipping with a threshold on people costs where few fares lie outside of the range, all over the table, and where none does."""
    engine, by_people, told = DuckDBEngine(MEMORY, threads, 3600.0), vetted(TRIPS_SQL, trip_terms(unit="person", clipped=True)), {}
    made = trips(rows)
    for name, step in (("one in 10,000", 10_000), ("none", 0)):
        fares = np.clip(made.column("fare").to_numpy(), 0.0, 100.0)
        fares[:: step or rows] = 150.0 if step else 50.0
        tables = {"town.trips": made.set_column(made.schema.get_field_index("fare"), "fare", pa.array(fares))}
        with plain(tables, threads=threads) as database:
            acts = {
                "clip_and_people": lambda tables=tables: release(engine.run(by_people, tables), query=by_people),
                "duckdb_clipping": lambda database=database: database.sql(CLIPPED_SQL).to_arrow_table(),
            }
            told[name] = beside(lambda database=database: database.sql(TRIPS_SQL).to_arrow_table(), acts, rounds=rounds)
    return told


def counted_price(rows: int, *, threads: int) -> dict[str, Any]:
    """What counting every person costs, and in how many groups its answer differs from that with a proof."""
    tables = {"town.trips": trips(rows)}
    by_people = vetted(TRIPS_SQL, trip_terms(unit="person", clipped=True))
    counting = DuckDBEngine(MEMORY, threads, 3600.0, staged_from=sys.maxsize)
    exact: list[Released | Refused] = []
    with plain(tables, threads=threads) as database:
        acts = {"counted": lambda: exact.append(release(counting.run(by_people, tables), query=by_people))}
        told = beside(lambda: database.sql(TRIPS_SQL).to_arrow_table(), acts, rounds=1)
    proved = release(DuckDBEngine(MEMORY, threads, 3600.0).run(by_people, tables), query=by_people)
    return {"trips": rows, "groups": GROUPS, "people": rows // 20, **told, "groups_that_differ": _differing(proved, exact[0])}


def _differing(one: Released | Refused, other: Released | Refused) -> int:
    """How many groups are in one answer and not in the other; sums are floating and may differ in the last digit."""
    if isinstance(one, Refused) or isinstance(other, Refused):
        return int(one != other)
    pairs = (set(zip(*(answer.table.column(name).to_pylist() for name in ("grp", "n")), strict=True)) for answer in (one, other))
    first, second = pairs
    return len(first ^ second)


def memory_price(folder: Path) -> dict[str, Any]:
    """A question over four times the engine's memory, in a process of its own: what it had of its own at most, and what it spilled."""
    file = folder / "large.arrow"
    rows = 4 * LIMIT_MIB * 2**20 // 16
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, trips(1).schema) as writer:
        for part in range(0, rows, 2**20):
            count = min(2**20, rows - part)
            numbers = np.arange(part, part + count)
            columns = {
                "grp": (numbers * 7919 % 800_000).astype(np.int32),
                "person": (rows - numbers).astype(np.int32),
                "fare": numbers * 0.5,
            }
            writer.write_table(pa.table(columns))
    words = [sys.executable, "-m", "benchmarks.cleanroom", "--watch", str(file), "--out", str(folder / "memory.json")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    told = json.loads((folder / "memory.json").read_text(encoding="utf-8"))
    return {"file_mib": file.stat().st_size // 2**20, "limit_mib": LIMIT_MIB, **told}


def watched(file: Path) -> dict[str, Any]:
    """Run the question over the file, and return the most that this process had of its own and that lay in the folder to spill to."""
    query = vetted("SELECT grp, COUNT(*) AS n, SUM(fare) AS total FROM town.trips GROUP BY grp", trip_terms(unit="person", clipped=True))
    engine = DuckDBEngine(f"{LIMIT_MIB}MiB", 1, 3600.0)
    own, spilled, finished = [_anonymous_mib()], [0.0], threading.Event()
    with tempfile.TemporaryDirectory() as folder:

        def watch() -> None:
            while not finished.wait(0.02):
                own.append(_anonymous_mib())
                with suppress(FileNotFoundError):  # a file that went while it was looked at
                    spilled.append(sum(one.stat().st_size for one in Path(folder).iterdir()) / 2**20)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        wall, _ = spent(lambda: engine.run(query, {"town.trips": open_table(file)}, spill=Spill(Path(folder), "8GB")))
        finished.set()
        watcher.join()
        left = len(list(Path(folder).iterdir()))
    grown = max(own) - own[0]
    return {"seconds": round(wall, 1), "own_memory_grew_by_mib": round(grown), "spilled_mib": round(max(spilled)), "files_left": left}


def _anonymous_mib() -> float:
    """The memory that is this process's own; pages of the mapped file are the system's to drop."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def vetting_price(*, rounds: int) -> dict[str, Any]:
    """Milliseconds to parse and vet a question of 200 lines."""
    columns = ",\n".join(f"    ROUND(SUM(fare) / NULLIF(COUNT(*), 0), {place % 7}) AS mean_{place}" for place in range(25))
    listed = ",\n".join(f"        {place}" for place in range(168))
    sql = f"SELECT grp,\n{columns}\nFROM town.trips\nWHERE grp >= 0\n    AND grp IN (\n{listed}\n    )\nGROUP BY grp\nORDER BY grp"
    terms = trip_terms(unit="person", clipped=True)
    vetted(sql, terms)
    times = [spent(lambda: vet(sql, terms)) for _ in range(20 * rounds)]
    walls, cpus = ([one[kind] * 1000 for one in times] for kind in (0, 1))
    return {"lines": sql.count("\n") + 1, "p95_ms": round(quantiles(walls, n=20)[-1], 1), "median_cpu_ms": round(median(cpus), 1)}


def main() -> None:
    """Measure everything and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "cleanroom.json")
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--counted-rows", type=int, default=10_000_000)
    parser.add_argument("--federated-rows", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        record(options.out, watched(options.watch))
        return
    rounds, threads = options.rounds, options.threads
    result: dict[str, Any] = {
        "rounds": rounds,
        "threads": threads,
        "memory": MEMORY,
        "trips_are": "made up, of nobody",
        "load_before": load(),
    }
    with tempfile.TemporaryDirectory() as folder:
        result["gate"] = gate_price(options.rows, rounds=rounds, threads=threads, folder=Path(folder))
        result["fewer_outside"] = fewer_outside(options.rows, rounds=rounds, threads=threads)
        result["every_person"] = counted_price(options.counted_rows, threads=threads)
        result["federated"] = federated_price(options.federated_rows, rounds=rounds, threads=threads, folder=Path(folder))
        result["memory_bound"] = memory_price(Path(folder))
        result["vetting"] = vetting_price(rounds=rounds)
    record(options.out, {**result, "load_after": load(), **machine("duckdb", "pyarrow", "sqlglot")})


if __name__ == "__main__":
    main()
