"""Work that must survive a restart: a table, an outbox, and a worker that retries ``Unavailable`` and nothing else."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb
from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, String, Table, select, update
from sqlalchemy import Text as LongText

from chengshu.kernel.clock import Clock, from_iso, iso
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import ChengshuError, Invalid, Unavailable
from chengshu.kernel.text import Text

MAX_ATTEMPTS = 8
FIRST_WAIT = timedelta(milliseconds=200)
LEASE = timedelta(minutes=10)
LONGEST_WAIT = timedelta(minutes=5)
"""Between two attempts of a patient kind of task, which waits for as long as it takes."""

_NEVER: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a kind of task is attempted before it is given up for ``Unavailable``, and how long the waits between may become."""

    attempts: int = MAX_ATTEMPTS
    longest_wait: timedelta = LONGEST_WAIT


_USUAL: Mapping[str, Patience] = {}

MESSAGE_PATIENCE = Patience(attempts=64, longest_wait=timedelta(seconds=15))
"""For a message of a process: a counterparty that is restarted, moved or repaired is waited for, a quarter of an hour in all."""


class TaskState(StrEnum):
    """Where a task stands."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"


tasks = Table(
    "tasks",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(64), nullable=False),
    Column("lane", String(256), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("due_at", String(32), nullable=False),
    Column("leased_until", String(32)),
    Column("waits_for", String(256), nullable=False),
    Column("last_error", LongText),
)


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of deferred work: tasks of one ``lane`` run in the order they were deferred, one at a time."""

    seq: int
    kind: str
    lane: str
    payload: Mapping[str, Any]
    state: TaskState
    attempts: int
    due_at: datetime
    waits_for: str
    last_error: str | None


Handler = Callable[[Mapping[str, Any]], None]
OnFailed = Callable[[Mapping[str, Any], ChengshuError], None]
GivenUp = Callable[[Connection, Task, ChengshuError], None]
"""Told of every task that is given up, in the transaction that ends it."""


