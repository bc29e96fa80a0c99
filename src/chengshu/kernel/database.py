"""One database a node behind SQLAlchemy Core, kept by SQLite or by PostgreSQL: one writer at a time, one flush for many acts."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, Executable, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from chengshu.kernel.commits import CommitLost, SharedCommits
from chengshu.kernel.databases.ports import BUSY_TIMEOUT_S, Backend, UnknownEnd
from chengshu.kernel.errors import ChengshuError, Unavailable
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

LONG = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits on either database: for counts, money and milliseconds. SQLite's Integer has as many, PostgreSQL's has 32."""

_ENDS = "chengshu_ends"


@dataclass(slots=True)
class _Ends:
    """What is to be called once an act has ended: where it is durable, and where nobody knows whether it is."""

    durable: list[Callable[[], None]] = field(default_factory=list)
    in_doubt: list[Callable[[], None]] = field(default_factory=list)


class _First(threading.local):
    """What a thread's next act is to begin with; None where nothing may wait for one."""

    todo: list[Callable[[Connection], None]] | None = None


class Database:
    """Transactions on one database; ``write`` takes the write lock at once, so that a decision and its evidence agree."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._commits = SharedCommits(backend.writing, patience_s=BUSY_TIMEOUT_S)
        self._first = _First()
        self._closing = weakref.finalize(self, _close, self._commits, backend)

    @property
    def engine(self) -> Engine:
        """The engine that reads: for tools that look at the whole database."""
        return self.backend.reading

    @property
    def name(self) -> str:
        """How messages name the database; no secret is in it."""
        return self.backend.name

    def create(self) -> None:
        """Make the place of the database where there is none; its tables are for migrations to make."""
        with self._translated():
            self.backend.create()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open one transaction that may change things; it is durable when the block has been left, undone when an exception leaves it.

        Threads that write at the same time share one flush to the disk (see :mod:`chengshu.kernel.commits`): none returns before it.
        Raises Conflict for a write inside a write of the same thread; Unavailable when the disk, the server or another process does not
        let it; UnknownEnd, which is Unavailable too, when the server went away in the commit.
        """
        ends = _Ends()
        first = self._first.todo
        try:
            with self._translated(), self._commits.act(), self.backend.acts.connect() as connection:
                connection.execution_options(**{_ENDS: ends})
                for do in list(first or ()):
                    do(connection)
                yield connection
        except UnknownEnd:
            for call in ends.in_doubt:
                call()
            raise
        if first:
            first.clear()
        for call in ends.durable:
            call()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let what :meth:`first` is given in the block be done in the transaction of this thread's next ``write()`` in it.

        What no ``write()`` that went well took along is written when the block is left, however it is left.
        """
        if self._first.todo is not None:
            yield
            return
        todo: list[Callable[[Connection], None]] = []
        self._first.todo = todo
        try:
            yield
        finally:
            try:
                if todo:
                    with self.write():
                        pass
            finally:
                self._first.todo = None

    def first(self, do: Callable[[Connection], None]) -> None:
        """Do something in this thread's next ``write()`` within :meth:`together`, before anything else; outside of that, at once.

        Where ``do`` raises, that act is undone and leaves with the exception.
        """
        if self._first.todo is not None:
            self._first.todo.append(do)
            return
        with self.write() as tx:
            do(tx)

    def close(self) -> None:
        """Let go of the connections, which SQLite takes as the moment to tidy its files; the next act opens them again."""
        _close(self._commits, self.backend)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one consistent snapshot for reading."""
        with self._translated():
            connection = self._snapshot()
            try:
                yield connection
            finally:
                _end(connection)

    def _snapshot(self) -> Connection:
        """A connection in a snapshot; one that was kept while the server restarted is found out here, and replaced once."""
        try:
            return self._begun()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._begun()

    def _begun(self) -> Connection:
        connection = self.backend.reading.connect()
        try:
            self.backend.begin_snapshot(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            told = self._told(error)
            if told is None:
                raise
            raise told from error

    def _told(self, error: Exception) -> ChengshuError | None:
        """What an exception means to a caller; None for one that is not the database's."""
        if not isinstance(error, CommitLost):
            return self.backend.translated(error)
        return self.backend.translated(error.reason) or Unavailable(
            "database.unavailable",
            f"expected {self.name} to commit, got {type(error.reason).__name__}",
            hint=Text("Try again, or run 'chengshu doctor'.", "请重试，或运行 chengshu doctor。"),
        )


def after_commit(tx: Connection, call: Callable[[], None]) -> None:
    """Have ``call`` called once what ``tx`` does is durable, by the thread that wrote it; never where it is undone.

    ``tx`` MUST come from ``Database.write()``. ``call`` MUST be quick and MUST NOT raise: nobody can undo the act for it any more.
    """
    tx.get_execution_options()[_ENDS].durable.append(call)


def if_in_doubt(tx: Connection, call: Callable[[], None]) -> None:
    """Have ``call`` called where nobody here knows whether what ``tx`` does was kept; see :func:`after_commit` for what both MUST be."""
    tx.get_execution_options()[_ENDS].in_doubt.append(call)


def add_or_save(tx: Connection, table: Table, values: Mapping[str, Any], *, key: Sequence[str]) -> None:
    """Keep one row, in place of the one with the same ``key`` where there is one. ``key`` MUST be a primary key or unique."""
    statement = _insert(tx)(table).values(**values)
    changed = {name: statement.excluded[name] for name in values if name not in key}
    tx.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changed))


def add_if_absent(tx: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Keep one row; return False, and nothing done, where a unique key of it is taken."""
    return bool(tx.execute(_insert(tx)(table).values(**values).on_conflict_do_nothing()).rowcount)


def add_unless_there(table: Table) -> Mapping[str, Executable]:
    """Return, by dialect, the statement that keeps a row unless a unique key of it is taken: for what is too frequent to build anew."""
    return {name: insert(table).on_conflict_do_nothing() for name, insert in _INSERTS.items()}


_INSERTS: Mapping[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
"""The inserts that know conflicts: each dialect of SQLAlchemy has its own, with the same methods."""


def _insert(tx: Connection) -> Any:
    return _INSERTS[tx.dialect.name]


def _end(connection: Connection) -> None:
    try:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
    finally:
        connection.close()


def _close(commits: SharedCommits, backend: Backend) -> None:
    commits.when_idle(backend.close_writing)
    backend.close_reading()
