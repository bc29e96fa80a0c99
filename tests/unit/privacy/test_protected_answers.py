"""One unit moves the numbers that get noise by no more than is charged for; what means the same has one name; the rest is refused."""

import sys
from decimal import Decimal
from math import isnan

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protected_trips import Row, computed, terms, vetted

from chengshu.cleanroom.gate.release import Released
from chengshu.cleanroom.model import Privacy
from chengshu.cleanroom.noise.protected import answer, missing_library, noised
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.privacy import noise

QUESTIONS = [
    "SELECT COUNT(*) AS n, AVG(speed) AS s, SUM(load) AS l FROM road.trips",
    "SELECT road, COUNT(*) AS n, COUNT(speed) AS k, SUM(speed) AS s, COUNT(DISTINCT load) AS d FROM road.trips GROUP BY road",
    "SELECT road, COUNT(DISTINCT vehicle) AS n, AVG(load) AS l FROM road.trips WHERE hour >= 2 OR hour IS NULL GROUP BY road",
    "SELECT m.make, COUNT(*) AS n, AVG(t.speed) AS s FROM road.makes m LEFT JOIN road.trips t ON t.vehicle = m.vehicle GROUP BY m.make",
    "SELECT r, COUNT(*) AS n, SUM(s) AS x FROM (SELECT road AS r, speed AS s FROM road.trips WHERE hour < 3) AS inside GROUP BY r",
    "SELECT road, COUNT(*) FILTER (WHERE hour < 2) AS n, SUM(CASE WHEN hour < 2 THEN 1 ELSE 0 END) AS m FROM road.trips GROUP BY road",
    "SELECT SUM(CASE WHEN hour < 2 THEN load ELSE 0 END) AS l, AVG(speed) FILTER (WHERE NOT road = 'ring') AS s FROM road.trips",
    "SELECT COUNT(DISTINCT v) FILTER (WHERE h > 1) AS n FROM (SELECT vehicle AS v, hour AS h FROM road.trips) AS inside",
]
units = st.sampled_from(["a", "b", "c", None])
speeds = st.one_of(st.none(), st.floats(-50, 50), st.sampled_from([float("nan"), float("inf"), -float("inf")]))
rows = st.tuples(
    units,
    st.sampled_from(["ring", "gate", None]),
    st.one_of(st.none(), st.integers(0, 4)),
    speeds,
    st.one_of(st.none(), st.integers(-3, 12)),
)
registers = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")), max_size=5)


@pytest.mark.parametrize("sql", QUESTIONS)
@pytest.mark.parametrize("contributions", [1, 2])
@settings(max_examples=25)
@given(rows=st.lists(rows, max_size=14), makes=registers)
def test_one_unit_moves_all_numbers_of_a_kind_by_no_more_than_its_share(
    sql: str, contributions: int, rows: list[Row], makes: list[tuple[str, str]]
) -> None:
    query = vetted(sql, contributions=contributions)
    assert query.protection is not None
    with_it, without = computed(query, rows, makes), computed(query, [row for row in rows if row[0] != "a"], makes)
    for place, part in enumerate(query.protection.parts):
        values = [_by_group(one, f"a{place}") for one in (with_it, without)]
        moved = sum((values[0].get(key, 0) - values[1].get(key, 0)) ** 2 for key in {*values[0], *values[1]})
        assert moved <= part.sensitivity_squared, part
    appeared = _by_group(with_it, "a0").keys() ^ _by_group(without, "a0").keys()
    assert len(appeared) <= contributions
    assert all(_by_group(one, "a0").get(key, 0) <= 1 for one in (with_it, without) for key in appeared)


def _by_group(result: pa.Table, column: str) -> dict[tuple[object, ...], int]:
    groups = [name for name in result.column_names if name.startswith("g")]
    return {tuple(row[name] for name in groups): int(row[column] or 0) for row in result.to_pylist()}


