"""Sums and means of columns that their owner clips: the values are clipped on their way into DuckDB, block by block.

A CASE in the question costs DuckDB most of a plain question over again. Here a block of a column is clipped at once, by the processor's own
instructions for it, into memory that is free again when the block is computed. What comes in is equal to what CASE gives, value for
value, but for the sign of a zero, which no sum and no mean shows. A column of which that cannot be said is left to CASE.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from chengshu.cleanroom.model import Aggregate, Column
from chengshu.cleanroom.relation.model import Body, Derived, Measure, Ref, Summary, Table, Union

CLIPPED = "__clipped_"
"""What stands before the name of a product to read it with clipped columns beside its own, and before the name of a clipped column."""
_BLOCK = 131_072
"""Rows that are clipped at once: as many as an Arrow scan hands to DuckDB."""
_EXACT, _POWERS = 2**53, 22
"""Up to here whole numbers, and powers of ten, are doubles: a decimal is then rounded once, whoever divides its digits by the power."""
_DIGITS = 18
"""So many digits of a decimal fit into 64 bits."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range in a column's own numbers, of a decimal in its last digits; None where it is open. ``kind`` is the clipped column's."""

    kind: pa.DataType
    lower: float | int | None
    upper: float | int | None


@dataclass(frozen=True, slots=True)
class Clipped:
    """A table and, beside its columns, some of them clipped: an Arrow stream for every reading, a few blocks of which are in memory."""

    table: pa.Table
    ranges: Mapping[str, Range]

    @property
    def schema(self) -> pa.Schema:
        """The columns of the table, then the clipped ones."""
        return pa.schema([*self.table.schema, *((f"{CLIPPED}{name}", one.kind) for name, one in self.ranges.items())])

    def __arrow_c_schema__(self) -> object:
        """Return the schema (Arrow PyCapsule interface)."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the rows (Arrow PyCapsule interface)."""
        return pa.RecordBatchReader.from_batches(self.schema, self._blocks()).__arrow_c_stream__(requested_schema)

    def _blocks(self) -> Iterator[pa.RecordBatch]:
        schema = self.schema
        for block in self.table.to_batches(max_chunksize=_BLOCK):
            clipped = [clip(block.column(name), one) for name, one in self.ranges.items()]
            yield pa.RecordBatch.from_arrays([*block.columns, *clipped], schema=schema)


def prepared(summary: Summary, tables: Mapping[str, pa.Table]) -> tuple[Summary, Mapping[str, Clipped]]:
    """Return ``summary`` with sums and means that read clipped columns in the place of CASE, and what it reads them from, by product."""
    reading = _Reading(summary.body, tables)
    measures = tuple(map(reading.measure, summary.measures))
    relations = {f"{CLIPPED}{product}": Clipped(tables[product], ranges) for product, ranges in reading.ranges.items()}
    return replace(summary, measures=measures, body=reading.body), relations


def range_of(column: Column, kind: pa.DataType) -> Range | None:
    """Return the range to clip a column of Arrow type ``kind`` to; None where CASE might give other numbers, or numbers of another type."""
    if pa.types.is_float64(kind):
        bounds = (column.lower, column.upper)
        return Range(kind, *(None if bound is None else float(bound) for bound in bounds)) if all(map(_is_rounded_once, bounds)) else None
    if pa.types.is_integer(kind):
        ends = np.iinfo(kind.to_pandas_dtype())
        return _whole(column, kind, scale=0, least=int(ends.min), most=int(ends.max))
    if pa.types.is_decimal128(kind) and kind.precision <= _DIGITS:
        most = 10**kind.precision - 1
        return _whole(column, pa.decimal64(kind.precision, kind.scale), scale=kind.scale, least=-most, most=most)
    return None


