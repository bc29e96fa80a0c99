"""Work survives, retries what may pass, and gives up what cannot."""

import subprocess
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Unavailable
from chengshu.kernel.tasks import LEASE, LONGEST_WAIT, MAX_ATTEMPTS, Task, Tasks, tasks
from chengshu.kernel.text import Text
from chengshu.kernel.worker import DONE_KEPT, FIRST_WAIT, Worker, _first
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
        return self.worker(patient=patient).run_due(leave_out=leave_out)

    def worker(self, *, patient: Collection[str] = ()) -> Worker:
        handlers, gone = {"note": self._note}, {"note": self._gave_up}
        return Worker(self.database, clock=self.clock, handlers=handlers, on_failed=gone, given_up=self.tell, patient=patient)

    def recover(self) -> None:
        self.worker().recover()

    def count(self) -> int:
        with self.database.read() as tx:
            return int(tx.execute(select(func.count()).select_from(tasks)).scalar_one())

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


def test_a_task_that_is_taken_back_while_it_runs_is_not_ended_by_the_one_who_lost_it(bench: Bench) -> None:
    def stand_still(_payload: Mapping[str, Any]) -> None:
        bench.clock.now += LEASE
        assert bench.run() == 1

    bench.defer("slow")
    slow = Worker(bench.database, clock=bench.clock, handlers={"note": stand_still}, on_failed={}, given_up=bench.tell)
    with pytest.raises(Conflict) as caught:
        slow.run_due()
    assert caught.value.code == "task.lease-lost"
    assert bench.ran == ["slow"]


def test_a_worker_that_renews_its_lease_keeps_its_task_for_as_long_as_it_runs(bench: Bench) -> None:
    def last(_payload: Mapping[str, Any]) -> None:
        bench.clock.now += LEASE - timedelta(seconds=1)
        slow.renew()
        bench.clock.now += timedelta(seconds=2)
        assert bench.run() == 0

    bench.defer("slow")
    slow = Worker(bench.database, clock=bench.clock, handlers={"note": last}, on_failed={}, given_up=bench.tell)
    assert slow.run_due() == 1
    assert bench.run() == 0


HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from chengshu.kernel.worker import Worker
from databases import database_at

def hold(payload):
    print("held", flush=True)
    time.sleep(20)

now = datetime(2026, 1, 1, tzinfo=UTC)
Worker(database_at(Path(sys.argv[1])), clock=lambda: now, handlers={"note": hold}, on_failed={}, given_up=None).run_due()
"""


def test_what_a_living_process_holds_is_not_taken_and_what_a_killed_one_held_is_taken_back_at_once(bench: Bench, tmp_path: Path) -> None:
    bench.defer("held")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "node.db")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        bench.recover()
        assert bench.run() == 0
        process.kill()
    bench.recover()
    assert bench.run() == 1
    assert bench.ran == ["held"]


def test_two_processes_and_their_threads_run_each_task_once_and_each_lane_in_order(bench: Bench, tmp_path: Path) -> None:
    for number in range(60):
        bench.defer(f"{number}", lane=f"lane {number % 5}")
    program = RUNNER.format(path=str(tmp_path / "node.db"))
    runners = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [runner.communicate(timeout=120)[0].splitlines() for runner in runners]
    ran = [line.split() for part in lines for line in part]
    assert sorted(int(name) for _, _, name in ran) == list(range(60))
    for lane in range(5):
        spans = sorted((float(begun), float(ended), int(name)) for begun, ended, name in ran if int(name) % 5 == lane)
        assert [name for *_, name in spans] == list(range(lane, 60, 5))
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


RUNNER = """
import threading, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from chengshu.kernel.worker import Worker
from databases import database_at

def note(payload):
    begun = time.time()
    time.sleep(0.01)
    print(f"{{begun}} {{time.time()}} {{payload['name']}}\\n", end="", flush=True)

worker = Worker(database_at(Path({path!r})), clock=lambda: datetime.now(UTC), handlers={{"note": note}}, on_failed={{}}, given_up=None)

def work():
    while worker.until_due() is not None:
        worker.run_due()

threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_what_is_due_is_found_by_one_look_into_an_index_however_much_waits_or_is_done(bench: Bench) -> None:
    with bench.database.write() as tx:
        row = {"kind": "note", "payload": {}, "attempts": 1, "waits_for": "nobody"}
        tx.execute(tasks.insert(), [{**row, "lane": f"d{n}", "state": "DONE", "due_at": "2025-12-31T00:00:00.000Z"} for n in range(2000)])
        tx.execute(tasks.insert(), [{**row, "lane": "blocked", "state": "PENDING", "due_at": None} for n in range(2000)])
        tx.execute(
            tasks.insert(), [{**row, "lane": f"w{n}", "state": "PENDING", "due_at": "2027-01-01T00:00:00.000Z"} for n in range(2000)]
        )
    bench.defer("due", lane="own")
    with bench.database.write() as tx:
        tx.exec_driver_sql("ANALYZE tasks")
        dialect = tx.dialect
        text = str(_first({"slow"}).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        how = "EXPLAIN QUERY PLAN " if dialect.name == "sqlite" else "EXPLAIN "
        plan = " ".join(str(row) for row in tx.exec_driver_sql(how + text))
    assert "ix_tasks_state_due_at" in plan
    assert "SORT" not in plan.upper().replace("INCREMENTAL SORT", "")
    assert bench.run() == 1
    assert bench.ran == ["due"]


def test_done_tasks_are_removed_after_their_time_and_given_up_ones_are_kept(bench: Bench) -> None:
    bench.faults["wrong"] = Denied("peer.denied", "expected leave, got none", hint=HINT)
    for name in ("right", "wrong"):
        bench.defer(name)
    bench.run()
    worker = bench.worker()
    worker.prune()
    assert bench.count() == 2
    bench.clock.now += DONE_KEPT + timedelta(seconds=1)
    worker.prune()
    assert bench.count() == 1
    with bench.database.read() as tx:
        assert len(bench.tasks.failed(tx)) == 1


def test_the_bell_rings_once_work_is_durable_and_not_for_what_is_undone(bench: Bench) -> None:
    bell = bench.tasks.desk
    with bench.database.write() as tx:
        bench.tasks.defer(tx, "note", {"name": "one"}, lane="lane", waits_for="somebody")
        assert bell.rung == 0
    assert bell.rung == 1
    with pytest.raises(KeyError), bench.database.write() as tx:
        bench.tasks.defer(tx, "note", {"name": "ghost"}, lane="lane", waits_for="somebody")
        raise KeyError("leaving")
    assert bell.rung == 1
    bell.wait(0, timeout_s=60)
