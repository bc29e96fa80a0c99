"""PostgreSQL tables and views: one REPEATABLE READ snapshot, copied out as text by the server and cast here."""

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pg8000.native as driver
import pyarrow as pa

from chengshu.catalog.model import DataContract
from chengshu.catalog.place import TablePlace
from chengshu.catalog.sources.access import TableAccess, connected, no_login, unavailable, untrusted
from chengshu.catalog.sources.faults import GRANT, NAME_TABLE, TRY_THERE, fault
from chengshu.catalog.sources.files import FileSource
from chengshu.catalog.sources.kinds import Kind, TableColumn, decimal_kind
from chengshu.catalog.sources.spool import nameless, path_of
from chengshu.kernel.databases.postgresql_troubles import state_of
from chengshu.kernel.errors import ChengshuError, Denied, in_words

SILENCE_S = 300.0
"""So long the server may say nothing, as while it sorts, before the connection is given up."""

LOCK_WAIT = "20s"
TEXT_SETTINGS = (
    "SET LOCAL client_encoding = 'UTF8'; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1;"
    f"SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '{LOCK_WAIT}'"
)
"""What decides how values are written as text (PostgreSQL's documentation, 8.5 and 20.11.2), whatever the server's own settings are."""

_BEGIN = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {TEXT_SETTINGS}"
_NO_TABLE, _NO_SCHEMA, _NOT_LOCKABLE = "42P01", "3F000", "42809"
_KINDS = {
    "bool": Kind.BOOLEAN,
    "int2": Kind.SMALL,
    "int4": Kind.SMALL,
    "int8": Kind.BIG,
    "float4": Kind.REAL,
    "float8": Kind.DOUBLE,
    "date": Kind.DATE,
    "timestamptz": Kind.INSTANT,
    "timestamp": Kind.CLOCK,
    "_int2": Kind.WHOLE_LIST,
    "_int4": Kind.WHOLE_LIST,
    "_int8": Kind.WHOLE_LIST,
    "_float4": Kind.NUMBER_LIST,
    "_float8": Kind.NUMBER_LIST,
    "_text": Kind.TEXT_LIST,
    "_varchar": Kind.TEXT_LIST,
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "uuid", "citext", "inet", "cidr", "macaddr", "time", "timetz"), Kind.TEXT),
}
_LISTS = {Kind.WHOLE_LIST, Kind.NUMBER_LIST, Kind.TEXT_LIST}
_COLUMNS = """SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text, b.typname::text, b.typtype::text,
 (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)::int4
 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
 JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
 WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_KEY = """SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
 WHERE i.indrelid = '{table}'::regclass AND i.indisprimary ORDER BY array_position(i.indkey::int2[], a.attnum)"""
_BROKEN = (driver.InterfaceError, OSError, struct.error)


class PostgreSQLTables:
    """One table or view of a PostgreSQL database."""

    def __init__(self, place: TablePlace, access: TableAccess, *, spool: Path | None) -> None:
        self._place = place
        self._access = access
        self._spool = spool

    @contextmanager
    def snapshot(self) -> Iterator["PostgreSQLSnapshot"]:
        """Log in, hold the table against changes of its form, and begin a snapshot; raise what the server's refusal means."""
        connection = self._logged_in()
        try:
            with _translated(self._place):
                _begun(connection, _quoted(self._place))
            yield PostgreSQLSnapshot(self._place, connection, spool=self._spool)
        finally:
            with suppress(driver.Error, OSError):
                connection.close()

    def _logged_in(self) -> driver.Connection:
        place, access = self._place, self._access
        context = access.context()
        near = connected(place.host, place.port, name=str(place), silence_s=SILENCE_S)
        try:
            return driver.Connection(
                access.user,
                host=place.host,
                database=place.database,
                password=access.password.get_secret_value(),
                sock=near,
                ssl_context=context or False,
                application_name="chengshu",
            )
        except ssl.SSLError as error:
            near.close()
            raise untrusted(str(place)) from error
        except driver.InterfaceError as error:
            near.close()
            raise _not_in(str(place), str(error)) from error
        except (driver.Error, OSError) as error:
            near.close()
            raise _told(error, self._place) from error


