"""The one who does what :mod:`chengshu.kernel.tasks` deferred: it retries ``Unavailable`` and nothing else."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Select, String, bindparam, delete, func, select, update

from chengshu.kernel.clock import Clock, from_iso, iso
from chengshu.kernel.database import Database, after_commit
from chengshu.kernel.desk import Desk
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, Unavailable
from chengshu.kernel.process import has_ended, own_name
from chengshu.kernel.tasks import LEASE, GivenUp, Handler, Keep, OnFailed, Patience, Task, TaskState, lay, task_of, tasks
from chengshu.kernel.text import Text

FIRST_WAIT = timedelta(milliseconds=200)
DONE_KEPT = timedelta(days=7)
"""So long a done task can be looked at; then it is removed. Tasks that were given up are kept."""

PRUNED_AT_ONCE = 1000
"""So many tasks are removed in one transaction, so that nobody waits for it."""

_NEVER: frozenset[str] = frozenset()
_USUAL: Mapping[str, Patience] = {}

# What every task asks for is put together once: to build a statement costs more than to run it.
_TASK = tasks.c.seq == bindparam("task")
_HELD = (_TASK, tasks.c.leased_by == bindparam("worker"), tasks.c.attempts == bindparam("attempt"))
_LEASE = update(tasks).where(_TASK)
_SAVE = update(tasks).where(*_HELD).values(leased_by=None)
_BEHIND = tasks.alias("behind")
_NEXT = select(func.min(_BEHIND.c.seq)).where(_BEHIND.c.lane == bindparam("of_lane"), _BEHIND.c.state == TaskState.PENDING)
_RELEASE = update(tasks).where(tasks.c.seq == _NEXT.scalar_subquery()).returning(*tasks.c)


class Worker:
    """Runs due tasks; ``Unavailable`` is retried with doubling waits, any other error ends the task and is kept.

    A handler MUST be idempotent: after a crash its task runs again. ``on_failed`` learns of tasks given up, after ``given_up`` did. Several
    workers may run side by side, in threads and processes; a lane is never run by two of them at once. Tasks of a ``patient`` kind are
    never given up for ``Unavailable``: whoever they wait for may be away for days. ``patience`` is by kind, where it is not the usual.
    Tasks that lie on ``desk`` are this worker's once it has called :meth:`open`; its bell is rung when another may be taken.
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
        desk: Desk[Task] | None = None,
    ) -> None:
        self._database = database
        self._name = f"{own_name()}/{uuid4().hex[:12]}"
        self._running: set[int] = set()
        self._left: set[tuple[int, int]] = set()
        """Tasks by their numbers, and the attempt, of which the database went away before it was kept how they ended."""

        self.desk: Desk[Task] = desk or Desk()
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

    def open(self, *, not_taken: Collection[str] = _NEVER) -> None:
        """Have what this process defers laid on the desk for this worker's threads, but for the kinds that not each of them takes."""
        self.desk.open(self._name, not_taken=not_taken)

    def close(self) -> None:
        """Have nothing more laid on the desk, and leave what lies there to be found by whoever works next."""
        left = [task.seq for task in self.desk.close()]
        if left:
            with self._database.write() as tx:
                tx.execute(update(tasks).where(*self._held(left)).values(leased_by=None, due_at=iso(self._clock())))

    def renew(self) -> None:
        """Make the leases of what this worker runs now, or will from its desk, last; call more often than they would end."""
        mine = [*self._running, *(task.seq for task in self.desk.lying())]
        if not mine:
            return
        with self._database.write() as tx:
            tx.execute(update(tasks).where(*self._held(mine)).values(due_at=iso(self._clock() + LEASE)))

    def prune(self) -> None:
        """Remove the tasks that were done long ago."""
        done = tasks.alias("done")
        old = (done.c.state == TaskState.DONE, done.c.due_at < iso(self._clock() - DONE_KEPT))
        chosen = select(done.c.seq).where(*old).limit(PRUNED_AT_ONCE)
        removed = PRUNED_AT_ONCE
        while removed == PRUNED_AT_ONCE:
            with self._database.write() as tx:
                removed = tx.execute(delete(tasks).where(tasks.c.seq.in_(chosen))).rowcount

    def run_laid(self) -> int:
        """Run what lies on the desk, and return how many tasks that were; what is due in the database is left for :meth:`run_due`."""
        ran = 0
        while (task := self.desk.take()) is not None:
            self._run(task)
            ran += 1
        return ran

    def run_due(self, *, leave_out: Collection[str] = _NEVER) -> int:
        """Run every task that is due now, but for the kinds that are left to other workers, and return how many ran."""
        self._give_back()
        ran = 0
        while (task := self._taken(leave_out)) is not None:
            self._run(task)
            ran += 1
        return ran

    def until_due(self, *, leave_out: Collection[str] = _NEVER) -> timedelta | None:
        """Return how long it is until a task may be taken: nothing where one may be now, None where none waits."""
        with self._database.read() as tx:
            due_at = tx.execute(_next_due(frozenset(leave_out))).scalar()
        return None if due_at is None else max(from_iso(due_at) - self._clock(), timedelta())

    def _taken(self, leave_out: Collection[str]) -> Task | None:
        """The task to run next: from the desk, where what lies is leased already, or from the database."""
        task = self.desk.take()
        if task is None:
            heard = self.desk.rung
            task = self._claim(leave_out)
            if task is None:
                self.desk.clear(heard)
                task = self.desk.take()
        return task

    def _claim(self, leave_out: Collection[str]) -> Task | None:
        look, due, now = *_due(frozenset(leave_out)), {"now": iso(self._clock())}
        with self._database.read() as tx:
            if tx.execute(look, now).first() is None:
                return None
        task = None
        try:
            with self._database.write() as tx:
                row = tx.execute(due, now).mappings().first()
                if row is None:
                    return None
                task = task_of(row)
                lease = {"due_at": iso(self._clock() + LEASE), "leased_by": self._name, "attempts": task.attempts + 1}
                tx.execute(_LEASE, {"task": task.seq, **lease})
        except Unavailable:
            if task is not None:
                self._left.add((task.seq, task.attempts + 1))  # nobody knows whether that was kept
            raise
        return task

    def _held(self, mine: list[int]) -> tuple[Any, ...]:
        return tasks.c.state == TaskState.PENDING, tasks.c.leased_by == self._name, tasks.c.seq.in_(mine)

    def _run(self, task: Task) -> None:
        self._running.add(task.seq)
        try:
            self._done(task)
        except Unavailable:
            self._left.add((task.seq, task.attempts + 1))
            raise
        finally:
            self._running.discard(task.seq)

    def _give_back(self) -> None:
        """Let what the database went away under be taken again at once, instead of when its lease ends."""
        self._left.update((task.seq, task.attempts + 1) for task in self.desk.in_doubt())
        left = set(self._left)
        if not left:
            return
        with self._database.write() as tx:
            for seq, attempt in left:
                tx.execute(_SAVE, {"task": seq, "worker": self._name, "attempt": attempt, "due_at": iso(self._clock())})
        self._left.difference_update(left)

    def _done(self, task: Task) -> None:
        try:
            keep = self._handlers[task.kind](task.payload)
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
            self._keep(task, keep)

    def _keep(self, task: Task, keep: Keep | None) -> None:
        """End a task that was done, with what it found out; where that is refused, it is given up."""
        try:
            with self._database.write() as tx:
                self._end(tx, task, TaskState.DONE, error=None)
                if keep is not None:
                    _kept(tx, keep)
        except _NotKeptError as error:
            self._give_up(task, error.reason)

    def _retry(self, task: Task, error: ChengshuError) -> None:
        wait = min(FIRST_WAIT * 2 ** min(task.attempts, 16), self._patience_for(task).longest_wait)
        with self._database.write() as tx:
            self._save(tx, task, due_at=iso(self._clock() + wait), last_error=_words(error))
            after_commit(tx, self.desk.ring)

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
        row = tx.execute(_RELEASE, {"of_lane": task.lane, "due_at": now}).mappings().first()
        if row is not None:
            self._let_go_on(tx, task_of(row))

    def _let_go_on(self, tx: Connection, task: Task) -> None:
        """Lay the next task of a lane on the desk, leased, or else say that it may be taken."""
        taker = self.desk.taker_of(task.kind)
        if taker is None:
            after_commit(tx, self.desk.ring)
            return
        lease = {"due_at": iso(self._clock() + LEASE), "leased_by": taker, "attempts": task.attempts + 1}
        tx.execute(_LEASE, {"task": task.seq, **lease})
        lay(tx, self.desk, task)

    def _save(self, tx: Connection, task: Task, **values: Any) -> None:
        """Change a task that this worker holds; raise Conflict where its lease ended and it is another's."""
        held = {"task": task.seq, "worker": self._name, "attempt": task.attempts + 1}
        if not tx.execute(_SAVE, {**held, **values}).rowcount:
            raise _lease_lost(task)


