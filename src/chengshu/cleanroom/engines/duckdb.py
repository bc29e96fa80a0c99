"""DuckDB, embedded and locked down: no files but its own spill, no network, no extensions, no settings, bounded memory and time.

The vetter is the first wall. This engine is built as if the vetter did not exist: whatever SQL it is handed, it reaches
nothing but the tables of the call, and what goes wrong inside leaves as a fixed code without a word of the engine's text,
because an engine's error can carry a row's value.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from chengshu.cleanroom.engines.declared import declared
from chengshu.cleanroom.engines.dialects.duckdb import DUCKDB
from chengshu.cleanroom.engines.ends import Ended, deadline, too_large
from chengshu.cleanroom.engines.engine import MOST_ROWS, EngineName, Spill, Stopped, never
from chengshu.cleanroom.engines.spare import SPARE
from chengshu.cleanroom.engines.staged import computed
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.kernel.errors import Invalid

STAGED_FROM = 20_000
"""Rows from which a question is computed in stages: below it, counting every unit takes a few milliseconds."""
FEW_ROWS = 400_000
"""Up to so many rows behind all groups, counting every unit along with the question costs less than another proof."""
_BATCH = 65_536

_LOCKS = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET enable_external_access = false",
)


class DuckDBEngine:
    """Runs vetted questions, each in a database of its own that lives for the call.

    ``memory_limit`` in DuckDB's words (``512MB``), ``threads`` of the call, ``timeout_s`` seconds from start to last row.
    From ``staged_from`` rows on, units are proved before they are counted, unless at most ``few_rows`` are behind all groups together
    (:mod:`chengshu.cleanroom.engines.staged`).
    """

    name: EngineName = "duckdb"

    def __init__(
        self, memory_limit: str, threads: int, timeout_s: float, *, staged_from: int = STAGED_FROM, few_rows: int = FEW_ROWS
    ) -> None:
        self._memory_limit = memory_limit
        self._threads = threads
        self._timeout_s = timeout_s
        self._staged_from = staged_from
        self._few_rows = few_rows

    def run(self, query: VettedQuery, tables: Mapping[str, pa.Table], *, spill: Spill | None = None, stopped: Stopped = never) -> pa.Table:
        """Compute as :class:`chengshu.cleanroom.engines.engine.Engine` promises.

        What does not fit in memory goes to ``spill``; without one nothing is written to disk, and it fails.
        """
        known = {one.product: declared(one, tables) for one in query.inputs}
        trouble: Invalid | None = None
        ended = Ended()
        result: pa.Table | None = None
        try:
            with self._database(known, spill) as database, deadline(database.interrupt, self._timeout_s, stopped, ended):
                result = self._result(query, known, database)
        except (duckdb.Error, pa.ArrowException, RuntimeError, MemoryError, ValueError):
            trouble = ended.trouble(self._timeout_s)
        # raised here and not in the except clause: there the engine's own error would hang on ours as its context
        if trouble is not None:
            raise trouble
        if result is None:
            raise too_large()
        return result

    def _result(self, query: VettedQuery, tables: Mapping[str, pa.Table], database: duckdb.DuckDBPyConnection) -> pa.Table | None:
        few = sum(table.num_rows for table in tables.values()) < self._staged_from
        if few or query.instead is not None:  # only a summary has units to prove
            return _answer(database, query.sql)
        return computed(query, tables, database=database, ask=lambda sql: _few(_answer(database, sql)), few_rows=self._few_rows)

    @contextmanager
    def _database(self, tables: Mapping[str, pa.Table], spill: Spill | None) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            with SPARE.take() as database:
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
                    database.execute(f"CREATE SCHEMA IF NOT EXISTS {DUCKDB.identifier(party)}")
                    view = f"{DUCKDB.identifier(party)}.{DUCKDB.identifier(name)}"
                    columns = ", ".join(DUCKDB.identifier(column) for column in table.column_names)
                    database.execute(f"CREATE VIEW {view} AS SELECT {columns} FROM {source}")  # noqa: S608  # declared names, quoted
                database.execute("SET lock_configuration = true")
                yield database
        finally:
            SPARE.prepare()


def _few(rows: pa.Table | None) -> pa.Table:
    if rows is None:
        raise too_large()
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


def _quiet(database: duckdb.DuckDBPyConnection) -> None:
    """Have no progress bar drawn into whatever the process writes, an answer as JSON too.

    It is only switched off where it is on: in a notebook it is off, and DuckDB refuses to change it where ipywidgets are not installed.
    """
    (is_drawn,) = database.execute("SELECT current_setting('enable_progress_bar')").fetchone() or (True,)
    if is_drawn:
        database.execute("SET enable_progress_bar = false")
