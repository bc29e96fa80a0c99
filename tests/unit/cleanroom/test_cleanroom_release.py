from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import OutputColumn, Released, TableSpec, release, release_table
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

K = 3
SCHEMA = Schema(
    "fleet.jobs",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.INTEGER, Role.GROUP),
        Column("kind", ColumnType.TEXT, Role.FILTER),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, frozenset(Aggregate)),
    ),
    "vehicle",
    K,
)
TERMS = {"fleet.jobs": ProductTerms(SCHEMA)}
ENGINE = DuckDBEngine("256MB", 1, 20.0)


def _vetted(sql: str) -> VettedQuery:
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery), query
    return query


def _result(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)


BY_ZONE = _vetted("SELECT zone, AVG(fare) AS fare FROM fleet.jobs GROUP BY zone")
GLOBAL = _vetted("SELECT AVG(fare) AS fare FROM fleet.jobs")


def test_groups_below_k_rows_or_k_units_or_k_values_are_left_out() -> None:
    result = _result(
        g0=["rows", "units", "values", "fine"], a0=[1.0, 2.0, 3.0, 4.0], __rows=[2, 9, 9, 9], __n0=[2, 2, 9, 9], __n1=[2, 2, 2, 9]
    )
    assert release(result, query=BY_ZONE) == Released(pa.table({"zone": ["fine"], "fare": [4.0]}))


def test_no_large_group_and_no_group_at_all_are_refused_alike() -> None:
    small = _result(g0=["x"], a0=[1.0], __rows=[2], __n0=[2], __n1=[2])
    refusals = [release(result, query=BY_ZONE) for result in (small, small.slice(1))]
    assert isinstance(refusals[0], Refused)
    assert refusals[0].rule == "group-too-small"
    assert refusals[0] == refusals[1]


def test_an_aggregate_over_everything_is_gated_too() -> None:
    verdict = release(_result(a0=[1.0], __rows=[2], __n0=[2], __n1=[2]), query=GLOBAL)
    assert isinstance(verdict, Refused)
    assert verdict.facts == {"minimum_group": K}


def test_a_count_that_is_missing_does_not_pass_the_gate() -> None:
    verdict = release(_result(a0=[1.0], __rows=[9], __n0=pa.array([None], pa.int64()), __n1=[9]), query=GLOBAL)
    assert isinstance(verdict, Refused)


def test_a_result_without_its_hidden_counts_is_not_released() -> None:
    with pytest.raises(Invalid) as caught:
        release(_result(a0=[1.0], __rows=[9]), query=GLOBAL)
    assert caught.value.code == "cleanroom.gate-columns"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(123456.789, 123457.0), (0.000123456789, 0.000123457), (-2.5, -2.5), (float("nan"), None), (None, None), (0.0, 0.0)],
)
def test_floating_numbers_keep_six_digits_and_what_is_no_number_becomes_nothing(value: float | None, shown: float | None) -> None:
    verdict = release(_result(a0=pa.array([value], pa.float64(), from_pandas=False), __rows=[9], __n0=[9], __n1=[9]), query=GLOBAL)
    assert isinstance(verdict, Released)
    assert verdict.table.column("fare").to_pylist() == [shown]


def test_sums_of_whole_numbers_stay_whole_even_beyond_64_bits() -> None:
    query = _vetted("SELECT COUNT(*) AS n FROM fleet.jobs")
    for whole in (12345678, 2**70):
        result = _result(a0=pa.array([Decimal(whole)], pa.decimal128(38, 0)), __rows=[9], __n0=[9])
        verdict = release(result, query=query)
        assert isinstance(verdict, Released)
        assert verdict.table.column("n").to_pylist() == [whole]


def test_having_sees_rounded_values_of_released_groups_only() -> None:
    query = _vetted("SELECT zone FROM fleet.jobs GROUP BY zone HAVING AVG(fare) = 1.23457 OR AVG(fare) BETWEEN 5 AND 6")
    result = _result(
        g0=["rounded", "small", "between", "outside"],
        a0=[1.2345678, 5.5, 5.5, 7.0],
        __rows=[9, 1, 9, 9],
        __n0=[9, 1, 9, 9],
        __n1=[9, 1, 9, 9],
    )
    verdict = release(result, query=query)
    assert isinstance(verdict, Released)
    assert verdict.table.column("zone").to_pylist() == ["between", "rounded"]


