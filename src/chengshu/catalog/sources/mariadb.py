"""MariaDB tables and views: one REPEATABLE READ snapshot, streamed row by row as text and cast here.

The driver is PyMySQL, which speaks MySQL's protocol.
"""

import ssl
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from chengshu.catalog.model import DataContract
from chengshu.catalog.place import TablePlace
from chengshu.catalog.sources.access import TableAccess, connected, no_login, unavailable, untrusted
from chengshu.catalog.sources.faults import GRANT, NAME_TABLE, TRY_THERE, cast_batch, fault
from chengshu.catalog.sources.kinds import Kind, TableColumn, decimal_kind
from chengshu.catalog.sources.spool import BATCH_ROWS
from chengshu.kernel.errors import ChengshuError, Denied, in_words

SILENCE_S = 300.0
"""So long the server may say nothing, as while it sorts, before the connection is given up."""

TEXT_SETTINGS = (
    "SET SESSION time_zone = '+00:00', SESSION sql_mode = '', SESSION net_write_timeout = 600,"
    " SESSION lock_wait_timeout = 20, SESSION max_sort_length = 65536"
)
"""What decides how values are written as text, and how much of a text counts in an order, whatever the server's own settings are."""

_BEGIN = ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
_KINDS = {
    "tinyint": Kind.TINY,
    "smallint": Kind.SMALL,
    "mediumint": Kind.SMALL,
    "int": Kind.SMALL,
    "year": Kind.SMALL,
    "bigint": Kind.BIG,
    "float": Kind.REAL,
    "double": Kind.DOUBLE,
    "date": Kind.DATE,
    "timestamp": Kind.INSTANT,
    "datetime": Kind.CLOCK,
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "time", "uuid", "inet4", "inet6"), Kind.TEXT
    ),
}
_COLUMNS = """SELECT column_name, column_type, data_type, numeric_precision, numeric_scale FROM information_schema.columns
 WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position"""
_KEY = """SELECT column_name FROM information_schema.statistics
 WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index"""
_JSON = """SELECT check_clause FROM information_schema.check_constraints
 WHERE constraint_schema = %s AND table_name = %s AND check_clause LIKE 'json\\_valid(%%'"""

_LOGIN = {1044, 1045, 1698, 2054, 2059, 2061}
_RIGHTS = {1142, 1143, 1227, 1356}
_NO_TABLE = {1049, 1146}
_AWAY = {1040, 1053, 1077, 1079, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024}
_NO_TLS = {2026}
_BROKEN = (pymysql.Error, OSError, struct.error)


class MariaDBTables:
    """One table or view of a MariaDB database."""

    def __init__(self, place: TablePlace, access: TableAccess) -> None:
        self._place = place
        self._access = access

    @contextmanager
    def snapshot(self) -> Iterator["MariaDBSnapshot"]:
        """Log in and begin a snapshot; raise what the server's refusal means."""
        connection = self._logged_in()
        try:
            with _translated(self._place), connection.cursor() as cursor:
                for statement in (TEXT_SETTINGS, *_BEGIN):
                    cursor.execute(statement)
            yield MariaDBSnapshot(self._place, connection)
        finally:
            with suppress(*_BROKEN):
                connection._force_close()  # noqa: SLF001  # a polite end would first read the rest of the rows

    def _logged_in(self) -> Any:
        place, access = self._place, self._access
        context = access.context()
        connection = pymysql.connect(
            host=place.host,
            port=place.port,
            user=access.user,
            password=access.password.get_secret_value(),
            database=place.database,
            charset="utf8mb4",
            conv=dict(encoders),  # and no decoders: what comes stays text
            read_timeout=SILENCE_S,
            ssl=context,
            ssl_disabled=context is None,
            local_infile=False,
            defer_connect=True,
        )
        near = connected(place.host, place.port, name=str(place), silence_s=SILENCE_S)
        try:
            connection.connect(near)
        except _BROKEN as error:
            connection._force_close()  # noqa: SLF001  # what the driver wrapped the connection in
            near.close()
            cause = error
        else:
            return connection
        raise _told(cause, place) from None


