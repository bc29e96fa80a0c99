"""How a question ends that has no result: in fixed words, because an engine's own can carry a row's value."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chengshu.cleanroom.engines.engine import MOST_ROWS, Stopped
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_LOOK_S = 0.5
_ROWS_HINT = Text("Group more coarsely.", "请使用更粗的分组。")
_FAILED_HINT = Text(
    "Check the sources' quality reports; the room cannot say more without showing data.", "请查看数据源的质量报告；再多说就会泄露数据。"
)
_TIME_HINT = Text("Ask for less, or ask the room's operator for more time.", "请缩小问题，或请数据空间运营者放宽时限。")
_STOPPED_HINT = Text("Ask again if it was not meant.", "如非有意，请重新提出。")


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a question was interrupted: its time was over, or somebody stopped it."""

    expired: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def is_so(self) -> bool:
        """Say whether it was."""
        return self.expired.is_set() or self.stopped.is_set()

    def trouble(self, seconds: float) -> Invalid:
        """Return why a question that failed has failed: it was stopped, ``seconds`` were over, or the engine gave it up."""
        return was_stopped() if self.stopped.is_set() else timeout(seconds) if self.expired.is_set() else failed()


@contextmanager
def deadline(interrupt: Callable[[], None], seconds: float, stopped: Stopped, ended: Ended) -> Iterator[None]:
    """Interrupt whatever runs when the time is over or it is stopped, again and again: one interrupt between two statements is lost."""
    finished = threading.Event()
    until = time.monotonic() + seconds

    def watch() -> None:
        while not finished.wait(min(_LOOK_S, max(until - time.monotonic(), 0))):
            why = ended.expired if time.monotonic() >= until else ended.stopped if stopped() else None
            if why is not None:
                why.set()
                break
        while not finished.wait(0.02):
            interrupt()

    watcher = threading.Thread(target=watch, name="cleanroom-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def failed() -> Invalid:
    """Return the error of a question that an engine gave up, whatever it said."""
    return Invalid("cleanroom.query-failed", "expected a result, got an error of the engine", hint=_FAILED_HINT)


def was_stopped() -> Invalid:
    """Return the error of a question that somebody stopped."""
    return Invalid("cleanroom.query-stopped", "expected a result, got a question that was stopped before it had one", hint=_STOPPED_HINT)


def timeout(seconds: float) -> Invalid:
    """Return the error of a question whose time was over."""
    return Invalid("cleanroom.query-timeout", f"expected a result within {seconds:g} s, got none", hint=_TIME_HINT)


def too_large() -> Invalid:
    """Return the error of an answer with more groups than the room carries."""
    return Invalid("cleanroom.result-too-large", f"expected at most {MOST_ROWS} groups, got more", hint=_ROWS_HINT)
