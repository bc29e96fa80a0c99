"""Which of a job's products hold the same rows: whoever copies another's data must not be paid for it twice.

Only equality leaves the room: products get numbers, and those with the same number have the same content, whatever the order of rows and
columns. Public reference data (minimum group 1) are left out: many may hold the same map.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from chengshu.cleanroom.engines.process import open_table
from chengshu.cleanroom.model import JobInput

SOURCES = "sources"
"""The table that tells, beside a sealed method's own: party, provider, product, content."""
_SCHEMA = pa.schema([("party", pa.string()), ("provider", pa.string()), ("product", pa.string()), ("content", pa.int64())])
NO_SOURCES = _SCHEMA.empty_table()
"""The table of a job that tells of no sources: nobody is known to hold another's data."""


def sources(inputs: Sequence[JobInput], files: Mapping[str, Path]) -> pa.Table:
    """Return one row for each protected product that was read: ``content`` is the same number where the rows are the same."""
    read = sorted((one for one in inputs if one.alias in files and one.schema.minimum_group > 1), key=lambda one: one.alias)
    shapes = {one.alias: _shape(files[one.alias]) for one in read}
    alike = [shape for shape in shapes.values() if list(shapes.values()).count(shape) > 1]
    numbers: dict[tuple[object, ...], int] = {}
    rows = []
    for one in read:
        shape = shapes[one.alias]
        # Rows are only hashed where two products have the same columns and as many rows: seldom.
        key = (shape, _content(files[one.alias])) if shape in alike else (shape, one.alias)
        number = numbers.setdefault(key, len(numbers) + 1)
        rows.append({"party": one.party, "provider": one.provider, "product": one.product, "content": number})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _shape(file: Path) -> tuple[object, ...]:
    table = open_table(file)
    return (table.num_rows, tuple(sorted((field.name, str(field.type)) for field in table.schema)))


def _content(file: Path) -> bytes:
    """The SHA-256 of a table's rows in an order of their own."""
    table = open_table(file)
    table = table.select(sorted(table.column_names))
    keys = [(field.name, "ascending") for field in table.schema if not pt.is_nested(field.type)]
    if keys:
        table = table.take(pc.sort_indices(table, sort_keys=keys))
    hasher = hashlib.sha256()
    for column in table.columns:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, pa.schema([("column", column.type)])) as writer:
            writer.write_table(pa.table({"column": column.combine_chunks()}))
        hasher.update(sink.getvalue())
    return hasher.digest()
