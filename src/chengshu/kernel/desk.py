"""Where a process lays the tasks that it deferred for its own workers to take, and the bell that wakes these."""

import threading
from collections import deque
from collections.abc import Collection
from typing import Generic, TypeVar

LAID_AT_MOST = 64
"""So many tasks wait on a desk; what is deferred beyond is found in the database, where any process of the node may take it."""

IN_A_ROW = 32
"""So many tasks are taken from a desk before whoever takes them looks into the database once: there may be older ones."""

T = TypeVar("T")


class Desk(Generic[T]):
    """Hands a task from the transaction that deferred it to a worker of the same process, so that nobody has to look for it.

    A task is its worker's before it is laid: the transaction that defers it leases it to the one who has the desk open. While older work is
    known to wait in the database none is laid, so that what waits longest goes first. The bell counts how often it was rung; whoever
    waits tells what it has heard, so that no ring between looking and waiting is missed.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._laid: deque[T] = deque()
        self._in_doubt: list[T] = []
        self._taker: str | None = None
        self._not_taken: frozenset[str] = frozenset()
        self._rung = 0
        self._is_clear = False
        self._in_a_row = 0

    @property
    def rung(self) -> int:
        """How often the bell was rung until now."""
        return self._rung

    def open(self, taker: str, *, not_taken: Collection[str]) -> None:
        """Have tasks laid for ``taker``, but for the kinds that not each of its threads takes."""
        self._not_taken = frozenset(not_taken)
        self._taker = taker

    def close(self) -> list[T]:
        """Have no more tasks laid, and return those that nobody took."""
        with self._condition:
            self._taker = None
            left = list(self._laid)
            self._laid.clear()
        return left

    def taker_of(self, kind: str) -> str | None:
        """Return to whom a task of this kind is to be leased that is deferred now; None where it is to be found in the database."""
        may_be_laid = self._is_clear and len(self._laid) < LAID_AT_MOST and kind not in self._not_taken
        return self._taker if may_be_laid else None

    def lay(self, task: T) -> None:
        """Lay a task that was leased to the one who has the desk open, and wake one of its threads."""
        with self._condition:
            self._laid.append(task)
            self._condition.notify()

    def doubt(self, task: T) -> None:
        """Note a task of which nobody knows whether it was leased, for its transaction may or may not have been kept; ring."""
        with self._condition:
            self._in_doubt.append(task)
        self.ring()

    def in_doubt(self) -> list[T]:
        """Return, once, the tasks of which nobody knows whether they were leased: whoever had the desk open then gives them back."""
        with self._condition:
            found, self._in_doubt = self._in_doubt, []
        return found

    def take(self) -> T | None:
        """Return the task that lies longest, None where none lies or it is time to look into the database."""
        with self._condition:
            if not self._laid or self._in_a_row >= IN_A_ROW:
                self._in_a_row = 0
                return None
            self._in_a_row += 1
            return self._laid.popleft()

    def lying(self) -> list[T]:
        """Return the tasks that nobody took yet."""
        with self._condition:
            return list(self._laid)

    def clear(self, heard: int) -> None:
        """Note that nothing is due in the database, unless the bell was rung since ``heard``."""
        with self._condition:
            self._is_clear = self._rung == heard

    def ring(self) -> None:
        """Say that something in the database may be due, and wake everybody who waits."""
        with self._condition:
            self._rung += 1
            self._is_clear = False
            self._condition.notify_all()

    def wait(self, heard: int, *, timeout_s: float) -> None:
        """Return once the bell was rung more often than ``heard`` or a task lies here, or after ``timeout_s``."""
        with self._condition:
            self._condition.wait_for(lambda: self._rung != heard or self._laid, timeout=timeout_s)
