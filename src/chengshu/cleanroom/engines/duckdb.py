"""DuckDB, embedded and locked down: no files but its own spill, no network, no extensions, no settings, bounded memory and time.

The vetter is the first wall. This engine is built as if the vetter did not exist: whatever SQL it is handed, it reaches
nothing but the tables of the call, and what goes wrong inside leaves as a fixed code without a word of the engine's text,
because an engine's error can carry a row's value.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from chengshu.cleanroom.engines.staged import computed
from chengshu.cleanroom.model import Column, ColumnType
from chengshu.cleanroom.relation import Input, VettedQuery
from chengshu.cleanroom.rendering import identifier
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MOST_ROWS = 1_000_000
STAGED_FROM = 200_000
"""Rows from which a question is computed in stages: below it, counting every unit takes a few milliseconds."""
_BATCH = 65_536
_LOOK_S = 0.5
_DIGITS, _DECIMALS = 28, 18
"""Longer decimals are not computed with: their sums, and comparisons with constants, would fail for some values, and tell which."""
_ROWS_HINT = Text("Group more coarsely.", "请使用更粗的分组。")
_FAILED_HINT = Text(
    "Check the sources' quality reports; the room cannot say more without showing data.", "请查看数据源的质量报告；再多说就会泄露数据。"
)
_TIME_HINT = Text("Ask for less, or ask the room's operator for more time.", "请缩小问题，或请数据空间运营者放宽时限。")
_STOPPED_HINT = Text("Ask again if it was not meant.", "如非有意，请重新提出。")
_DRIFT_HINT = Text("The holder must publish the product again with the schema it really has.", "持有方须按实际模式重新发布该产品。")

_LOCKS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_access = false",
)
_KINDS: Mapping[ColumnType, tuple[Callable[[pa.DataType], bool], ...]] = {
    ColumnType.BOOLEAN: (pa.types.is_boolean,),
    ColumnType.INTEGER: (pa.types.is_integer,),
    ColumnType.DECIMAL: (pa.types.is_decimal,),
    ColumnType.DOUBLE: (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal),
    ColumnType.TEXT: (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    ColumnType.DATE: (pa.types.is_date,),
    ColumnType.TIMESTAMP: (pa.types.is_timestamp,),
}


Stopped = Callable[[], bool]
"""Says whether somebody has stopped the question meanwhile."""


def never() -> bool:
    """Say that nobody has."""
    return False


@dataclass(frozen=True, slots=True)
class Spill:
    """An empty folder, for this call and its user alone, that what does not fit in memory goes to, and how much of it (``4GB``).

    The engine may read and write in it, and nowhere else; its files are not encrypted, so whoever calls removes the folder.
    """

    folder: Path
    limit: str


class DuckDBEngine:
    """Runs vetted questions, each in a database of its own that lives for the call.

    ``memory_limit`` in DuckDB's words (``512MB``), ``threads`` of the call, ``timeout_s`` seconds from start to last row.
    From ``staged_from`` rows on, units are proved before they are counted (:mod:`chengshu.cleanroom.engines.staged`).
    """

    def __init__(self, memory_limit: str, threads: int, timeout_s: float, *, staged_from: int = STAGED_FROM) -> None:
        self._memory_limit = memory_limit
        self._threads = threads
        self._timeout_s = timeout_s
        self._staged_from = staged_from

    def run(self, query: VettedQuery, tables: Mapping[str, pa.Table], *, spill: Spill | None = None, stopped: Stopped = never) -> pa.Table:
        """Return the summary of ``query`` over ``tables`` (by product name), hidden counts included; gate it before anyone sees it.

        Raises Invalid: ``cleanroom.schema-drift`` where a table lacks a declared column or holds another kind of value (checked
        before anything runs), ``cleanroom.query-timeout``, ``cleanroom.query-stopped`` once ``stopped`` says so,
        ``cleanroom.result-too-large``, and ``cleanroom.query-failed`` for whatever else the engine says, without its words. What does
        not fit in memory goes to ``spill``; without one nothing is written to disk, and it fails.
        """
        declared = {one.product: _declared(one, tables) for one in query.inputs}
        trouble: Invalid | None = None
        ended = _Ended(threading.Event(), threading.Event())
        result: pa.Table | None = None
        try:
            with self._database(declared, spill) as database, _deadline(database, self._timeout_s, stopped, ended):
                result = self._result(query, declared, database)
        except (duckdb.Error, pa.ArrowException, RuntimeError, MemoryError, ValueError):
            trouble = _stopped() if ended.stopped.is_set() else _timeout(self._timeout_s) if ended.expired.is_set() else _failed()
        # raised here and not in the except clause: there the engine's own error would hang on ours as its context
        if trouble is not None:
            raise trouble
        if result is None:
            raise _too_large()
        return result

    def _result(self, query: VettedQuery, tables: Mapping[str, pa.Table], database: duckdb.DuckDBPyConnection) -> pa.Table | None:
        few = sum(table.num_rows for table in tables.values()) < self._staged_from
        if few or query.protection is not None:
            return _answer(database, query.sql)
        return computed(query, tables, database=database, ask=lambda sql: _few(_answer(database, sql)))

    @contextmanager
    def _database(self, tables: Mapping[str, pa.Table], spill: Spill | None) -> Iterator[duckdb.DuckDBPyConnection]:
        # python_* keep SQL from reading the caller's variables by name
        config: dict[str, str | bool | int | float | list[str]] = {"python_enable_replacements": False, "python_scan_all_frames": False}
        with duckdb.connect(":memory:", config=config) as database:
            database.execute("SET memory_limit = ?", [self._memory_limit])
            database.execute("SET threads = ?", [self._threads])
            # before the locks: without external access, where to spill can no longer be set
            database.execute("SET temp_directory = ?", ["" if spill is None else str(spill.folder)])
            database.execute("SET max_temp_directory_size = ?", ["0B" if spill is None else spill.limit])
            _quiet(database)
            for statement in _LOCKS:
                database.execute(statement)
            for place, (product, table) in enumerate(tables.items()):
                party, name = product.split(".")
                source = f"__in{place}"
                database.register(source, table)
                database.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(party)}")
                view = f"{identifier(party)}.{identifier(name)}"
                columns = ", ".join(identifier(column) for column in table.column_names)
                database.execute(f"CREATE VIEW {view} AS SELECT {columns} FROM {source}")  # noqa: S608  # declared names, quoted
            database.execute("SET lock_configuration = true")
            yield database


def _few(rows: pa.Table | None) -> pa.Table:
    if rows is None:
        raise _too_large()
    return rows


def _answer(database: duckdb.DuckDBPyConnection, sql: str) -> pa.Table | None:
    """Return the rows of one SELECT, nothing where there are more than the room carries."""
    statements = database.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("expected one SELECT")
    batches: list[pa.RecordBatch] = []
    rows = 0
    with database.sql(sql).to_arrow_reader(_BATCH) as reader:
        for batch in reader:
            rows += batch.num_rows
            if rows > MOST_ROWS:
                return None
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)


@dataclass(frozen=True, slots=True)
class _Ended:
    """Why a question was interrupted: its time was over, or somebody stopped it."""

    expired: threading.Event
    stopped: threading.Event


@contextmanager
def _deadline(database: duckdb.DuckDBPyConnection, seconds: float, stopped: Stopped, ended: _Ended) -> Iterator[None]:
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
            database.interrupt()

    watcher = threading.Thread(target=watch, name="cleanroom-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()


def _quiet(database: duckdb.DuckDBPyConnection) -> None:
    """Have no progress bar drawn into whatever the process writes, an answer as JSON too.

    It is only switched off where it is on: in a notebook it is off, and DuckDB refuses to change it where ipywidgets are not installed.
    """
    (is_drawn,) = database.execute("SELECT current_setting('enable_progress_bar')").fetchone() or (True,)
    if is_drawn:
        database.execute("SET enable_progress_bar = false")


def _declared(needed: Input, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the needed columns only, each of its declared kind, times as UTC without a zone."""
    if needed.product not in tables:
        raise _drift(needed.product, expected="a table", got="none")
    table = tables[needed.product]
    for column in needed.columns:
        if table.column_names.count(column.name) != 1:
            raise _drift(f"{needed.product}.{column.name}", expected="one column of this name", got="none or several")
        kind = table.schema.field(column.name).type
        if not _is_kind(kind, column.type):
            raise _drift(f"{needed.product}.{column.name}", expected=column.type.value, got=str(kind))
    return pa.table({column.name: _kept(table.column(column.name), column, needed.product) for column in needed.columns})


