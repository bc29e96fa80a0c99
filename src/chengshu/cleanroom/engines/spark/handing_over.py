"""Tables on their way into Spark and back: Parquet files in the job's folder, and results of the types that DuckDB gives them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu.cleanroom.engines.declared import drift
from chengshu.cleanroom.model import Aggregate, ColumnType
from chengshu.cleanroom.planning.lineage import origins
from chengshu.cleanroom.relation.model import Input, Ref, VettedQuery

_ROWS_OF_A_GROUP = 1_048_576
"""Rows that one of Spark's tasks reads at least."""
_WORDS: Mapping[pa.DataType, str] = {
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.string(): "STRING",
    pa.date32(): "DATE",
    pa.timestamp("us"): "TIMESTAMP_NTZ",
}


@dataclass(frozen=True, slots=True)
class Files:
    """A product's Parquet files: their folder, and their columns in Spark's words."""

    folder: Path
    columns: str


def written(needed: Input, table: pa.Table, *, into: Path, parts: int) -> Files:
    """Write a table into so many files at once, and return them; what was written before for the same job is taken as it is."""
    folder = into / sha256(" ".join([needed.product, *table.column_names]).encode()).hexdigest()[:16]
    if not folder.exists():
        plain = _plain(table, needed)
        folder.mkdir(mode=0o700, parents=True)
        step = max(-(-plain.num_rows // parts), 1)

        def write(start: int) -> None:
            _write(plain.slice(start, step), folder / f"{start}.parquet")

        with ThreadPoolExecutor(parts) as writers:
            list(writers.map(write, range(0, max(plain.num_rows, 1), step)))
    return Files(folder, _in_sparks_words(table, needed))


def _in_sparks_words(table: pa.Table, needed: Input) -> str:
    """Spark that is told the columns need not look into the files."""
    return ", ".join(f"`{column.name}` {_word(_kind(column.type, table.schema.field(column.name).type))}" for column in needed.columns)


def as_duckdb_has_it(result: pa.Table, query: VettedQuery, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return a result with DuckDB's types: sums of decimals with all digits there are, and whole numbers as the product has them."""
    result = pa.table(dict(zip(result.column_names, result.columns, strict=True)))  # Spark knows of columns that have no blanks
    if query.instead is not None:
        return result
    summary = query.summary
    for place, measure in enumerate(summary.measures):
        column = result.column(f"a{place}")
        if measure.function is Aggregate.SUM and pa.types.is_decimal(column.type):
            result = _with(result, f"a{place}", column.cast(pa.decimal128(38, column.type.scale)))
        elif measure.function in {Aggregate.MIN, Aggregate.MAX} and isinstance(measure.of, Ref) and measure.column is None:
            result = _as_product(result, f"a{place}", measure.of, query, tables)
    for place, group in enumerate(summary.groups):
        if isinstance(group, Ref):
            result = _as_product(result, f"g{place}", group, query, tables)
    return result


def _as_product(result: pa.Table, name: str, ref: Ref, query: VettedQuery, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Of a union, the narrowest whole numbers that hold those of every part."""
    kinds = [tables[product].schema.field(column).type for product, column in origins(ref, query.summary.body)]
    if not all(map(pa.types.is_integer, kinds)):
        return result
    whole = pa.unify_schemas([pa.schema([(name, kind)]) for kind in kinds], promote_options="permissive").field(name).type
    return _with(result, name, result.column(name).cast(whole))


def _with(result: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    return result.set_column(result.column_names.index(name), name, column)


def _write(part: pa.Table, file: Path) -> None:
    """Uncompressed: it is read once, and compressing would take longer than reading it."""
    texts = [one.name for one in part.schema if pa.types.is_string(one.type)]
    pq.write_table(part, file, compression="NONE", use_dictionary=texts, row_group_size=_ROWS_OF_A_GROUP)


def _plain(table: pa.Table, needed: Input) -> pa.Table:
    """Spark knows whole numbers of 64 bits with a sign, decimals of 128 bits, and one kind of text and of dates."""
    columns = {}
    for column in needed.columns:
        values = table.column(column.name)
        trouble = None
        try:
            columns[column.name] = values.cast(_kind(column.type, values.type))
        except pa.ArrowInvalid:  # its words quote the value
            trouble = drift(f"{needed.product}.{column.name}", expected="whole numbers below 2^63 for Spark", got="larger ones")
        if trouble is not None:
            raise trouble
    return pa.table(columns)


def _kind(declared: ColumnType, kind: pa.DataType) -> pa.DataType:
    match declared:
        case ColumnType.INTEGER:
            return pa.int64()
        case ColumnType.DECIMAL:
            return pa.decimal128(kind.precision, kind.scale)
        case ColumnType.TEXT:
            return pa.string()
        case ColumnType.DATE:
            return pa.date32()
        case _:
            return kind


def _word(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    return _WORDS[kind]