def _first(leave_out: Collection[str]) -> Select[Any]:
    """The pending task that may be taken first, of any kind but these."""
    where = (tasks.c.state == TaskState.PENDING, tasks.c.due_at.is_not(None))
    kinds = (tasks.c.kind.not_in(sorted(leave_out)),) if leave_out else ()
    return select(tasks).where(*where, *kinds).order_by(tasks.c.due_at, tasks.c.seq).limit(1)


@cache
def _due(leave_out: frozenset[str]) -> tuple[Select[Any], Select[Any]]:
    """How to see whether a task is due by ``now``, and how to read it."""
    due = _first(leave_out).where(tasks.c.due_at <= bindparam("now", type_=String))
    return due.with_only_columns(tasks.c.seq), due


@cache
def _next_due(leave_out: frozenset[str]) -> Select[Any]:
    return _first(leave_out).with_only_columns(tasks.c.due_at)


class _NotKeptError(Exception):
    """Undoes the transaction in which a task's outcome was refused; ``reason`` is why."""

    def __init__(self, reason: ChengshuError) -> None:
        super().__init__(reason.code)
        self.reason = reason


def _kept(tx: Connection, keep: Keep) -> None:
    try:
        keep(tx)
    except ChengshuError as error:
        raise _NotKeptError(error) from error


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
