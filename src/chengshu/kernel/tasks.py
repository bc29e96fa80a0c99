"""Work that must survive a restart: a table, an outbox, and a worker that retries ``Unavailable`` and nothing else."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from traceback import extract_tb
from typing import Any
from uuid import uuid4

from sqlalchemy import JSON, Column, Connection, Index, Integer, Select, String, Table, case, delete, exists, func, null, select, update
from sqlalchemy import Text as LongText

from chengshu.kernel.bell import Bell
from chengshu.kernel.clock import Clock, from_iso, iso
from chengshu.kernel.database import Database, after_commit, metadata
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, Unavailable
from chengshu.kernel.process import has_ended, own_name
from chengshu.kernel.text import Text

MAX_ATTEMPTS = 8
FIRST_WAIT = timedelta(milliseconds=200)
LEASE = timedelta(minutes=10)
"""So long a task is its worker's own; a worker that lives renews it, so that it ends only where the worker is gone."""

DONE_KEPT = timedelta(days=7)
"""So long a done task can be looked at; then it is removed. Tasks that were given up are kept."""

PRUNED_AT_ONCE = 1000
"""So many tasks are removed in one transaction, so that nobody waits for it."""

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


Handler = Callable[[Mapping[str, Any]], None]
OnFailed = Callable[[Mapping[str, Any], ChengshuError], None]
GivenUp = Callable[[Connection, Task, ChengshuError], None]
"""Told of every task that is given up, in the transaction that ends it."""


