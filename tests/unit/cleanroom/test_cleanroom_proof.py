"""Units proved from a part of the rows: never more than there are, and never another answer than by counting them all."""

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines import proof
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.rendering import ROWS, count_name
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

K = 3
TRIPS = Schema(
    "fleet.trips",
    (
        Column("person", ColumnType.INTEGER, Role.KEY),
        Column("road", ColumnType.INTEGER, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.DOUBLE, Role.GROUP),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, lower=Decimal(0), upper=Decimal(64)),
    ),
    "person",
    K,
)
ROADS = Schema("city.roads", (Column("road", ColumnType.INTEGER, Role.KEY), Column("kind", ColumnType.TEXT, Role.FREE)), None, 1)
STAYS = Schema(
    "inn.stays", (Column("person", ColumnType.INTEGER, Role.KEY), Column("nights", ColumnType.INTEGER, Role.MEASURE)), "person", K + 1
)
SALES = Schema(
    "shop.sales",
    (
        Column("road", ColumnType.INTEGER, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("price", ColumnType.INTEGER, Role.MEASURE),
    ),
    None,
    K,
)
TERMS = {schema.product: ProductTerms(schema) for schema in (TRIPS, ROADS, STAYS, SALES)}
EXACT = DuckDBEngine("256MB", 1, 60.0, staged_from=10**9)
PROVED = DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=0)
STAGED = DuckDBEngine("256MB", 1, 60.0, staged_from=0)
SOON = DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=300)
QUESTIONS = (
    "SELECT zone, COUNT(*) AS n, SUM(fare) AS s FROM fleet.trips GROUP BY zone",
    "SELECT hour, AVG(fare) AS s, COUNT(DISTINCT road) AS roads FROM fleet.trips WHERE hour >= 1 GROUP BY hour",
    "SELECT zone, hour, COUNT(fare) AS n FROM fleet.trips GROUP BY zone, hour ORDER BY n DESC",
    "SELECT SUM(fare) AS s FROM fleet.trips WHERE zone = 'b'",
    "SELECT r.kind, COUNT(*) AS n, SUM(t.fare) AS s FROM fleet.trips t JOIN city.roads r ON t.road = r.road GROUP BY r.kind",
    "SELECT r.kind, AVG(t.fare) AS s FROM fleet.trips t LEFT JOIN city.roads r ON t.road = r.road GROUP BY r.kind",
    "SELECT r.kind, SUM(t.fare) AS s FROM city.roads r LEFT JOIN fleet.trips t ON t.road = r.road GROUP BY r.kind",
    "SELECT t.zone, SUM(t.fare) AS s, SUM(i.nights) AS n FROM fleet.trips t JOIN inn.stays i ON t.person = i.person GROUP BY t.zone",
    "SELECT s.zone, SUM(s.price) AS s FROM shop.sales s JOIN city.roads r ON s.road = r.road GROUP BY s.zone",
    "SELECT q.zone, COUNT(*) AS n FROM (SELECT road, zone FROM shop.sales) q JOIN city.roads r ON q.road = r.road GROUP BY q.zone",
    "SELECT z, SUM(f) AS s FROM (SELECT t.zone AS z, t.fare AS f FROM fleet.trips t JOIN city.roads r ON t.road = r.road) q GROUP BY z",
)


def _vetted(sql: str) -> VettedQuery:
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery), query
    return query


def _skewed(random: np.random.Generator, rows: int, *, distinct: int, skew: float) -> np.ndarray[Any, Any]:
    return np.floor(distinct * random.random(rows) ** skew).astype(np.int64)


