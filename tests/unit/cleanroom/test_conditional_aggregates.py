"""A condition inside an aggregate tells nobody's rows apart: what is released is held against its definition in plain Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.conditions.cells import cells
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.implied import implies
from chengshu.cleanroom.relation.model import Cell, Condition, VettedQuery
from chengshu.cleanroom.relation.normal import normal
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

K = 3
JOBS = Schema(
    "fleet.jobs",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.INTEGER, Role.GROUP),
        Column("wet", ColumnType.BOOLEAN, Role.FILTER),
        Column("weight", ColumnType.DOUBLE, Role.FILTER),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, lower=Decimal(0), upper=Decimal(64)),
    ),
    "vehicle",
    K,
)
WEIGHED = Schema(JOBS.product, JOBS.columns, "vehicle", K, 20)
ENGINES = (
    DuckDBEngine("256MB", 1, 60.0),
    DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=0),
    DuckDBEngine("256MB", 1, 60.0, staged_from=0),
)
Row = dict[str, Any]
Test = Callable[[Row], bool | None]
CONDITIONS: dict[str, Test] = {
    "wet": lambda row: row["wet"],
    "NOT wet": lambda row: None if row["wet"] is None else not row["wet"],
    "wet IS NULL": lambda row: row["wet"] is None,
    "hour = 1": lambda row: row["hour"] == 1,
    "hour <> 1": lambda row: row["hour"] != 1,
    "hour <= 1": lambda row: row["hour"] <= 1,
    "hour IN (1, 2)": lambda row: row["hour"] in {1, 2},
    "hour >= 2 AND NOT wet": lambda row: row["hour"] >= 2 and (None if row["wet"] is None else not row["wet"]),
    "hour > 1 OR wet": lambda row: row["hour"] > 1 or row["wet"],
    "hour = 1 AND hour = 2": lambda row: False,  # noqa: ARG005  # nobody
}
rows = st.lists(
    st.fixed_dictionaries(
        {
            "vehicle": st.sampled_from(["a", "b", "c", "d", "e", "f", None]),
            "zone": st.sampled_from(["x", "y", None]),
            "hour": st.integers(0, 3),
            "wet": st.sampled_from([True, False, True, False, None]),
            "fare": st.sampled_from([None, -1.0, 2.5, 10.0, 64.0, 100.0]),
        }
    ),
    max_size=60,
)
some_conditions = st.lists(st.sampled_from(list(CONDITIONS)), min_size=1, max_size=3, unique=True)


def asked(sql: str, found: Sequence[Row], schema: Schema = JOBS, engine: DuckDBEngine = ENGINES[0]) -> Released | Refused:
    query = vet(sql, {schema.product: ProductTerms(schema)})
    assert isinstance(query, VettedQuery), query
    kinds = {
        "vehicle": pa.string(),
        "zone": pa.string(),
        "hour": pa.int64(),
        "wet": pa.bool_(),
        "weight": pa.float64(),
        "fare": pa.float64(),
    }
    table = pa.table({name: pa.array([row.get(name) for row in found], kind) for name, kind in kinds.items()})
    return release(engine.run(query, {schema.product: table}), query=query)


def shown(verdict: Released | Refused) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in verdict.table.to_pylist()] if isinstance(verdict, Released) else []


def units(found: Sequence[Row], column: str = "vehicle") -> int:
    return len({row["vehicle"] for row in found if row[column] is not None} - {None})


def fares(found: Sequence[Row]) -> float | None:
    values = [min(max(row["fare"], 0.0), 64.0) for row in found if row["fare"] is not None]
    return float(f"{sum(values):.6g}") if values else None


def parts(found: Sequence[Row], conditions: Sequence[str]) -> dict[tuple[bool, ...], list[Row]]:
    """The rows by which of some conditions hold: everything that can be made of values under them is about some of these parts."""
    by: dict[tuple[bool, ...], list[Row]] = {}
    for row in found:
        by.setdefault(tuple(CONDITIONS[one](row) is True for one in conditions), []).append(row)
    return by


def form(index: int, condition: str, *, of: str) -> str:
    """One of the ways to write an aggregate under a condition."""
    if of == "fare":
        return [f"SUM(fare) FILTER (WHERE {condition})", f"SUM(CASE WHEN {condition} THEN fare END)"][index % 2]
    return [f"COUNT(*) FILTER (WHERE {condition})", f"COUNT(CASE WHEN {condition} THEN 1 END)"][index % 2]


@pytest.mark.parametrize("engine", ENGINES, ids=["at once", "in stages", "few rows"])
@pytest.mark.parametrize("of", ["rows", "fare"])
@settings(max_examples=80, deadline=None)
@given(found=rows, conditions=some_conditions, total=st.sampled_from([True, False]))
def test_every_part_that_can_be_told_apart_has_k_units_and_every_value_is_right(
    engine: DuckDBEngine, of: str, found: list[Row], conditions: list[str], total: bool
) -> None:
    value: Callable[[Sequence[Row]], Any] = fares if of == "fare" else len
    whole = ["SUM(fare)" if of == "fare" else "COUNT(*)"] if total else []
    aggregates = [*(f"{form(place, one, of=of)} AS a{place}" for place, one in enumerate(conditions)), *whole]
    verdict = asked(f"SELECT zone, {', '.join(aggregates)} FROM fleet.jobs GROUP BY zone", found, engine=engine)  # noqa: S608  # of this file
    column = "fare" if of == "fare" else "vehicle"
    for zone, *values in shown(verdict):
        group = [row for row in found if row["zone"] == zone]
        told = {key: some for key, some in parts(group, conditions).items() if total or any(key)}
        assert all(units(some, column) >= K for some in told.values())
        expected = [value([row for row in group if CONDITIONS[one](row) is True]) for one in conditions]
        assert values == [*expected, *([value(group)] if total else [])]


@pytest.mark.parametrize("engine", ENGINES, ids=["at once", "in stages", "few rows"])
@settings(max_examples=60, deadline=None)
@given(found=rows, condition=st.sampled_from(["wet", "hour = 1", "hour IN (1, 2)", "hour > 1 OR wet"]))
def test_a_group_leaves_where_the_part_and_the_rest_are_large_and_nobody_one_and_too_few_are_alike(
    engine: DuckDBEngine, found: list[Row], condition: str
) -> None:
    sql = f"SELECT zone, COUNT(*) FILTER (WHERE {condition}) AS n, COUNT(*) AS m FROM fleet.jobs GROUP BY zone"  # noqa: S608  # of this file
    zones = {row["zone"] for row in found}
    by = {zone: parts([row for row in found if row["zone"] == zone], [condition]) for zone in zones}
    large = {zone for zone, two in by.items() if all(units(two.get(key, [])) >= K for key in ((True,), (False,)))}
    assert {row[0] for row in shown(asked(sql, found, engine=engine))} == large


LARGE: list[Row] = [{"vehicle": f"v{one}", "zone": "x", "hour": hour, "wet": True, "fare": 10.0} for one in range(4) for hour in range(4)]
VICTIM: Row = {"vehicle": "victim", "zone": "x", "hour": 9, "wet": None, "fare": 61.0}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FILTER (WHERE hour = 9) AS n FROM fleet.jobs",
        "SELECT COUNT(*) AS n, COUNT(*) FILTER (WHERE hour <> 9) AS m FROM fleet.jobs",
        "SELECT SUM(fare) - SUM(CASE WHEN hour <> 9 THEN fare ELSE 0 END) AS s FROM fleet.jobs",
        "SELECT SUM(CASE WHEN hour <> 9 THEN 0 ELSE 1 END) AS s FROM fleet.jobs",
        "SELECT SUM(CASE WHEN hour = 9 THEN 1 ELSE 1000 END) AS s FROM fleet.jobs",
        "SELECT AVG(CASE WHEN hour <> 9 THEN fare ELSE 0 END) AS s FROM fleet.jobs",
        "SELECT AVG(CASE WHEN wet THEN 1 ELSE 0 END) AS s FROM fleet.jobs",
        "SELECT COUNT(DISTINCT vehicle) AS n, COUNT(DISTINCT vehicle) FILTER (WHERE wet) AS m FROM fleet.jobs",
        "SELECT COUNT(*) FILTER (WHERE hour < 2) AS a, COUNT(*) FILTER (WHERE hour >= 2 AND hour < 9) AS b, COUNT(*) AS c FROM fleet.jobs",
        "SELECT COUNT(*) FILTER (WHERE hour < 9) AS a, COUNT(*) FILTER (WHERE hour < 10) AS b FROM fleet.jobs",
        "SELECT COUNT(*) FILTER (WHERE hour >= 2) AS a, COUNT(*) FILTER (WHERE wet AND hour >= 2) AS b FROM fleet.jobs",
        "SELECT COUNT(*) AS n FROM fleet.jobs HAVING COUNT(*) FILTER (WHERE wet) > 1",
        "SELECT COUNT(*) AS n FROM fleet.jobs ORDER BY SUM(CASE WHEN wet THEN 1 ELSE 0 END)",
        "SELECT COUNT(*) FILTER (WHERE h = 9) AS n FROM (SELECT hour AS h FROM fleet.jobs) AS t",
    ],
)
def test_one_vehicle_that_a_condition_sets_apart_holds_the_group_back_as_if_it_were_small(sql: str) -> None:
    verdict = asked(sql, [*LARGE, VICTIM])
    assert isinstance(verdict, Refused)
    assert verdict.rule == "group-too-small"
    assert verdict == asked(sql, LARGE) == asked(sql, [*LARGE, VICTIM], engine=ENGINES[1])
    assert isinstance(asked(sql, [*LARGE, *({**VICTIM, "vehicle": one} for one in "abc")]), Released)  # it is the size alone


def test_by_the_p_percent_rule_a_part_is_held_back_and_so_is_what_it_leaves() -> None:
    even = [{"vehicle": one, "zone": "x", "hour": hour, "wet": True, "fare": 10.0} for one in "abcd" for hour in (1, 2)]
    in_one = [{**row, "fare": 60.0 if row["vehicle"] == "a" else 1.0} if row["hour"] == 1 else row for row in even]
    part, rest = ("SUM(fare) FILTER (WHERE hour = 1) AS s", "SUM(fare) FILTER (WHERE hour = 2) AS s")
    for engine in ENGINES:
        for expected, aggregates in ((False, part), (True, rest), (False, f"SUM(fare) AS t, {rest}"), (True, "SUM(fare) AS t")):
            verdict = asked(f"SELECT {aggregates} FROM fleet.jobs", in_one, WEIGHED, engine)  # noqa: S608  # of this file
            assert isinstance(verdict, Released) is expected, aggregates
            assert isinstance(asked(f"SELECT {aggregates} FROM fleet.jobs", even, WEIGHED, engine), Released)  # noqa: S608  # of this file


def _conditions(texts: Sequence[str]) -> list[Condition]:
    aggregates = ", ".join(f"COUNT(*) FILTER (WHERE {one}) AS a{place}" for place, one in enumerate(texts))
    query = vet(f"SELECT {aggregates} FROM fleet.jobs", {JOBS.product: ProductTerms(JOBS)})  # noqa: S608  # of this file
    assert isinstance(query, VettedQuery), query
    return [one.when for one in query.summary.measures if one.when is not None]


EVERY: list[Row] = [{"hour": hour, "wet": wet} for hour, wet in product(range(-1, 5), (True, False, None))]


@settings(max_examples=200)
@given(some_conditions, st.sampled_from([None, *CONDITIONS]))
def test_only_parts_that_no_row_can_be_in_are_no_cells(texts: list[str], where: str | None) -> None:
    bound = dict(zip(_conditions(texts), texts, strict=True))
    found = cells([None, *bound], None if where is None else normal(_conditions([where])[0]))
    assert found is not None
    every = [row for row in EVERY if where is None or CONDITIONS[where](row)]
    listed = [[row for row in every if _is_in(one, row, bound)] for one in found if one is not None]
    assert [some for some in parts(every, texts).values() if some not in listed and some != every] == []


def _is_in(cell: Cell, row: Row, texts: Mapping[Condition, str]) -> bool:
    holds = [CONDITIONS[texts[one]](row) is True for one in cell.holds]
    return all(holds) and not any(CONDITIONS[texts[one]](row) is True for one in cell.lacks)


def test_twelve_months_and_their_total_are_few_cells_and_conditions_that_cross_are_many() -> None:
    months = _conditions([f"hour = {one}" for one in range(12)])
    found = cells([None, *months], None)
    assert found is not None
    assert len(found) == 1 + 12 + 1  # the whole, each month, the rest
    crossing = ", ".join(f"COUNT(*) FILTER (WHERE hour = {one} OR weight = {one})" for one in range(6))
    verdict = vet(f"SELECT {crossing} FROM fleet.jobs", {JOBS.product: ProductTerms(JOBS)})  # noqa: S608  # of this file
    assert isinstance(verdict, Refused)
    assert verdict.rule == "too-many-conditions"


def test_numbers_that_double_precision_cannot_tell_apart_imply_nothing() -> None:
    at, below = _conditions(["weight <= 5", "weight < 5.0000000000000001"])
    assert not implies(normal(at), normal(below))
    heavy = [{**row, "weight": 3.0} for row in LARGE] + [{**VICTIM, "weight": 5.0}]
    sql = "SELECT COUNT(*) FILTER (WHERE weight <= 5) AS a, COUNT(*) FILTER (WHERE weight < 5.0000000000000001) AS b FROM fleet.jobs"
    assert isinstance(asked(sql, heavy), Refused)


def _names(sql: str) -> Iterator[str]:
    query = vet(sql, {JOBS.product: ProductTerms(JOBS)})
    assert isinstance(query, VettedQuery)
    return (one.name for one in query.finish.outputs)


def test_a_column_without_a_name_is_called_by_its_aggregate() -> None:
    assert list(_names("SELECT SUM(fare) FILTER (WHERE wet), COUNT(CASE WHEN wet THEN 1 END) FROM fleet.jobs")) == ["sum", "count"]