class Tasks:
    """Defers work inside a caller's transaction and says what is waiting, for whom and why; ``bell`` rings when work was deferred."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.bell = Bell()

    def defer(self, tx: Connection, kind: str, payload: Mapping[str, Any], *, lane: str, waits_for: str) -> int:
        """Record work to be done after ``tx`` commits; return its number. ``waits_for`` names whom it will wait for.

        ``tx`` MUST come from ``Database.write()``: what is before it in its lane must not change meanwhile.
        """
        before = tasks.alias("before")
        is_behind = exists().where(before.c.lane == lane, before.c.state == TaskState.PENDING)
        row = tx.execute(
            tasks.insert().values(
                kind=kind,
                lane=lane,
                payload=dict(payload),
                state=TaskState.PENDING,
                attempts=0,
                due_at=case((is_behind, null()), else_=iso(self._clock())),
                waits_for=waits_for,
            )
        )
        after_commit(tx, self.bell.ring)
        (seq,) = row.inserted_primary_key or (0,)
        return int(seq)

    def waiting(self, tx: Connection, *, lane: str | None = None) -> list[Task]:
        """Return every task that is neither done nor given up, of one lane or of all, oldest first."""
        of_lane = () if lane is None else (tasks.c.lane == lane,)
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.PENDING, *of_lane).order_by(tasks.c.seq))
        return [_task(row) for row in rows.mappings()]

    def failed(self, tx: Connection) -> list[Task]:
        """Return every task that was given up, oldest first."""
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.FAILED).order_by(tasks.c.seq))
        return [_task(row) for row in rows.mappings()]


class Worker:
    """Runs due tasks; ``Unavailable`` is retried with doubling waits, any other error ends the task and is kept.

    A handler MUST be idempotent: after a crash its task runs again. ``on_failed`` learns of tasks given up, after ``given_up`` did. Several
    workers may run side by side, in threads and processes; a lane is never run by two of them at once. Tasks of a ``patient`` kind are
    never given up for ``Unavailable``: whoever they wait for may be away for days. ``patience`` is by kind, where it is not the usual.
    ``bell`` is rung when a task ends and another of its lane may be taken.
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
        bell: Bell | None = None,
    ) -> None:
        self._database = database
        self._name = f"{own_name()}/{uuid4().hex[:12]}"
        self._running: set[int] = set()
        self.bell = bell or Bell()
        self._given_up = given_up
        self._clock = clock
        self._handlers = handlers
        self._on_failed = on_failed
        self._patient = patient
        self._patience = patience

    def recover(self) -> None:
        """Take back what workers of processes that have ended, and earlier ones of this process, held; call before this one's start.

        What a living process holds stays its own; one on another host is believed to live until its leases end.
        """
        leased = (tasks.c.state == TaskState.PENDING, tasks.c.leased_by.is_not(None))
        with self._database.write() as tx:
            holders = tx.execute(select(tasks.c.leased_by).where(*leased).distinct()).scalars().all()
            for holder in holders:
                process = holder.partition("/")[0]
                if process == own_name() or has_ended(process):
                    mine = update(tasks).where(*leased, tasks.c.leased_by == holder)
                    tx.execute(mine.values(leased_by=None, due_at=iso(self._clock())))

    def renew(self) -> None:
        """Make the leases of what this worker runs now last; call more often than they would end."""
        if not self._running:
            return
        with self._database.write() as tx:
            tx.execute(update(tasks).where(*self._held()).values(due_at=iso(self._clock() + LEASE)))

    def prune(self) -> None:
        """Remove the tasks that were done long ago."""
        done = tasks.alias("done")
        old = (done.c.state == TaskState.DONE, done.c.due_at < iso(self._clock() - DONE_KEPT))
        chosen = select(done.c.seq).where(*old).limit(PRUNED_AT_ONCE)
        removed = PRUNED_AT_ONCE
        while removed == PRUNED_AT_ONCE:
            with self._database.write() as tx:
                removed = tx.execute(delete(tasks).where(tasks.c.seq.in_(chosen))).rowcount

    def run_due(self, *, leave_out: Collection[str] = _NEVER) -> int:
        """Run every task that is due now, but for the kinds that are left to other workers, and return how many ran."""
        ran = 0
        while (task := self._claim(leave_out)) is not None:
            self._run(task)
            ran += 1
        return ran

    def until_due(self, *, leave_out: Collection[str] = _NEVER) -> timedelta | None:
        """Return how long it is until a task may be taken: nothing where one may be now, None where none waits."""
        with self._database.read() as tx:
            due_at = tx.execute(_first(leave_out).with_only_columns(tasks.c.due_at)).scalar()
        return None if due_at is None else max(from_iso(due_at) - self._clock(), timedelta())

    def _claim(self, leave_out: Collection[str]) -> Task | None:
        due = _first(leave_out).where(tasks.c.due_at <= iso(self._clock()))
        with self._database.read() as tx:
            if tx.execute(due.with_only_columns(tasks.c.seq)).first() is None:
                return None
        with self._database.write() as tx:
            row = tx.execute(due).mappings().first()
            if row is None:
                return None
            task = _task(row)
            lease = {"due_at": iso(self._clock() + LEASE), "leased_by": self._name, "attempts": task.attempts + 1}
            tx.execute(update(tasks).where(tasks.c.seq == task.seq).values(**lease))
        return task

    def _held(self) -> tuple[Any, ...]:
        return tasks.c.state == TaskState.PENDING, tasks.c.leased_by == self._name, tasks.c.seq.in_(list(self._running))

    def _run(self, task: Task) -> None:
        self._running.add(task.seq)
        try:
            self._done(task)
        finally:
            self._running.discard(task.seq)

    def _done(self, task: Task) -> None:
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
            with self._database.write() as tx:
                self._end(tx, task, TaskState.DONE, error=None)

    def _retry(self, task: Task, error: ChengshuError) -> None:
        wait = min(FIRST_WAIT * 2 ** min(task.attempts, 16), self._patience_for(task).longest_wait)
        with self._database.write() as tx:
            self._save(tx, task, due_at=iso(self._clock() + wait), last_error=_words(error))

    def _patience_for(self, task: Task) -> Patience:
        return self._patience.get(task.kind, Patience())

    def _give_up(self, task: Task, error: ChengshuError) -> None:
        with self._database.write() as tx:
            self._end(tx, task, TaskState.FAILED, error=error)
            self._given_up(tx, task, error)
        if task.kind in self._on_failed:
            self._on_failed[task.kind](task.payload, error)

    def _end(self, tx: Connection, task: Task, state: TaskState, *, error: ChengshuError | None) -> None:
        """End a task, and let the next of its lane be taken."""
        now = iso(self._clock())
        self._save(tx, task, state=state, due_at=now, last_error=None if error is None else _words(error))
        behind = tasks.alias("behind")
        head = select(func.min(behind.c.seq)).where(behind.c.lane == task.lane, behind.c.state == TaskState.PENDING).scalar_subquery()
        if tx.execute(update(tasks).where(tasks.c.seq == head).values(due_at=now)).rowcount:
            after_commit(tx, self.bell.ring)

    def _save(self, tx: Connection, task: Task, **values: Any) -> None:
        """Change a task that this worker holds; raise Conflict where its lease ended and it is another's."""
        held = (tasks.c.seq == task.seq, tasks.c.leased_by == self._name, tasks.c.attempts == task.attempts + 1)
        if not tx.execute(update(tasks).where(*held).values(leased_by=None, **values)).rowcount:
            raise _lease_lost(task)


def _first(leave_out: Collection[str]) -> Select[Any]:
    """The pending task that may be taken first, of any kind but these."""
    where = (tasks.c.state == TaskState.PENDING, tasks.c.due_at.is_not(None))
    kinds = (tasks.c.kind.not_in(sorted(leave_out)),) if leave_out else ()
    return select(tasks).where(*where, *kinds).order_by(tasks.c.due_at, tasks.c.seq).limit(1)


def _words(error: ChengshuError) -> str:
    return f"{error.code}: {error.message}"


def _lease_lost(task: Task) -> Conflict:
    return Conflict(
        "task.lease-lost",
        f"expected task {task.seq} to be this worker's until it ends, got one that was taken back while it ran",
        hint=Text(
            "It is run again by whoever took it; a process that stood still for long, or a clock that was set, can be why.",
            "任务将由接管方重新执行；进程长时间停顿或系统时钟被调整都可能造成这种情况。",
        ),
    )


def _defect(error: Exception) -> Invalid:
    """Say that a handler left by an exception that is not ours: its type and place, never its text."""
    last = extract_tb(error.__traceback__)[-1]
    return Invalid(
        "task.defect",
        f"expected the task to end, got {type(error).__name__} in {Path(last.filename).name}, line {last.lineno}",
        hint=Text("This is a defect of the program; report it with this line.", "这是程序缺陷，请附上此行信息进行报告。"),
    )


def _task(row: Any) -> Task:
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
