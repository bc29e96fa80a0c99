"""A database that is open before it is asked for: each for one call, and none that is left behind."""

import threading
import time
from collections.abc import Iterator

import duckdb
import pytest

from chengshu.cleanroom.engines import spare
from chengshu.cleanroom.engines.spare import Spare

NOBODY_S = 60.0


@pytest.fixture
def databases() -> Iterator[Spare]:
    databases = Spare()
    yield databases
    databases.close()


def _used(databases: Spare) -> None:
    databases.take().close()
    databases.prepare()
    databases.settle()


def test_nothing_is_opened_ahead_in_a_process_that_computes_once(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    monkeypatch.setattr(spare, "_opened", lambda: pytest.fail("expected nothing to be opened"))
    databases.prepare()
    databases.settle()


def test_the_one_that_was_opened_ahead_is_taken_once(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    _used(databases)
    opened: list[duckdb.DuckDBPyConnection] = []
    monkeypatch.setattr(spare, "_opened", lambda: opened.append(duckdb.connect(":memory:")) or opened[-1])
    ready = databases.take()
    assert not opened
    another = databases.take()
    assert opened == [another]
    ready.execute("CREATE TABLE left_behind (n INTEGER)")
    with pytest.raises(duckdb.Error):
        another.execute("SELECT * FROM left_behind")
    ready.close()
    another.close()


def test_who_comes_while_one_is_being_opened_waits_for_it(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    databases.take().close()
    begun, go_on = threading.Event(), threading.Event()
    opened: list[duckdb.DuckDBPyConnection] = []

    def open_slowly() -> duckdb.DuckDBPyConnection:
        begun.set()
        assert go_on.wait(NOBODY_S)
        opened.append(duckdb.connect(":memory:"))
        return opened[-1]

    monkeypatch.setattr(spare, "_opened", open_slowly)
    databases.prepare()
    assert begun.wait(NOBODY_S)
    databases.prepare()  # by another call: one is on its way
    threading.Timer(0.05, go_on.set).start()
    taken = databases.take()
    assert opened == [taken]
    taken.close()


def test_who_comes_while_the_thread_is_being_started_gets_one(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    databases.take().close()
    come, start = threading.Event(), threading.Thread.start
    taken: list[duckdb.DuckDBPyConnection] = []

    def start_late(thread: threading.Thread) -> None:
        if thread.name == "duckdb-spare":
            come.set()
            time.sleep(0.2)  # the other one is in the middle of taking by then
        start(thread)

    def take() -> None:
        assert come.wait(NOBODY_S)
        taken.append(databases.take())

    other = threading.Thread(target=take)
    other.start()
    monkeypatch.setattr(threading.Thread, "start", start_late)
    databases.prepare()
    other.join(NOBODY_S)
    assert len(taken) == 1
    taken[0].close()


def test_where_none_can_be_opened_ahead_the_call_says_why(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    databases.take().close()

    def fail() -> duckdb.DuckDBPyConnection:
        raise MemoryError("expected memory")

    monkeypatch.setattr(spare, "_opened", fail)
    databases.prepare()
    databases.settle()
    with pytest.raises(MemoryError, match="expected memory"):
        databases.take()


def test_a_call_is_over_though_no_thread_can_be_started(databases: Spare, monkeypatch: pytest.MonkeyPatch) -> None:
    _used(databases)
    databases.take().close()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        databases.prepare()
    _used(databases)
    databases.take().close()


def test_closing_leaves_nothing_open(databases: Spare) -> None:
    _used(databases)
    _used(databases)
    ready = databases.take()
    databases.prepare()
    databases.close()
    ready.execute("SELECT 1")  # its caller's
    ready.close()
    databases.settle()
    taken = databases.take()
    taken.execute("SELECT 1")
    taken.close()
