import datetime as dt
import json
import math

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.catalog.inference import infer_contract
from chengshu.catalog.model import Column, DataContract, Kind, LogicalType, Role
from chengshu.catalog.sources.files import BATCH_ROWS, FileSource
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text


def contract(*columns, **options):
    return DataContract("urn:t", "1", "t", Text("t", "t"), "me", "", columns, **options)


NAME = Column("name", LogicalType.STRING, "string")
COUNT = Column("count", LogicalType.INTEGER, "int64")
SPEED = Column("speed", LogicalType.NUMBER, "float64")
PLAIN = contract(NAME, COUNT, SPEED)
GOOD = "name,count,speed\na,1,1.5\n名,2,\n"


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return path


def fault(path, wanted=PLAIN, **options):
    with pytest.raises(Invalid) as caught:
        FileSource(path, wanted, **options).read()
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, OSError)
    return caught.value


def test_a_csv_is_read_into_the_contracts_types_and_order(tmp_path):
    reading = FileSource(csv(tmp_path, "speed,extra,count,name\n1.5,x,1,a\n,y,2,\n"), PLAIN).read()
    assert reading.table.to_pydict() == {"name": ["a", None], "count": [1, 2], "speed": [1.5, None]}
    assert reading.table.schema.types == [pa.string(), pa.int64(), pa.float64()]
    assert reading.extra_columns == ("extra",)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8-sig"])
def test_a_csv_in_a_stated_encoding_is_read(tmp_path, encoding):
    path = csv(tmp_path, GOOD, encoding)
    assert FileSource(path, contract(NAME, COUNT, SPEED, encoding=encoding)).read().table.column("name").to_pylist() == ["a", "名"]


def test_a_cp1252_csv_is_read_when_stated(tmp_path):
    path = csv(tmp_path, "name,count,speed\nCafé “x”,1,2\n", "cp1252")
    assert FileSource(path, contract(NAME, COUNT, SPEED, encoding="cp1252")).read().table.column("name").to_pylist() == ["Café “x”"]


def test_an_unstated_encoding_names_row_and_column_and_what_to_state(tmp_path):
    error = fault(csv(tmp_path, GOOD, "gbk"))
    assert (error.code, error.facts["row"], error.facts["column"]) == ("source.encoding", 2, "name")
    assert "gbk" in error.hint.en


def test_a_wrongly_stated_encoding_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"name,count,speed\n\xff\xff\xff,1,2\n")
    assert fault(path, contract(NAME, COUNT, SPEED, encoding="gbk")).code == "source.encoding"


@pytest.mark.parametrize("encoding", ["klingon", "hex"])
def test_an_unknown_encoding_is_refused(tmp_path, encoding):
    assert fault(csv(tmp_path, GOOD), contract(NAME, COUNT, SPEED, encoding=encoding)).code == "source.encoding"


@pytest.mark.parametrize(
    ("row", "column", "expected", "got"),
    [
        ("b,SECRET,1", "count", "int64", "text"),
        ("b,1.5,1", "count", "int64", "a number in another form or outside the type's range"),
        ("b,99999999999999999999,1", "count", "int64", "a number in another form or outside the type's range"),
        ("b,1,SECRET", "speed", "float64", "text"),
        ("b, ,1", "count", "int64", "empty text"),
        ('b,"",1', "count", "int64", "empty text"),
    ],
)
def test_a_cell_that_does_not_fit_is_named_and_not_shown(tmp_path, row, column, expected, got):
    lines = ["name,count,speed", *["a,1,1"] * 99, row, *["a,1,1"] * 50]
    error = fault(csv(tmp_path, "\n".join(lines) + "\n"))
    assert error.facts == {"file": "rows.csv", "row": 100, "column": column, "expected": expected, "got": got}
    assert "SECRET" not in str(error.as_dict("en")) + str(error.as_dict("zh"))