def test_having_with_nothing_to_compare_keeps_nothing_and_not_of_it_neither() -> None:
    result = _result(g0=["a"], a0=pa.array([None], pa.float64()), __rows=[9], __n0=[9], __n1=[9])
    for condition, kept in (
        ("AVG(fare) > 1", []),
        ("NOT AVG(fare) > 1", []),
        ("AVG(fare) IS NULL", ["a"]),
        ("NOT (AVG(fare) IS NULL)", []),
    ):
        verdict = release(result, query=_vetted(f"SELECT zone FROM fleet.jobs GROUP BY zone HAVING {condition}"))  # noqa: S608  # the text under test
        assert isinstance(verdict, Released)
        assert verdict.table.column("zone").to_pylist() == kept


def test_order_limit_and_offset_count_released_groups_only() -> None:
    query = _vetted("SELECT zone, AVG(fare) AS fare FROM fleet.jobs GROUP BY zone ORDER BY fare DESC, zone LIMIT 2 OFFSET 1")
    result = _result(g0=["a", "b", "c", "d"], a0=[1.0, 9.0, 9.0, 99.0], __rows=[9, 9, 9, 1], __n0=[9, 9, 9, 1], __n1=[9, 9, 9, 1])
    verdict = release(result, query=query)
    assert isinstance(verdict, Released)
    assert verdict.table.to_pylist() == [{"zone": "c", "fare": 9.0}, {"zone": "a", "fare": 1.0}]


def test_arithmetic_divides_by_nothing_to_nothing() -> None:
    query = _vetted("SELECT (AVG(fare) - 1) / NULLIF(AVG(fare) - 2, 0) * 2 AS x, COUNT(*) + 1 AS n FROM fleet.jobs")
    answers = []
    for mean in (2.0, 3.0):
        verdict = release(_result(a0=[mean], a1=[9], __rows=[9], __n0=[9], __n1=[9]), query=query)
        assert isinstance(verdict, Released)
        answers.append(verdict.table.to_pylist())
    assert answers == [[{"x": None, "n": 10.0}], [{"x": 4.0, "n": 10.0}]]


SPEC = TableSpec(
    (OutputColumn("road", ColumnType.TEXT), OutputColumn("risk", ColumnType.DOUBLE), OutputColumn("n", ColumnType.INTEGER)),
    minimum_group=5,
    most_rows=3,
)


def test_a_methods_table_leaves_without_its_small_rows_rounded_and_in_declared_order() -> None:
    table = pa.table({"n": [2, 5], "road": ["a", "b"], "risk": [0.5, 0.123456789]})
    assert release_table(table, SPEC) == Released(pa.table({"road": ["b"], "risk": [0.123457], "n": [5]}))


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        (pa.table({"road": ["a"], "risk": [0.1], "n": [9], "vin": ["x"]}), "undeclared-column"),
        (pa.table({"road": ["a"], "n": [9]}), "undeclared-column"),
        (pa.table({"road": ["a"], "risk": [[0.1]], "n": [9]}), "wrong-type"),
        (pa.table({"road": [b"a"], "risk": [0.1], "n": [9]}), "wrong-type"),
        (pa.table({"road": ["a"], "risk": [0.1], "n": [9.0]}), "wrong-type"),
        (pa.table({"road": ["a"], "risk": [0.1], "n": [4]}), "group-too-small"),
        (pa.table({"road": ["a"], "risk": [0.1], "n": pa.array([None], pa.int64())}), "group-too-small"),
        (pa.table({"road": ["a"] * 4, "risk": [0.1] * 4, "n": [9] * 4}), "too-many-rows"),
    ],
)
def test_a_methods_table_that_is_not_as_declared_is_refused(table: pa.Table, rule: str) -> None:
    verdict = release_table(table, SPEC)
    assert isinstance(verdict, Refused)
    assert verdict.rule == rule


def test_a_methods_table_without_a_declared_count_is_refused() -> None:
    spec = TableSpec((OutputColumn("risk", ColumnType.DOUBLE),), minimum_group=5)
    verdict = release_table(pa.table({"risk": [0.5]}), spec)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "wrong-type"


