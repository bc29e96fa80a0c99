"""The log's speed: single durable appends, bulk, proofs at ten million entries, memory; with baselines in the same run.

    python benchmarks/evidence.py [--entries 10000000] [--seconds 15] [--without-peer]

Every figure is of this machine and its disk in this run, so the ratios are what carries over. Writes ``--out``, build/bench/evidence.json
if not given.

* Singles: threads that each append one entry in a transaction of its own, again and again, while the log is published as a serving node
  does it. An entry's time runs from before its transaction to the first signed checkpoint that covers it.
* Baselines of the singles, on the same tables and disk: a connection and a commit for every entry, and a kept connection with a commit
  for every entry. Neither is published; both are therefore flattered.
* Bulk: ``append_many`` in transactions of 50,000 while the log is published; the clock stops at the last signed checkpoint.
* Proofs: inclusion in a log of ``--entries`` entries, built from the tiles and checked, CPU time, every entry drawn at random.
* Over HTTP, against Tessera's POSIX driver under the same load: see :mod:`benchmarks.evidence_http`.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool, SingletonThreadPool

import evidence_http
from chengshu.api.work import SOON_S, Publisher
from chengshu.evidence import store
from chengshu.evidence.model import entry_fields
from chengshu.evidence.service import Evidence
from chengshu.evidence.verify import verify_log
from chengshu.kernel.canonical import canonical
from chengshu.kernel.clock import iso, system_clock
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.databases.sqlite import SQLite
from chengshu.kernel.errors import ChengshuError

THREADS = 64
BULK = 300_000
TRANSACTION = 50_000
PROOFS = 2_000
ORIGIN = "bench.example/log"

Act = tuple[str, str, dict[str, Any]]


def act(number: int) -> Act:
    """One metered use, of the size that a node's log has."""
    body = {"job": f"job-{number:012d}", "product": "road/segments", "agreement": f"urn:agreement:{number % 97}", "count": number}
    return "use.metered", f"urn:product:{number % 1009}", body


@contextmanager
def fresh_log(root: Path) -> Iterator[tuple[Database, Evidence, Path]]:
    """A log in a folder of its own, which is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="evidence-", dir=root))
    database = Database(SQLite(folder / "node.db"))
    metadata.create_all(database.engine)
    try:
        yield database, Evidence(database, MemorySigner.generate(), ORIGIN, folder / "log", system_clock), folder
    finally:
        database.close()
        shutil.rmtree(folder)


def flush_ms(root: Path) -> float:
    """The disk's own measure: the median milliseconds of a flush after 4 KiB."""
    path = root / "flush"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(times) * 1000


class Published:
    """Publishes as a serving node does, and remembers when which size was signed."""

    def __init__(self, evidence: Evidence, folder: Path) -> None:
        self.sizes = [0]
        self.times = [0.0]
        self._checkpoint = folder / "log" / "checkpoint"
        self._evidence = evidence
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self._note()

    def _run(self) -> None:
        publisher, wait_s = Publisher(self._evidence, stopping=self._stopping, trouble=_trouble), SOON_S
        while not self._stopping.wait(wait_s):
            wait_s = publisher.step(wait_s)
            self._note()

    def _note(self) -> None:
        size = evidence_http.signed_size(self._checkpoint)
        if size > self.sizes[-1]:
            self.sizes.append(size)
            self.times.append(time.perf_counter())

    def wait_for(self, size: int) -> None:
        """Return when a checkpoint covers that many entries."""
        while self.sizes[-1] < size:
            time.sleep(0.002)

    def when(self, index: int) -> float:
        """When the first checkpoint over that entry was there."""
        return self.times[bisect_right(self.sizes, index)]


def _trouble(error: ChengshuError) -> None:
    raise error


def singles(root: Path, seconds: float) -> dict[str, Any]:
    """Threads that append one entry a transaction while the log is published."""
    with fresh_log(root) as (database, evidence, folder), Published(evidence, folder) as published:
        until = time.perf_counter() + seconds

        def work(thread: int) -> list[tuple[int, float, float]]:
            done = []
            while (began := time.perf_counter()) < until:
                with database.write() as tx:
                    index = evidence.append(tx, *act(thread * 1_000_000 + len(done)))
                done.append((index, began, time.perf_counter()))
            return done

        start = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            done = [one for part in pool.map(work, range(THREADS)) for one in part]
        published.wait_for(len(done))
        spent = published.times[-1] - start
        _expect(len(done), evidence.size(), verify_log(folder / "log", evidence.vkey).checkpoint.size)
        durable = sorted(end - began for _, began, end in done)
        signed = sorted(published.when(index) - began for index, began, _ in done)
    return {
        "threads": THREADS,
        "entries": len(done),
        "per_s": round(len(done) / spent),
        "durable_ms": _quantiles(durable),
        "in_signed_checkpoint_ms": _quantiles(signed),
        "checkpoints": len(published.sizes) - 1,
    }


