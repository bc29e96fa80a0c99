"""A DuckDB database that is open before it is asked for: to open one takes longer than many a question."""

import atexit
import threading

import duckdb


class Spare:
    """Databases of their own for one call each, the next of which is opened while nobody waits for it.

    None is opened ahead of the first call: a process that computes once would do it for nothing.
    """

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._open: duckdb.DuckDBPyConnection | None = None
        self._opening: threading.Thread | None = None
        self._taken = 0

    def take(self) -> duckdb.DuckDBPyConnection:
        """Return a database that nobody else has or had: the one that is open or soon will be, or one that is opened now."""
        self.settle()
        with self._one_at_a_time:
            self._taken += 1
            found, self._open = self._open, None
        return found or _opened()

    def prepare(self) -> None:
        """Have the next database opened, by a thread of its own, unless one is there; call it when a call is over."""
        with self._one_at_a_time:
            if self._taken < 2 or self._open is not None or self._opening is not None:  # the second call shows that more come
                return
            opening = threading.Thread(target=self._run, name="duckdb-spare")
            try:
                opening.start()
            except RuntimeError:  # no more threads, or the process ends: the next call opens its own
                return
            self._opening = opening  # started: whoever takes one may wait for it; it says that it is over after this, under the lock

    def settle(self) -> None:
        """Return once no database is being opened."""
        opening = self._opening
        if opening is not None:
            opening.join()

    def close(self) -> None:
        """Close the one that is open, and have the next call open its own."""
        self.settle()
        with self._one_at_a_time:
            found, self._open, self._taken = self._open, None, 0
        if found is not None:
            found.close()

    def _run(self) -> None:
        try:
            found = _opened()
        except Exception:  # noqa: BLE001  # the next call opens its own, and says what is wrong
            found = None
        with self._one_at_a_time:
            self._open, self._opening = found, None


SPARE = Spare()
"""Of this process: whichever engine asks, what it is given is not set up yet."""
atexit.register(SPARE.close)


def _opened() -> duckdb.DuckDBPyConnection:
    # python_* keep SQL from reading the caller's variables by name
    return duckdb.connect(":memory:", config={"python_enable_replacements": False, "python_scan_all_frames": False})
