"""What a client was promised and has not fetched yet: answers by ticket, statements by handle; bounded, and forgotten after a while."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Text

LIFE_S = 600.0
_HANDLE_BYTES = 32
T = TypeVar("T")


@dataclass(slots=True)
class Held(Generic[T]):
    """Values by unguessable handles, of no more than ``most`` in all by ``size``: the oldest give way to new ones."""

    most: int
    size: Callable[[T], int] = lambda _one: 1
    now: Callable[[], float] = time.monotonic
    _kept: dict[bytes, tuple[float, T]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, value: T) -> bytes:
        """Keep a value and return its handle; a value that is larger than all that may be kept is kept alone."""
        handle = secrets.token_bytes(_HANDLE_BYTES)
        with self._lock:
            ends = self.now() + LIFE_S
            alive = {known: one for known, one in self._kept.items() if one[0] > self.now()}
            room = self.most - self.size(value)
            while alive and sum(self.size(one) for _, one in alive.values()) > room:
                del alive[next(iter(alive))]
            self._kept = {**alive, handle: (ends, value)}
        return handle

    def find(self, handle: bytes) -> T:
        """Return what is kept under a handle; raise NotFound where nothing is, or not any more."""
        with self._lock:
            ends, value = self._kept.get(handle, (0.0, None))
        if value is None or ends <= self.now():
            raise NotFound(
                "flight.handle",
                "expected the handle of an answer or a statement that is kept here, got an unknown or an old one",
                hint=Text(
                    "Ask again; an answer that was given stays readable with 'chengshu job show'.",
                    "请重新提问；已得到的结果仍可用 chengshu job show 查看。",
                ),
            )
        return value

    def drop(self, handle: bytes) -> None:
        """Forget what is kept under a handle, if anything is."""
        with self._lock:
            self._kept.pop(handle, None)
