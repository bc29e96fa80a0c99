"""Faults of a log under load: killed groups of writers, torn files, a disk that fills up, a clock that goes back, memory that grows."""

import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.service import Evidence
from chengshu.evidence.use import Finding
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import Tampered, Unavailable
from databases import database_at

SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
START = datetime(2026, 3, 1, tzinfo=UTC)


def open_log(root: Path, clock: Clock = lambda: START) -> tuple[Database, Evidence]:
    database = database_at(root / "node.db")
    metadata.create_all(database.engine)
    return database, Evidence(database, SIGNER, "node.example/log", root / "log", clock)


def append(database: Database, evidence: Evidence, subject: str, size: int = 0) -> int:
    with database.write() as tx:
        return evidence.append(tx, "token.issued", subject, {"x": "a" * size})


CROWD = """
import hashlib, os, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from databases import database_at

root, life = Path(sys.argv[1]), sys.argv[2]
database = database_at(root / "node.db")
signer = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
evidence = Evidence(database, signer, "node.example/log", root / "log", lambda: datetime.now(UTC))

def work(thread):
    number = 0
    while True:
        subject = f"{life}-{thread}-{number}"
        digest = hashlib.sha256(subject.encode()).hexdigest()
        try:
            with database.write() as tx:
                index = evidence.append(tx, "token.issued", subject, {"digest": digest})
                if number % 7 == 3:
                    raise KeyError
        except KeyError:
            pass
        else:
            os.write(1, f"{index} {digest}\\n".encode())
        number += 1

for thread in range(4):
    threading.Thread(target=work, args=(thread,), daemon=True).start()
while True:
    evidence.publish()
"""


