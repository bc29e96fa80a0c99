"""The forms in which rows go out: all of them the same rows."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.ports import Rows
from chengshu.kernel.errors import Invalid
from chengshu.transfer.streams.arrow import BATCH_ROWS, cut
from chengshu.transfer.streams.encodings import ARROW, ENCODINGS, Encoding, accepted, encoding_of
from chengshu.transfer.streams.rows import to_csv, to_json_lines

ODD = pa.table(
    {
        "text": pa.array(['a "quoted", one', None]),
        "at": pa.array([datetime(2026, 11, 24, 8, tzinfo=UTC), None]),
        "price": pa.array([Decimal("1.50"), None]),
        "raw": pa.array([b"\x00\xff", None]),
        "list": pa.array([[1, 2], None]),
        "number": pa.array([float("nan"), float("inf")]),
    }
)


@given(rows=st.integers(0, 200))
def test_the_text_forms_hold_the_very_rows(rows: int) -> None:
    table = pa.table({"n": pa.array(range(rows), pa.int64()), "name": pa.array([f"row {n}" for n in range(rows)], pa.string())})
    lines = [json.loads(line) for line in b"".join(to_json_lines(Rows.of(table))).splitlines()]
    assert lines == table.to_pylist()
    read = list(csv.DictReader(io.StringIO(b"".join(to_csv(Rows.of(table))).decode())))
    assert [{"n": int(row["n"]), "name": row["name"]} for row in read] == lines


def test_what_json_has_not_is_written_as_text_or_left_out() -> None:
    first, second = (json.loads(line) for line in b"".join(to_json_lines(Rows.of(ODD))).splitlines())
    assert first == {
        "text": 'a "quoted", one',
        "at": "2026-11-24T08:00:00+00:00",
        "price": "1.50",
        "raw": "AP8=",
        "list": [1, 2],
        "number": None,
    }
    assert set(second.values()) == {None}


def test_a_csv_writes_bytes_and_lists_as_json_and_an_empty_table_as_its_header() -> None:
    (row, _) = csv.DictReader(io.StringIO(b"".join(to_csv(Rows.of(ODD))).decode()))
    assert (row["raw"], row["list"]) == ('"AP8="', "[1,2]")
    assert b"".join(to_csv(Rows.of(ODD.slice(0, 0)))).decode().strip().replace('"', "") == "text,at,price,raw,list,number"


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda one: one.suffix)
def test_a_piece_is_a_batch_in_every_form(encoding: Encoding) -> None:
    table = pa.table({"n": range(2 * BATCH_ROWS + 5)})
    pieces = list(encoding.pieces(Rows(table.schema, cut(table.to_batches()))))
    assert len(pieces) == 3 + (encoding is ARROW)


@pytest.mark.parametrize(
    ("accept", "suffix"),
    [
        (None, "arrows"),
        ("*/*", "arrows"),
        ("text/csv", "csv"),
        ("text/*", "csv"),
        ("application/jsonl", "jsonl"),
        ("application/x-ndjson;q=0.5, text/csv;q=0.4", "jsonl"),
        ("text/html, application/vnd.apache.arrow.stream;q=0.1", "arrows"),
        ("*/*;q=0.1, TEXT/CSV", "csv"),
    ],
)
def test_the_receivers_preference_is_followed(accept: str | None, suffix: str) -> None:
    assert accepted(accept).suffix == suffix


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "text/csv;q=high", ","])
def test_a_receiver_that_takes_none_of_the_forms_is_told_which_there_are(accept: str) -> None:
    with pytest.raises(Invalid, match="text/csv"):
        accepted(accept)


def test_a_media_type_is_recognised_with_its_parameters() -> None:
    found = encoding_of("Text/CSV; charset=utf-8")
    assert found is not None
    assert found.suffix == "csv"
    assert [encoding_of(other) for other in (None, "application/json")] == [None, None]