def test_rows_are_counted_across_blocks(tmp_path):
    lines = ["name,count,speed", *["a,1,1"] * 900_000, "a,x,1"]
    assert fault(csv(tmp_path, "\n".join(lines) + "\n")).facts["row"] == 900_001


@pytest.mark.parametrize(("row", "got"), [("b,1", "2"), ("b,1,2,3", "4")])
def test_a_row_with_too_few_or_too_many_cells_is_named(tmp_path, row, got):
    error = fault(csv(tmp_path, f"name,count,speed\na,1,1\n{row}\na,1,1\n"))
    assert (error.code, error.facts["row"], error.facts["got"]) == ("source.ragged-row", 2, got)


def test_a_missing_column_is_named(tmp_path):
    error = fault(csv(tmp_path, "name,speed\na,1\n"))
    assert (error.code, error.facts["column"]) == ("source.missing-column", "count")


def test_a_column_that_stands_twice_is_named(tmp_path):
    error = fault(csv(tmp_path, "name,count,speed,count\na,1,1,2\n"))
    assert (error.code, error.facts["column"]) == ("source.duplicate-column", "count")


@pytest.mark.parametrize(("text", "code"), [("", "source.empty"), ("name,count,speed\n", "source.empty")])
def test_a_file_without_rows_is_refused(tmp_path, text, code):
    assert fault(csv(tmp_path, text)).code == code


def test_a_missing_file_and_a_directory_are_refused(tmp_path):
    assert fault(tmp_path / "none.csv").code == "source.missing-file"
    assert fault(tmp_path).code == "source.directory"


def test_a_path_that_leads_out_of_the_folder_is_refused_even_by_a_link(tmp_path):
    inside = tmp_path / "data"
    inside.mkdir()
    outside = csv(tmp_path, GOOD)
    (inside / "link.csv").symlink_to(outside)
    assert fault(inside / "link.csv", within=inside).code == "source.outside-folder"
    assert fault(inside / ".." / "rows.csv", within=inside).code == "source.outside-folder"
    assert FileSource(outside, PLAIN, within=tmp_path).read().table.num_rows == 2


def test_a_truncated_parquet_file_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"name": ["a"], "count": [1], "speed": [1.0]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert fault(path).code == "source.unreadable"


def test_a_parquet_file_with_broken_pages_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"name": [f"a{i}" for i in range(5000)], "count": range(5000), "speed": [1.0] * 5000}), path)
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(bytes(data))
    assert fault(path).code in {"source.unreadable", "source.encoding"}


def test_parquet_is_cast_where_nothing_is_lost(tmp_path):
    path = tmp_path / "rows.parquet"
    table = pa.table(
        {"count": pa.array([1.0, math.nan]), "name": pa.array(["a", "b"]).dictionary_encode(), "speed": pa.array([1, 2], pa.int32())}
    )
    pq.write_table(table, path)
    assert FileSource(path, PLAIN).read().table.to_pydict() == {"name": ["a", "b"], "count": [1, None], "speed": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("values", "got"),
    [
        (pa.array([1.0, 1.5]), "a number with decimals or outside the type's range"),
        (pa.array([dt.datetime(2026, 1, 1)] * 2), "timestamp[us]"),  # noqa: DTZ001 # a time without a zone is the point
        (pa.array([True, False]), "bool"),
    ],
)
def test_parquet_is_not_cast_where_something_would_be_guessed(tmp_path, values, got):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"name": ["a", "b"], "count": values, "speed": [1.0, 2.0]}), path)
    error = fault(path)
    assert (error.code, error.facts["column"], error.facts["got"]) == ("source.cell", "count", got)


