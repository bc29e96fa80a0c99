"""The price of the clean room on Spark: vetted questions beside the same generated SQL given to Spark directly, in one run.

    python -m benchmarks.spark [--out build/bench/spark.json] [--rows 40000000] [--clipped-rows 5000000]
                               [--rounds 3] [--threads 2] [--cluster]

Made-up trips (seeded, of nobody), as in ``benchmarks.cleanroom``. *Directly*: Spark's own session, open already, over Parquet files that
lie there already. *Ours*: everything after vetting, with an application started and ended for the question and the release gate; once from
an Arrow file, as a room gets its products, which is written to Parquet first (``whole``), and once over files that the same job has
written for an earlier question (``computed``). A ratio is the median over the rounds of each round's ratio of wall times.

With ``--cluster`` both run on a stand-alone cluster that the benchmark starts from pyspark's own classes: a master and two workers of one
core each, on this machine. It shows that the cluster works and what it costs, not what more machines would gain.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyspark
from benchmarks.cleanroom import GROUPS, TRIPS_SQL, trip_terms, trips, vetted
from benchmarks.judging import BUILD, machine, record

from chengshu.cleanroom.engines.declared import declared
from chengshu.cleanroom.engines.engine import Spill
from chengshu.cleanroom.engines.process import open_table
from chengshu.cleanroom.engines.spark.application import Cluster, application
from chengshu.cleanroom.engines.spark.engine import SparkEngine, viewed
from chengshu.cleanroom.engines.spark.handing_over import written
from chengshu.cleanroom.engines.spark.writing import spark_sql
from chengshu.cleanroom.gate.release import release
from chengshu.cleanroom.relation.model import VettedQuery

MEMORY_MIB = 2048
PATIENCE_S = 60.0


def seconds(act: Callable[[], Any]) -> float:
    """How long an act takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def directly(query: VettedQuery, table: pa.Table, cluster: Cluster, folder: Path) -> Iterator[float]:
    """Give Spark the SQL, again and again, each time in an application that is there already; yield how long the SQL alone takes."""
    needed = query.inputs[0]
    files = {needed.product: written(needed, declared(needed, {needed.product: table}), into=folder / "in", parts=2)}
    while True:
        with application(cluster, scratch=folder / "scratch", is_over=lambda: False) as session:
            viewed(session, files)
            yield seconds(lambda: session.sql(spark_sql(query)).toArrow())


def priced(query: VettedQuery, file: Path, cluster: Cluster, *, rounds: int, folder: Path) -> dict[str, Any]:
    """What a question costs beside its SQL."""
    engine = SparkEngine(cluster, 3600.0)
    tables = {query.inputs[0].product: open_table(file)}

    def ours(spill: Path) -> None:
        release(engine.run(query, tables, spill=Spill(spill, "16GB")), query=query)

    raw, whole, computed = [], [], []
    for number in range(rounds + 1):
        spill = folder / f"job{number}"
        spill.mkdir()
        by_spark = directly(query, tables[query.inputs[0].product], cluster, folder / "direct")
        raw.append(next(by_spark))
        by_spark.close()
        whole.append(seconds(lambda spill=spill: ours(spill)))
        computed.append(seconds(lambda spill=spill: ours(spill)))
    told = {"raw_s": round(median(raw[1:]), 2)}  # the first round warms Java up
    for name, times in {"whole": whole, "computed": computed}.items():
        told[f"{name}_s"] = round(median(times[1:]), 2)
        told[name] = round(median(mine / theirs for mine, theirs in zip(times[1:], raw[1:], strict=True)), 2)
    return told


@contextmanager
def stand_alone(folder: Path) -> Iterator[str]:
    """Start a master and two workers, and yield the master's address once both have come."""
    host, (port, pages) = "127.0.0.1", (free_port(), free_port())
    os.environ["SPARK_LOCAL_IP"] = host
    program = [str(Path(pyspark.__file__).parent / "bin" / "spark-class")]
    master = [*program, "org.apache.spark.deploy.master.Master", "--host", host, "--port", str(port), "--webui-port", str(pages)]
    worker = [*program, "org.apache.spark.deploy.worker.Worker", f"spark://{host}:{port}", "--host", host]
    worker += ["--cores", "1", "--memory", f"{MEMORY_MIB}m", "--webui-port", "0", "--work-dir", str(folder)]
    with ExitStack() as stack:
        for command in (master, worker, worker):
            stack.enter_context(running(command))
        await_workers(f"http://{host}:{pages}/json/", 2)
        yield f"spark://{host}:{port}"


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    """Keep a program running for the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def await_workers(pages: str, wanted: int) -> None:
    """Wait until a master has so many workers."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(pages, timeout=5) as answer:  # noqa: S310  # this machine's own
                if json.load(answer)["aliveworkers"] == wanted:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"expected {wanted} workers within {PATIENCE_S:g} s, got fewer")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def measured(cluster: Cluster, *, rows: int, clipped_rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    """The prices of a threshold on rows, and of clipping with a threshold on people, each over so many trips."""
    told: dict[str, Any] = {}
    for name, count, terms in (
        ("rows", rows, trip_terms(unit=None, clipped=False)),
        ("clip_and_people", clipped_rows, trip_terms(unit="person", clipped=True)),
    ):
        with tempfile.TemporaryDirectory(dir=folder) as made:
            file, table = Path(made) / "trips.arrow", trips(count)
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=65_536)
            del table
            told[name] = {"trips": count, **priced(vetted(TRIPS_SQL, terms), file, cluster, rounds=rounds, folder=Path(made))}
    return told


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "spark.json")
    parser.add_argument("--rows", type=int, default=40_000_000, help="trips for the threshold on rows")
    parser.add_argument("--clipped-rows", type=int, default=5_000_000, help="trips for the threshold on people, which takes far longer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cluster", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        (folder / "workers").mkdir()
        master = stack.enter_context(stand_alone(folder / "workers")) if chosen.cluster else f"local[{chosen.threads}]"
        counts = {"rows": chosen.rows, "clipped_rows": chosen.clipped_rows}
        told = measured(Cluster(master, MEMORY_MIB), **counts, rounds=chosen.rounds, folder=folder)
    where = "a master and two workers" if chosen.cluster else master
    record(chosen.out, {"where": where, "groups": GROUPS, **told, **machine("pyspark", "pyarrow")})


if __name__ == "__main__":
    sys.exit(main())
