"""A question computed in stages, so that distinct units are counted only where a small part of the rows does not prove enough of them.

First the groups with everything cheap; then the units that part of one source shows in each; then, exactly, the groups that are still
open. The hidden columns say the same about every group, held against their gates, as :func:`chengshu.cleanroom.rendering.duckdb_sql`:
a count is exact, or a lower bound that is large enough. Nothing that leaves the room depends on which of the two it was; how long the
stages take does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom import proof
from chengshu.cleanroom.relation import Summary, Unique, VettedQuery
from chengshu.cleanroom.rendering import (
    ROWS,
    count_column,
    count_name,
    dominance_name,
    dominance_sql,
    group_columns,
    grouped_sql,
    identifier,
    measure_columns,
    same_groups,
    select_sql,
    single_column,
    single_name,
    unique_name,
    unique_sql,
    unit_column,
)

Ask = Callable[[str], pa.Table]
"""Runs one generated SELECT and returns all of its rows."""
_BLOCK = 64
"""Rows that stand together in a source are often of one unit; small blocks show more of them."""


def computed(query: VettedQuery, tables: Mapping[str, pa.Table], *, database: duckdb.DuckDBPyConnection, ask: Ask) -> pa.Table:
    """Return the summary of ``query`` with its hidden columns, over the tables that ``database`` has under their product names."""
    return _Stages(query.summary, tables, database, ask, max((gate.minimum for gate in query.gates), default=1)).run()


def worth_staging(summary: Summary) -> bool:
    """Say whether a question has a hidden column that costs more than a count of rows."""
    return bool(proof.counted(summary) or summary.singles or summary.uniques or summary.dominances)


@dataclass(frozen=True, slots=True)
class _Stages:
    summary: Summary
    tables: Mapping[str, pa.Table]
    database: duckdb.DuckDBPyConnection
    ask: Ask
    minimum: int

    def run(self) -> pa.Table:
        known = self.ask(self._first())
        counted = proof.counted(self.summary)
        part = self._part(known, counted)
        if part is None:
            bounds = {count_name(place): pa.array([0] * known.num_rows, pa.int64()) for place in counted}
            known = pa.table({**{name: known.column(name) for name in known.column_names}, **bounds})
        else:
            known = self._joined(known, self._sampled(counted, part), [count_name(place) for place in counted])
        for place in counted:
            still = self._open(known, place)
            if still.num_rows:
                exact = self._exact(place, self._groups(still))
                known = self._joined(known, exact, [count_name(place)])
        for place, _ in enumerate(self.summary.dominances):
            self.database.register("__open", self._groups(self._large(known)))
            marks = self.ask(dominance_sql(self.summary, place, among="__open"))
            known = self._joined(known, marks, [dominance_name(place)])
        return known

    def _first(self) -> str:
        """Return the question with its cheap columns only, and what whole products say about their keys."""
        keys = proof.unique_keys(self.summary)
        asked = dict.fromkeys([*self.summary.uniques, *(key for group in keys.values() for key in group)])
        unique = {one: self._is_unique(one) for one in asked}
        proved = {place for place, group in keys.items() if all(unique[key] for key in group)}
        columns = group_columns(self.summary) + measure_columns(self.summary)
        columns += [count_column(place, count) for place, count in enumerate(self.summary.counts) if count.of is None]
        for place, single in enumerate(self.summary.singles):
            columns.append(f"1 AS {single_name(place)}" if place in proved else single_column(place, single))
        columns += [f"{int(unique[one])} AS {unique_name(place)}" for place, one in enumerate(self.summary.uniques)]
        every = len(proved) == len(self.summary.singles)
        return grouped_sql(self.summary, columns, body=proof.unnumbered(self.summary.body) if every else None)

    def _is_unique(self, unique: Unique) -> bool:
        if len(unique.keys) == 1 and _ascending(self.tables[unique.product].column(unique.keys[0])):
            return True
        return bool(self.ask(unique_sql(unique)).column(0)[0].as_py())

    def _part(self, known: pa.Table, counted: tuple[int, ...]) -> tuple[proof.Leaf, float] | None:
        """Return of which table, and of how much of it, a proof is worth making; None where counting is cheaper."""
        leaf = max(proof.leaves(self.summary.body), key=lambda one: self.tables[one.product].num_rows, default=None)
        rows = known.column(ROWS).to_numpy()
        rows = rows[rows >= self.minimum]
        if leaf is None or not counted or not len(rows):
            return None
        share = proof.share(int(np.quantile(rows, 0.1)), minimum=max(self.summary.counts[place].minimum for place in counted))
        return None if share is None else (leaf, share)

    def _sampled(self, counted: tuple[int, ...], part: tuple[proof.Leaf, float]) -> pa.Table:
        """Return the units that show in a part of one table, group by group."""
        leaf, share = part
        self.database.register("__sample", _blocks_of(self.tables[leaf.product], share=share))
        schema, name = (identifier(one) for one in proof.SAMPLE.split("."))
        self.database.execute(f"CREATE SCHEMA {schema}")
        self.database.execute(f"CREATE VIEW {schema}.{name} AS SELECT * FROM __sample")  # noqa: S608  # generated names
        columns = group_columns(self.summary) + [count_column(place, self.summary.counts[place]) for place in counted]
        return self.ask(grouped_sql(self.summary, columns, body=proof.sampled(self.summary.body, leaf)))

    def _open(self, known: pa.Table, place: int) -> pa.Table:
        """Return the groups that could pass but for the bound of this count, which does not say yet whether they do."""
        large = self._large(known)
        return large.filter(pc.less(large.column(count_name(place)), self.summary.counts[place].minimum))

    def _large(self, known: pa.Table) -> pa.Table:
        return known.filter(pc.greater_equal(known.column(ROWS), self.minimum))

    def _groups(self, rows: pa.Table) -> pa.Table:
        return rows.select([f"g{one}" for one, _ in enumerate(self.summary.groups)] or [ROWS])

    def _exact(self, place: int, still: pa.Table) -> pa.Table:
        """Return one count of the open groups, exactly. Listing each unit of a group once first is half the cost of COUNT(DISTINCT)."""
        self.database.register("__open", still)
        columns = [*group_columns(self.summary), unit_column(self.summary.counts[place])]
        rows = select_sql(self.summary, columns, among="__open").replace("SELECT", "SELECT DISTINCT", 1)
        groups = [f"g{one}" for one, _ in enumerate(self.summary.groups)]
        listed = ", ".join([*groups, f"COUNT(u) AS {count_name(place)}"])
        return self.ask(f"SELECT {listed} FROM ({rows})" + (f" GROUP BY {', '.join(groups)}" if groups else ""))  # noqa: S608  # generated names

    def _joined(self, known: pa.Table, found: pa.Table, names: list[str]) -> pa.Table:
        """Return what is known of every group, with the hidden columns ``names`` as just found where they were looked for."""
        self.database.register("__known", known)
        self.database.register("__found", found)
        held = set(known.column_names)
        columns = [f"k.{name}" for name in known.column_names if name not in names]
        columns += [f"COALESCE(n.{name}, {f'k.{name}' if name in held else 0}) AS {name}" for name in names]
        groups = same_groups("n", [f"k.g{one}" for one, _ in enumerate(self.summary.groups)])
        return self.ask(f"SELECT {', '.join(columns)} FROM __known AS k LEFT JOIN __found AS n ON {groups}")  # noqa: S608  # generated names


def _ascending(values: pa.ChunkedArray) -> bool:
    """Say whether a whole column is in strictly ascending order, which is how most keys are kept: then none of them is there twice."""
    if not (pa.types.is_integer(values.type) or pa.types.is_date(values.type)) or values.null_count:
        return False
    last = None
    for chunk in values.chunks:
        if len(chunk) and not _follows(chunk, last):
            return False
        last = chunk[-1] if len(chunk) else last
    return True


def _follows(chunk: pa.Array, last: pa.Scalar | None) -> bool:
    if last is not None and not pc.less(last, chunk[0]).as_py():
        return False
    return len(chunk) == 1 or bool(pc.all(pc.less(chunk[:-1], chunk[1:])).as_py())


def _blocks_of(table: pa.Table, *, share: float) -> pa.Table:
    """Return small blocks of rows from all over a table, about so large a share of it."""
    return pa.Table.from_batches(list(_blocks(table, step=max(round(_BLOCK / share), _BLOCK))), schema=table.schema).combine_chunks()


def _blocks(table: pa.Table, *, step: int) -> Iterator[pa.RecordBatch]:
    before, due = 0, 0
    for batch in table.to_batches():
        while due < before + batch.num_rows:
            yield batch.slice(max(due - before, 0), _BLOCK)
            due += step
        before += batch.num_rows
