"""The tables of a question as its holders declared them: what every engine reads, and nothing else."""

from collections.abc import Callable, Mapping

import pyarrow as pa

from chengshu.cleanroom.model import Column, ColumnType
from chengshu.cleanroom.relation.model import Input
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

_DIGITS, _DECIMALS = 28, 18
"""Longer decimals are not computed with: their sums, and comparisons with constants, would fail for some values, and tell which."""
_DRIFT_HINT = Text("The holder must publish the product again with the schema it really has.", "持有方须按实际模式重新发布该产品。")
_KINDS: Mapping[ColumnType, tuple[Callable[[pa.DataType], bool], ...]] = {
    ColumnType.BOOLEAN: (pa.types.is_boolean,),
    ColumnType.INTEGER: (pa.types.is_integer,),
    ColumnType.DECIMAL: (pa.types.is_decimal,),
    ColumnType.DOUBLE: (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal),
    ColumnType.TEXT: (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    ColumnType.DATE: (pa.types.is_date,),
    ColumnType.TIMESTAMP: (pa.types.is_timestamp,),
}


def declared(needed: Input, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the needed columns only, each of its declared kind, times as UTC without a zone."""
    if needed.product not in tables:
        raise drift(needed.product, expected="a table", got="none")
    table = tables[needed.product]
    for column in needed.columns:
        if table.column_names.count(column.name) != 1:
            raise drift(f"{needed.product}.{column.name}", expected="one column of this name", got="none or several")
        kind = table.schema.field(column.name).type
        if not _is_kind(kind, column.type):
            raise drift(f"{needed.product}.{column.name}", expected=column.type.value, got=str(kind))
    return pa.table({column.name: _kept(table.column(column.name), column, needed.product) for column in needed.columns})


def _kept(values: pa.ChunkedArray, column: Column, product: str) -> pa.ChunkedArray:
    trouble: Invalid | None = None
    try:
        return _plain(values, column)
    except pa.ArrowInvalid:  # its words quote the value
        trouble = drift(
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


def drift(where: str, *, expected: str, got: str) -> Invalid:
    """Return the error of a product that is not as its holder declared it."""
    return Invalid("cleanroom.schema-drift", f"{where}: expected {expected}, got {got}", hint=_DRIFT_HINT, facts={"column": where})
