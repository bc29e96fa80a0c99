"""PostgreSQL: a server of the operator's own; each node in a schema of its own. The driver is pg8000, in Python throughout."""

import socket
import ssl
import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import pg8000.dbapi as driver
from pg8000.converters import make_params
from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolEmpty
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.types import String

from chengshu.kernel.databases.ports import BUSY_TIMEOUT_S
from chengshu.kernel.databases.postgresql_place import Place
from chengshu.kernel.databases.postgresql_troubles import no_authority, no_connection, no_login, no_trust, state_of, told, unknown_end
from chengshu.kernel.errors import ChengshuError, in_words

CONNECT_S = 10.0
"""So long a server may take to answer a new connection."""

ANSWER_S = 120.0
"""So long a server may be silent in a statement before the connection is given up: a host that vanished says nothing."""

READERS = 8
MORE_READERS = 32
"""Connections that are kept for reading, and how many more are opened while many threads read; they are closed again."""

STATEMENTS = 256
"""So many prepared statements a connection keeps, for its next use of the same text."""

RETRY_S = 0.2
"""So long between two questions after the end of a transaction."""

_KEPT, _RUNNING = "committed", "in progress"
"""What PostgreSQL says of a transaction by its number (txid_status)."""


class PostgreSQL:
    """A database in one schema of a server. Processes take turns by an advisory lock that the server keeps until a transaction ends."""

    begins_empty = False

    def __init__(self, place: Place) -> None:
        self.place = place
        self.name = str(place)
        self.reading = create_engine(
            "postgresql+pg8000://",
            creator=partial(_connect, place, _Connection),
            poolclass=QueuePool,
            pool_size=READERS,
            max_overflow=MORE_READERS,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_use_lifo=True,
        )
        self.writing = PostgreSQLWriting(place)
        self.acts = create_engine("postgresql+pg8000://", creator=self.writing.opened, poolclass=NullPool)
        for engine in (self.reading, self.acts):
            engine.dialect.ddl_compiler = _BytewiseText
            engine.dialect.use_insertmanyvalues_wo_returning = True  # many rows in one statement, not one round trip each

    def create(self) -> None:
        """Make the schema where there is none; raise Denied where the user may not."""
        connection = _connect(self.place, _Connection)
        try:
            (found,) = connection.execute_simple(f"SELECT to_regnamespace('{self.place.schema}')").rows
            if found[0] is None:
                connection.execute_simple(f'CREATE SCHEMA IF NOT EXISTS "{self.place.schema}"')
        finally:
            connection.close()

    def begin_snapshot(self, connection: Connection) -> None:
        """Begin a transaction that reads the state of its first statement."""
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def translated(self, error: BaseException) -> ChengshuError | None:
        """Return what the server's refusal, or its silence, means."""
        if isinstance(error, PoolEmpty):
            return no_connection(self.name, "all that the node may open at once in use")
        reason = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(reason, driver.InterfaceError):
            return no_connection(self.name, "one that broke off")
        return None if reason is None else told(reason, place=self.name)

    def close_writing(self) -> None:
        """Log out."""
        self.writing.close()

    def close_reading(self) -> None:
        """Log out every connection that nobody uses."""
        self.reading.dispose()


class _BytewiseText(PGDDLCompiler):
    """Orders and compares every text column by its bytes, as SQLite does, whatever the language of the database."""

    def get_column_specification(self, column: Any, **options: Any) -> str:
        written = str(super().get_column_specification(column, **options))  # type: ignore[no-untyped-call]  # SQLAlchemy's own has no types
        needs_order = isinstance(column.type, String) and " COLLATE " not in written
        return f'{written} COLLATE "C"' if needs_order else written