def _blank(random: np.random.Generator, values: Any, share: float) -> pa.Array:
    return pa.array(values, mask=random.random(len(values)) < share)


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, pa.Table]:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.sampled_from([0, 1, 5, 80, 700, 3000]))
    people, skew, blank = (
        draw(st.sampled_from([1, 3, 5, 40, 2000])),
        draw(st.sampled_from([1.0, 4.0, 12.0])),
        draw(st.sampled_from([0, 0.2])),
    )
    person = _skewed(random, rows, distinct=people, skew=skew)
    person = np.sort(person) if draw(st.booleans()) else person
    zones = np.array(["a", "b", "", "a ", "A"], dtype=object)[_skewed(random, rows, distinct=5, skew=skew)]
    hours = np.array([0.0, -0.0, 1.0, np.nan, np.inf])[_skewed(random, rows, distinct=5, skew=skew)]
    trips = {
        "person": _blank(random, person, blank),
        "road": _blank(random, _skewed(random, rows, distinct=9, skew=1.0), blank),
        "zone": pa.array(zones, pa.string(), mask=random.random(rows) < blank),
        "hour": pa.array(hours, mask=random.random(rows) < blank, from_pandas=False),
        "fare": _blank(random, random.integers(-64, 128, rows) / 4, draw(st.sampled_from([0, 0.5, 0.99]))),
    }
    roads = random.permutation(9) if draw(st.booleans()) else np.arange(9)
    roads = np.concatenate([roads, roads[:2]]) if draw(st.booleans()) else roads
    stays = random.integers(0, people, draw(st.sampled_from([0, 3, 50])))
    stays = np.unique(stays) if draw(st.booleans()) else stays
    kinds = pa.array(["main", "side"])
    return {
        "fleet.trips": pa.table(trips),
        "city.roads": pa.table({"road": pa.array(roads, pa.int64()), "kind": kinds.take(pa.array(roads % 2))}),
        "shop.sales": pa.table({"road": trips["road"], "zone": trips["zone"], "price": pa.array(random.integers(0, 9, rows), pa.int64())}),
        "inn.stays": pa.table({"person": pa.array(stays, pa.int64()), "nights": pa.array(random.integers(1, 9, len(stays)), pa.int64())}),
    }


def _rows(verdict: Released | Refused) -> Any:
    return verdict if isinstance(verdict, Refused) else [[repr(value) for value in row.values()] for row in verdict.table.to_pylist()]


@settings(max_examples=60, deadline=None)
@given(tables=_tables(), sql=st.sampled_from(QUESTIONS), engine=st.sampled_from((PROVED, STAGED, SOON)))
def test_proved_units_and_counted_units_release_the_same_answer(tables: dict[str, pa.Table], sql: str, engine: DuckDBEngine) -> None:
    query = _vetted(sql)
    staged, exact = (one.run(query, tables) for one in (engine, EXACT))
    assert sorted(staged.column_names) == sorted(exact.column_names)
    assert _rows(release(staged, query=query)) == _rows(release(exact, query=query))


@settings(max_examples=60, deadline=None)
@given(tables=_tables(), sql=st.sampled_from(QUESTIONS), engine=st.sampled_from((PROVED, STAGED, SOON)))
def test_no_group_is_said_to_have_more_units_than_it_has(tables: dict[str, pa.Table], sql: str, engine: DuckDBEngine) -> None:
    query = _vetted(sql)
    staged, exact = (_by_group(one.run(query, tables), query) for one in (engine, EXACT))
    assert staged.keys() == exact.keys()
    for group, counts in staged.items():
        assert all(said <= true for said, true in zip(counts, exact[group], strict=True)), group


def _by_group(result: pa.Table, query: VettedQuery) -> dict[tuple[str, ...], list[int]]:
    names = [count_name(place) for place, _ in enumerate(query.summary.counts)]
    groups = [name for name in result.column_names if name.startswith("g")]
    # zero with either sign is one group, and which of the two stands for it is the engine's choice
    return {tuple(repr(row[name] or None) for name in groups): [row[name] for name in names] for row in result.to_pylist()}


def test_a_part_is_enough_where_groups_are_large_and_is_not_taken_for_the_whole() -> None:
    rows = 400_000
    trips = pa.table(
        {
            "person": np.arange(rows) % 5000,
            "road": np.zeros(rows, np.int64),
            "zone": np.where(np.arange(rows) % 2 == 0, "a", "b"),
            "hour": np.zeros(rows),
            "fare": np.ones(rows),
        }
    )
    result = STAGED.run(_vetted(QUESTIONS[0]), {"fleet.trips": trips})
    for row in result.to_pylist():
        assert row[ROWS] == rows / 2
        assert K <= row["__n0"] < 2500


