"""Values clipped on their way into DuckDB: equal to what CASE gives, value for value, in sums and in means, of the same types."""

import math
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines import clipping
from chengshu.cleanroom.engines.clipping import CLIPPED, Clipped, clip, range_of
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.rendering import measure_columns
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import Body, Measure, Ref, Summary, Table, VettedQuery
from chengshu.cleanroom.vetting.vetter import vet

WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
BOUNDS = st.sampled_from((None, "0", "-0.0", "0.1", "-3", "100", "-7.5", "1E+3", "0.123456789012345678", "1000000000000", "-1E+12", "300"))
DOUBLES = (
    -0.0,
    0.0,
    math.nan,
    -math.nan,
    math.inf,
    -math.inf,
    1e308,
    -1e308,
    5e-324,
    0.1,
    0.3,
    100.0,
    math.nextafter(100, 101),
    None,
    0.25,
)


@st.composite
def _bounds(draw: st.DrawFn) -> tuple[Decimal | None, Decimal | None]:
    lower, upper = (None if bound is None else Decimal(bound) for bound in (draw(BOUNDS), draw(BOUNDS)))
    return (upper, lower) if lower is not None and upper is not None and lower > upper else (lower, None if lower == upper else upper)


@st.composite
def _values(draw: st.DrawFn) -> tuple[pa.Array, ColumnType]:
    match draw(st.sampled_from(ColumnType)):
        case ColumnType.INTEGER:
            kind = draw(st.sampled_from(WHOLE))
            ends = np.iinfo(kind)
            numbers = st.integers(int(ends.min), int(ends.max)) | st.sampled_from((0, 99, 100, 101, None))
            return pa.array(draw(st.lists(numbers, max_size=40)), getattr(pa, kind)()), ColumnType.INTEGER
        case ColumnType.DECIMAL:
            digits, scale = draw(st.sampled_from(((1, 0), (4, 4), (5, 2), (9, 0), (15, 2), (18, 6), (18, 18), (19, 2), (28, 3))))
            whole = st.integers(1 - 10**digits, 10**digits - 1) | st.sampled_from((0, 1, -1, None))
            numbers = draw(st.lists(whole, max_size=40))
            scaled = [None if one is None else Decimal(one).scaleb(-scale) for one in numbers]
            return pa.array(scaled, pa.decimal128(digits, scale)), ColumnType.DECIMAL
        case _:
            numbers = st.sampled_from(DOUBLES) | st.floats(-400, 400)
            return pa.array(draw(st.lists(numbers, max_size=40)), pa.float64(), from_pandas=False), ColumnType.DOUBLE


@settings(max_examples=300, deadline=None)
@given(values=_values(), bounds=_bounds(), offset=st.integers(0, 9), block=st.sampled_from((1, 7, 131_072)))
def test_clipped_values_are_those_of_case_and_so_are_sums_and_means(
    values: tuple[pa.Array, ColumnType], bounds: tuple[Decimal | None, Decimal | None], offset: int, block: int
) -> None:
    numbers, kind = values
    if kind is ColumnType.INTEGER:
        bounds = tuple(None if bound is None or bound != bound.to_integral_value() else bound for bound in bounds)
    column = Column("x", kind, Role.MEASURE, lower=bounds[0], upper=bounds[1])
    to = range_of(column, numbers.type)
    if to is None:
        return
    rows = pa.table({"x": numbers, "one": range(len(numbers))}).slice(offset)
    places = ["one"] if kind is ColumnType.DOUBLE else ["one", "one - one"]  # the sum of many doubles depends on where blocks end
    with pytest.MonkeyPatch.context() as patch, duckdb.connect(":memory:") as database:
        patch.setattr(clipping, "_BLOCK", block)
        database.register("p.q", Clipped(rows, {"x": to}))
        for place in places:
            case, ours = (_computed(database, place, *one) for one in ((column, "x"), (None, f"{CLIPPED}x")))
            assert case.schema == ours.schema
            assert repr(case.to_pylist()) == repr(ours.to_pylist())


def _computed(database: duckdb.DuckDBPyConnection, by: str, column: Column | None, name: str) -> pa.Table:
    measures = tuple(
        Measure(one, Ref("t0", name), distinct=False, column=column) for one in (Aggregate.SUM, Aggregate.AVG, Aggregate.COUNT)
    )
    summary = Summary((), measures, (), (), (), Body(Table("p.q", numbered=False), (), None))
    columns = ", ".join(measure_columns(summary))
    return database.sql(f'SELECT {columns} FROM "p.q" AS t0 GROUP BY {by} ORDER BY {by}').to_arrow_table()  # noqa: S608  # generated


