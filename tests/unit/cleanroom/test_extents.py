"""What an agreement leaves of a product, and that the holder who hands rows over and the engine that computes leave out the same ones."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.ports import Rows
from chengshu.catalog.restricting import restricted
from chengshu.catalog.restriction import Predicate, Restriction
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.extents import under
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.policy.model import Extent

MEASURED = frozenset({Aggregate.SUM, Aggregate.MAX})
SCHEMA = Schema(
    "metro.rides",
    (
        Column("Rider", ColumnType.TEXT, Role.KEY),
        Column("line", ColumnType.TEXT, Role.GROUP),
        Column("stops", ColumnType.INTEGER, Role.FILTER),
        Column("fare", ColumnType.INTEGER, Role.MEASURE, aggregates=MEASURED, lower=Decimal(0), upper=Decimal(90)),
        Column("speed", ColumnType.DOUBLE, Role.MEASURE),
        Column("night", ColumnType.BOOLEAN, Role.FILTER),
        Column("day", ColumnType.DATE, Role.FREE),
        Column("at", ColumnType.TIMESTAMP, Role.HIDDEN),
    ),
    "Rider",
    1,
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("line = 'L1'", [Restriction("line", Predicate.AMONG, ("L1",))]),
        ("(line <> 'O''Hara') -- not this one", [Restriction("line", Predicate.NOT_AMONG, ("O'Hara",))]),
        ("LINE IN ('a', '线') AND NOT stops IN (1, -2)", [Restriction("line", Predicate.AMONG, ("a", "线")),
                                                        Restriction("stops", Predicate.NOT_AMONG, ("1", "-2"))]),
        ("rider IS NOT NULL AND (line IS NULL AND night)", [Restriction("Rider", Predicate.PRESENT), Restriction("line", Predicate.MISSING),
                                                            Restriction("night", Predicate.AMONG, ("true",))]),
        ("NOT night", [Restriction("night", Predicate.NOT_AMONG, ("true",))]),
        ("stops BETWEEN 1 AND 9", [Restriction("stops", Predicate.AT_LEAST, ("1",)), Restriction("stops", Predicate.AT_MOST, ("9",))]),
        ("stops < 3.0", [Restriction("stops", Predicate.LESS, ("3",))]),
        ("day > DATE '2026-01-01'", [Restriction("day", Predicate.MORE, ("2026-01-01",))]),
        ("at <= TIMESTAMP '2026-01-01 08:00:00'", [Restriction("at", Predicate.AT_MOST, ("2026-01-01T08:00:00",))]),
    ],
)  # fmt: skip
def test_a_condition_is_read_column_by_column(condition: str, expected: list[Restriction]) -> None:
    found = under(SCHEMA, Extent(rows=condition))
    assert list(found.rows) == expected
    assert Schema.parse(found.as_document()) == found


@pytest.mark.parametrize(
    "condition",
    [
        "line = 'a' OR line = 'b'", "NOT (line = 'a' AND night)", "NOT stops < 3", "NOT stops BETWEEN 1 AND 2", "line = line", "'a' = line",
        "line LIKE 'a%'", "lower(line) = 'a'", "stops + 1 = 2", "line IN (SELECT 'a')", "EXISTS (SELECT 1)", "line = 5", "stops = 'a'",
        "stops < 1.5",
        "day = DATE '2026-02-30'", "fare = 1; DROP TABLE x", "SELECT 1", "", "(", "1 = 1", "true", "line", "other = 1", "rides.line = 'a'",
        "speed > 1", "night < true", "line = 'a' GROUP BY line", "read_csv('/etc/passwd') = 1", "line = NULL", "stops = 1e300", "(" * 900,
    ],
)  # fmt: skip
def test_another_condition_is_refused(condition: str) -> None:
    with pytest.raises(Invalid) as caught:
        under(SCHEMA, Extent(rows=condition))
    assert caught.value.code in {"policy.extent", "cleanroom.document"}
    assert "passwd" not in caught.value.message


def test_columns_that_are_not_covered_are_hidden_and_those_that_are_not_shown_keep_what_shows_no_value() -> None:
    found = under(SCHEMA, Extent(columns=frozenset({"rider", "line", "day", "fare"}), shown=frozenset({"line"})))
    assert [(one.name, one.role, one.narrowed) for one in found.columns] == [
        ("Rider", Role.KEY, False),
        ("line", Role.GROUP, False),
        ("stops", Role.HIDDEN, True),
        ("fare", Role.MEASURE, True),
        ("speed", Role.HIDDEN, True),
        ("night", Role.HIDDEN, True),
        ("day", Role.FILTER, True),
        ("at", Role.HIDDEN, False),
    ]
    fare = found.column("fare")
    assert fare is not None
    assert (fare.aggregates, fare.lower, fare.upper) == (frozenset({Aggregate.SUM}), Decimal(0), Decimal(90))
    assert found.askable == ("Rider", "line", "fare", "day")
    assert under(SCHEMA, Extent()) == SCHEMA
    assert Schema.parse(found.as_document()) == found


def test_a_column_by_which_rows_are_told_apart_goes_along_though_nobody_may_ask_for_it() -> None:
    found = under(SCHEMA, Extent(columns=frozenset({"line"}), rows="at IS NOT NULL AND stops > 1"))
    assert found.askable == ("Rider", "line", "stops", "at")


@pytest.mark.parametrize("extent", [Extent(columns=frozenset({"lines"})), Extent(shown=frozenset({"line", "x"}))])
def test_a_column_that_there_is_not_is_named(extent: Extent) -> None:
    with pytest.raises(Invalid) as caught:
        under(SCHEMA, extent)
    assert caught.value.code == "policy.extent"


@pytest.mark.parametrize(
    "change",
    [
        {"column": "nothing"}, {"column": "speed"}, {"predicate": "like"}, {"values": []}, {"values": ["1", "2"], "predicate": "less"},
        {"values": ["one"]}, {"values": ["1.5"]}, {"values": ["1'"]}, {"values": [1]}, {"values": ["9" * 19]}, {"predicate": "missing"},
        {"column": "line", "values": ["a\0"]}, {"column": "day", "values": ["2026-02-30"]}, {"column": "night", "predicate": "less"},
        {"more": 1},
        {"column": "at", "values": ["2026-01-01T00:00:00+08:00"]},
    ],
)  # fmt: skip
def test_a_document_with_another_restriction_is_no_schema(change: dict[str, Any]) -> None:
    document = under(SCHEMA, Extent(rows="stops IN (1)")).as_document()
    document["rows"][0].update(change)
    with pytest.raises(Invalid) as caught:
        Schema.parse(document)
    assert caught.value.code == "cleanroom.document"


CELLS: dict[str, st.SearchStrategy[Any]] = {
    "line": st.sampled_from(["", "L1", "L2", "l1", "é", "线", None]),
    "stops": st.sampled_from([-128, -1, 0, 1, 127, None]),
    "night": st.sampled_from([True, False, None]),
    "day": st.sampled_from([date(2026, 1, 1), date(2026, 1, 2), None]),
    "at": st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC), None]),
}
KINDS = {"line": pa.string(), "stops": pa.int8(), "night": pa.bool_(), "day": pa.date32(), "at": pa.timestamp("ms", tz="UTC")}
WRITTEN = {
    "line": ["", "L1", "l1", "é", "线", "M"],
    "stops": ["-128", "0", "1", "300", "-9000000000"],
    "night": ["true", "false"],
    "day": ["2026-01-01", "2026-01-02", "1900-01-01"],
    "at": ["2026-01-01T00:00:00", "2026-01-01T00:00:00.000500", "2026-01-01T00:00:00.001000"],
}
TABLES = st.lists(st.fixed_dictionaries(CELLS), max_size=12).map(
    lambda rows: pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})
)


@st.composite
def restrictions(draw: st.DrawFn) -> Restriction:
    column = draw(st.sampled_from(sorted(WRITTEN)))
    predicate = draw(
        st.sampled_from([one for one in Predicate if column != "night" or one.value not in {"less", "at-most", "more", "at-least"}])
    )
    if predicate in {Predicate.MISSING, Predicate.PRESENT}:
        return Restriction(column, predicate)
    most = 3 if predicate in {Predicate.AMONG, Predicate.NOT_AMONG} else 1
    return Restriction(column, predicate, tuple(draw(st.lists(st.sampled_from(WRITTEN[column]), min_size=1, max_size=most, unique=True))))


@given(TABLES, st.lists(restrictions(), min_size=1, max_size=3).map(tuple))
def test_holder_and_engine_leave_out_the_same_rows(table: pa.Table, rows: tuple[Restriction, ...]) -> None:
    handed = restricted(Rows(table.schema, iter(table.to_batches())), rows, columns=["line"])
    public = replace(SCHEMA, rows=rows, privacy_unit=None)
    query = vet("SELECT COUNT(*) AS n FROM metro.rides", {"metro.rides": ProductTerms(public)})
    assert isinstance(query, VettedQuery)
    assert handed.schema.names == ["line"]
    counted = DuckDBEngine("256MB", 1, 30.0).run(query, {"metro.rides": table}).column("__rows").to_pylist()
    assert sum(counted) == sum(batch.num_rows for batch in handed.batches)