def clip(values: pa.Array, to: Range) -> pa.Array:
    """Return ``values`` within a range; what is no number is above every number, as it is for DuckDB and Spark."""
    own = _numbers(values)
    most = own.max(initial=own.dtype.type(0))  # where one of them is no number, so is this
    if most <= (most if to.upper is None else to.upper) and (to.lower is None or (own >= to.lower).all()) and to.kind == values.type:
        return values
    before = values.offset % 8 if values.null_count else 0  # bits of the first byte that says which values are missing
    buffer = pa.allocate_buffer((before + len(values)) * own.itemsize)
    clipped = np.frombuffer(buffer, own.dtype)[before:]
    np.clip(own, to.lower, to.upper, out=clipped)
    if to.upper is not None and np.isnan(most):
        clipped[np.isnan(clipped)] = to.upper
    known = values.buffers()[0].slice(values.offset // 8) if values.null_count else None
    return pa.Array.from_buffers(to.kind, len(values), [known, buffer], values.null_count, before)


@dataclass(slots=True)
class _Reading:
    """Has measures read clipped columns, one after the other; ``ranges`` are those of each product, by column."""

    body: Body
    tables: Mapping[str, pa.Table]
    ranges: dict[str, dict[str, Range]] = field(default_factory=dict)
    clipped: dict[Ref, Ref] = field(default_factory=dict)

    def measure(self, measure: Measure) -> Measure:
        of, column = measure.of, measure.column
        if column is None or not isinstance(of, Ref) or measure.function not in {Aggregate.SUM, Aggregate.AVG}:
            return measure
        if of not in self.clipped:
            found = self._found(self.body, of, column)
            if found is None:
                return measure
            self.body, self.clipped[of] = found
        return replace(measure, of=self.clipped[of], column=None)

    def _found(self, body: Body, ref: Ref, column: Column) -> tuple[Body, Ref] | None:
        """Return a body that also has a column's clipped values, and which column they are; None where CASE must clip them."""
        place = body.place_of(ref)
        match body.at(place):
            case Table(product=product) as source:
                product = product.removeprefix(CLIPPED)
                to = range_of(column, self.tables[product].schema.field(ref.column).type)
                if to is None:
                    return None
                self.ranges.setdefault(product, {})[ref.column] = to
                return body.put(place, replace(source, product=f"{CLIPPED}{product}")), replace(ref, column=f"{CLIPPED}{ref.column}")
            case Derived(rows=rows):
                own = rows.columns[int(ref.column.removeprefix("c"))]
                found = self._found(rows.body, own, column) if isinstance(own, Ref) else None
                if found is None:
                    return None
                rows = replace(rows, body=found[0], columns=(*rows.columns, found[1]))
                return body.put(place, Derived(rows)), replace(ref, column=f"c{len(rows.columns) - 1}")
            case Union():
                return None


def _numbers(values: pa.Array) -> np.ndarray[Any, Any]:
    """The numbers of an array as they lie in memory, whatever lies where one is missing; of a decimal its lower 64 bits."""
    data, offset = values.buffers()[1], values.offset
    if pa.types.is_decimal(values.type):
        return np.frombuffer(data, np.int64)[2 * offset : 2 * (offset + len(values)) : 2]
    return np.frombuffer(data, values.type.to_pandas_dtype())[offset : offset + len(values)]


def _is_rounded_once(bound: Decimal | None) -> bool:
    if bound is None:
        return True
    power = max(-_exponent(bound), 0)
    return power <= _POWERS and abs(bound.scaleb(power)) < _EXACT


def _whole(column: Column, kind: pa.DataType, *, scale: int, least: int, most: int) -> Range | None:
    """The range in last digits, where it is one of the type's own values; a bound that all of them are within is none."""
    known = [bound for bound in (column.lower, column.upper) if bound is not None]
    if any(-_exponent(bound) > scale for bound in known):
        return None
    lower, upper = (None if bound is None else int(bound.scaleb(scale)) for bound in (column.lower, column.upper))
    if (lower is not None and lower > most) or (upper is not None and upper < least):
        return None
    lower, upper = None if lower is None or lower <= least else lower, None if upper is None or upper >= most else upper
    return None if lower is None and upper is None else Range(kind, lower, upper)


def _exponent(bound: Decimal) -> int:
    return int(bound.as_tuple().exponent)
