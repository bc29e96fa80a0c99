"""The price of the clean room: questions vetted and gated against the same questions given to DuckDB, in one run.

    python -m benchmarks.cleanroom [--out build/bench/cleanroom.json] [--rows 10000000] [--scale 1] [--rounds 5] [--threads 2]

Both sides read the same Arrow tables with the same number of threads. Each round runs them one after the other; a ratio is the median
over the rounds of each round's ratio of wall times, and the same of processor times stands beside it. Ours is everything after vetting:
a locked-down database of its own, hidden columns, release gate; DuckDB is given the plain SQL in a database that is open already.

- *made-up trips* (seeded, of nobody): a count and a sum over 1000 groups; with a threshold on rows; clipped with a threshold on people;
  and that with every person counted (``counted``), which is what the proof saves;
- *TPC-H* by ``tpchgen-cli`` (Apache-2.0): which of the 22 queries vetting refuses and by which rule, and forms of some that it allows.
  They are not TPC results: the queries are changed;
- *memory*: a question over an Arrow file of four times the engine's limit, with groups that do not fit: own memory and spill are watched;
- *vetting*: a question of 200 lines.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from benchmarks.judging import BUILD, machine, record

from chengshu.cleanroom.engines.duckdb import DuckDBEngine, Spill
from chengshu.cleanroom.engines.process import open_table
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation import VettedQuery
from chengshu.cleanroom.release import Released, release
from chengshu.cleanroom.vetting import vet
from chengshu.kernel.refusal import Refused

HERE = Path(__file__).parent
K = 10
GROUPS = 1000
LIMIT_MIB = 128
Terms = Mapping[str, ProductTerms]
TRIPS_SQL = "SELECT grp, COUNT(*) AS n, SUM(fare) AS total FROM town.trips GROUP BY grp"


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


def vetted(sql: str, terms: Terms) -> VettedQuery:
    """The question, which must be allowed."""
    query = vet(sql, terms)
    if isinstance(query, Refused):
        raise SystemExit(f"expected a question that vetting allows, got the refusal {query.rule}")
    return query


def spent(act: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of an act."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def beside(raw: Callable[[], object], ours: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, Any]:
    """Median seconds of ``raw``, and of each of ``ours`` the median of its ratio to it, round by round."""
    raw()  # touch what is read before timing
    raws, others = [], {name: [] for name in ours}
    for _ in range(rounds):
        first = spent(raw)
        raws.append(first)
        for name, act in ours.items():
            second = spent(act)
            others[name].append((second[0] / first[0], second[1] / first[1]))
    told: dict[str, Any] = {"raw_s": round(median(one[0] for one in raws), 4), "raw_cpu_s": round(median(one[1] for one in raws), 4)}
    for name, ratios in others.items():
        told[name] = {"wall": round(median(one[0] for one in ratios), 2), "cpu": round(median(one[1] for one in ratios), 2)}
    return told


@contextmanager
def plain(tables: Mapping[str, pa.Table], *, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB as anybody would use it, with the tables under their product names."""
    with duckdb.connect(":memory:") as database:
        database.execute("SET threads = ?", [threads])
        for place, (product, table) in enumerate(tables.items()):
            party, name = product.split(".")
            database.register(f"in{place}", table)
            database.execute(f"CREATE SCHEMA IF NOT EXISTS {party}")
            database.execute(f"CREATE VIEW {party}.{name} AS SELECT * FROM in{place}")  # noqa: S608  # names of this file
        yield database


