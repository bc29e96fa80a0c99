"""Tables as text for programs that speak no Arrow: CSV (RFC 4180) and JSON lines, one record batch in memory at a time."""

import base64
import json
from collections.abc import Generator, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import chain
from typing import Any

import pyarrow as pa
from pyarrow import csv

from chengshu.catalog.ports import Rows

CSV = "text/csv"
JSON_LINES = "application/x-ndjson"


def to_csv(rows: Rows) -> Generator[bytes]:
    """Yield rows as CSV in UTF-8 with a header line; columns of lists, structures and bytes are written as JSON texts."""
    for place, batch in enumerate(_batches(rows)):
        sink = BytesIO()
        csv.write_csv(_flat(batch), sink, csv.WriteOptions(include_header=place == 0))
        yield sink.getvalue()


def to_json_lines(rows: Rows) -> Generator[bytes]:
    """Yield rows as one JSON object a line; times are ISO 8601, decimals texts, bytes base64, and what is no number null."""
    for batch in _batches(rows):
        yield b"".join(_line(row) for row in batch.to_pylist())


def _batches(rows: Rows) -> Iterator[pa.RecordBatch]:
    """The batches; where there are none, an empty one, so that a header goes out."""
    first = next(rows.batches, pa.RecordBatch.from_pylist([], schema=rows.schema))
    return chain([first], rows.batches)


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    for place, field in enumerate(batch.schema):
        if pa.types.is_nested(field.type) or pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = [None if value is None else _json(value) for value in batch.column(place).to_pylist()]
            batch = batch.set_column(place, field.name, pa.array(texts, pa.string()))
    return batch


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