class PostgreSQLSnapshot:
    """One state of a table."""

    def __init__(self, place: TablePlace, connection: driver.Connection, *, spool: Path | None) -> None:
        self._place = place
        self._connection = connection
        self._spool = spool
        self._table = _quoted(place)

    def columns(self) -> tuple[TableColumn, ...]:
        """Return the columns; a domain is what it is made of."""
        with _translated(self._place):
            rows = self._connection.run(_COLUMNS.format(table=_in_quotes(self._table)))
        return tuple(TableColumn(name, written, _kind_of(type_, family, modifier)) for name, written, type_, family, modifier in rows)

    def key(self) -> list[str]:
        """Return the columns of the primary key."""
        with _translated(self._place):
            return [name for (name,) in self._connection.run(_KEY.format(table=_in_quotes(self._table)))]

    def batches(self, contract: DataContract, columns: tuple[TableColumn, ...]) -> Iterator[pa.RecordBatch]:
        """Yield all rows; the server's text waits on the disk until the last of it is here."""
        as_copied = replace(contract, encoding="utf-8", delimiter=",")
        with nameless(self._spool) as file:
            with _translated(self._place):
                self._connection.execute_unnamed(self._copy(columns), stream=_Uncounted(file))
            file.flush()
            yield from FileSource(path_of(file), as_copied, name=str(self._place)).batches()

    def _copy(self, columns: tuple[TableColumn, ...]) -> str:
        order = [f"r.{_name(one)}" for one in self.key()] or [_ordered(column) for column in columns]
        chosen = ", ".join(f"{_written(column)} AS {_name(column.name)}" for column in columns)
        rows = f"SELECT {chosen} FROM {self._table} AS r ORDER BY {', '.join(order)}"  # noqa: S608  # every name in it is quoted
        return f"COPY ({rows}) TO STDOUT (FORMAT csv, HEADER true)"


class _Uncounted:
    """A file that the driver only writes to."""

    def __init__(self, file: Any) -> None:
        self.write = file.write


def _begun(connection: driver.Connection, table: str) -> None:
    """Begin; the lock comes before the snapshot, which would be older than a change that the lock had to wait for."""
    connection.run(_BEGIN)
    try:
        connection.run(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
    except driver.DatabaseError as error:
        if state_of(error) != _NOT_LOCKABLE:  # as foreign tables and materialised views are
            raise
        connection.run("ROLLBACK")
        connection.run(_BEGIN)


def _kind_of(type_: str, family: str, modifier: int) -> Kind:
    if type_ == "numeric":
        digits = None if modifier < 0 else (modifier - 4) >> 16 & 0xFFFF
        return decimal_kind(digits, (modifier - 4) & 0x7FF)
    return Kind.TEXT if family == "e" else _KINDS.get(type_, Kind.OTHER)


def _written(column: TableColumn) -> str:
    name = f"r.{_name(column.name)}"
    if column.kind in _LISTS:
        return f"array_to_json({name})::text"
    return f"{name}::text" if column.kind in {Kind.BOOLEAN, Kind.TEXT} else name


def _ordered(column: TableColumn) -> str:
    """A column as a place in an order that no language of the server changes."""
    return f'{_written(column)} COLLATE "C"' if column.kind in _LISTS | {Kind.TEXT} else f"r.{_name(column.name)}"


def _quoted(place: TablePlace) -> str:
    return f"{_name(place.schema or 'public')}.{_name(place.table)}"


def _name(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def _in_quotes(text: str) -> str:
    """A name inside of a string constant; PostgreSQL's standard_conforming_strings leaves backslashes alone."""
    return text.replace("'", "''")


@contextmanager
def _translated(place: TablePlace) -> Iterator[None]:
    try:
        yield
    except (driver.DatabaseError, *_BROKEN) as error:
        failure = error
    else:
        return
    raise _told(failure, place) from None  # the server's own words may quote a row


def _told(error: BaseException, place: TablePlace) -> ChengshuError:
    """What a refusal means, by its SQLSTATE (PostgreSQL's documentation, appendix A)."""
    name, state = str(place), state_of(error)
    match state[:2]:
        case "":
            return unavailable(name, in_words(error) if isinstance(error, OSError) else "a connection that broke off")
        case "28":
            return no_login(name)
        case "08" | "40" | "53" | "55" | "57" | "58":
            return unavailable(name, f"SQLSTATE {state}")
    if state in {_NO_TABLE, _NO_SCHEMA, _NOT_LOCKABLE, "3D000"}:
        return fault(name, "missing-table", expected="a table or view of that name", got="none", hint=NAME_TABLE)
    if state == "42501":
        return Denied("source.rights", f"{name}: expected the right to read it, got a refusal", hint=GRANT, facts={"source": name})
    return fault(name, "failed", expected="the server to give its rows", got=f"SQLSTATE {state}", hint=TRY_THERE)


def _not_in(name: str, words: str) -> ChengshuError:
    if "SSL" in words:
        return untrusted(name)
    return no_login(name) if "uthentication" in words else unavailable(name, "a connection that broke off")
