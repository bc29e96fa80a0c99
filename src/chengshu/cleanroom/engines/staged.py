"""A question computed in stages, so that distinct units are counted only where a small part of the rows does not prove enough of them.

First the units that part of one source shows in each group; then the groups with everything cheap; then, exactly, the counts of groups that
are still open. Where the part says that few rows are behind the groups, all is computed at once. The hidden columns say the same about
every group, held against their gates, as :func:`chengshu.cleanroom.engines.rendering.summary_sql`: a count is exact, or a lower bound that
is large enough. Nothing that leaves the room depends on which of the two it was; how long the stages take does.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.engines import clipping, proof
from chengshu.cleanroom.engines.dialects.duckdb import DUCKDB
from chengshu.cleanroom.engines.keys import Keys
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
from chengshu.cleanroom.engines.sampling import blocks_of, followed
from chengshu.cleanroom.relation.model import Body, Summary, Unique, VettedQuery

Ask = Callable[[str], pa.Table]
"""Runs one generated SELECT and returns all of its rows."""
_SMALL = 50_000
"""Up to so many rows in all tables, counting every unit along with the question costs less than a proof."""
_TOGETHER = 200_000
"""Up to so many rows behind all groups, counting every unit together costs less than another run for each count."""


def computed(
    query: VettedQuery, tables: Mapping[str, pa.Table], *, database: duckdb.DuckDBPyConnection, ask: Ask, few_rows: int
) -> pa.Table:
    """Return the summary of ``query`` with its hidden columns, over the tables that ``database`` has under their product names.

    Up to ``few_rows`` behind all groups, units are counted right away.
    """
    keys = Keys(tables)
    summary = proof.by_rows(query.summary, keys.is_ascending)
    summary, standing = proof.merged(summary, lambda product, column: tables[product].column(column).null_count == 0)
    weighed, relations = clipping.prepared(summary, tables)
    for relation, clipped in relations.items():
        _register(database, relation, clipped)
    minimum = max((gate.minimum for gate in query.gates), default=1)
    known = _Stages(summary, weighed, tables, keys, database, ask, minimum, few_rows).run(tuple(dict.fromkeys(standing.values())))
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
    keys: Keys
    database: duckdb.DuckDBPyConnection
    ask: Ask
    minimum: int
    few_rows: int

    def run(self, counted: tuple[int, ...]) -> pa.Table:
        """Return the summary with the counts at the places ``counted``, and none of the others that are of distinct units."""
        few = sum(table.num_rows for table in self.tables.values()) <= _SMALL
        part = None if few or not counted else self._part()
        found = None if part is None else self._sampled(counted, part)
        if part is not None and found is not None and not self._are_proved(found, counted):
            few = _rows(found) <= self.few_rows * part.share
        known = self.ask(self._first(counted)) if few or not counted else self._proved(counted, part, found)
        for place, _ in enumerate(self.summary.dominances):
            self.database.register("__open", self._groups(self._large(known)))
            marks = self.ask(dominance_sql(self.summary, place, among="__open"))
            known = self._joined(known, marks, [dominance_name(place)])
        return known

    def _proved(self, counted: tuple[int, ...], part: proof.Part | None, found: pa.Table | None) -> pa.Table:
        """Return the summary with bounds of counts, as a part shows them, or a larger one; exact counts where that does not decide."""
        names = [count_name(place) for place in counted]
        known = self._with_bounds(found, names)
        larger = None if part is None else self._larger(part, known, counted)
        if larger is not None:
            known = self._joined(known, self._sampled(counted, larger), names)
        for places in self._together(known, counted):
            still = self._open(known, places)
            if still.num_rows:
                known = self._joined(known, self._exact(places, still, known), [count_name(place) for place in places])
        return known

    def _together(self, known: pa.Table, counted: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield the places to count in one run: all where few rows are behind the groups, else one after the other."""
        if counted and _rows(known) <= _TOGETHER:
            yield counted
        else:
            yield from ((place,) for place in counted)

    def _first(self, counted: tuple[int, ...]) -> str:
        """Return the question with its cheap columns, the counts at the places ``counted``, and what products say about their keys."""
        keys = proof.unique_keys(self.summary)
        asked = dict.fromkeys([*self.summary.uniques, *(key for group in keys.values() for key in group)])
        unique = {one: self._is_unique(one) for one in asked}
        proved = {place for place, group in keys.items() if all(unique[key] for key in group)}
        columns = group_columns(self.summary) + measure_columns(self.weighed)
        columns += [count_column(place, one) for place, one in enumerate(self.summary.counts) if one.of is None or place in counted]
        for place, single in enumerate(self.summary.singles):
            columns.append(f"1 AS {single_name(place)}" if place in proved else single_column(place, single))
        columns += [f"{int(unique[one])} AS {unique_name(place)}" for place, one in enumerate(self.summary.uniques)]
        every = len(proved) == len(self.summary.singles)
        return grouped_sql(self.weighed, columns, body=self._counted_body(self.weighed.body, counted) if every else None)

    def _is_unique(self, unique: Unique) -> bool:
        known = self.keys.is_unique(unique.product, unique.keys)
        return bool(self.ask(unique_sql(unique)).column(0)[0].as_py()) if known is None else known

    def _part(self) -> proof.Part | None:
        """Return the part that a proof begins with, None where no part proves anything."""
        leaf = max(proof.leaves(self.summary.body), key=lambda one: self.tables[one.product].num_rows, default=None)
        if leaf is None:
            return None
        rows = self.tables[leaf.product].num_rows
        return proof.Part(proof.together(leaf, self.summary.body), rows, proof.least_share(rows))

    def _larger(self, part: proof.Part, known: pa.Table, counted: tuple[int, ...]) -> proof.Part | None:
        """Return the part that proves what is open yet, None where nothing is, or so large a part is needed that counting is cheaper."""
        rows = self._open(known, counted).column(ROWS).to_numpy()
        if not len(rows):
            return None
        smallest = int(np.quantile(rows, 0.1)) // len(part.leaves)
        share = proof.share(smallest, minimum=max(self.summary.counts[place].minimum for place in counted), rows=part.rows)
        return None if share is None or share <= part.share else replace(part, share=share)

    def _sampled(self, counted: tuple[int, ...], part: proof.Part) -> pa.Table:
        """Return the rows and the units that show in a part of some tables, group by group."""
        body = self._counted_body(self.summary.body, counted)
        some = {leaf: blocks_of(self.tables[leaf.product], share=part.share) for leaf in part.leaves}
        some |= followed(body, some, self.tables, self.keys)
        for number, rows in enumerate(some.values()):
            _register(self.database, f"{proof.SAMPLE}{number}", rows)
        body = proof.sampled(body, tuple(some))
        if len(counted) == 1:
            return self.ask(self._listed(counted[0], body, with_rows=True))
        columns = [*group_columns(self.summary), f"COUNT(*) AS {ROWS}"]
        columns += [count_column(place, self.summary.counts[place]) for place in counted]
        return self.ask(grouped_sql(self.summary, columns, body=body))

    def _are_proved(self, found: pa.Table, counted: tuple[int, ...]) -> bool:
        """Say whether every group that shows in a part shows enough units there."""
        shown = [pc.min(found.column(count_name(place))).as_py() for place in counted]
        return all(least is not None and least >= self.summary.counts[place].minimum for place, least in zip(counted, shown, strict=True))

    def _listed(self, place: int, body: Body, *, among: str | None = None, with_rows: bool = False) -> str:
        """Return the statement of one count, or of the rows too. To list each unit of a group once first costs half of COUNT(DISTINCT)."""
        groups = [f"g{one}" for one, _ in enumerate(self.summary.groups)]
        columns = [*group_columns(self.summary), unit_column(self.summary.counts[place])]
        rows = select_sql(self.summary, columns, body=body, among=among)
        units, listed = rows.replace("SELECT", "SELECT DISTINCT", 1), [*groups, f"COUNT(u) AS {count_name(place)}"]
        if with_rows:  # of a part: it takes more memory
            units = f"SELECT *, COUNT(*) AS r FROM ({rows}) GROUP BY {', '.join([*groups, 'u'])}"  # noqa: S608  # generated names
            listed.append(f"CAST(SUM(r) AS BIGINT) AS {ROWS}")
        return f"SELECT {', '.join(listed)} FROM ({units})" + (f" GROUP BY {', '.join(groups)}" if groups else "")  # noqa: S608  # generated names

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
        """Return counts of the open groups, exactly."""
        among = None
        if still.num_rows < known.num_rows:
            among = "__open"
            self.database.register(among, self._groups(still))
        body = self._counted_body(self.summary.body, places)
        if len(places) == 1:
            return self.ask(self._listed(places[0], body, among=among))
        columns = group_columns(self.summary) + [count_column(place, self.summary.counts[place]) for place in places]
        return self.ask(grouped_sql(self.summary, columns, body=body, among=among))

    def _counted_body(self, body: Body, places: tuple[int, ...]) -> Body:
        """Return the body to count units over: without numbers for records, which keep filters from the sources, where none is a unit."""
        units = [unit for place in places if (unit := self.summary.counts[place].of) is not None]
        return body if any(proof.is_number(body, unit) for unit in units) else proof.unnumbered(body)

    def _with_bounds(self, found: pa.Table | None, names: list[str]) -> pa.Table:
        """Return the question's cheap columns with counts as found in a part of the rows, none where none were looked for."""
        if found is None:
            known = self.ask(self._first(()))
            return pa.table({**dict(zip(known.column_names, known.columns, strict=True)), **dict.fromkeys(names, _none(known.num_rows))})
        self.database.register("__found", found)
        bounds = ", ".join(f"COALESCE(n.{name}, 0) AS {name}" for name in names)
        return self.ask(f"SELECT k.*, {bounds} FROM ({self._first(())}) AS k LEFT JOIN __found AS n ON {self._same_groups()}")  # noqa: S608  # generated names

    def _same_groups(self) -> str:
        return same_groups("n", [f"k.g{one}" for one, _ in enumerate(self.summary.groups)])

    def _joined(self, known: pa.Table, found: pa.Table, names: list[str]) -> pa.Table:
        """Return what is known of every group, with the hidden columns ``names`` as just found where they were looked for."""
        self.database.register("__known", known)
        self.database.register("__found", found)
        held = set(known.column_names)
        columns = [f"k.{name}" for name in known.column_names if name not in names]
        columns += [f"COALESCE(n.{name}, {f'k.{name}' if name in held else 0}) AS {name}" for name in names]
        return self.ask(f"SELECT {', '.join(columns)} FROM __known AS k LEFT JOIN __found AS n ON {self._same_groups()}")  # noqa: S608  # generated names


def _register(database: duckdb.DuckDBPyConnection, product: str, rows: pa.Table | clipping.Clipped) -> None:
    """Have the database read ``rows`` under the name of a product."""
    database.register(product, rows)
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {DUCKDB.identifier(product.split('.', maxsplit=1)[0])}")
    database.execute(f"CREATE OR REPLACE VIEW {DUCKDB.product(product)} AS SELECT * FROM {DUCKDB.identifier(product)}")  # noqa: S608  # declared names, quoted


def _rows(groups: pa.Table) -> int:
    return int(pc.sum(groups.column(ROWS)).as_py() or 0)


def _none(rows: int) -> pa.Array:
    return pa.array([0] * rows, pa.int64())