def commit_each(root: Path, seconds: float, *, keep_connection: bool) -> float:
    """Entries a second when every entry pays a commit of its own, by as many threads, not published."""
    with fresh_log(root) as (_, _, folder):
        pool = {"poolclass": SingletonThreadPool, "pool_size": THREADS} if keep_connection else {"poolclass": NullPool}
        engine = create_engine(f"sqlite:///{folder / 'node.db'}", connect_args={"timeout": 60.0, "isolation_level": None}, **pool)
        turn = threading.Lock()
        until = time.perf_counter() + seconds

        def work(thread: int) -> int:
            done = 0
            while time.perf_counter() < until:
                kind, subject, body = act(thread * 1_000_000 + done)
                with turn, engine.connect() as tx:
                    tx.exec_driver_sql("PRAGMA synchronous=FULL")
                    tx.exec_driver_sql("BEGIN IMMEDIATE")
                    store.add(tx, canonical(entry_fields(kind, subject, at=iso(system_clock()), body=body)))
                    tx.exec_driver_sql("COMMIT")
                done += 1
            return done

        start = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            done = sum(threads.map(work, range(THREADS)))
        spent = time.perf_counter() - start
        engine.dispose()
        with sqlite3.connect(folder / "node.db") as check:
            _expect(done, check.execute("SELECT count(*) FROM evidence_entries").fetchone()[0])
    return done / spent


def bulk(root: Path) -> dict[str, Any]:
    """Many entries a transaction while the log is published."""
    with fresh_log(root) as (database, evidence, folder):
        start, cpu = time.perf_counter(), time.process_time()
        with Published(evidence, folder) as published:
            fill(database, evidence, BULK)
            published.wait_for(BULK)
        spent, cpu = published.times[-1] - start, time.process_time() - cpu
        _expect(BULK, verify_log(folder / "log", evidence.vkey).checkpoint.size)
    return {"entries": BULK, "per_s": round(BULK / spent), "cpu_us_per_entry": round(cpu / BULK * 1e6, 1)}


def fill(database: Database, evidence: Evidence, count: int, *, after: Callable[[], object] = lambda: None) -> None:
    """Append that many entries in transactions of 50,000."""
    for first in range(0, count, TRANSACTION):
        with database.write() as tx:
            evidence.append_many(tx, map(act, range(first, min(first + TRANSACTION, count))))
        after()


def proofs(root: Path, entries: int) -> dict[str, Any]:
    """Inclusion proofs in a long log: CPU time to build from the tiles and to check."""
    with fresh_log(root) as (database, evidence, folder):
        start = time.perf_counter()
        fill(database, evidence, entries, after=evidence.publish)
        built_s = time.perf_counter() - start
        indices = random.Random(20260101).sample(range(entries), min(PROOFS, entries))
        times = []
        for index in indices:
            cpu = time.process_time()
            proof = evidence.inclusion(index)
            holds = proof.holds
            times.append(time.process_time() - cpu)
            _expect(holds, True)
        files = sum(len(names) for _, _, names in os.walk(folder / "log"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "entries": entries,
        "build_entries_per_s": round(entries / built_s),
        "files": files,
        "cpu_ms_median": round(statistics.median(times) * 1000, 3),
        "cpu_ms_p99": round(sorted(times)[int(len(times) * 0.99)] * 1000, 3),
        "process_peak_mib": round(peak / 1024),
    }


def memory(root: Path) -> dict[str, int]:
    """Peak memory in MiB of a process that appends and publishes so many entries."""
    peaks = {}
    for count in (200_000, 400_000):
        command = [sys.executable, __file__, "--only-fill", str(count), "--folder", str(root)]
        peaks[str(count)] = round(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024)
    return peaks


def only_fill(root: Path, count: int) -> None:
    """Append and publish, then print this process's peak memory in KiB."""
    with fresh_log(root) as (database, evidence, _):
        fill(database, evidence, count, after=evidence.publish)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _quantiles(times: list[float]) -> dict[str, float]:
    return {f"p{q}": round(times[min(int(len(times) * q / 100), len(times) - 1)] * 1000, 1) for q in (50, 99)} | {
        "max": round(times[-1] * 1000, 1)
    }


def _expect(*values: object) -> None:
    if len(set(values)) != 1:
        raise SystemExit(f"expected one value, got {values}: the figures would mean nothing")


def measure(root: Path, seconds: float, *, entries: int, with_peer: bool) -> dict[str, Any]:
    """Measure everything, one after the other."""
    result: dict[str, Any] = {"load_average_before": os.getloadavg()[0], "flush_ms": round(flush_ms(root), 2)}
    result["singles"] = singles(root, seconds)
    each = commit_each(root, seconds / 2, keep_connection=False)
    kept = commit_each(root, seconds / 2, keep_connection=True)
    result["one_commit_each_per_s"] = round(each)
    result["one_commit_each_kept_connection_per_s"] = round(kept)
    result["ratio_to_one_commit_each"] = round(result["singles"]["per_s"] / each, 1)
    result["ratio_to_kept_connection"] = round(result["singles"]["per_s"] / kept, 1)
    result["bulk"] = bulk(root)
    result["peak_mib_by_entries"] = memory(root)
    result["http"] = evidence_http.compare(root, seconds) if with_peer else {"left_out": "as asked"}
    result["proofs"] = proofs(root, entries)
    result["load_average_after"] = os.getloadavg()[0]
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    result["python"] = platform.python_version()
    result["sqlite"] = sqlite3.sqlite_version
    return result


def main() -> None:
    """Measure everything, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--without-peer", action="store_true", help="leave out the comparison with Tessera")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk that is to be measured")
    parser.add_argument("--only-fill", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "build" / "bench" / "evidence.json")
    options = parser.parse_args()
    if options.only_fill:
        only_fill(options.folder, options.only_fill)
        return
    need = options.entries * 600
    if shutil.disk_usage(options.folder).free < need:
        raise SystemExit(f"expected {need >> 20} MiB free in {options.folder}, got less: choose fewer --entries or another --folder")
    result = measure(options.folder, options.seconds, entries=options.entries, with_peer=not options.without_peer)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
