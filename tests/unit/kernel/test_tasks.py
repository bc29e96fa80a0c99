"""Work survives, retries what may pass, and gives up what cannot."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from chengshu.kernel.errors import ChengshuError, Denied, Unavailable
from chengshu.kernel.tasks import FIRST_WAIT, LEASE, LONGEST_WAIT, MAX_ATTEMPTS, Task, Tasks, Worker, tasks
from chengshu.kernel.text import Text
from databases import database_at

HINT = Text("Wait.", "请等待。")


class Hand:
    """A clock to turn by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Bench:
    """A database, a clock, and a record of what ran."""

    def __init__(self, folder: Path) -> None:
        self.database = database_at(folder / "node.db")
        tasks.create(self.database.engine)
        self.clock = Hand()
        self.tasks = Tasks(self.clock)
        self.ran: list[str] = []
        self.given_up: list[str] = []
        self.told: list[tuple[int, str]] = []
        self.faults: dict[str, ChengshuError] = {}

    def defer(self, name: str, *, lane: str = "lane") -> None:
        with self.database.write() as tx:
            self.tasks.defer(tx, "note", {"name": name}, lane=lane, waits_for="somebody")

    def run(self, *, patient: Collection[str] = (), leave_out: Collection[str] = ()) -> int:
        handlers, gone = {"note": self._note}, {"note": self._gave_up}
        worker = Worker(self.database, clock=self.clock, handlers=handlers, on_failed=gone, given_up=self.tell, patient=patient)
        return worker.run_due(leave_out=leave_out)

    def tell(self, tx: Connection, task: Task, error: ChengshuError) -> None:
        """Note which task was given up, for which error, and that the transaction which ends it is still open."""
        assert tx.in_transaction()
        self.told.append((task.seq, error.code))

    def _note(self, payload: Mapping[str, Any]) -> None:
        if payload["name"] in self.faults:
            raise self.faults[payload["name"]]
        self.ran.append(payload["name"])

    def _gave_up(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        self.given_up.append(f"{payload['name']} {error.code}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_tasks_of_one_lane_run_in_order_and_only_once(bench: Bench) -> None:
    for name in ("first", "second", "third"):
        bench.defer(name)
    assert bench.run() == 3
    assert bench.run() == 0
    assert bench.ran == ["first", "second", "third"]


def test_work_deferred_in_a_transaction_that_is_undone_never_runs(bench: Bench) -> None:
    with pytest.raises(KeyError), bench.database.write() as tx:
        bench.tasks.defer(tx, "note", {"name": "ghost"}, lane="lane", waits_for="nobody")
        raise KeyError("leaving")
    assert bench.run() == 0


def test_unavailable_is_tried_again_later_and_holds_back_its_own_lane_alone(bench: Bench) -> None:
    bench.faults["stuck"] = Unavailable("peer.silent", "expected an answer, got none", hint=HINT)
    bench.defer("stuck")
    bench.defer("behind")
    bench.defer("other", lane="other lane")
    bench.run()
    assert bench.ran == ["other"]
    with bench.database.read() as tx:
        (stuck, behind) = bench.tasks.waiting(tx)
    assert (stuck.waits_for, stuck.last_error, behind.last_error) == ("somebody", "peer.silent: expected an answer, got none", None)
    del bench.faults["stuck"]
    bench.clock.now += FIRST_WAIT
    bench.run()
    assert bench.ran == ["other", "stuck", "behind"]


def test_a_worker_leaves_kinds_to_others_and_what_follows_them_in_their_lane(bench: Bench) -> None:
    bench.defer("one")
    bench.defer("two")
    assert (bench.run(leave_out={"note"}), bench.ran) == (0, [])
    assert (bench.run(leave_out={"other"}), bench.ran) == (2, ["one", "two"])


def test_a_patient_kind_of_task_waits_for_as_long_as_it_takes_and_never_longer_between_attempts_than_it_says(bench: Bench) -> None:
    bench.faults["stuck"] = Unavailable("peer.silent", "expected an answer, got none", hint=HINT)
    bench.defer("stuck")
    for _ in range(5 * MAX_ATTEMPTS):
        assert bench.run(patient={"note"}) == 1
        bench.clock.now += LONGEST_WAIT
    assert bench.given_up == []
    del bench.faults["stuck"]
    bench.run(patient={"note"})
    assert bench.ran == ["stuck"]


def test_a_patient_kind_of_task_is_given_up_for_a_refusal_like_any_other(bench: Bench) -> None:
    bench.faults["stuck"] = Denied("peer.denied", "expected leave, got none", hint=HINT)
    bench.defer("stuck")
    bench.run(patient={"note"})
    assert bench.given_up == ["stuck peer.denied"]


def test_after_the_last_attempt_the_task_is_given_up_and_says_so(bench: Bench) -> None:
    bench.faults["stuck"] = Unavailable("peer.silent", "expected an answer, got none", hint=HINT)
    bench.defer("stuck")
    for _ in range(MAX_ATTEMPTS):
        bench.run()
        bench.clock.now += timedelta(hours=1)
    assert bench.given_up == ["stuck peer.silent"]
    assert bench.told == [(1, "peer.silent")]
    with bench.database.read() as tx:
        assert [task.payload["name"] for task in bench.tasks.failed(tx)] == ["stuck"]


def test_any_other_error_ends_the_task_at_once(bench: Bench) -> None:
    bench.faults["wrong"] = Denied("peer.denied", "expected leave, got none", hint=HINT)
    bench.defer("wrong")
    bench.run()
    assert bench.given_up == ["wrong peer.denied"]


def test_a_task_whose_worker_died_runs_again_when_its_lease_ends(bench: Bench) -> None:
    bench.defer("left")
    _die_while_running(bench)
    assert bench.run() == 0
    bench.clock.now += LEASE
    assert bench.run() == 1
    assert bench.ran == ["left"]


def test_a_node_that_starts_again_takes_back_what_its_dead_worker_held(bench: Bench) -> None:
    bench.defer("left")
    _die_while_running(bench).recover()
    assert bench.run() == 1


def test_a_defect_ends_the_task_and_says_where_without_saying_what(bench: Bench) -> None:
    def broken(payload: Mapping[str, Any]) -> None:
        raise ValueError(f"a secret: {payload['name']}")

    bench.defer("poisoned")
    Worker(bench.database, clock=bench.clock, handlers={"note": broken}, on_failed={}, given_up=bench.tell).run_due()
    with bench.database.read() as tx:
        (failed,) = bench.tasks.failed(tx)
    assert failed.last_error is not None
    assert "ValueError in test_tasks.py" in failed.last_error
    assert "poisoned" not in failed.last_error


def _die_while_running(bench: Bench) -> Worker:
    """Run the first task in a worker that dies in the middle: nothing is recorded but the lease."""

    def die(_payload: Mapping[str, Any]) -> None:
        raise SystemExit

    worker = Worker(bench.database, clock=bench.clock, handlers={"note": die}, on_failed={}, given_up=bench.tell)
    with pytest.raises(SystemExit):
        worker.run_due()
    return worker
