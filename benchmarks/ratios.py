"""What benchmarks of the clean room share: one question given to the room and to DuckDB, one after the other, and the ratio of both."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import duckdb
import pyarrow as pa

from chengshu.cleanroom.engines.spare import SPARE
from chengshu.cleanroom.model import ProductTerms
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

MEMORY = "4GB"
"""What both sides may have."""
Terms = Mapping[str, ProductTerms]


def vetted(sql: str, terms: Terms) -> VettedQuery:
    """The question, which must be allowed."""
    query = vet(sql, terms)
    if isinstance(query, Refused):
        raise SystemExit(f"expected a question that vetting allows, got the refusal {query.rule}")
    return query


def spent(act: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of an act; the second with the opening of the database for the next one, which nobody waits for."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    wall = time.perf_counter() - wall
    SPARE.settle()
    return wall, time.process_time() - cpu


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
    told: dict[str, Any] = {
        "load": load(),
        "raw_s": round(median(one[0] for one in raws), 4),
        "raw_cpu_s": round(median(one[1] for one in raws), 4),
    }
    for name, ratios in others.items():
        told[name] = {"wall": round(median(one[0] for one in ratios), 2), "cpu": round(median(one[1] for one in ratios), 2)}
    return told


def load() -> float:
    """How many were waiting for a processor over the last minute: beside a ratio, since others' work makes wall times what it likes."""
    return round(os.getloadavg()[0], 1)


@contextmanager
def plain(tables: Mapping[str, pa.Table], *, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB as anybody would use it, with the tables under their product names."""
    with duckdb.connect(":memory:") as database:
        database.execute("SET threads = ?", [threads])
        database.execute("SET memory_limit = ?", [MEMORY])
        for place, (product, table) in enumerate(tables.items()):
            party, name = product.split(".")
            database.register(f"in{place}", table)
            database.execute(f"CREATE SCHEMA IF NOT EXISTS {party}")
            database.execute(f"CREATE VIEW {party}.{name} AS SELECT * FROM in{place}")  # noqa: S608  # names of this file
        yield database