def test_a_large_parquet_file_comes_in_bounded_batches(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = 3 * BATCH_ROWS
    pq.write_table(pa.table({"name": ["a"] * rows, "count": range(rows), "speed": [1.0] * rows}), path)
    assert max(batch.num_rows for batch in FileSource(path, PLAIN).batches()) <= BATCH_ROWS


def test_lists_in_csv_are_json(tmp_path):
    wanted = contract(NAME, Column("xs", LogicalType.ARRAY, "list<float64>"))
    assert FileSource(csv(tmp_path, 'name,xs\na,"[1, 2.5]"\nb,\n'), wanted).read().table.column("xs").to_pylist() == [[1.0, 2.5], None]
    error = fault(csv(tmp_path, 'name,xs\na,"[1, 2.5]"\nb,"[SECRET"\n'), wanted)
    assert (error.facts["row"], error.facts["column"], error.facts["got"]) == (2, "xs", "text")


DOCUMENT = contract(Column("document", LogicalType.STRING, "string"), kind=Kind.DOCUMENT)


def test_a_json_document_is_one_row(tmp_path):
    path = tmp_path / "permit.json"
    path.write_text('{"zone": "特定区域"}', encoding="utf-8")
    assert FileSource(path, DOCUMENT).read().table.to_pydict() == {"document": ['{"zone": "特定区域"}']}


def test_a_broken_document_is_named_by_its_line(tmp_path):
    path = tmp_path / "permit.json"
    path.write_text('{\n"zone": 1,\n"name" 2}', encoding="utf-8")
    assert (fault(path, DOCUMENT).code, fault(path, DOCUMENT).facts["row"]) == ("source.document", 3)


@pytest.mark.parametrize("content", [b'{"a": NaN}', b'{"a": "\xff"}', b"[" * 100_000])
def test_a_document_that_is_not_json_is_refused(tmp_path, content):
    path = tmp_path / "permit.json"
    path.write_bytes(content)
    assert fault(path, DOCUMENT).code == "source.document"


def test_types_are_inferred_from_the_whole_csv(tmp_path):
    lines = ["a,b,c,d,e", *["1,1,true,x,"] * 70_000, "2,1.5,false,3,", "3,2,true,y,"]
    inferred = infer_contract(csv(tmp_path, "\n".join(lines) + "\n"), owner="me")
    assert [(column.name, column.physical_type, column.role) for column in inferred.columns] == [
        ("a", "int64", Role.MEASURE),
        ("b", "float64", Role.MEASURE),
        ("c", "bool", Role.HIDDEN),
        ("d", "string", Role.HIDDEN),
        ("e", "int64", Role.MEASURE),
    ]


def test_types_are_inferred_from_parquet_and_a_document_is_one(tmp_path):
    path = tmp_path / "My Rows.parquet"
    table = pa.table({"n": pa.array([1], pa.uint16()), "s": ["x"], "l": [[1.5]], "t": pa.array([0], pa.timestamp("ns", "UTC"))})
    pq.write_table(table, path)
    inferred = infer_contract(path, owner="me")
    assert (inferred.id, inferred.table) == ("my_rows", "my_rows")
    assert [column.physical_type for column in inferred.columns] == ["int64", "string", "list<float64>", "timestamp_ms"]
    assert FileSource(path, inferred).read().table.num_rows == 1
    (tmp_path / "permit.json").write_text(json.dumps({}), encoding="utf-8")
    assert infer_contract(tmp_path / "permit.json", owner="me").kind is Kind.DOCUMENT


def test_a_parquet_type_no_contract_can_state_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"s": [{"a": 1}]}), path)
    with pytest.raises(Invalid, match=r"rows.parquet, column s"):
        infer_contract(path, owner="me")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=8)
rows = st.lists(
    st.tuples(st.none() | cells, st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.floats(allow_nan=False)),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60)
@given(rows)
def test_a_table_survives_csv(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    names, counts, speeds = zip(*rows, strict=True)
    table = pa.table({"name": pa.array(names, pa.string()), "count": pa.array(counts, pa.int64()), "speed": pa.array(speeds, pa.float64())})
    pa_csv.write_csv(table, path)
    assert FileSource(path, PLAIN).read().table.to_pydict() == table.to_pydict()
