"""A part of a question's tables: small blocks from all over one of them, and of others only the rows that those join with."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chengshu.cleanroom.engines.keys import Keys
from chengshu.cleanroom.engines.proof import Leaf
from chengshu.cleanroom.relation.model import Body, JoinKind, Ref, Table

_BLOCK, _MOST_BLOCKS = 64, 4000
"""Rows that stand together in a source are often of one unit; small blocks show more of them, but many cost time to put together."""
_TIMES = 10
"""How many times the rows of what it is joined with a table must have, for its rows to be looked up rather than read."""


def blocks_of(table: pa.Table, *, share: float) -> pa.Table:
    """Return small blocks of rows from all over a table, about so large a share of it."""
    block = max(_BLOCK, round(table.num_rows * share / _MOST_BLOCKS))
    return pa.Table.from_batches(list(_blocks(table, block, step=max(round(block / share), block))), schema=table.schema).combine_chunks()


def followed(body: Body, taken: Mapping[Leaf, pa.Table], tables: Mapping[str, pa.Table], keys: Keys) -> dict[Leaf, pa.Table]:
    """Return of large tables the rows that inner joins by an ascending key find for the rows that are ``taken`` of others, and some beside.

    The other rows of theirs would join with none that is left, so nothing behind a group is lost by leaving them out.
    """
    known = {leaf.path[0]: rows for leaf, rows in taken.items() if len(leaf.path) == 1}
    found: dict[Leaf, pa.Table] = {}
    tried: set[tuple[Ref, Ref]] = set()
    pairs = [pair for join in body.joins if join.kind is JoinKind.INNER for one in join.on for pair in (one, one[::-1])]
    for _ in body.joins:  # what was found leads on
        for here, there in pairs:
            place, rows = body.place_of(there), known.get(body.place_of(here))
            whole = None if rows is None or place in known else _whole(body, there, tables, keys)
            if rows is None or whole is None or (here, there) in tried:
                continue
            tried.add((here, there))
            some = _matching(whole[1], there.column, rows.column(here.column))
            if some is not None:
                found[Leaf(whole[0], (place,))] = known[place] = some
    return found


def _whole(body: Body, key: Ref, tables: Mapping[str, pa.Table], keys: Keys) -> tuple[str, pa.Table] | None:
    """Return the product of a key by which rows can be looked up; None where there is none, or a left join needs all of its rows."""
    place, source = body.place_of(key), body.source_of(key)
    if not isinstance(source, Table) or (place and body.joins[place - 1].kind is not JoinKind.INNER):
        return None
    table = tables[source.product]
    is_whole = pa.types.is_integer(table.schema.field(key.column).type)
    return (source.product, table) if is_whole and keys.is_ascending(source.product, key.column) else None


def _matching(table: pa.Table, key: str, values: pa.ChunkedArray) -> pa.Table | None:
    """Return the rows whose ascending ``key`` is among ``values``, and those between that are near; None where that is not far fewer."""
    if not pa.types.is_integer(values.type) or table.num_rows <= _TIMES * len(values):
        return None
    wanted = pc.unique(values).drop_null().cast(table.schema.field(key).type, safe=False).sort().to_numpy()
    runs: list[pa.RecordBatch] = []
    for batch in (one for one in table.to_batches() if one.num_rows):
        own = batch.column(key).to_numpy()
        first, end = np.searchsorted(wanted, own[0]), np.searchsorted(wanted, own[-1], side="right")
        places = np.searchsorted(own, wanted[first:end])
        ends = np.flatnonzero(np.diff(places, append=batch.num_rows + _BLOCK + 1) > _BLOCK)
        starts = np.flatnonzero(np.diff(places, prepend=-_BLOCK - 1) > _BLOCK)
        runs += [batch.slice(places[start], places[end] - places[start] + 1) for start, end in zip(starts, ends, strict=True)]
        if len(runs) > _MOST_BLOCKS:
            return None
    some = pa.Table.from_batches(runs, schema=table.schema)
    return some.combine_chunks() if some.num_rows * _TIMES < table.num_rows else None


def _blocks(table: pa.Table, block: int, *, step: int) -> Iterator[pa.RecordBatch]:
    before, due = 0, 0
    for batch in table.to_batches():
        while due < before + batch.num_rows:
            yield batch.slice(max(due - before, 0), block)
            due += step
        before += batch.num_rows