class _Connection(driver.Connection):  # type: ignore[misc]  # the driver ships no types
    """A connection that prepares each statement once, and whose exceptions are of the kinds that SQLAlchemy tells apart.

    It is always in autocommit: whoever needs a transaction says BEGIN, so that nothing begins by itself.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._prepared: OrderedDict[tuple[str, tuple[int, ...]], Any] = OrderedDict()
        try:
            super().__init__(*args, **kwargs)
            self._usock.settimeout(ANSWER_S)
            self._set_durable()
        except BaseException:
            self.hang_up()
            raise
        self.autocommit = True

    def hang_up(self) -> None:
        """Log out; a connection that is broken or closed already is let go of."""
        with suppress(driver.Error, OSError, AttributeError):
            super().close()

    def execute_unnamed(self, statement: str, vals: Any = (), oids: Any = (), stream: Any = None) -> Any:
        """Run a statement with values: one round trip where it was prepared before, two where not (the driver's own way takes three)."""
        if stream is not None:
            return super().execute_unnamed(statement, vals=vals, oids=oids, stream=stream)
        name, columns, readers = self._statement(statement, tuple(oids))
        return self.execute_named(name, make_params(self.py_types, vals), columns, readers, statement)

    def handle_messages(self, context: Any) -> None:
        """Read the answer; whatever breaks it off is told in one way."""
        try:
            super().handle_messages(context)
        except OSError as error:
            raise driver.InterfaceError("network error") from error

    def handle_ERROR_RESPONSE(self, data: bytes, context: Any) -> None:  # noqa: N802  # the driver's name for the message
        """Keep the server's refusal, as the kind of exception that its SQLSTATE says."""
        super().handle_ERROR_RESPONSE(data, context)
        kind = _KINDS.get(state_of(context.error)[:2])
        if kind is not None:
            context.error = kind(*context.error.args)

    def close(self) -> None:
        """Log out."""
        self.hang_up()

    def in_sound_transaction(self) -> bool:
        """Say whether a transaction is open in which no statement has failed."""
        return bool(self._transaction_status == b"T")

    def _set_durable(self) -> None:
        """Have a commit wait for the disk where the server's own settings would not: whoever is answered must find it there."""
        off = "current_setting('synchronous_commit') = 'off'"
        self.execute_simple(f"SELECT set_config('synchronous_commit', 'on', false) WHERE {off}")

    def _statement(self, statement: str, oids: tuple[int, ...]) -> Any:
        key = (statement, oids)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepared[key] = self.prepare_statement(statement, oids)
            if len(self._prepared) > STATEMENTS:
                _, (oldest, _, _) = self._prepared.popitem(last=False)
                self.close_prepared_statement(oldest)
        else:
            self._prepared.move_to_end(key)
        return found


_C = TypeVar("_C", bound=_Connection)
_KINDS = {"22": driver.DataError, "23": driver.IntegrityError} | dict.fromkeys(("08", "40", "53", "57", "58"), driver.OperationalError)


class _ActsConnection(_Connection):
    """A connection whose transactions only :class:`PostgreSQLWriting` begins and ends: leaving an act must not end its neighbours'."""

    def commit(self) -> None:
        """Do nothing."""

    def rollback(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: the connection is kept for the next act."""


class PostgreSQLWriting:
    """The one connection that writes: opened by the first write, kept, and opened again where the server ended it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: _ActsConnection | None = None
        self._number = ""
        lock = int.from_bytes(sha256(f"chengshu {place.schema}".encode()).digest()[:8], signed=True)
        # READ COMMITTED, so that each statement sees what was committed before the lock was given; a snapshot would be older than the lock
        self._begin = (
            f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock({lock})::text; SELECT txid_current()::text"
        )

    def opened(self) -> driver.Connection:
        """Return the connection on which :meth:`begin` began."""
        return self._open()

    def begin(self) -> None:
        """Begin, and wait for the lock that one process of the node holds; a connection that broke while it was idle is replaced."""
        was_open = self._connection is not None
        try:
            self._begun()
        except driver.InterfaceError:
            if not was_open:
                raise
            self._begun()

    def set_savepoint(self) -> None:
        """Mark where the next act begins."""
        self._open().execute_simple("SAVEPOINT act")

    def release_savepoint(self) -> None:
        """Make what was done since the mark part of the transaction; the server refuses it to an act of which a statement failed."""
        self._open().execute_simple("RELEASE act")

    def undo_to_savepoint(self) -> None:
        """Take back what was done since the mark, and the mark."""
        self._open().execute_simple("ROLLBACK TO act; RELEASE act")

    def commit(self) -> None:
        """Commit; where the connection breaks off in it, find out from the server what became of it.

        Raises UnknownEnd where the server does not answer any more.
        """
        connection = self._open()
        if not connection.in_sound_transaction():
            raise driver.InterfaceError("the transaction is not sound")
        try:
            connection.execute_simple("COMMIT")
        except driver.InterfaceError:
            self.close()
            if not self._was_kept():
                raise

    def abandon(self) -> None:
        """Roll back; where that cannot be said, hang up, which rolls back too."""
        if self._connection is None:
            return
        try:
            self._connection.execute_simple("ROLLBACK")
        except driver.Error:
            self.close()

    def close(self) -> None:
        """Log out; the next transaction logs in again."""
        if self._connection is not None:
            self._connection.hang_up()
            self._connection = None

    def _open(self) -> _ActsConnection:
        if self._connection is None:
            raise driver.InterfaceError("connection is closed")
        return self._connection

    def _begun(self) -> None:
        if self._connection is None:
            self._connection = _connect(self._place, _ActsConnection)
        try:
            (_, (number,)) = self._connection.execute_simple(self._begin).rows
        except driver.InterfaceError:
            self.close()
            raise
        except driver.Error:
            self.abandon()
            raise
        self._number = str(number)

    def _was_kept(self) -> bool:
        """Ask for the transaction by its number, until there is an answer."""
        until = time.monotonic() + BUSY_TIMEOUT_S
        while time.monotonic() < until:
            with suppress(ChengshuError, driver.Error):
                state = self._state()
                if state != _RUNNING:
                    return state == _KEPT
            time.sleep(RETRY_S)
        raise unknown_end(str(self._place))

    def _state(self) -> str:
        connection = _connect(self._place, _Connection)
        try:
            ((state,),) = connection.execute_simple(f"SELECT txid_status({int(self._number)})").rows
        finally:
            connection.close()
        return str(state)


def _connect(place: Place, kind: type[_C]) -> _C:
    """Log in; raise what the operator can understand, and nothing that holds a secret."""
    context = _tls(place)
    try:
        return kind(
            place.user,
            host=place.host,
            database=place.database,
            password=place.password or "",
            sock=_socket(place),
            ssl_context=context,
            application_name=f"chengshu {place.schema}"[:63],
            startup_params={"search_path": f'"{place.schema}"', "lock_timeout": f"{BUSY_TIMEOUT_S * 1000:.0f}"},
        )
    except ssl.SSLCertVerificationError as error:
        raise no_trust(str(place)) from error
    except OSError as error:
        raise no_connection(str(place), in_words(error)) from error
    except driver.InterfaceError as error:
        raise _refused(place, error) from error
    except driver.Error as error:
        raise told(error, place=str(place)) or no_login(str(place)) from error


def _refused(place: Place, error: driver.InterfaceError) -> ChengshuError:
    if "SSL" in str(error):
        return no_connection(str(place), "a server without TLS (sslmode=disable in the URL does without)")
    return no_login(str(place)) if "uthentication" in str(error) else no_connection(str(place), "one that broke off")


def _socket(place: Place) -> socket.socket:
    if place.socket is None:
        near = socket.create_connection((place.host, place.port), timeout=CONNECT_S)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return near
    near = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        near.settimeout(CONNECT_S)
        near.connect(place.socket)
    except BaseException:
        near.close()
        raise
    return near


def _tls(place: Place) -> ssl.SSLContext | bool:
    if place.tls == "disable":
        return False
    try:
        context = ssl.create_default_context(cafile=place.authority)
    except OSError as error:
        raise no_authority(str(place)) from error
    if place.tls == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
