"""Leaving out of a product's rows what somebody may not have of it.

Values are compared as the clean room's engines compare them: texts by their bytes, a value that is not there with nothing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from chengshu.catalog.ports import Rows
from chengshu.catalog.restriction import Predicate, Restriction

_ORDERS: Mapping[Predicate, Callable[..., Any]] = {
    Predicate.LESS: pc.less,
    Predicate.AT_MOST: pc.less_equal,
    Predicate.MORE: pc.greater,
    Predicate.AT_LEAST: pc.greater_equal,
}


def restricted(rows: Rows, restrictions: Sequence[Restriction], *, columns: Collection[str] | None) -> Rows:
    """Return the rows of which every restriction holds, of ``columns`` alone where they are named, as they pass; the others go nowhere."""
    schema = pa.schema([field for field in rows.schema if columns is None or field.name in columns])

    def passing() -> Iterator[pa.RecordBatch]:
        for batch in rows.batches:
            kept = batch.filter(reduce(pc.and_, (_holds(batch.column(one.column), one) for one in restrictions)))
            if kept.num_rows:
                yield kept.select(schema.names)

    return Rows(schema, passing())


def _holds(cells: pa.Array, restriction: Restriction) -> pa.Array:
    """Row by row, whether it holds; false where there is no value to compare."""
    match restriction.predicate:
        case Predicate.MISSING:
            return pc.is_null(cells)
        case Predicate.PRESENT:
            return pc.is_valid(cells)
        case Predicate.AMONG:
            return pc.is_in(cells, value_set=_among(restriction.values, cells.type))
        case Predicate.NOT_AMONG:
            return pc.and_(pc.is_valid(cells), pc.invert(pc.is_in(cells, value_set=_among(restriction.values, cells.type))))
        case predicate:
            (value,) = restriction.values
            return pc.fill_null(_ORDERS[predicate](cells, _scalar(value, cells.type)), fill_value=False)


def _among(values: Sequence[str], kind: pa.DataType) -> pa.Array:
    """The values in a column's own type, without those that it cannot hold and so never equals."""
    found = []
    for value in values:
        try:
            found.append(_scalar(value, kind).cast(kind).as_py())
        except pa.ArrowInvalid:
            continue
    return pa.array(found, kind)


def _scalar(value: str, kind: pa.DataType) -> pa.Scalar:
    if pt.is_boolean(kind):
        return pa.scalar(value == "true")
    if pt.is_integer(kind):
        return pa.scalar(int(value), pa.int64())
    if pt.is_date(kind):
        return pa.scalar(date.fromisoformat(value), pa.date32())
    if pt.is_timestamp(kind):
        return pa.scalar(datetime.fromisoformat(value).replace(tzinfo=UTC), pa.timestamp("us", tz="UTC"))
    return pa.scalar(value, pa.string())
