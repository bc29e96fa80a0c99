"""What a process defers while it works is handed to its own workers, theirs already, and is neither lost nor run twice."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from chengshu.kernel.desk import IN_A_ROW, LAID_AT_MOST, Desk
from chengshu.kernel.errors import ChengshuError, Invalid
from chengshu.kernel.tasks import Keep, Task, Tasks, TaskState, tasks
from chengshu.kernel.text import Text
from chengshu.kernel.worker import Worker
from databases import database_at

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Bench:
    """A database, its tasks, and a worker that has the desk open; what is ``slow`` is not for each of its threads."""

    def __init__(self, folder: Path) -> None:
        self.database = database_at(folder / "node.db")
        tasks.create(self.database.engine)
        self.tasks = Tasks(lambda: NOW)
        self.ran: list[str] = []
        self.given_up: list[str] = []
        self.keep: Keep | None = None
        self.worker = self._worker(self.tasks.desk)
        self.worker.open(not_taken={"slow"})
        assert self.worker.run_due() == 0

    def elsewhere(self) -> Worker:
        """A worker of another process, say."""
        return self._worker(None)

    def _worker(self, desk: Desk[Task] | None) -> Worker:
        handlers = {"note": self._note, "slow": self._note}
        return Worker(self.database, clock=lambda: NOW, handlers=handlers, on_failed={}, given_up=self._gave_up, desk=desk)

    def defer(self, *names: str, lane: str = "lane", kind: str = "note") -> None:
        with self.database.write() as tx:
            for name in names:
                self.tasks.defer(tx, kind, {"name": name}, lane=lane, waits_for="somebody")

    def states(self) -> dict[str, str]:
        with self.database.read() as tx:
            return {row.payload["name"]: row.state for row in tx.execute(select(tasks))}

    def _note(self, payload: Mapping[str, Any]) -> Keep | None:
        self.ran.append(payload["name"])
        return self.keep

    def _gave_up(self, _tx: Connection, task: Task, error: ChengshuError) -> None:
        self.given_up.append(f"{task.payload['name']} {error.code}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_laid_is_its_workers_already_and_runs_without_a_look_into_the_database(bench: Bench) -> None:
    bench.defer("one")
    assert bench.elsewhere().run_due() == 0
    assert bench.worker.run_laid() == 1
    assert (bench.ran, bench.states()) == (["one"], {"one": TaskState.DONE})


def test_a_task_behind_another_is_laid_once_that_has_ended(bench: Bench) -> None:
    bench.defer("first", "second", "third")
    assert [task.payload["name"] for task in bench.tasks.desk.lying()] == ["first"]
    assert bench.worker.run_laid() == 3
    assert bench.ran == ["first", "second", "third"]


def test_what_is_undone_is_not_laid(bench: Bench) -> None:
    with pytest.raises(KeyError), bench.database.write() as tx:
        bench.tasks.defer(tx, "note", {"name": "ghost"}, lane="lane", waits_for="nobody")
        raise KeyError("leaving")
    assert (bench.tasks.desk.lying(), bench.states()) == ([], {})


def test_a_kind_that_not_each_thread_takes_is_found_in_the_database_and_what_came_after_it_waits_its_turn(bench: Bench) -> None:
    bench.defer("long", kind="slow")
    bench.defer("short", lane="other")
    assert bench.worker.run_laid() == 0
    assert bench.worker.run_due() == 2
    assert bench.ran == ["long", "short"]


def test_a_full_desk_leaves_what_follows_to_the_database_and_nothing_overtakes_it(bench: Bench) -> None:
    for number in range(LAID_AT_MOST + 3):
        bench.defer(f"{number}", lane=f"lane {number}")
    assert len(bench.tasks.desk.lying()) == LAID_AT_MOST
    bench.worker.run_due()
    assert sorted(bench.ran, key=int) == [f"{number}" for number in range(LAID_AT_MOST + 3)]
    assert bench.ran.index(f"{LAID_AT_MOST}") <= IN_A_ROW


def test_what_lies_on_a_desk_that_is_closed_is_anybodys_again(bench: Bench) -> None:
    bench.defer("left")
    bench.worker.close()
    bench.defer("later", lane="other")
    assert bench.elsewhere().run_due() == 2
    assert bench.ran == ["left", "later"]


def test_what_a_worker_that_died_had_on_its_desk_is_taken_back_at_the_next_start(bench: Bench) -> None:
    bench.defer("left")
    again = bench.elsewhere()
    again.recover()
    assert again.run_due() == 1


def test_what_a_task_found_out_is_kept_with_its_end_and_where_that_is_refused_the_task_is_given_up(bench: Bench) -> None:
    def refuse(_tx: Connection) -> None:
        raise Invalid("pid.other", "expected one pid, got another", hint=Text("Look.", "请查看。"))

    bench.keep = partial(bench.tasks.defer, kind="slow", payload={"name": "found"}, lane="found", waits_for="somebody")  # type: ignore[assignment]  # what it returns is of no use here
    bench.defer("good")
    bench.worker.run_laid()
    assert bench.states() == {"good": TaskState.DONE, "found": TaskState.PENDING}
    bench.keep = refuse
    bench.worker.run_due()
    assert bench.given_up == ["found pid.other"]
    assert bench.states()["found"] == TaskState.FAILED
