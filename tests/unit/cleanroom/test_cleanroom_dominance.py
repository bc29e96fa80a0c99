"""The p%-rule on sums, held against its definition in plain Python, however the question is computed."""

import math
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

P = 10
COLUMNS = (
    Column("firm", ColumnType.TEXT, Role.KEY),
    Column("zone", ColumnType.TEXT, Role.GROUP),
    Column("sales", ColumnType.DOUBLE, Role.MEASURE, lower=Decimal(-1000), upper=Decimal(1000)),
)
BY_FIRM = Schema("town.shops", COLUMNS, "firm", 3, P)
BY_ROW = Schema("town.shops", COLUMNS, None, 3, P)
ENGINES = (
    DuckDBEngine("256MB", 1, 60.0),
    DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=0),
    DuckDBEngine("256MB", 1, 60.0, staged_from=0),
)
SUM = "SELECT zone, SUM(sales) AS s FROM town.shops GROUP BY zone"


def _asked(sql: str, schema: Schema, rows: list[tuple[str | None, str | None, float | None]], engine: DuckDBEngine) -> Released | Refused:
    query = vet(sql, {schema.product: ProductTerms(schema)})
    assert isinstance(query, VettedQuery), query
    firms, zones, sales = zip(*rows, strict=True) if rows else ((), (), ())
    table = pa.table({"firm": pa.array(firms, pa.string()), "zone": pa.array(zones, pa.string()), "sales": pa.array(sales, pa.float64())})
    return release(engine.run(query, {schema.product: table}), query=query)


def _zones(verdict: Released | Refused) -> list[Any]:
    return verdict.table.column("zone").to_pylist() if isinstance(verdict, Released) else []