def gate_price(rows: int, *, rounds: int, threads: int) -> dict[str, Any]:
    """What a threshold on rows costs, and clipping with a threshold on people, proved and counted."""
    tables = {"town.trips": trips(rows)}
    engine = DuckDBEngine("4GB", threads, 3600.0)
    counting = DuckDBEngine("4GB", threads, 3600.0, staged_from=sys.maxsize)
    by_rows = vetted(TRIPS_SQL, trip_terms(unit=None, clipped=False))
    by_people = vetted(TRIPS_SQL, trip_terms(unit="person", clipped=True))
    with plain(tables, threads=threads) as database:
        acts = {
            "rows": lambda: release(engine.run(by_rows, tables), query=by_rows),
            "clip_and_people": lambda: release(engine.run(by_people, tables), query=by_people),
        }
        told = beside(lambda: database.sql(TRIPS_SQL).to_arrow_table(), acts, rounds=rounds)
        counted = spent(lambda: counting.run(by_people, tables))
    proved, exact = (release(one.run(by_people, tables), query=by_people) for one in (engine, counting))
    told["counted"] = {"wall": round(counted[0] / told["raw_s"], 1), "cpu": round(counted[1] / told["raw_cpu_s"], 1)}
    return {"trips": rows, "groups": GROUPS, "people": rows // 20, **told, "groups_that_differ": _differing(proved, exact)}


def _differing(one: Released | Refused, other: Released | Refused) -> int:
    """How many groups are in one answer and not in the other; sums are floating and may differ in the last digit."""
    if isinstance(one, Refused) or isinstance(other, Refused):
        return int(one != other)
    pairs = (set(zip(*(answer.table.column(name).to_pylist() for name in ("grp", "n")), strict=True)) for answer in (one, other))
    first, second = pairs
    return len(first ^ second)


PROTECTED = {"customer": "c_custkey", "orders": "o_custkey", "lineitem": "l_orderkey"}
GROUPED = ("n_name", "o_orderpriority", "o_orderdate", "l_returnflag", "l_linestatus", "l_shipmode", "l_shipdate")
MEASURED = ("l_quantity", "l_extendedprice", "l_tax", "o_totalprice", "c_acctbal")


def tpch_terms(tables: Mapping[str, pa.Table]) -> Terms:
    """Terms on TPC-H: customers and their orders are protected with k = 10, the rest is public reference data."""
    terms = {}
    for product, table in tables.items():
        name = product.partition(".")[2]
        columns = tuple(Column(one.name, _type(one.type), _role(name, one.name)) for one in table.schema)
        terms[product] = ProductTerms(Schema(product, columns, PROTECTED.get(name), K if name in PROTECTED else 1))
    return terms


def _type(kind: pa.DataType) -> ColumnType:
    if pa.types.is_integer(kind):
        return ColumnType.INTEGER
    if pa.types.is_decimal(kind):
        return ColumnType.DECIMAL
    return ColumnType.DATE if pa.types.is_date(kind) else ColumnType.TEXT


def _role(table: str, column: str) -> Role:
    if table not in PROTECTED:
        return Role.FREE
    if column.endswith("key"):
        return Role.KEY
    if column in GROUPED:
        return Role.GROUP
    return Role.MEASURE if column in MEASURED else Role.FILTER


def questions(file: str) -> dict[str, str]:
    """The queries of a file, each after a comment that names it."""
    lines = (HERE / "tpch" / file).read_text(encoding="utf-8").splitlines()
    return {name.removeprefix("-- "): sql for name, sql in zip(lines[::2], lines[1::2], strict=True)}


def tpch_price(scale: float, *, rounds: int, threads: int, folder: Path) -> dict[str, Any]:
    """Which TPC-H queries are refused and why, and what the vetted ones cost beside DuckDB."""
    generator = Path(sys.executable).with_name("tpchgen-cli")
    words = [str(generator), "parquet", "-s", str(scale), "--output-dir", str(folder), "--num-threads", str(threads)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    tables = {f"tpch.{file.stem}": pq.read_table(file) for file in sorted(folder.glob("*.parquet"))}
    terms = tpch_terms(tables)
    verdicts = {name: vet(sql, terms) for name, sql in questions("official.sql").items()}
    refused = {name: one.rule for name, one in verdicts.items() if isinstance(one, Refused)}
    engine = DuckDBEngine("4GB", threads, 3600.0)
    priced = {}
    with plain(tables, threads=threads) as database:
        for name, sql in questions("vetted.sql").items():
            query = vetted(sql, terms)
            acts = {"ours": lambda query=query: release(engine.run(query, tables), query=query)}
            priced[name] = beside(lambda sql=sql: database.sql(sql).to_arrow_table(), acts, rounds=rounds)
            priced[name]["ended"] = _ended(release(engine.run(query, tables), query=query))
    of_all = {kind: round(median(one["ours"][kind] for one in priced.values()), 2) for kind in ("wall", "cpu")}
    return {
        "scale": scale,
        "official_refused_by": refused,
        "official_allowed": len(verdicts) - len(refused),
        "vetted": priced,
        "median": of_all,
    }


def _ended(verdict: Released | Refused) -> str:
    return f"{verdict.table.num_rows} rows" if isinstance(verdict, Released) else verdict.rule


def memory_price(folder: Path) -> dict[str, Any]:
    """A question over four times the engine's memory, in a process of its own: what it had of its own at most, and what it spilled."""
    file = folder / "large.arrow"
    rows = 4 * LIMIT_MIB * 2**20 // 16
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, trips(1).schema) as writer:
        for part in range(0, rows, 2**20):
            count = min(2**20, rows - part)
            numbers = np.arange(part, part + count)
            columns = {"grp": (numbers * 7919 % 800_000).astype(np.int32), "person": numbers.astype(np.int32), "fare": numbers * 0.5}
            writer.write_table(pa.table(columns))
    words = [sys.executable, str(Path(__file__)), "--watch", str(file), "--out", str(folder / "memory.json")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
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
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watch:
        record(options.out, watched(options.watch))
        return
    before = os.getloadavg()[0]
    result: dict[str, Any] = {"rounds": options.rounds, "threads": options.threads, "trips_are": "made up, of nobody"}
    with tempfile.TemporaryDirectory() as folder:
        result["gate"] = gate_price(options.rows, rounds=options.rounds, threads=options.threads)
        result["tpch"] = tpch_price(options.scale, rounds=options.rounds, threads=options.threads, folder=Path(folder))
        result["memory"] = memory_price(Path(folder))
        result["vetting"] = vetting_price(rounds=options.rounds)
    load = {"load_before": round(before, 1), "load_after": round(os.getloadavg()[0], 1)}
    record(options.out, {**result, **load, **machine("duckdb", "pyarrow", "sqlglot")})


if __name__ == "__main__":
    main()