ROW = st.fixed_dictionaries(
    {
        "vehicle": st.sampled_from(["a", "b", "c", "d", "e", None]),
        "zone": st.sampled_from(["x", "y", None]),
        "hour": st.integers(0, 3),
        "kind": st.sampled_from(["p", "q"]),
        "fare": st.one_of(st.none(), st.floats(-100, 100)),
    }
)
GROUPS = ("zone", "hour", "FLOOR(hour / 2) * 2")
AGGREGATES = (
    "COUNT(*)",
    "AVG(fare)",
    "SUM(fare)",
    "MIN(fare)",
    "COUNT(DISTINCT vehicle)",
    "COUNT(zone)",
    "SUM(fare) / NULLIF(COUNT(fare), 0)",
)
FILTERS = ("kind = 'p'", "zone <> 'x'", "NOT (hour = 1)", "zone IS NULL OR hour IN (0, 2)", "hour BETWEEN 1 AND 2 AND kind <> 'q'")
HAVINGS = ("COUNT(*) < 2", "AVG(fare) > 0", "NOT SUM(fare) > 1000")


@st.composite
def questions(draw: st.DrawFn) -> str:
    groups = draw(st.lists(st.sampled_from(GROUPS), max_size=2, unique=True))
    aggregates = draw(st.lists(st.sampled_from(AGGREGATES), min_size=0 if groups else 1, max_size=3, unique=True))
    wheres = draw(st.lists(st.sampled_from(FILTERS), max_size=2, unique=True))
    having = draw(st.one_of(st.none(), st.sampled_from(HAVINGS)))
    source = draw(st.sampled_from(["fleet.jobs", "(SELECT vehicle, zone, hour, kind, fare FROM fleet.jobs WHERE kind <> 'q') AS d"]))
    text = f"SELECT {', '.join([*groups, *aggregates])} FROM {source}"  # noqa: S608  # the text under test
    text += f" WHERE {' AND '.join(f'({one})' for one in wheres)}" if wheres else ""
    text += f" GROUP BY {', '.join(groups)}" if groups else ""
    return text + (f" HAVING {having}" if having and groups else "")


def _holds(row: dict[str, Any], sql: str) -> bool:
    zone, hour, kind = row["zone"], row["hour"], row["kind"]
    tests = {
        FILTERS[0]: kind == "p",
        FILTERS[1]: zone is not None and zone != "x",
        FILTERS[2]: hour != 1,
        FILTERS[3]: zone is None or hour in (0, 2),
        FILTERS[4]: 1 <= hour <= 2 and kind != "q",
    }
    return all(passes for text, passes in tests.items() if f"({text})" in sql) and ("AS d" not in sql or kind != "q")


@settings(max_examples=120, deadline=None)
@given(st.lists(ROW, max_size=40), questions())
def test_whatever_is_released_has_k_units_and_k_values_behind_it(rows: list[dict[str, Any]], sql: str) -> None:
    table = pa.Table.from_pylist(
        rows, pa.schema({"vehicle": pa.string(), "zone": pa.string(), "hour": pa.int64(), "kind": pa.string(), "fare": pa.float64()})
    )
    query = _vetted(sql)
    verdict = release(ENGINE.run(query, {"fleet.jobs": table}), query=query)
    if isinstance(verdict, Refused):
        assert verdict.rule == "group-too-small"
        return
    selected = sql.partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
    names = [name for name in selected if name in GROUPS]
    shown = {"zone": lambda row: row["zone"], "hour": lambda row: row["hour"], GROUPS[2]: lambda row: float(row["hour"] // 2 * 2)}
    kept = [row for row in rows if _holds(row, sql)]
    for released in verdict.table.to_pylist():
        values = list(released.values())[: len(names)]
        group = [row for row in kept if [shown[name](row) for name in names] == values]
        assert len({row["vehicle"] for row in group} - {None}) >= K
        if any("fare" in one for one in selected):
            assert len({row["vehicle"] for row in group if row["fare"] is not None} - {None}) >= K


def test_a_released_time_is_a_time() -> None:
    moment = datetime.fromisoformat("2026-03-01")
    result = _result(g0=pa.array([moment], pa.timestamp("us")), a0=[1.0], __rows=[9], __n0=[9], __n1=[9])
    verdict = release(result, query=BY_ZONE)
    assert isinstance(verdict, Released)
    assert verdict.table.column("zone").to_pylist() == [moment]
