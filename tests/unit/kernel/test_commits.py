"""Acts of many threads share a commit, and each stands or falls by itself."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import IntegrityError, ResourceClosedError

from chengshu.kernel.database import Database
from chengshu.kernel.databases.sqlite import SQLite
from chengshu.kernel.errors import Conflict, Unavailable
from databases import database_at

catalogue = MetaData()
things = Table("things", catalogue, Column("n", Integer, primary_key=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = database_at(path)
    catalogue.create_all(database.engine)
    yield database
    database.close()


def add(database: Database, n: int) -> None:
    with database.write() as tx:
        tx.execute(insert(things).values(n=n))


def kept(database: Database) -> list[int]:
    with database.read() as tx:
        return list(tx.execute(select(things.c.n).order_by(things.c.n)).scalars())


def commits(path: Path) -> int:
    """How many transactions the write-ahead log holds: its frames that carry the size after a commit (sqlite.org/fileformat2, 4.1)."""
    wal = path.with_name(path.name + "-wal").read_bytes()
    frame = 24 + int.from_bytes(wal[8:12], "big")
    salt = wal[16:24]
    heads = (wal[at : at + 24] for at in range(32, len(wal), frame))
    return sum(1 for head in heads if head[8:16] == salt and head[4:8] != bytes(4))


def wait_for(askers: int, database: Database) -> None:
    while len(database._commits._turns._askers) != askers:
        time.sleep(0.001)


@contextmanager
def gathered(database: Database, *acts: Callable[[Connection], Any]) -> Any:
    """Have a first act wait until the others stand behind it in this order, so that one commit is for all; the first adds 0."""
    began, go = threading.Event(), threading.Event()

    def first() -> None:
        with database.write() as tx:
            tx.execute(insert(things).values(n=0))
            began.set()
            go.wait()

    def one(act: Callable[[Connection], Any]) -> Any:
        with database.write() as tx:
            return act(tx)

    with ThreadPoolExecutor(len(acts) + 1) as pool:
        results: list[Future[Any]] = [pool.submit(first)]
        began.wait()
        for number, act in enumerate(acts, 1):
            results.append(pool.submit(one, act))
            wait_for(number, database)
        database._commits._group.began = time.monotonic()  # type: ignore[union-attr]  # the gathering itself took time
        go.set()
        yield results


def adding(n: int) -> Callable[[Connection], None]:
    def act(tx: Connection) -> None:
        tx.execute(insert(things).values(n=n))

    return act


def failing(tx: Connection) -> None:
    tx.execute(insert(things).values(n=100_000))
    raise KeyError("leaving")


@pytest.mark.on_sqlite("it counts the commits in SQLite's write-ahead log")
def test_acts_that_wait_for_one_another_share_one_commit(database: Database, path: Path) -> None:
    add(database, 50)
    before = commits(path)
    with gathered(database, *(adding(n) for n in range(1, 9))) as results:
        pass
    assert [result.exception() for result in results] == [None] * 9
    assert kept(database) == [*range(9), 50]
    assert commits(path) - before == 1


def test_an_act_sees_what_the_one_before_it_did(database: Database) -> None:
    with gathered(database, adding(1), lambda tx: list(tx.execute(select(things.c.n)).scalars())) as results:
        pass
    assert results[2].result() == [0, 1]


def test_an_exception_undoes_its_own_act_alone(database: Database) -> None:
    with gathered(database, adding(1), failing, adding(2), failing) as results:
        pass
    assert [type(result.exception()) for result in results] == [type(None), type(None), KeyError, type(None), KeyError]
    assert kept(database) == [0, 1, 2]


def test_a_constraint_that_is_violated_concerns_its_own_act_alone(database: Database) -> None:
    with gathered(database, adding(1), adding(1), adding(2)) as results:
        pass
    assert [type(result.exception()) for result in results] == [type(None), type(None), IntegrityError, type(None)]
    assert kept(database) == [0, 1, 2]


@pytest.mark.on_sqlite("SQLite can be told how large its disk is")
def test_a_full_disk_fails_every_act_that_shares_the_commit_and_nothing_of_them_remains(database: Database) -> None:
    def filling(tx: Connection) -> None:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        tx.execute(insert(things), [{"n": n} for n in range(1000, 90_000)])

    with gathered(database, adding(1), filling) as results:
        pass
    assert [type(result.exception()) for result in results] == [Unavailable] * 3
    assert {result.exception().code for result in results} == {"database.unavailable"}
    assert kept(database) == []
    with database.write() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count = 1073741823")
    add(database, 7)
    assert kept(database) == [7]


def test_a_write_inside_a_write_fails_at_once_and_the_outer_one_goes_on(database: Database) -> None:
    with database.write() as tx:
        tx.execute(insert(things).values(n=1))
        with pytest.raises(Conflict) as caught:
            add(database, 2)
    assert caught.value.code == "database.nested-write"
    assert kept(database) == [1]


def test_a_transaction_that_was_left_cannot_be_used_in_somebody_elses(database: Database) -> None:
    with database.write() as tx:
        tx.execute(insert(things).values(n=1))
    with database.write(), pytest.raises(ResourceClosedError):
        tx.execute(insert(things).values(n=2))
    assert kept(database) == [1]


def test_many_threads_that_write_and_fail_at_random_lose_nothing_and_end(database: Database) -> None:
    def work(thread: int) -> list[int]:
        done = []
        for round_ in range(40):
            n = thread * 1000 + round_
            if (thread + round_) % 5 == 0:
                with pytest.raises(KeyError), database.write() as tx:
                    failing(tx)
            else:
                add(database, n)
                done.append(n)
        return done

    with ThreadPoolExecutor(12) as pool:
        done = [n for part in pool.map(work, range(12)) for n in part]
    assert kept(database) == sorted(done)
    assert len(done) == 12 * 32


OTHER_PROCESS = """
import sys
from pathlib import Path
from databases import database_at
with database_at(Path(sys.argv[1])).write() as tx:
    tx.exec_driver_sql("INSERT INTO things VALUES (77)")