SAME = [
    ("hour > 2", "hour >= 3"),
    ("hour > 2", "NOT hour <= 2"),
    ("hour = 1 OR hour = 2", "hour IN (2, 1, 1)"),
    ("hour BETWEEN 1 AND 3", "hour < 4 AND 0 < hour"),
    ("hour BETWEEN 2 AND 2", "hour = 2"),
    ("hour > 2 AND hour > 1", "hour > 2"),
    ("hour > 2 OR hour > 1", "hour >= 2"),
    ("NOT (hour = 1 OR road = 'x')", "road <> 'x' AND hour <> 1"),
    ("NOT (NOT road = 'x')", "'x' = road"),
    ("hour NOT IN (1, 2)", "hour <> 2 AND NOT hour = 1"),
    ("hour = 1.0", "hour = 1"),
]
DIFFERENT = [("hour > 2", "hour > 3"), ("hour = 1", "hour = 2"), ("hour IS NULL", "hour IS NOT NULL"), ("road = 'x'", "road = 'X'")]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spellings_of_one_condition_are_one_question(one: str, other: str) -> None:
    assert _asked(one) == _asked(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_conditions_that_differ_are_two_questions(one: str, other: str) -> None:
    assert _asked(one) != _asked(other)


def _asked(condition: str) -> str:
    return vetted(f"SELECT COUNT(*) AS n, AVG(speed) AS s FROM road.trips WHERE {condition}").asked  # noqa: S608  # of this file


def test_under_noise_a_condition_inside_an_aggregate_is_one_of_rows_and_one_in_where_of_the_question() -> None:
    found: list[Row] = [("a", "ring", 1, 2.0, 3), ("b", "ring", 4, 4.0, 5), ("c", "ring", None, 6.0, 7), ("c", "gate", 1, 8.0, 1)]
    query = vetted("SELECT COUNT(*) FILTER (WHERE hour = 1) AS n, SUM(load) FILTER (WHERE hour = 1) AS l, SUM(load) AS t FROM road.trips")
    assert query.protection is not None
    measured = [computed(query, found).column(f"a{place}")[0].as_py() for place, _ in enumerate(query.protection.parts)]
    assert sorted(map(int, measured)) == [2, 3, 4, 16]  # rows, units, the loads of hour 1, all loads


def test_conditions_that_mean_the_same_are_one_question_and_others_are_not() -> None:
    texts = (
        "COUNT(*) FILTER (WHERE hour > 2)",
        "COUNT(CASE WHEN NOT hour <= 2 THEN 1 END)",
        "COUNT(*) FILTER (WHERE hour > 3)",
        "COUNT(*)",
    )
    one, same, other, plain = (vetted(f"SELECT {text} AS n FROM road.trips").asked for text in texts)  # noqa: S608  # of this file
    assert one == same
    assert len({one, other, plain}) == 3


@pytest.mark.parametrize(
    "text",
    ["AVG(CASE WHEN hour = 1 THEN 1 ELSE 0 END)", "SUM(CASE WHEN hour = 1 THEN load ELSE 7 END)", "SUM(CASE WHEN hour = 1 THEN 2 END)"],
)
def test_numbers_after_then_and_else_are_refused_under_noise(text: str) -> None:
    verdict = vet(f"SELECT {text} AS n FROM road.trips", terms())  # noqa: S608  # of this file
    assert isinstance(verdict, Refused)
    assert verdict.rule == "privacy-aggregate"


atoms = st.one_of(
    st.tuples(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), st.integers(0, 4)).map(lambda one: f"hour {one[0]} {one[1]}"),
    st.sampled_from(["hour IS NULL", "road = 'ring'", "road <> 'gate'", "hour IN (1, 3)", "hour BETWEEN 1 AND 3", "road IS NULL"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda one: f"NOT ({one})"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})"),
    ),
    max_leaves=5,
)
EVERY: list[Row] = [
    (f"v{road}{hour}{copy}", road, hour, 1.0, 1) for road in ("ring", "gate", None) for hour in (None, 0, 1, 2, 3, 4) for copy in (0, 1)
]


