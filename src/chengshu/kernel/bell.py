"""A bell that wakes the threads of this process which wait for work, so that none of them has to look again and again."""

import threading


class Bell:
    """Counts how often it was rung; whoever waits tells what it has heard, so that no ring between looking and waiting is missed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rung = 0

    @property
    def rung(self) -> int:
        """How often it was rung until now."""
        return self._rung

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._condition:
            self._rung += 1
            self._condition.notify_all()

    def wait(self, heard: int, *, timeout_s: float) -> None:
        """Return once it was rung more often than ``heard``, or after ``timeout_s``."""
        with self._condition:
            self._condition.wait_for(lambda: self._rung != heard, timeout=timeout_s)