def _passing(rows: list[tuple[str | None, str | None, float | None]], *, by_firm: bool) -> list[Any]:
    """The zones with three contributors and enough beside the two largest of them, by the definition."""
    shares: dict[Any, dict[Any, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    shown: dict[Any, set[Any]] = defaultdict(set)
    for place, (firm, zone, sales) in enumerate(rows):
        if sales is not None:
            unit = firm if by_firm else place
            shares[zone][unit] += abs(Fraction(max(min(sales, 1000), -1000)))
            shown[zone] |= {unit} - {None}
    passing = []
    for zone, units in shares.items():
        largest = sorted(units.values(), reverse=True) + [Fraction(0)] * 2
        if len(shown[zone]) >= 3 and sum(largest[2:]) >= Fraction(P, 100) * largest[0]:
            passing.append(zone)
    return sorted(passing, key=lambda zone: (zone is None, zone or ""))


ROW = st.tuples(
    st.sampled_from(["a", "b", "c", "d", None]),
    st.sampled_from(["east", "west", None]),
    st.sampled_from([0.0, 1.0, 2.5, -4.0, 10.0, -30.0, 100.0, 5000.0, None]),
)


@pytest.mark.parametrize("engine", ENGINES, ids=["at once", "in stages", "few rows"])
@pytest.mark.parametrize("schema", [BY_FIRM, BY_ROW], ids=["by firm", "by row"])
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(ROW, min_size=0, max_size=30))
def test_a_sum_leaves_only_where_its_contributors_pass_the_rule(
    engine: DuckDBEngine, schema: Schema, rows: list[tuple[str | None, str | None, float | None]]
) -> None:
    assert _zones(_asked(SUM, schema, rows, engine)) == _passing(rows, by_firm=schema is BY_FIRM)


@pytest.mark.parametrize("engine", ENGINES, ids=["at once", "in stages", "few rows"])
@pytest.mark.parametrize("function", ["SUM", "AVG"])
def test_a_group_that_one_firm_makes_up_is_held_back_as_if_it_were_small(engine: DuckDBEngine, function: str) -> None:
    sql = f"SELECT zone, {function}(sales) AS s FROM town.shops GROUP BY zone"  # noqa: S608  # a test's own words
    dominated: list[tuple[str | None, str | None, float | None]] = [("a", "east", 900.0), ("b", "east", 20.0), ("c", "east", 50.0)]
    small: list[tuple[str | None, str | None, float | None]] = [("a", "east", 9.0), ("b", "east", 9.0)]
    verdicts = [_asked(sql, BY_FIRM, rows, engine) for rows in (dominated, small, [])]
    assert isinstance(verdicts[0], Refused)
    assert verdicts[0].rule == "group-too-small"
    assert verdicts[0] == verdicts[1] == verdicts[2]


def test_counts_are_not_held_to_the_rule_and_one_measure_does_not_hold_back_without_a_rule() -> None:
    rows: list[tuple[str | None, str | None, float | None]] = [("a", "east", 900.0), ("b", "east", 1.0), ("c", "east", 1.0)]
    assert _zones(_asked("SELECT zone, COUNT(sales) AS n FROM town.shops GROUP BY zone", BY_FIRM, rows, ENGINES[0])) == ["east"]
    assert _zones(_asked(SUM, Schema("town.shops", COLUMNS, "firm", 3), rows, ENGINES[0])) == ["east"]


@pytest.mark.parametrize("clause", ["HAVING SUM(sales) > 0", "ORDER BY SUM(sales)", "HAVING AVG(sales) > 0 ORDER BY 1"])
def test_a_sum_that_is_only_compared_or_ordered_by_is_held_to_the_rule_too(clause: str) -> None:
    rows: list[tuple[str | None, str | None, float | None]] = [("a", "east", 900.0), ("b", "east", 1.0), ("c", "east", 1.0)]
    rows += [("a", "west", 9.0), ("b", "west", 9.0), ("c", "west", 9.0)]
    verdict = _asked(f"SELECT zone FROM town.shops GROUP BY zone {clause}", BY_FIRM, rows, ENGINES[0])  # noqa: S608  # a test's own words
    assert _zones(verdict) == ["west"]


@pytest.mark.parametrize("percent", [0, 101, -1])
def test_a_percentage_out_of_range_is_no_rule(percent: int) -> None:
    with pytest.raises(Invalid):
        Schema("town.shops", COLUMNS, "firm", 3, percent)


def test_a_schema_with_the_rule_is_read_as_it_was_written_and_one_without_is_written_as_before() -> None:
    assert Schema.parse(BY_FIRM.as_document()) == BY_FIRM
    assert "dominance_percent" not in Schema("town.shops", COLUMNS, "firm", 3).as_document()
    assert math.isclose(BY_FIRM.dominance_percent or 0, P)


@pytest.mark.parametrize("function", ["MIN", "MAX"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT zone, {f}(sales) AS m FROM town.shops GROUP BY zone",
        "SELECT zone FROM town.shops GROUP BY zone HAVING {f}(sales) > 1",
        "SELECT zone FROM town.shops GROUP BY zone HAVING NOT ({f}(sales) IS NULL)",
        "SELECT zone FROM town.shops GROUP BY zone ORDER BY {f}(sales)",
        "SELECT zone, ROUND(SUM(sales) - {f}(sales), 2) AS m FROM town.shops GROUP BY zone",
        "SELECT zone, SUM(sales) / NULLIF({f}(sales), 0) AS m FROM town.shops GROUP BY zone",
    ],
)
def test_the_least_and_the_largest_are_permissions_of_their_own_wherever_they_stand(function: str, sql: str) -> None:
    verdict = vet(sql.format(f=function), {"town.shops": ProductTerms(BY_FIRM)})
    assert isinstance(verdict, Refused)
    assert verdict.rule == "aggregate-not-permitted"


def test_an_order_by_exact_values_does_not_show_what_rounding_hides() -> None:
    rows: list[tuple[str | None, str | None, float | None]] = []
    for zone, value in (("west", 1.00000001), ("east", 1.00000002)):
        rows += [(firm, zone, value) for firm in "abcd"]
    for schema in (BY_FIRM, BY_ROW):
        assert _zones(_asked("SELECT zone FROM town.shops GROUP BY zone ORDER BY SUM(sales)", schema, rows, ENGINES[0])) == ["east", "west"]