def test_a_lone_person_among_many_rows_is_still_held_back() -> None:
    rows = 50_000
    lone = pa.table(
        {
            "person": np.concatenate([np.arange(rows), np.full(rows, 7), np.full(10, 8), np.full(10, 9)]),
            "road": np.zeros(2 * rows + 20, np.int64),
            "zone": ["many"] * rows + ["lone"] * rows + ["lone"] * 10 + ["many"] * 10,
            "hour": np.zeros(2 * rows + 20),
            "fare": np.ones(2 * rows + 20),
        }
    )
    query = _vetted(QUESTIONS[0])
    verdict = release(STAGED.run(query, {"fleet.trips": lone}), query=query)
    assert isinstance(verdict, Released)
    assert verdict.table.column("zone").to_pylist() == ["many"]


def test_more_groups_than_the_room_carries_are_refused_at_the_first_stage() -> None:
    rows = 1_000_001
    wide = {"person": np.arange(rows), "road": np.zeros(rows, np.int64), "zone": ["a"] * rows, "fare": np.ones(rows)}
    with pytest.raises(Invalid) as caught:
        STAGED.run(_vetted(QUESTIONS[1]), {"fleet.trips": pa.table({**wide, "hour": np.arange(rows) + 1.0})})
    assert caught.value.code == "cleanroom.result-too-large"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (QUESTIONS[0], [("fleet.trips", (0,))]),
        (QUESTIONS[4], [("fleet.trips", (0,)), ("city.roads", (1,))]),
        (QUESTIONS[5], [("fleet.trips", (0,))]),
        (QUESTIONS[6], [("city.roads", (0,))]),
        (QUESTIONS[-1], [("fleet.trips", (0, 0)), ("city.roads", (0, 1))]),
    ],
)
def test_no_part_is_taken_of_a_source_whose_rows_a_left_join_may_miss(sql: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(leaf.product, leaf.path) for leaf in proof.leaves(_vetted(sql).summary.body)] == expected


def test_keys_prove_single_records_only_along_the_joins_from_their_own_product() -> None:
    two = _vetted(QUESTIONS[7]).summary
    assert [key.product for group in proof.unique_keys(two).values() for key in group] == ["inn.stays", "fleet.trips"]
    assert proof.unique_keys(_vetted(QUESTIONS[-1]).summary) == {}


@pytest.mark.parametrize(
    ("sql", "is_never_missing", "expected"),
    [
        (QUESTIONS[0], True, {0: 0, 1: 0}),
        (QUESTIONS[0], False, {0: 0, 1: 1}),
        (QUESTIONS[5], True, {0: 0, 1: 1}),  # what a left join may leave out is missing, whatever the product holds
        (QUESTIONS[7], True, {0: 0, 1: 0, 2: 0, 3: 0}),  # both products' people are held equal by the join
        (QUESTIONS[7], False, {0: 0, 1: 0, 2: 2, 3: 3}),
        (QUESTIONS[-1], True, {0: 0, 1: 1}),  # nothing is known of what a sub-query makes of its values
    ],
)
def test_counts_that_are_always_equal_are_made_once_and_for_the_strictest(
    sql: str, is_never_missing: bool, expected: dict[int, int]
) -> None:
    summary = _vetted(sql).summary
    merged, standing = proof.merged(summary, lambda *_: is_never_missing)
    assert standing == expected
    for place, other in standing.items():
        assert merged.counts[other].minimum >= summary.counts[place].minimum


def test_units_of_a_sub_query_that_no_column_identifies_are_counted_in_stages_too() -> None:
    rows = 9 * K
    sales = {"road": np.arange(rows) % 9, "zone": ["a"] * rows, "price": np.ones(rows, np.int64)}
    roads = {"road": np.arange(9), "kind": ["main"] * 9}
    (group,) = STAGED.run(_vetted(QUESTIONS[-2]), {"shop.sales": pa.table(sales), "city.roads": pa.table(roads)}).to_pylist()
    assert group[ROWS] == rows
    assert group["__n0"] >= K


@pytest.mark.parametrize(
    ("smallest", "rows", "expected"),
    [
        (0, 10**6, None),
        (10, 10**6, None),
        (10_000, 10**6, 0.005),
        (1000, 10**6, 0.024),
        (10**5, 10**8, 0.001),
        (10_000, 10**9, 0.0024),
    ],
)
def test_a_part_is_as_large_as_small_groups_need_and_none_where_it_would_be_most_of_the_whole(
    smallest: int, rows: int, expected: float | None
) -> None:
    assert proof.share(smallest, minimum=3, rows=rows) == expected
