"""Arrow types of contract columns, and casts that name the first cell that does not fit without showing it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from json import JSONDecodeError, loads

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from chengshu.catalog.model import Column, DataContract, LogicalType
from chengshu.catalog.odcs import PHYSICAL

ARROW = {
    "string": pa.string(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp_ms": pa.timestamp("ms", tz="UTC"),
    "date32": pa.date32(),
    "list<float64>": pa.list_(pa.float64()),
    "list<int32>": pa.list_(pa.int32()),
    "list<int64>": pa.list_(pa.int64()),
    "list<string>": pa.list_(pa.string()),
}


_ZERO_DATE = re.compile(r"0000-\d\d-\d\d|\d{4}-00-\d\d|\d{4}-\d\d-00")
_FINE_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}\d*[1-9]")


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first cell of a batch (row counted from 0) that is not of the column's type: what was expected, what kind came."""

    row: int
    expected: str
    got: str


def arrow_schema(contract: DataContract) -> pa.Schema:
    """Return the Arrow schema that a contract's rows have once they are read."""
    return pa.schema([(column.name, ARROW[column.physical_type]) for column in contract.columns])


def types_for(kind: pa.DataType) -> frozenset[str]:
    """Return the physical types of a contract that a column of an Arrow type may become, where its cells fit; none where it may not."""
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return frozenset(name for name, logical in PHYSICAL.items() if _may_become(kind, logical))


def cast_column(cells: pa.Array, column: Column) -> pa.Array | Misfit:
    """Return ``cells`` in the column's type, or the first cell that cannot be carried over exactly.

    NaN becomes null where whole numbers are promised (other tools write missing integers so); a timestamp never becomes a
    number, because its unit would be a guess.
    """
    cells = _plain(cells)
    target = ARROW[column.physical_type]
    if not _may_become(cells.type, column.logical_type):
        return Misfit(0, column.physical_type, str(cells.type))
    if column.logical_type is LogicalType.INTEGER and pt.is_floating(cells.type):
        cells = pc.if_else(pc.is_nan(cells), pa.scalar(None, cells.type), cells)
    convert = _list_reader(target) if column.logical_type is LogicalType.ARRAY and _is_text(cells.type) else _caster(target)
    done = convert(cells)
    if done is not None:
        return done
    row = _first_misfit(cells, convert)
    return Misfit(row, column.physical_type, _kind(cells[row].as_py()))


def _caster(target: pa.DataType) -> Callable[[pa.Array], pa.Array | None]:
    def convert(cells: pa.Array) -> pa.Array | None:
        try:
            text = cells.cast(pa.string()) if pt.is_binary(cells.type) else cells
            return text.cast(target)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    return convert


def _list_reader(target: pa.DataType) -> Callable[[pa.Array], pa.Array | None]:
    def convert(cells: pa.Array) -> pa.Array | None:
        try:
            values = [None if cell is None else loads(cell) for cell in cells.to_pylist()]
            return pa.array(values, target)
        except (JSONDecodeError, UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowTypeError):
            return None

    return convert


def _first_misfit(cells: pa.Array, convert: Callable[[pa.Array], pa.Array | None]) -> int:
    """Halve the range that does not convert until one cell is left."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        if convert(cells.slice(low, middle - low)) is None:
            high = middle
        else:
            low = middle
    return low


def _plain(cells: pa.Array) -> pa.Array:
    return cells.dictionary_decode() if pt.is_dictionary(cells.type) else cells


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_binary(kind))


def _may_become(kind: pa.DataType, logical: LogicalType) -> bool:
    if _is_text(kind) or pt.is_null(kind):
        return True
    match logical:
        case LogicalType.INTEGER | LogicalType.NUMBER:
            return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))
        case LogicalType.STRING:
            return bool(pt.is_integer(kind))
        case LogicalType.BOOLEAN:
            return bool(pt.is_boolean(kind))
        case LogicalType.TIMESTAMP:
            return bool(pt.is_timestamp(kind) and kind.tz is not None)
        case LogicalType.DATE:
            return bool(pt.is_date(kind))
        case LogicalType.ARRAY:
            return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def _kind(cell: object) -> str:
    """What kind of thing a cell holds, without its content."""
    if isinstance(cell, bytes):
        try:
            cell = cell.decode("utf-8")
        except UnicodeDecodeError:
            return "bytes that are not UTF-8"
    if isinstance(cell, str):
        return _kind_of_text(cell)
    if isinstance(cell, float):
        return "a number with decimals or outside the type's range"
    if isinstance(cell, int):
        return "a whole number outside the type's range"
    return type(cell).__name__


def _kind_of_text(cell: str) -> str:
    if not cell.strip():
        return "empty text"
    if _ZERO_DATE.match(cell):
        return "a date with a year, month or day of zero (as 0000-00-00), which is no date"
    if _FINE_TIME.match(cell):
        return "a time finer than a millisecond"
    try:
        float(cell)
    except ValueError:
        return "text"
    return "a number in another form or outside the type's range"
