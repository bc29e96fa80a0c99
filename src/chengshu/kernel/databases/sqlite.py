"""SQLite: one file in the node's folder, in WAL mode, flushed to the disk at every commit. The default: there is nothing to install."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DatabaseError, DisconnectionError
from sqlalchemy.pool import QueuePool, StaticPool

from chengshu.kernel.databases.ports import BUSY_TIMEOUT_S
from chengshu.kernel.errors import ChengshuError, Tampered, Unavailable
from chengshu.kernel.text import Text

READERS = 8
"""So many connections are kept for readers; further ones are opened when they are needed and closed after."""


class SQLite:
    """A database in one file. Processes take turns by SQLite's own lock (``BEGIN IMMEDIATE``)."""

    begins_empty = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.reading = create_engine(
            "sqlite://",
            creator=lambda: _ReadingConnection.of(path),
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=-1,
            pool_use_lifo=True,
            pool_reset_on_return=None,
        )
        event.listen(self.reading, "connect", _configure)
        event.listen(self.reading, "checkout", _check_place)
        self.writing = SQLiteWriting(path)
        self.acts = create_engine("sqlite://", creator=self.writing.open, poolclass=StaticPool, pool_reset_on_return=None)

    def create(self) -> None:
        """Do nothing: the first connection makes the file."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction; from its first statement on it reads one state of the file."""
        connection.exec_driver_sql("BEGIN")

    def translated(self, error: BaseException) -> ChengshuError | None:
        """Return Unavailable for what may pass (a full disk, a lock), Tampered for a file that is no sound database."""
        reason = error.orig if isinstance(error, DatabaseError) else error
        if isinstance(reason, ChengshuError):
            return reason
        if type(reason) is sqlite3.DatabaseError:
            return self._damaged(reason)
        return self._unavailable(reason) if isinstance(reason, sqlite3.OperationalError) else None

    def close_writing(self) -> None:
        """Close the writing connection, which SQLite takes as the moment to tidy its files."""
        if self.writing.close():
            self.acts.dispose()

    def close_reading(self) -> None:
        """Close the reading connections that nobody uses."""
        self.reading.dispose()

    def _damaged(self, reason: BaseException) -> Tampered:
        return Tampered(
            "database.damaged",
            f"expected the file {self.name} to be a sound database, got: {reason}",
            hint=Text(
                "Keep the file as it is, restore the node's folder from a copy, and run 'chengshu doctor'.",
                "请保留该文件原样，从备份恢复节点目录，并运行 chengshu doctor。",
            ),
        )

    def _unavailable(self, reason: BaseException) -> Unavailable:
        return Unavailable(
            "database.unavailable",
            f"expected to use the database {self.name}, got: {reason}",
            hint=Text(
                "Free disk space, stop whatever holds the database, or run 'chengshu doctor'.",
                "请释放磁盘空间、停止占用数据库的程序，或运行 chengshu doctor。",
            ),
        )


class _ReadingConnection(sqlite3.Connection):
    """A connection that is kept for the next reader, as long as its file is the one that is there."""

    @classmethod
    def of(cls, path: Path) -> "_ReadingConnection":
        """Open one; any thread may use it, one at a time."""
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False, factory=cls)
        connection.path, connection.file = path, _present(path)
        return connection

    path: Path
    file: tuple[int, int] | None

    def close(self) -> None:
        """Close it; where its file was taken away or replaced leave it alone: closing would remove the successor's journal."""
        if self.file == _present(self.path):
            super().close()
        else:
            _LEFT_ALONE.append(self)


_LEFT_ALONE: list[sqlite3.Connection] = []
"""Referred to, so that the interpreter does not close them either."""


def _check_place(connection: Any, _record: Any, _proxy: Any) -> None:
    if connection.file != _present(connection.path):
        raise DisconnectionError("the file is another one now")


class _ActsConnection(sqlite3.Connection):
    """A connection whose transactions only :class:`SQLiteWriting` begins and ends: leaving an act must not end its neighbours'."""

    def commit(self) -> None:
        """Do nothing."""

    def rollback(self) -> None:
        """Do nothing."""


class SQLiteWriting:
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
            self._connection, self._file = connection, _present(self._path)
        if self._file != _present(self._path):
            raise Unavailable(
                "database.replaced",
                f"expected the database {self._path.name} that this process opened, got another file in its place, or none",
                hint=Text(
                    "Restart the node. Stop it before its folder is restored or moved.", "请重启节点；恢复或移动节点目录前请先停止节点。"
                ),
            )
        return self._connection

    def begin(self) -> None:
        """Take SQLite's write lock at once."""
        self.open().execute("BEGIN IMMEDIATE")

    def set_savepoint(self) -> None:
        """Mark where the next act begins."""
        self._execute("SAVEPOINT act")

    def release_savepoint(self) -> None:
        """Make what was done since the mark part of the transaction."""
        self._execute("RELEASE act")

    def undo_to_savepoint(self) -> None:
        """Take back what was done since the mark; a full disk makes SQLite end the whole transaction, and this raise."""
        self._execute("ROLLBACK TO act")

    def commit(self) -> None:
        """Flush the transaction to the disk."""
        self._execute("COMMIT")

    def abandon(self) -> None:
        """Roll back what SQLite has not rolled back by itself."""
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._execute("ROLLBACK")

    def close(self) -> bool:
        """Close the connection and say so; one whose file is gone is left alone: closing it would remove its successor's journal."""
        if self._connection is None or self._file != _present(self._path):
            return False
        self._connection.close()
        self._connection = None
        return True

    def _execute(self, statement: str) -> None:
        assert self._connection is not None, "begin() comes first"  # noqa: S101  # the order that Writing states
        self._connection.execute(statement)


def _present(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions of its own; write() and read() do
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
