"""One durable commit for many acts: threads of one process take turns in one transaction and share its flush to the disk.

An act is what one caller does inside :meth:`SharedCommits.act`. Acts follow one another, never at once: each in a savepoint of its
own, in the order in which they asked. The first of a group begins the transaction; one that ends while another waits hands its turn on
and waits; the one that finds nobody waiting commits for all. Nobody is answered before the commit that carries the act.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chengshu.kernel.databases.ports import Writing
from chengshu.kernel.errors import Conflict, Unavailable
from chengshu.kernel.text import Text

GROUP_ACTS = 512
GROUP_S = 0.05
"""A group takes nobody in once it has so many acts or is so old, so that the first of it does not wait for ever."""


@dataclass(slots=True)
class _Asker:
    thread: int
    turn: threading.Lock


class Turns:
    """A lock that is handed on in the order of asking: nobody starves, and whoever holds it can tell whether somebody waits."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._askers: deque[_Asker] = deque()
        self._holder: int | None = None

    def take(self, *, patience_s: float) -> None:
        """Wait for the turn; Conflict at once when this thread has it already, Unavailable after ``patience_s`` without it."""
        me = threading.get_ident()
        with self._guard:
            if self._holder == me:
                raise _nested()
            if self._holder is None:
                self._holder = me
                return
            asker = _Asker(me, threading.Lock())
            asker.turn.acquire()
            self._askers.append(asker)
        try:
            asker.turn.acquire(timeout=patience_s)
        except BaseException:
            if not self._withdraw(asker):
                self.hand_on()
            raise
        if self._withdraw(asker):
            raise Unavailable(
                "database.busy",
                f"expected to write within {patience_s:g} s, got no turn: other acts of this process hold the database",
                hint=Text("Try again; if it stays so, restart the node.", "请重试；若持续如此，请重启节点。"),
            )

    def hand_on(self) -> bool:
        """Give the turn to the one who has waited longest; return False, and leave it free, when nobody waits."""
        with self._guard:
            if self._pass():
                return True
            self._holder = None
            return False

    def hand_on_if_wanted(self) -> bool:
        """Give the turn to the one who has waited longest; return False, and keep it, when nobody waits."""
        with self._guard:
            return self._pass()

    def _pass(self) -> bool:
        if not self._askers:
            return False
        asker = self._askers.popleft()
        self._holder = asker.thread
        asker.turn.release()
        return True

    def _withdraw(self, asker: _Asker) -> bool:
        """Leave the queue; return False when the turn has come already (it is this thread's then)."""
        with self._guard:
            if asker not in self._askers:
                return False
            self._askers.remove(asker)
            return True


@dataclass(slots=True)
class _Group:
    """The acts of one transaction, and what became of it."""

    writing: Writing
    began: float
    acts: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def takes_more(self) -> bool:
        return self.failure is None and self.acts < GROUP_ACTS and time.monotonic() - self.began < GROUP_S

    def conclude(self) -> None:
        """Commit, or see to it that nothing remains."""
        try:
            if self.failure is None:
                self.writing.commit()
        except BaseException as error:  # noqa: BLE001  # whatever it is, every act of the group must learn of it
            self.failure = error
        if self.failure is not None:
            self.writing.abandon()


class SharedCommits:
    """Acts on one writing connection that share commits; safe to use from any thread, MUST NOT be carried across a fork."""

    def __init__(self, writing: Writing, *, patience_s: float) -> None:
        self._writing = writing
        self._patience_s = patience_s
        self._turns = Turns()
        self._group: _Group | None = None

    @contextmanager
    def act(self) -> Iterator[None]:
        """Run the block in a savepoint; return when what it did is on the disk, or raise and nothing of it remains.

        An exception undoes this act only. Raises Conflict for an act inside another of the same thread, Unavailable when there is no turn
        in time, and :class:`CommitLost` when the group's commit failed: then nothing of any of its acts remains.
        """
        self._turns.take(patience_s=self._patience_s)
        group = self._enter()
        try:
            yield
        except BaseException:
            self._undo(group)
            self._leave(group)
            raise
        refused = self._keep(group)
        self._leave(group)
        if refused is not None:
            raise CommitLost(refused)

    def when_idle(self, do: Callable[[], None]) -> None:
        """Run ``do`` while no act runs; do nothing when one does."""
        try:
            self._turns.take(patience_s=0.0)
        except (Conflict, Unavailable):
            return
        try:
            do()
        finally:
            self._turns.hand_on()

    def _enter(self) -> _Group:
        """Begin a group or join the one that is open."""
        try:
            group = self._group or self._begin()
        except BaseException:
            self._turns.hand_on()
            raise
        group.acts += 1
        try:
            group.writing.set_savepoint()
        except Exception as error:  # noqa: BLE001  # the act runs into it by itself, and _leave tells everybody
            group.failure = group.failure or error
        return group

    def _begin(self) -> _Group:
        self._writing.begin()
        self._group = _Group(self._writing, time.monotonic())
        return self._group

    def _keep(self, group: _Group) -> Exception | None:
        """Add an act to its group's transaction; where that is refused to it alone, it is undone, and the reason returned."""
        try:
            group.writing.release_savepoint()
        except Exception as error:  # noqa: BLE001  # told by _leave or by act
            self._undo(group)
            return error
        return None

    def _undo(self, group: _Group) -> None:
        """Take an act back. Where that cannot be, for the database has ended the whole transaction by itself, the group has failed."""
        try:
            group.writing.undo_to_savepoint()
        except Exception as error:  # noqa: BLE001  # whatever it is, every act of the group must learn of it
            group.failure = group.failure or error

    def _leave(self, group: _Group) -> None:
        """Hand the turn on or commit for all; return when the group has ended, well."""
        if not (group.takes_more() and self._turns.hand_on_if_wanted()):
            self._group = None
            try:
                group.conclude()
            finally:
                group.ended.set()
                self._turns.hand_on()
        group.ended.wait()
        if group.failure is not None:
            raise CommitLost(group.failure)


class CommitLost(Exception):  # noqa: N818  # never leaves the kernel: the database translates it
    """The transaction that an act shared was not committed; ``reason`` is why."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


def _nested() -> Conflict:
    return Conflict(
        "database.nested-write",
        "expected one transaction at a time in a thread, got a write() inside a write()",
        hint=Text(
            "This is a defect of the program: pass the open transaction on instead of opening another one.",
            "这是程序缺陷：请传递已打开的事务，而不是再打开一个。",
        ),
    )
