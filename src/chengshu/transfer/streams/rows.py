"""Tables as text for programs that speak no Arrow: CSV (RFC 4180) and JSON lines, one record batch in memory at a time."""

import base64
import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pyarrow as pa
from pyarrow import csv

from chengshu.transfer.streams.arrow import BATCH_ROWS

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"


def to_csv(table: pa.Table) -> Iterator[bytes]:
    """Yield ``table`` as CSV in UTF-8 with a header line; columns of lists, structures and bytes are written as JSON texts."""
    flat = _flat(table)
    for place, batch in enumerate(_batches(flat)):
        sink = BytesIO()
        csv.write_csv(batch, sink, csv.WriteOptions(include_header=place == 0))
        yield sink.getvalue()


def to_json_lines(table: pa.Table) -> Iterator[bytes]:
    """Yield ``table`` as one JSON object a line; times are ISO 8601, decimals texts, bytes base64, and what is no number null."""
    for batch in _batches(table):
        yield b"".join(_line(row) for row in batch.to_pylist())


def _batches(table: pa.Table) -> list[pa.RecordBatch]:
    """The batches of :func:`chengshu.transfer.streams.arrow.to_stream`; an empty table has one, so that its header goes out."""
    return table.to_batches(max_chunksize=BATCH_ROWS) or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def _flat(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = [None if value is None else _json(value) for value in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _line(row: dict[str, Any]) -> bytes:
    return _json(row).encode() + b"\n"


def _json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return value if value - value == 0 else None  # neither NaN nor an infinity is JSON
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal() | timedelta():
            return str(value)
        case _:
            return value
