"""Windows over released groups say what DuckDB says of the same groups, and nothing of those that were left out."""

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.refusal import Refused

ENGINE = DuckDBEngine("256MB", 1, 30.0)
K = 3
SHOPS = Schema(
    "town.shops",
    (
        Column("firm", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("month", ColumnType.INTEGER, Role.GROUP),
        Column("sales", ColumnType.INTEGER, Role.MEASURE, frozenset(Aggregate)),
        Column("price", ColumnType.DECIMAL, Role.MEASURE, frozenset(Aggregate)),
        Column("note", ColumnType.TEXT, Role.MEASURE, frozenset(Aggregate)),
    ),
    "firm",
    K,
)
TERMS = {SHOPS.product: ProductTerms(SHOPS)}
KINDS = {"sales": pa.int64(), "month": pa.int64(), "price": pa.decimal128(14, 2)}
GROUPED = "FROM town.shops GROUP BY zone, month"
WINDOWS = [
    "ROW_NUMBER() OVER (ORDER BY COUNT(*), zone, month)",
    "RANK() OVER (ORDER BY COUNT(*) DESC)",
    "DENSE_RANK() OVER (PARTITION BY zone ORDER BY COUNT(*))",
    "RANK() OVER ()",
    "LAG(SUM(sales)) OVER (PARTITION BY zone ORDER BY month)",
    "LEAD(COUNT(*), 2) OVER (ORDER BY zone, month DESC)",
    "LAG(zone, 0) OVER (ORDER BY month, zone)",
    "SUM(COUNT(*)) OVER ()",
    "SUM(SUM(sales)) OVER (PARTITION BY zone)",
    "SUM(COUNT(*)) OVER (ORDER BY month)",
    "SUM(SUM(price)) OVER (PARTITION BY zone ORDER BY month)",
    "AVG(COUNT(*)) OVER (ORDER BY zone, month ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "AVG(SUM(sales) + 1) OVER (ORDER BY zone, month ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
    "MIN(MAX(note)) OVER (PARTITION BY zone)",
    "MAX(month) OVER (ORDER BY zone, month ROWS 1 PRECEDING)",
    "COUNT(*) OVER (PARTITION BY zone)",
    "COUNT(MIN(sales)) OVER (PARTITION BY month)",
    "ROUND(100 * COUNT(*) / NULLIF(SUM(COUNT(*)) OVER (PARTITION BY zone), 0), 2)",
]


def tables(seed: int, *, small: bool) -> dict[str, pa.Table]:
    chance = Random(seed)  # noqa: S311  # made-up shops
    rows: list[dict[str, Any]] = []
    for zone in ("east", "north", None, "west"):
        for month in range(1, 6):
            few = small and chance.random() < 0.4
            firms = chance.randint(1, K - 1) if few else chance.randint(K, 8)
            rows += [
                {
                    "firm": f"f{firm}",
                    "zone": zone,
                    "month": month,
                    "sales": chance.randint(-50, 50),
                    "price": Decimal(chance.randint(0, 90_000)) / 100,
                    "note": f"n{chance.randint(0, 9)}",
                }
                for firm in range(firms)
            ]
    chance.shuffle(rows)
    return {SHOPS.product: pa.table({name: pa.array([row[name] for row in rows], KINDS.get(name, pa.string())) for name in rows[0]})}


def answer(sql: str, given: dict[str, pa.Table]) -> list[dict[str, Any]]:
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery), query
    released = release(ENGINE.run(query, given), query=query)
    assert isinstance(released, Released)
    rows: list[dict[str, Any]] = released.table.to_pylist()
    return rows


def plain(sql: str, given: dict[str, pa.Table], *, shown: Sequence[tuple[object, object]]) -> list[dict[str, Any]]:
    """What DuckDB says where the groups that are shown are all that there are."""
    table = given[SHOPS.product]
    keep = [(row["zone"], row["month"]) in shown for row in table.to_pylist()]
    with duckdb.connect(":memory:") as database:
        database.register("known", table.filter(pa.array(keep)))
        database.execute("CREATE SCHEMA town")
        database.execute("CREATE VIEW town.shops AS SELECT * FROM known")
        rows: list[dict[str, Any]] = database.sql(sql).to_arrow_table().to_pylist()
        return rows


def said(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(float(f"{float(one):.9g}") if isinstance(one, int | float | Decimal) else one for one in row.values()) for row in rows]


@pytest.mark.parametrize("small", [False, True], ids=["every group is shown", "some are left out"])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_says_what_duckdb_says_of_the_groups_that_are_shown(window: str, small: bool) -> None:
    for seed in (1, 2):
        given = tables(seed, small=small)
        shown = [(row["zone"], row["month"]) for row in answer(f"SELECT zone, month, COUNT(*) {GROUPED}", given)]
        assert (len(shown) < 20) == small
        sql = f"SELECT zone, month, COUNT(*) AS n, {window} AS w {GROUPED} ORDER BY zone, month"  # of this file
        assert said(answer(sql, given)) == said(plain(sql, given, shown=shown))


def test_windows_are_over_what_having_keeps_and_before_a_limit() -> None:
    given = tables(3, small=False)
    sql = f"SELECT zone, month, COUNT(*) OVER () AS n, RANK() OVER (ORDER BY COUNT(*) DESC) AS r {GROUPED} HAVING COUNT(*) > 5"
    whole = answer(f"{sql} ORDER BY r, zone, month", given)
    assert {row["n"] for row in whole} == {len(whole)}
    assert len(whole) < 20
    assert answer(f"{sql} ORDER BY r, zone, month LIMIT 2", given) == whole[:2]


def test_groups_that_an_order_leaves_alike_are_numbered_by_their_own_values() -> None:
    rows = [{"firm": f"f{one}", "zone": zone} for one in range(K) for zone in "dbca"]
    given = {SHOPS.product: pa.Table.from_pylist(rows)}
    windows = "ROW_NUMBER() OVER (ORDER BY COUNT(*)) AS place, LAG(zone) OVER (ORDER BY COUNT(*)) AS before"
    sql = f"SELECT zone, {windows} FROM town.shops GROUP BY zone"  # noqa: S608  # of this file
    assert [tuple(row.values()) for row in answer(sql, given)] == [("a", 1, None), ("b", 2, "a"), ("c", 3, "b"), ("d", 4, "c")]


def test_a_window_without_a_name_has_its_functions() -> None:
    (first, *_) = answer(f"SELECT month, SUM(COUNT(*)) OVER (), RANK() OVER () {GROUPED.replace('zone, ', '')}", tables(1, small=False))
    assert list(first) == ["month", "sum", "rank"]


@pytest.mark.parametrize(
    "selected",
    [
        *(f"SUM({one}) OVER ()" for one in ("MIN(note)", "zone", "MIN(note) + 1", "COUNT(*) * MAX(note)")),
        *("MIN(note) + 1", "zone * 2", "ROUND(MAX(note), 1)", "NULLIF(MIN(note), 0)", "LAG(zone) OVER (ORDER BY month) + 1"),
    ],
)
def test_nothing_is_computed_with_what_may_be_no_number(selected: str) -> None:
    verdict = vet(f"SELECT {selected} AS s {GROUPED}", TERMS)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "not-understood"


@pytest.mark.parametrize("condition", ["MIN(note) > 3", "MAX(note) IS NULL", "MIN(note) BETWEEN 1 AND 2"])
def test_nothing_is_compared_with_a_number_that_may_be_none(condition: str) -> None:
    verdict = vet(f"SELECT COUNT(*) AS n {GROUPED} HAVING {condition}", TERMS)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "not-understood"


@pytest.mark.parametrize("sum_of", ["MAX(sales)", "MIN(price) * 2", "month", "COUNT(DISTINCT firm)", "SUM(sales) FILTER (WHERE month > 0)"])
def test_numbers_are_added_up(sum_of: str) -> None:
    assert answer(f"SELECT SUM({sum_of}) OVER () AS s {GROUPED}", tables(1, small=False)) != []