class MariaDBSnapshot:
    """One state of a table."""

    def __init__(self, place: TablePlace, connection: Any) -> None:
        self._place = place
        self._connection = connection

    def columns(self) -> tuple[TableColumn, ...]:
        """Return the columns; what MariaDB keeps as text with a check for JSON is JSON."""
        rows = self._asked(_COLUMNS)
        if not rows:
            raise fault(str(self._place), "missing-table", expected="a table or view of that name", got="none", hint=NAME_TABLE)
        json = {clause.split("`")[1].lower() for (clause,) in self._asked(_JSON)}
        return tuple(_column(row, is_json=row[0].lower() in json) for row in rows)

    def key(self) -> list[str]:
        """Return the columns of the primary key."""
        return [name for (name,) in self._asked(_KEY)]

    def batches(self, contract: DataContract, columns: tuple[TableColumn, ...]) -> Iterator[pa.RecordBatch]:
        """Yield all rows; only one batch of them is in memory."""
        key = [f"r.{_name(one)}" for one in self.key()]
        cursor = self._connection.cursor(SSCursor)
        try:
            with _translated(self._place):
                cursor.execute(_select(self._place, columns, key=key))
            yield from self._cast(cursor, contract, columns)
        finally:
            _let_go(cursor)

    def _cast(self, cursor: Any, contract: DataContract, columns: tuple[TableColumn, ...]) -> Iterator[pa.RecordBatch]:
        name, first_row = str(self._place), 1
        while rows := self._next(cursor):
            cells = zip(*rows, strict=True)
            raw = pa.RecordBatch.from_arrays([pa.array(one, pa.string()) for one in cells], names=[column.name for column in columns])
            yield cast_batch(raw, contract, first_row=first_row, name=name)
            first_row += len(rows)

    def _next(self, cursor: Any) -> Sequence[Sequence[Any]]:
        with _translated(self._place):
            rows: Sequence[Sequence[Any]] = cursor.fetchmany(BATCH_ROWS)
        return rows

    def _asked(self, statement: str) -> Sequence[Sequence[Any]]:
        with _translated(self._place), self._connection.cursor() as cursor:
            cursor.execute(statement, (self._place.database, self._place.table))
            rows: Sequence[Sequence[Any]] = cursor.fetchall()
        return rows


def _let_go(cursor: Any) -> None:
    """Forget rows that nobody will read: the driver would read them all once it forgets the cursor, on a connection that is gone."""
    if cursor._result is not None:  # noqa: SLF001  # the driver has no public word for it
        cursor._result.unbuffered_active = False  # noqa: SLF001  # as above
    cursor.connection = None


def _column(row: Sequence[Any], *, is_json: bool) -> TableColumn:
    name, written, type_, precision, scale = row
    if is_json:
        return TableColumn(name, "json", Kind.OTHER)
    if type_ == "decimal":
        return TableColumn(name, written, decimal_kind(int(precision), int(scale)))
    return TableColumn(name, written, _KINDS.get(type_, Kind.OTHER))


def _select(place: TablePlace, columns: Sequence[TableColumn], *, key: Sequence[str]) -> str:
    order = ", ".join(key or [_ordered(column) for column in columns])
    chosen = ", ".join(_written(column) for column in columns)
    return f"SELECT {chosen} FROM {_name(place.database)}.{_name(place.table)} AS r ORDER BY {order}"  # noqa: S608  # names are quoted


def _written(column: TableColumn) -> str:
    """A column as text that says its value exactly: FLOAT would be rounded to six digits, TIMESTAMP has no zone of its own."""
    name = f"r.{_name(column.name)}"
    match column.kind:
        case Kind.REAL:
            return f"CAST({name} AS DOUBLE)"
        case Kind.INSTANT:
            return f"CONCAT({name}, '+00:00')"
        case _:
            return name


def _ordered(column: TableColumn) -> str:
    """A column as a place in an order that no collation changes."""
    name = f"r.{_name(column.name)}"
    return f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)" if column.kind is Kind.TEXT else name


def _name(text: str) -> str:
    escaped = text.replace("`", "``")
    return f"`{escaped}`"


@contextmanager
def _translated(place: TablePlace) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        failure = error
    else:
        return
    raise _told(failure, place) from None  # the server's own words may quote a row


def _told(error: BaseException, place: TablePlace) -> ChengshuError:
    """What a refusal means, by its number (MariaDB's documentation, "Error Codes")."""
    name, number = str(place), _number(error)
    if _is_about_trust(error) or number in _NO_TLS:
        return untrusted(name)
    if number in _LOGIN:
        return no_login(name)
    if number in _RIGHTS:
        return Denied("source.rights", f"{name}: expected the right to read it, got a refusal", hint=GRANT, facts={"source": name})
    if number in _NO_TABLE:
        return fault(name, "missing-table", expected="a table or view of that name", got="none", hint=NAME_TABLE)
    if number == 0 or number in _AWAY:
        return unavailable(name, in_words(error) if isinstance(error, OSError) else "a connection that broke off")
    return fault(name, "failed", expected="the server to give its rows", got=f"error {number}", hint=TRY_THERE)


def _number(error: BaseException) -> int:
    first = error.args[0] if isinstance(error, pymysql.Error) and error.args else 0
    return first if isinstance(first, int) else 0


def _is_about_trust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = getattr(error, "original_exception", None) or error.__cause__
    return False