class Tasks:
    """Defers work inside a caller's transaction and says what is waiting, for whom and why."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def defer(self, tx: Connection, kind: str, payload: Mapping[str, Any], *, lane: str, waits_for: str) -> int:
        """Record work to be done after ``tx`` commits; return its number. ``waits_for`` names whom it will wait for."""
        row = tx.execute(
            tasks.insert().values(
                kind=kind,
                lane=lane,
                payload=dict(payload),
                state=TaskState.PENDING,
                attempts=0,
                due_at=iso(self._clock()),
                waits_for=waits_for,
            )
        )
        (seq,) = row.inserted_primary_key or (0,)
        return int(seq)

    def waiting(self, tx: Connection) -> list[Task]:
        """Return every task that is neither done nor given up, oldest first."""
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.PENDING).order_by(tasks.c.seq))
        return [_task(row) for row in rows.mappings()]

    def failed(self, tx: Connection) -> list[Task]:
        """Return every task that was given up, oldest first."""
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.FAILED).order_by(tasks.c.seq))
        return [_task(row) for row in rows.mappings()]


class Worker:
    """Runs due tasks; ``Unavailable`` is retried with doubling waits, any other error ends the task and is kept.

    A handler MUST be idempotent: after a crash its task runs again. ``on_failed`` learns of tasks given up, after ``given_up`` did. Several
    workers of one process may run side by side; a lane is never run by two of them at once. Tasks of a ``patient`` kind are never given
    up for ``Unavailable``: whoever they wait for may be away for days. ``patience`` is by kind, where it is not the usual.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        handlers: Mapping[str, Handler],
        on_failed: Mapping[str, OnFailed],
        given_up: GivenUp,
        patient: Collection[str] = _NEVER,
        patience: Mapping[str, Patience] = _USUAL,
    ) -> None:
        self._database = database
        self._given_up = given_up
        self._clock = clock
        self._handlers = handlers
        self._on_failed = on_failed
        self._patient = patient
        self._patience = patience

    def recover(self) -> None:
        """Take back the leases of a worker that died; call once, before the node's own workers start."""
        with self._database.write() as tx:
            tx.execute(update(tasks).where(tasks.c.state == TaskState.PENDING).values(leased_until=None))

    def run_due(self, *, leave_out: Collection[str] = _NEVER) -> int:
        """Run every task that is due now, but for the kinds that are left to other workers, and return how many ran."""
        ran = 0
        while (task := self._claim(leave_out)) is not None:
            self._run(task)
            ran += 1
        return ran

    def _claim(self, leave_out: Collection[str]) -> Task | None:
        now = self._clock()
        with self._database.read() as tx:
            if all(task.kind in leave_out for task in _due(tx, now)):
                return None
        with self._database.write() as tx:
            due = [task for task in _due(tx, now) if task.kind not in leave_out]
            if not due:
                return None
            task = due[0]
            lease = iso(now + LEASE)
            tx.execute(update(tasks).where(tasks.c.seq == task.seq).values(leased_until=lease, attempts=task.attempts + 1))
            return task

    def _run(self, task: Task) -> None:
        try:
            self._handlers[task.kind](task.payload)
        except Unavailable as error:
            if task.kind in self._patient or task.attempts + 1 < self._patience_for(task).attempts:
                self._retry(task, error)
            else:
                self._give_up(task, error)
        except ChengshuError as error:
            self._give_up(task, error)
        except Exception as error:  # noqa: BLE001  # a defect of ours must not leave anybody waiting for ever; its text may carry data
            self._give_up(task, _defect(error))
        else:
            self._save(task, state=TaskState.DONE, leased_until=None, last_error=None)

    def _retry(self, task: Task, error: ChengshuError) -> None:
        wait = min(FIRST_WAIT * 2 ** min(task.attempts, 16), self._patience_for(task).longest_wait)
        self._save(task, due_at=iso(self._clock() + wait), leased_until=None, last_error=f"{error.code}: {error.message}")

    def _patience_for(self, task: Task) -> Patience:
        return self._patience.get(task.kind, Patience())

    def _give_up(self, task: Task, error: ChengshuError) -> None:
        with self._database.write() as tx:
            _save(tx, task, state=TaskState.FAILED, leased_until=None, last_error=f"{error.code}: {error.message}")
            self._given_up(tx, task, error)
        if task.kind in self._on_failed:
            self._on_failed[task.kind](task.payload, error)

    def _save(self, task: Task, **values: Any) -> None:
        with self._database.write() as tx:
            _save(tx, task, **values)


def _save(tx: Connection, task: Task, **values: Any) -> None:
    tx.execute(update(tasks).where(tasks.c.seq == task.seq).values(**values))


def _defect(error: Exception) -> Invalid:
    """Say that a handler left by an exception that is not ours: its type and place, never its text."""
    last = extract_tb(error.__traceback__)[-1]
    return Invalid(
        "task.defect",
        f"expected the task to end, got {type(error).__name__} in {Path(last.filename).name}, line {last.lineno}",
        hint=Text("This is a defect of the program; report it with this line.", "这是程序缺陷，请附上此行信息进行报告。"),
    )


def _due(tx: Connection, now: datetime) -> list[Task]:
    """The heads of their lanes that are due and not leased by a living worker."""
    rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.PENDING).order_by(tasks.c.seq)).mappings()
    heads: dict[str, Any] = {}
    for row in rows:
        heads.setdefault(row["lane"], row)
    return [
        _task(row)
        for row in heads.values()
        if row["due_at"] <= iso(now) and (row["leased_until"] is None or row["leased_until"] <= iso(now))
    ]


def _task(row: Any) -> Task:
    return Task(
        seq=row["seq"],
        kind=row["kind"],
        lane=row["lane"],
        payload=row["payload"],
        state=TaskState(row["state"]),
        attempts=row["attempts"],
        due_at=from_iso(row["due_at"]),
        waits_for=row["waits_for"],
        last_error=row["last_error"],
    )
