"""Work that is done ahead of who takes it, in a thread of its own: reading the next piece while the one before is on its way."""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """The values of a source in their order, taken from it in another thread while at most ``most`` of them wait; one more is being made.

    What the source raises is raised where its next value would have been. The thread begins with the first value that is asked for, and is
    over, and the source closed, after the last one, after an error, or with ``close``, which whoever takes the values MUST call.
    """

    def __init__(self, source: Generator[T], *, most: int) -> None:
        self._source = source
        self._most = most
        self._waiting: deque[T] = deque()
        self._change = threading.Condition()
        self._failure: BaseException | None = None
        self._is_left = False
        self._is_done = False
        self._thread: threading.Thread | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Return the next value, and wait for it; for one thread at a time."""
        if self._thread is None and not self._is_left:
            self._thread = threading.Thread(target=self._run, name="ahead", daemon=True)
            self._thread.start()
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._is_done)
            if self._waiting:
                self._change.notify_all()
                return self._waiting.popleft()
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def close(self) -> None:
        """Let go of what waits, and return once the thread is over, which ends with the value that it is making."""
        with self._change:
            self._is_left = True
            self._waiting.clear()
            self._change.notify_all()
        if self._thread is None:
            self._source.close()
            self._is_done = True
        else:
            self._thread.join()

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            for value in self._source:
                if not self._put(value):
                    break
            self._source.close()
        except BaseException as error:  # noqa: BLE001  # whoever takes the values is told
            failure = error
        with self._change:
            self._failure = failure
            self._is_done = True
            self._change.notify_all()

    def _put(self, value: T) -> bool:
        """Have a value wait for who takes it, and say whether anybody still will."""
        with self._change:
            self._change.wait_for(lambda: len(self._waiting) < self._most or self._is_left)
            if not self._is_left:
                self._waiting.append(value)
                self._change.notify_all()
            return not self._is_left
