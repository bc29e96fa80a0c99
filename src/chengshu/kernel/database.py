"""One embedded database a node: SQLite in WAL mode behind SQLAlchemy Core, one writer at a time, one flush for many acts."""

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, StaticPool

from chengshu.kernel.commits import CommitLost, SharedCommits
from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.kernel.text import Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)
"""Every room's store declares its tables on this one catalogue, so that migrations see them all."""

BUSY_TIMEOUT_S = 20.0


class Database:
    """Transactions on one database; ``write`` takes the write lock at once, so that a decision and its evidence agree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(self.engine, "connect", _configure)
        self._writing = _WritingConnection(path)
        self._commits = SharedCommits(self._writing.open, patience_s=BUSY_TIMEOUT_S)
        self._acts = create_engine("sqlite://", creator=self._writing.open, poolclass=StaticPool, pool_reset_on_return=None)
        self._closing = weakref.finalize(self, _close, self._commits, self._writing, self._acts)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one transaction that may change things; it is durable when the block has been left, undone when an exception leaves it.

        Threads that write at the same time share one flush to the disk (see :mod:`chengshu.kernel.commits`): none returns before it.
        Raises Conflict for a write inside a write of the same thread; Unavailable when the disk or another process does not let it.
        """
        with self._translated(), self._commits.act(), self._acts.connect() as connection:
            yield connection

    def close(self) -> None:
        """Let go of the writing connection, which SQLite takes as the moment to tidy its files; the next write opens it again."""
        _close(self._commits, self._writing, self._acts)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one consistent snapshot for reading."""
        with self._translated(), self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, sqlite3.DatabaseError, CommitLost) as error:
            reason = _reason(error)
            is_damaged = type(reason) is sqlite3.DatabaseError
            if isinstance(reason, sqlite3.OperationalError) or (isinstance(error, CommitLost) and not is_damaged):
                raise self._unavailable(reason) from error
            if not is_damaged:
                raise
            raise Tampered(
                "database.damaged",
                f"expected the file {self.path.name} to be a sound database, got: {reason}",
                hint=Text(
                    "Keep the file as it is, restore the node's folder from a copy, and run 'chengshu doctor'.",
                    "请保留该文件原样，从备份恢复节点目录，并运行 chengshu doctor。",
                ),
            ) from error

    def _unavailable(self, reason: BaseException | None) -> Unavailable:
        return Unavailable(
            "database.unavailable",
            f"expected to use the database {self.path.name}, got: {reason}",
            hint=Text(
                "Free disk space, stop whatever holds the database, or run 'chengshu doctor'.",
                "请释放磁盘空间、停止占用数据库的程序，或运行 chengshu doctor。",
            ),
        )


class _ActsConnection(sqlite3.Connection):
    """A connection whose transactions only :class:`SharedCommits` begins and ends: leaving an act must not end its neighbours'."""

    def commit(self) -> None:
        """Do nothing."""

    def rollback(self) -> None:
        """Do nothing."""


class _WritingConnection:
    """The one connection that writes: opened by the first write, kept, and never used on a file that took the place of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: _ActsConnection | None = None
        self._file: tuple[int, int] | None = None

    def open(self) -> sqlite3.Connection:
        """Return the connection; raise Unavailable when its file was taken away or replaced, for what is written then would be lost."""
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, factory=_ActsConnection)
            try:
                _configure(connection, None)
            except BaseException:
                connection.close()
                raise
            self._connection, self._file = connection, self._present()
        if self._file != self._present():
            raise Unavailable(
                "database.replaced",
                f"expected the database {self._path.name} that this process opened, got another file in its place, or none",
                hint=Text(
                    "Restart the node. Stop it before its folder is restored or moved.", "请重启节点；恢复或移动节点目录前请先停止节点。"
                ),
            )
        return self._connection

    def close(self) -> bool:
        """Close the connection and say so; one whose file is gone is left alone: closing it would remove its successor's journal."""
        if self._connection is None or self._file != self._present():
            return False
        self._connection.close()
        self._connection = None
        return True

    def _present(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino


def _close(commits: SharedCommits, writing: _WritingConnection, acts: Engine) -> None:
    def close() -> None:
        if writing.close():
            acts.dispose()

    commits.when_idle(close)


def _reason(error: DatabaseError | sqlite3.DatabaseError | CommitLost) -> BaseException | None:
    """The driver's own exception."""
    inner = error.reason if isinstance(error, CommitLost) else error
    return inner.orig if isinstance(inner, DatabaseError) else inner


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own; write() and read() do
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