"""


def test_another_process_waits_for_the_group_and_gets_its_turn(database: Database, path: Path) -> None:
    stop = threading.Event()

    def busy(thread: int) -> None:
        n = thread * 100_000
        while not stop.is_set():
            n += 1
            add(database, n)

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(busy, thread) for thread in range(1, 5)]
        finished = subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], capture_output=True, text=True, check=False)
        stop.set()
    assert (finished.returncode, finished.stderr) == (0, "")
    assert [work.exception() for work in working] == [None] * 4
    assert 77 in kept(database)


@pytest.mark.on_sqlite("it shortens SQLite's wait for its lock")
def test_a_database_that_another_process_holds_is_unavailable_and_is_used_again_afterwards(path: Path) -> None:
    database = Database(SQLite(path))
    catalogue.create_all(database.engine)
    add(database, 1)
    with database.write() as tx:
        tx.exec_driver_sql("PRAGMA busy_timeout = 1")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            add(database, 2)
        assert caught.value.code == "database.unavailable"
    holder.close()
    add(database, 3)
    assert kept(database) == [1, 3]


@pytest.mark.on_sqlite("a server has no file that could be replaced")
def test_a_file_that_took_the_databases_place_is_not_written_to(database: Database, path: Path) -> None:
    add(database, 1)
    path.rename(path.with_name("old.db"))
    with pytest.raises(Unavailable) as gone:
        add(database, 2)
    sqlite3.connect(path).close()
    path.touch()
    with pytest.raises(Unavailable) as replaced:
        add(database, 3)
    assert (gone.value.code, replaced.value.code) == ("database.replaced", "database.replaced")


def test_a_database_that_was_closed_opens_again(database: Database) -> None:
    add(database, 1)
    database.close()
    add(database, 2)
    assert kept(database) == [1, 2]


@pytest.mark.on_sqlite("its write-ahead log is a file")
def test_a_closed_database_leaves_no_second_file(database: Database, path: Path) -> None:
    add(database, 1)
    wal = path.with_name("node.db-wal")
    assert wal.exists()
    database.close()
    assert not wal.exists()