def live_and_die(root: Path, life: int, acts: int) -> dict[int, str]:
    """Have a crowd of threads append and publish until so many acts are acknowledged, kill it, and return all that it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", CROWD, str(root), str(life)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acts)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return {int(index): digest for index, digest in (line.split() for line in lines if line.endswith("\n"))}


def test_a_crowd_of_writers_killed_twenty_five_times_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails, to play it again
    chance = random.Random(seed)  # noqa: S311  # chooses moments, no keys
    _, evidence = open_log(tmp_path)
    seen: dict[int, str] = {}
    for life in range(25):
        fresh = live_and_die(tmp_path, life, chance.randrange(1, 120))
        assert not seen.keys() & fresh.keys()
        seen |= fresh
        kept = {entry.index: entry.body["digest"] for entry in evidence.entries(0, 1_000_000)}
        assert sorted(kept) == list(range(len(kept)))
        assert seen.items() <= kept.items()
        if (tmp_path / "log/checkpoint").exists():  # as the dead left it
            verify_log(tmp_path / "log", evidence.vkey)
        assert evidence.publish().size == len(kept)
        assert verify_log(tmp_path / "log", evidence.vkey).unsigned_files == ()
    assert len(seen) >= 25


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.on_sqlite("a limit on this process's files is none on a server's")
def test_a_disk_that_fills_up_under_many_writers_loses_nothing_acknowledged_and_keeps_nothing_else(tmp_path: Path) -> None:
    database, evidence = open_log(tmp_path)
    append(database, evidence, "before")

    def work(thread: int) -> tuple[list[tuple[int, str]], Unavailable]:
        done: list[tuple[int, str]] = []
        while True:
            subject = f"{thread}-{len(done)}"
            try:
                done.append((append(database, evidence, subject, size=2000), subject))
            except Unavailable as error:
                return done, error

    with no_file_above(400_000), ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, range(8)))
    acknowledged = dict([(0, "before"), *(one for done, _ in outcomes for one in done)])
    assert {entry.index: entry.subject for entry in evidence.entries(0, 10_000)} == acknowledged
    assert {error.code for _, error in outcomes} == {"database.unavailable"}
    assert {error.hint.en.split(",")[0] for _, error in outcomes} == {"Free disk space"}
    assert append(database, evidence, "afterwards", size=2000) == len(acknowledged)
    assert evidence.publish().size == len(acknowledged) + 1
    assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == len(acknowledged) + 1


def test_a_disk_that_fills_up_amid_a_long_publication_signs_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    database, evidence = open_log(tmp_path)
    append(database, evidence, "before")
    first = evidence.publish()
    with database.write() as tx:
        evidence.append_many(tx, (("token.issued", f"t{n}", {"x": "a" * (20 if n < 20_000 else 400)}) for n in range(20_400)))
    with no_file_above(60_000), pytest.raises(Unavailable) as caught:
        evidence.publish()
    assert caught.value.code == "evidence.files"
    assert str(caught.value.facts["file"]).startswith("tile/entries/07")
    assert "Free disk space" in caught.value.hint.en
    assert [path.name for path in (tmp_path / "log").glob(".partly*")] == []
    stopped = verify_log(tmp_path / "log", evidence.vkey)
    assert stopped.checkpoint == first
    assert len(stopped.unsigned_files) >= 64
    assert evidence.publish().size == 20_401
    assert verify_log(tmp_path / "log", evidence.vkey).unsigned_files == ()


TORN = ["checkpoint", "tile/0/001.p/44", "tile/1/000.p/1"]


@pytest.mark.parametrize("name", TORN)
@pytest.mark.parametrize("part", [0, 1, 16, 31])
def test_a_torn_file_that_publishing_stands_on_is_named_and_nothing_is_signed_over_it(tmp_path: Path, name: str, part: int) -> None:
    database, evidence = open_log(tmp_path)
    for count in (100, 200):
        with database.write() as tx:
            evidence.append_many(tx, (("token.issued", f"t{n}", {}) for n in range(count)))
        evidence.publish()
    file = tmp_path / "log" / name
    good = file.read_bytes()
    append(database, evidence, "after the tear")
    file.write_bytes(good[: len(good) * part // 32])
    before = (tmp_path / "log/checkpoint").read_bytes()
    with pytest.raises(Tampered) as caught:
        evidence.publish()
    assert caught.value.facts["file"] == name
    assert "eep " in caught.value.hint.en
    assert (tmp_path / "log/checkpoint").read_bytes() == before
    file.write_bytes(good)
    assert evidence.publish().size == 301
    assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == 301


def test_a_torn_bundle_is_written_anew_from_the_database_by_the_next_publication(tmp_path: Path) -> None:
    database, evidence = open_log(tmp_path)
    append(database, evidence, "first")
    evidence.publish()
    bundle = tmp_path / "log/tile/entries/000.p/1"
    good = bundle.read_bytes()
    bundle.write_bytes(good[:-1])
    with pytest.raises(Tampered) as caught:
        verify_log(tmp_path / "log", evidence.vkey)
    assert caught.value.facts == {"file": "tile/entries/000.p/1", "index": 0}
    append(database, evidence, "second")
    evidence.publish()
    with pytest.raises(Tampered) as still:  # the older file is owed to holders of the older checkpoint: it is not passed over
        verify_log(tmp_path / "log", evidence.vkey)
    assert still.value.facts["file"] == "tile/entries/000.p/1"
    bundle.write_bytes(good)
    assert verify_log(tmp_path / "log", evidence.vkey).checkpoint.size == 2


def test_a_use_is_proved_in_the_logs_order_while_the_clock_runs_backwards(tmp_path: Path) -> None:
    hours = iter(range(100))
    database, evidence = open_log(tmp_path, lambda: START - timedelta(hours=next(hours)))
    about = {"job": "j", "product": "p", "agreement": "a"}
    for kind in ("agreement.signed", "job.vetted", "job.run", "job.released", "use.metered"):
        with database.write() as tx:
            evidence.append(tx, kind, "s", about)
    evidence.publish()
    verdict = verify_use(tmp_path / "log", product="p", job="j", vkey=evidence.vkey)
    times = [entry.at for entry in verdict.entries]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 5
    assert {claim.finding for claim in verdict.claims} == {Finding.PROVED}


FILL = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from chengshu.evidence.service import Evidence
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import metadata
from databases import database_at

root, count = Path(sys.argv[1]), int(sys.argv[2])
database = database_at(root / f"{count}.db")
metadata.create_all(database.engine)
evidence = Evidence(database, MemorySigner.generate(), "node.example/log", root / f"log{count}", lambda: datetime.now(UTC))
with database.write() as tx:
    evidence.append_many(tx, (("token.issued", f"t{n}", {"n": n, "x": "a" * 200}) for n in range(count)))
assert evidence.publish().size == count
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_what_is_appended_and_published_at_once(tmp_path: Path) -> None:
    peaks = []
    for count in (40_000, 160_000):
        finished = subprocess.run([sys.executable, "-c", FILL, str(tmp_path), str(count)], capture_output=True, text=True, check=True)
        peaks.append(int(finished.stdout) * 1024)
    assert peaks[1] - peaks[0] < 12 * 2**20  # the 120,000 entries between them are above 35 MiB as bytes alone


def test_a_publisher_and_many_writers_of_one_process_do_not_wait_for_one_another_without_end(tmp_path: Path) -> None:
    database, evidence = open_log(tmp_path)
    over = threading.Event()

    def publishing() -> int:
        rounds = 0
        while not over.is_set():
            evidence.publish()
            rounds += 1
        return rounds

    with ThreadPoolExecutor(9) as pool:
        publisher = pool.submit(publishing)
        writers = [pool.submit(lambda who=who: [append(database, evidence, f"{who}-{n}") for n in range(50)]) for who in range(8)]
        indices = sorted(index for writer in writers for index in writer.result())
        over.set()
        assert publisher.result() >= 1
    assert indices == list(range(400))
    assert evidence.publish().size == 400
    assert verify_log(tmp_path / "log", evidence.vkey).kinds == {"token.issued": 400}