@settings(max_examples=60)
@given(st.lists(conditions, min_size=2, max_size=8))
def test_questions_of_one_name_have_one_answer(texts: list[str]) -> None:
    answers: dict[str, object] = {}
    for text in texts:
        query = vetted(f"SELECT COUNT(*) AS n FROM road.trips WHERE {text}", contributions=1)  # noqa: S608  # of this file
        found = computed(query, EVERY).column("a0").to_pylist()
        assert answers.setdefault(query.asked, found) == found


def test_the_same_numbers_are_read_by_every_way_of_asking_for_them() -> None:
    one = vetted("SELECT road, AVG(speed) AS s, COUNT(DISTINCT vehicle) AS n FROM road.trips GROUP BY road")
    other = vetted(
        "SELECT COUNT(DISTINCT v) AS n, r, AVG(x) AS s FROM (SELECT speed AS x, vehicle AS v, road AS r FROM road.trips) q GROUP BY r"
    )
    assert one.asked == other.asked
    assert one.protection is not None
    rows: list[Row] = [(f"v{place}", "ring" if place % 3 else "gate", 1, 2.5, 1) for place in range(3000)]
    released = noised(computed(one, rows), one.protection)
    first, second = answer(released, one), answer(released, other)
    assert isinstance(first, Released)
    assert isinstance(second, Released)
    assert (
        first.table.select(["road", "s", "n"]).to_pylist()
        == second.table.rename_columns(["n", "road", "s"]).select(["road", "s", "n"]).to_pylist()
    )
    assert [row["road"] for row in first.table.to_pylist()] == ["gate", "ring"]


def test_without_rows_an_answer_is_noise_and_no_error() -> None:
    query = vetted("SELECT COUNT(*) AS n, AVG(speed) AS s, SUM(load) AS l FROM road.trips")
    assert query.protection is not None
    for _ in range(20):
        found = answer(noised(computed(query, []), query.protection), query)
        assert isinstance(found, Refused | Released)
        if isinstance(found, Released):
            (row,) = found.table.to_pylist()
            assert row["s"] is None or (-5 <= row["s"] <= 12.5 and not isnan(row["s"]))


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("SELECT AVG(weight) AS w FROM road.trips", "privacy-bounds"),
        ("SELECT SUM(weight) AS w FROM road.trips", "privacy-bounds"),
        ("SELECT COUNT(DISTINCT a.vehicle) AS n FROM road.trips a JOIN road.trips b ON a.vehicle = b.vehicle", "privacy-join"),
        ("SELECT MIN(make) AS m FROM road.makes", None),
    ],
)
def test_what_nothing_bounds_is_refused_with_what_would_pass(sql: str, rule: str | None) -> None:
    found = vet(sql, terms())
    if rule is None:
        assert isinstance(found, VettedQuery)
        assert found.protection is None
        return
    assert isinstance(found, Refused)
    assert found.rule == rule
    assert found.would_pass.zh


def test_a_room_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_library() is None
    monkeypatch.setattr(sys, "path", [])
    for name in [name for name in sys.modules if name.partition(".")[0] == "opendp"]:
        monkeypatch.delitem(sys.modules, name)
    found = missing_library()
    assert found is not None
    assert found.rule == "privacy-library"
    assert "chengshu[dp]" in found.would_pass.en
    assert not noise.is_installed()


def test_terms_of_noise_are_read_field_by_field() -> None:
    assert Privacy.parse({"rho": "0.10", "contributions": 2}) == Privacy(Decimal("0.1"), 2)
    for wrong in (
        {"rho": "0", "contributions": 1},
        {"rho": 0.1, "contributions": 1},
        {"rho": "0.1"},
        {"rho": "0.1", "contributions": 0},
        {"rho": "1001", "contributions": 1},
    ):
        with pytest.raises(Invalid):
            Privacy.parse(wrong)