def _kept(values: pa.ChunkedArray, column: Column, product: str) -> pa.ChunkedArray:
    trouble: Invalid | None = None
    try:
        return _plain(values, column)
    except pa.ArrowInvalid:  # its words quote the value
        trouble = _drift(
            f"{product}.{column.name}", expected=f"decimals of {_DIGITS} digits, {_DECIMALS} behind the point", got="longer ones"
        )
    raise trouble


def _plain(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    match column.type:
        case ColumnType.TIMESTAMP:
            return values.cast(pa.timestamp("us"), safe=False)
        case ColumnType.DOUBLE:
            return values.cast(pa.float64(), safe=False)
        case ColumnType.DECIMAL if values.type.precision > _DIGITS:
            return values.cast(pa.decimal128(_DIGITS, min(values.type.scale, _DECIMALS)))
        case _:
            return values


def _is_kind(kind: pa.DataType, declared: ColumnType) -> bool:
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(test(plain) for test in _KINDS[declared])


def _drift(where: str, *, expected: str, got: str) -> Invalid:
    return Invalid("cleanroom.schema-drift", f"{where}: expected {expected}, got {got}", hint=_DRIFT_HINT, facts={"column": where})


def _failed() -> Invalid:
    return Invalid("cleanroom.query-failed", "expected a result, got an error of the engine", hint=_FAILED_HINT)


def _stopped() -> Invalid:
    return Invalid("cleanroom.query-stopped", "expected a result, got a question that was stopped before it had one", hint=_STOPPED_HINT)


def _timeout(seconds: float) -> Invalid:
    return Invalid("cleanroom.query-timeout", f"expected a result within {seconds:g} s, got none", hint=_TIME_HINT)


def _too_large() -> Invalid:
    return Invalid("cleanroom.result-too-large", f"expected at most {MOST_ROWS} groups, got more", hint=_ROWS_HINT)