@pytest.mark.parametrize(
    ("kind", "lower", "upper"),
    [
        (pa.float64(), "0.12345678901234567", None),  # another double by DuckDB's division than by Python
        (pa.int8(), None, "-129"),  # CASE gives what no byte holds
        (pa.int32(), "-1E+12", "1E+12"),  # nothing to clip
        (pa.decimal128(9, 2), "0.001", None),  # CASE gives a decimal of more digits
        (pa.decimal128(28, 2), "0", "1"),  # more than 64 bits
        (pa.decimal256(30, 2), "0", "1"),
    ],
)
def test_what_case_might_give_otherwise_is_left_to_it(kind: pa.DataType, lower: str | None, upper: str | None) -> None:
    bounds = {name: Decimal(bound) for name, bound in (("lower", lower), ("upper", upper)) if bound is not None}
    assert range_of(Column("x", ColumnType.DECIMAL, Role.MEASURE, **bounds), kind) is None


def test_what_is_no_number_is_clipped_to_the_upper_bound_where_there_is_one() -> None:
    values = pa.array([math.nan, None, -math.nan, 1.0], pa.float64(), from_pandas=False)
    upper, lower = (Column("x", ColumnType.DOUBLE, Role.MEASURE, **{name: Decimal(2)}) for name in ("upper", "lower"))
    assert clip(values, _range(upper)).to_pylist() == [2.0, None, 2.0, 1.0]
    assert repr(clip(values, _range(lower)).to_pylist()) == "[nan, None, nan, 2.0]"


def _range(column: Column) -> clipping.Range:
    found = range_of(column, pa.float64())
    assert found is not None
    return found


EVERY = frozenset(Aggregate)
SCHEMA = Schema(
    "town.trips",
    (
        Column("person", ColumnType.INTEGER, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, EVERY, Decimal(0), Decimal(64)),
        Column("tip", ColumnType.DECIMAL, Role.MEASURE, EVERY, Decimal(0), Decimal(5)),
    ),
    "person",
    2,
)
TRIPS = {
    "town.trips": pa.table(
        {
            "person": pa.array([1, 2, 3, 3], pa.int64()),
            "zone": ["a", "a", "a", "b"],
            "fare": [-1.0, 99.0, None, math.nan],
            "tip": pa.array([Decimal("-1.00"), Decimal("9.00"), None, Decimal("1.50")], pa.decimal128(9, 2)),
        }
    )
}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT zone, SUM(fare) AS s, AVG(fare) AS m, SUM(tip) AS t, COUNT(tip) AS n FROM town.trips GROUP BY zone",
        "SELECT zone, SUM(fare) FILTER (WHERE zone = 'a') AS s, MIN(fare) AS l, COUNT(DISTINCT tip) AS d FROM town.trips GROUP BY zone",
        "SELECT q.z, SUM(q.f) AS s, MAX(q.f) AS h FROM (SELECT zone AS z, fare AS f FROM town.trips) AS q GROUP BY q.z",
    ],
)
def test_a_question_in_stages_says_what_it_says_at_once(sql: str) -> None:
    query = vet(sql, {"town.trips": ProductTerms(SCHEMA)})
    assert isinstance(query, VettedQuery), query
    staged, exact = (DuckDBEngine("256MB", 1, 60.0, staged_from=rows).run(query, TRIPS) for rows in (0, 10**9))
    names = [name for name in exact.column_names if not name.startswith("__")]
    one, other = (result.select(names).sort_by([("g0", "ascending")]) for result in (staged, exact))
    assert one.schema == other.schema
    assert repr(one.to_pylist()) == repr(other.to_pylist())


def test_a_sum_reads_clipped_values_and_no_case_is_left_but_for_the_least_and_the_greatest() -> None:
    query = vet("SELECT SUM(fare) AS s, AVG(tip) AS m, MAX(fare) AS h FROM town.trips", {"town.trips": ProductTerms(SCHEMA)})
    assert isinstance(query, VettedQuery), query
    summary, relations = clipping.prepared(query.summary, TRIPS)
    columns: list[Any] = measure_columns(summary)
    assert [("CASE" in one, CLIPPED in one) for one in columns] == [(False, True), (False, True), (True, False), (False, False)]
    assert {name: one.schema.names for name, one in relations.items()} == {
        "__clipped_town.trips": ["person", "zone", "fare", "tip", "__clipped_fare", "__clipped_tip"]
    }
