"""A question computed in stages, so that distinct units are counted only where a small part of the rows does not prove enough of them.

First the groups with everything cheap; then the units that part of one source shows in each; then, exactly, the groups that are still
open. The hidden columns say the same about every group, held against their gates, as
:func:`chengshu.cleanroom.engines.rendering.summary_sql`: a count is exact, or a lower bound that is large enough. Nothing that leaves the
room depends on which of the two it was; how long the stages take does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.engines import clipping, proof
from chengshu.cleanroom.engines.dialects.duckdb import DUCKDB
from chengshu.cleanroom.engines.rendering import (
    ROWS,
    count_column,
    count_name,
    dominance_name,
    dominance_sql,
    group_columns,
    grouped_sql,
    measure_columns,
    same_groups,
    select_sql,
    single_column,
    single_name,
    unique_name,
    unique_sql,
    unit_column,
)
from chengshu.cleanroom.relation.model import Body, Summary, Unique, VettedQuery

Ask = Callable[[str], pa.Table]
"""Runs one generated SELECT and returns all of its rows."""
_BLOCK, _MOST_BLOCKS = 64, 4000
"""Rows that stand together in a source are often of one unit; small blocks show more of them, but many cost time to put together."""
_FEW_ROWS = 200_000
"""Up to so many rows behind all groups, counting every unit together costs less than another run for each count."""


def computed(query: VettedQuery, tables: Mapping[str, pa.Table], *, database: duckdb.DuckDBPyConnection, ask: Ask) -> pa.Table:
    """Return the summary of ``query`` with its hidden columns, over the tables that ``database`` has under their product names."""
    summary, standing = proof.merged(query.summary, lambda product, column: tables[product].column(column).null_count == 0)
    weighed, relations = clipping.prepared(summary, tables)
    for relation, clipped in relations.items():
        _register(database, relation, clipped)
    known = _Stages(summary, weighed, tables, database, ask, max((gate.minimum for gate in query.gates), default=1)).run(
        tuple(dict.fromkeys(standing.values()))
    )
    for place, other in standing.items():
        if place != other:
            known = known.append_column(count_name(place), known.column(count_name(other)))
    return known


@dataclass(frozen=True, slots=True)
class _Stages:
    summary: Summary
    weighed: Summary
    """The same question, to be asked where values are weighed: it reads them clipped."""
    tables: Mapping[str, pa.Table]
    database: duckdb.DuckDBPyConnection
    ask: Ask
    minimum: int

    def run(self, counted: tuple[int, ...]) -> pa.Table:
        """Return the summary with the counts at the places ``counted``, and none of the others that are of distinct units."""
        known = self.ask(self._first())
        names = [count_name(place) for place in counted]
        part = self._part(known, counted)
        if part is None:
            bounds = {name: pa.array([0] * known.num_rows, pa.int64()) for name in names}
            known = pa.table({**{name: known.column(name) for name in known.column_names}, **bounds})
        else:
            known = self._joined(known, self._sampled(counted, part), names)
        for places in self._together(known, counted):
            still = self._open(known, places)
            if still.num_rows:
                known = self._joined(known, self._exact(places, still, known), [count_name(place) for place in places])
        for place, _ in enumerate(self.summary.dominances):
            self.database.register("__open", self._groups(self._large(known)))
            marks = self.ask(dominance_sql(self.summary, place, among="__open"))
            known = self._joined(known, marks, [dominance_name(place)])
        return known

    def _together(self, known: pa.Table, counted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield the places to count in one run: all where few rows are behind the groups, else one after the other."""
        if counted and (pc.sum(known.column(ROWS)).as_py() or 0) <= _FEW_ROWS:
            yield counted
        else:
            yield from ((place,) for place in counted)

    def _first(self) -> str:
        """Return the question with its cheap columns only, and what whole products say about their keys."""
        keys = proof.unique_keys(self.summary)
        asked = dict.fromkeys([*self.summary.uniques, *(key for group in keys.values() for key in group)])
        unique = {one: self._is_unique(one) for one in asked}
        proved = {place for place, group in keys.items() if all(unique[key] for key in group)}
        columns = group_columns(self.summary) + measure_columns(self.weighed)
        columns += [count_column(place, count) for place, count in enumerate(self.summary.counts) if count.of is None]
        for place, single in enumerate(self.summary.singles):
            columns.append(f"1 AS {single_name(place)}" if place in proved else single_column(place, single))
        columns += [f"{int(unique[one])} AS {unique_name(place)}" for place, one in enumerate(self.summary.uniques)]
        every = len(proved) == len(self.summary.singles)
        return grouped_sql(self.weighed, columns, body=proof.unnumbered(self.weighed.body) if every else None)

    def _is_unique(self, unique: Unique) -> bool:
        if len(unique.keys) == 1 and _ascending(self.tables[unique.product].column(unique.keys[0])):
            return True
        return bool(self.ask(unique_sql(unique)).column(0)[0].as_py())

    def _part(self, known: pa.Table, counted: tuple[int, ...]) -> tuple[tuple[proof.Leaf, ...], float] | None:
        """Return of which tables, and of how much of each, a proof is worth making; None where counting is cheaper."""
        leaf = max(proof.leaves(self.summary.body), key=lambda one: self.tables[one.product].num_rows, default=None)
        rows = known.column(ROWS).to_numpy()
        rows = rows[rows >= self.minimum]
        if leaf is None or not counted or not len(rows):
            return None
        some = proof.together(leaf, self.summary.body)
        smallest = int(np.quantile(rows, 0.1)) // len(some)
        minimum = max(self.summary.counts[place].minimum for place in counted)
        share = proof.share(smallest, minimum=minimum, rows=self.tables[leaf.product].num_rows)
        return None if share is None else (some, share)

    def _sampled(self, counted: tuple[int, ...], part: tuple[tuple[proof.Leaf, ...], float]) -> pa.Table:
        """Return the units that show in a part of some tables, group by group."""
        some, share = part
        for number, leaf in enumerate(some):
            _register(self.database, f"{proof.SAMPLE}{number}", _blocks_of(self.tables[leaf.product], share=share))
        columns = group_columns(self.summary) + [count_column(place, self.summary.counts[place]) for place in counted]
        return self.ask(grouped_sql(self.summary, columns, body=proof.sampled(self._counted_body(counted), some)))

    def _open(self, known: pa.Table, places: tuple[int, ...]) -> pa.Table:
        """Return the groups that could pass but for the bound of one of these counts, which does not say yet whether they do."""
        large = self._large(known)
        still = [pc.less(large.column(count_name(place)), self.summary.counts[place].minimum) for place in places]
        return large.filter(reduce(pc.or_, still))

    def _large(self, known: pa.Table) -> pa.Table:
        return known.filter(pc.greater_equal(known.column(ROWS), self.minimum))

    def _groups(self, rows: pa.Table) -> pa.Table:
        return rows.select([f"g{one}" for one, _ in enumerate(self.summary.groups)] or [ROWS])

    def _exact(self, places: tuple[int, ...], still: pa.Table, known: pa.Table) -> pa.Table:
        """Return counts of the open groups, exactly. Listing each unit of a group once first is half the cost of COUNT(DISTINCT)."""
        among = None
        if still.num_rows < known.num_rows:
            among = "__open"
            self.database.register(among, self._groups(still))
        body = self._counted_body(places)
        if len(places) > 1:
            columns = group_columns(self.summary) + [count_column(place, self.summary.counts[place]) for place in places]
            return self.ask(grouped_sql(self.summary, columns, body=body, among=among))
        columns = [*group_columns(self.summary), unit_column(self.summary.counts[places[0]])]
        rows = select_sql(self.summary, columns, body=body, among=among).replace("SELECT", "SELECT DISTINCT", 1)
        groups = [f"g{one}" for one, _ in enumerate(self.summary.groups)]
        listed = ", ".join([*groups, f"COUNT(u) AS {count_name(places[0])}"])
        return self.ask(f"SELECT {listed} FROM ({rows})" + (f" GROUP BY {', '.join(groups)}" if groups else ""))  # noqa: S608  # generated names

    def _counted_body(self, places: tuple[int, ...]) -> Body:
        """Return the body to count units over: without numbers for records, which keep filters from the sources, where none is a unit."""
        units = [unit for place in places if (unit := self.summary.counts[place].of) is not None]
        return self.summary.body if any(proof.is_number(self.summary.body, unit) for unit in units) else proof.unnumbered(self.summary.body)

    def _joined(self, known: pa.Table, found: pa.Table, names: list[str]) -> pa.Table:
        """Return what is known of every group, with the hidden columns ``names`` as just found where they were looked for."""
        self.database.register("__known", known)
        self.database.register("__found", found)
        held = set(known.column_names)
        columns = [f"k.{name}" for name in known.column_names if name not in names]
        columns += [f"COALESCE(n.{name}, {f'k.{name}' if name in held else 0}) AS {name}" for name in names]
        groups = same_groups("n", [f"k.g{one}" for one, _ in enumerate(self.summary.groups)])
        return self.ask(f"SELECT {', '.join(columns)} FROM __known AS k LEFT JOIN __found AS n ON {groups}")  # noqa: S608  # generated names


def _register(database: duckdb.DuckDBPyConnection, product: str, rows: pa.Table | clipping.Clipped) -> None:
    """Have the database read ``rows`` under the name of a product."""
    database.register(product, rows)
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {DUCKDB.identifier(product.split('.', maxsplit=1)[0])}")
    database.execute(f"CREATE VIEW {DUCKDB.product(product)} AS SELECT * FROM {DUCKDB.identifier(product)}")  # noqa: S608  # declared names, quoted


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
    block = max(_BLOCK, round(table.num_rows * share / _MOST_BLOCKS))
    return pa.Table.from_batches(list(_blocks(table, block, step=max(round(block / share), block))), schema=table.schema).combine_chunks()


def _blocks(table: pa.Table, block: int, *, step: int) -> Iterator[pa.RecordBatch]:
    before, due = 0, 0
    for batch in table.to_batches():
        while due < before + batch.num_rows:
            yield batch.slice(max(due - before, 0), block)
            due += step
        before += batch.num_rows
