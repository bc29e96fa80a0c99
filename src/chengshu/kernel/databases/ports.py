"""What :class:`chengshu.kernel.database.Database` needs of the technology that keeps it."""

from typing import Protocol

from sqlalchemy import Connection, Engine

from chengshu.kernel.errors import ChengshuError, Unavailable

BUSY_TIMEOUT_S = 20.0
"""So long a writer waits for its turn, among the threads of this process and again among processes."""


class UnknownEnd(Unavailable):
    """The database went away in a commit and did not come back in time: what was done may have been kept, or not."""


class Writing(Protocol):
    """The transactions of the one connection that writes. Used by one thread at a time; nobody else may begin or end them."""

    def begin(self) -> None:
        """Begin a transaction that holds the node's write lock: no other process writes until it ends; what others wrote is seen."""

    def set_savepoint(self) -> None:
        """Mark where the next act begins."""

    def release_savepoint(self) -> None:
        """Make what was done since the mark part of the transaction; raise where the database keeps none of it."""

    def undo_to_savepoint(self) -> None:
        """Take back what was done since the mark, and nothing else; raise where the transaction itself is gone."""

    def commit(self) -> None:
        """Make the transaction durable; raise UnknownEnd where nobody knows whether it is, anything else where nothing of it remains."""

    def abandon(self) -> None:
        """See to it that nothing of the transaction remains; never raises."""


class Backend(Protocol):
    """One technology at one place."""

    name: str
    """How messages name the place; no secret is in it."""

    begins_empty: bool
    """Whether a node that finds nothing there may begin anew: a file lies in the node's own folder, a server's schema may be another's."""

    reading: Engine
    """Gives connections that read, to any number of threads."""

    acts: Engine
    """Gives the connection that writes, in the transaction that ``writing`` began; committing and rolling back on it do nothing."""

    @property
    def writing(self) -> Writing:
        """The writing connection's transactions."""

    def create(self) -> None:
        """Make the place where there is none."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction in which every statement reads the same state, and none writes."""

    def translated(self, error: BaseException) -> ChengshuError | None:
        """Return what an exception of the driver means; None where it is no trouble of the database's but a defect of ours."""

    def close_writing(self) -> None:
        """Let go of the writing connection; the next transaction opens it again. Called while none is open."""

    def close_reading(self) -> None:
        """Let go of the reading connections that nobody uses."""
