"""Work that must survive a restart: a table, and an outbox; :mod:`chengshu.kernel.worker` does what is in it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import JSON, Column, Connection, Index, Integer, String, Table, bindparam, case, exists, null, select
from sqlalchemy import Text as LongText

from chengshu.kernel.clock import Clock, from_iso, iso
from chengshu.kernel.database import after_commit, if_in_doubt, metadata
from chengshu.kernel.desk import Desk
from chengshu.kernel.errors import ChengshuError

MAX_ATTEMPTS = 8
LONGEST_WAIT = timedelta(minutes=5)
"""Between two attempts of a patient kind of task, which waits for as long as it takes."""

LEASE = timedelta(minutes=10)
"""So long a task is its worker's own; a worker that lives renews it, so that it ends only where the worker is gone."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a kind of task is attempted before it is given up for ``Unavailable``, and how long the waits between may become."""

    attempts: int = MAX_ATTEMPTS
    longest_wait: timedelta = LONGEST_WAIT


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
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", String(32)),
    Column("leased_by", String(256)),
    Column("waits_for", String(256), nullable=False),
    Column("last_error", LongText),
    Index("ix_tasks_state_due_at", "state", "due_at", "seq"),
    Index("ix_tasks_lane", "lane", "state", "seq"),
)
"""``due_at`` is when a worker may take a pending task: of a leased one, when its lease ends; none while another of its lane is before it.
Of a task that has ended, it is when. So what is due is one look into the first index, however many tasks wait or are done."""


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of deferred work: tasks of one ``lane`` run in the order they were deferred, one at a time."""

    seq: int
    kind: str
    lane: str
    payload: Mapping[str, Any]
    state: TaskState
    attempts: int
    due_at: datetime | None
    """When it may be taken; None while another of its lane is before it."""

    waits_for: str
    last_error: str | None


Keep = Callable[[Connection], None]
"""Writes what a task has found out, in the transaction that ends the task."""

Handler = Callable[[Mapping[str, Any]], Keep | None]
OnFailed = Callable[[Mapping[str, Any], ChengshuError], None]
GivenUp = Callable[[Connection, Task, ChengshuError], None]
"""Told of every task that is given up, in the transaction that ends it."""

# What every task asks for is put together once: to build a statement costs more than to run it.
_BEFORE = tasks.alias("before")
_IS_BEHIND = exists().where(_BEFORE.c.lane == bindparam("of_lane"), _BEFORE.c.state == TaskState.PENDING)
_DEFER = (
    tasks.insert()
    .values(
        due_at=case((_IS_BEHIND, null()), else_=bindparam("due", type_=String)),
        leased_by=case((_IS_BEHIND, null()), else_=bindparam("taker", type_=String)),
        attempts=case((_IS_BEHIND, 0), else_=bindparam("attempt", type_=Integer)),
    )
    .returning(tasks.c.seq, tasks.c.leased_by, tasks.c.due_at)
)


class Tasks:
    """Defers work inside a caller's transaction and says what is waiting, for whom and why.

    What is deferred while a worker of this process has the ``desk`` open is leased to it at once and laid there; else its bell rings.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.desk: Desk[Task] = Desk()

    def defer(self, tx: Connection, kind: str, payload: Mapping[str, Any], *, lane: str, waits_for: str) -> int:
        """Record work to be done after ``tx`` commits; return its number. ``waits_for`` names whom it will wait for.

        ``tx`` MUST come from ``Database.write()``: what is before it in its lane must not change meanwhile.
        """
        now = self._clock()
        taker = self.desk.taker_of(kind)
        values = {"kind": kind, "lane": lane, "payload": dict(payload), "state": TaskState.PENDING, "waits_for": waits_for}
        lease = {"taker": None, "due": iso(now), "attempt": 0} if taker is None else {"taker": taker, "due": iso(now + LEASE), "attempt": 1}
        row = tx.execute(_DEFER, {**values, "of_lane": lane, **lease}).one()
        if row.leased_by is None and row.due_at is not None:  # what is behind another is let go on by whoever ends that
            after_commit(tx, self.desk.ring)
        elif row.leased_by is not None:
            as_kept = json.loads(json.dumps(values["payload"]))  # what is handed on is what would be found in the database
            task = Task(row.seq, kind, lane, as_kept, TaskState.PENDING, 0, due_at=now, waits_for=waits_for, last_error=None)
            lay(tx, self.desk, task)
        return int(row.seq)

    def waiting(self, tx: Connection, *, lane: str | None = None) -> list[Task]:
        """Return every task that is neither done nor given up, of one lane or of all, oldest first."""
        of_lane = () if lane is None else (tasks.c.lane == lane,)
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.PENDING, *of_lane).order_by(tasks.c.seq))
        return [task_of(row) for row in rows.mappings()]

    def failed(self, tx: Connection) -> list[Task]:
        """Return every task that was given up, oldest first."""
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.FAILED).order_by(tasks.c.seq))
        return [task_of(row) for row in rows.mappings()]


def lay(tx: Connection, desk: Desk[Task], task: Task) -> None:
    """Have a task that ``tx`` leases to the desk's taker laid there once that is durable, and given back where it may or may not be."""
    after_commit(tx, partial(desk.lay, task))
    if_in_doubt(tx, partial(desk.doubt, task))


def task_of(row: Mapping[Any, Any]) -> Task:
    """Return the task that a row is."""
    return Task(
        seq=row["seq"],
        kind=row["kind"],
        lane=row["lane"],
        payload=row["payload"],
        state=TaskState(row["state"]),
        attempts=row["attempts"],
        due_at=None if row["due_at"] is None else from_iso(row["due_at"]),
        waits_for=row["waits_for"],
        last_error=row["last_error"],
    )
