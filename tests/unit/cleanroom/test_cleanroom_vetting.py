import gc
import re
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import Gate, VettedQuery
from chengshu.cleanroom.vetting.nesting import is_nested
from chengshu.cleanroom.vetting.vetter import Parsed, judge, read, vet
from chengshu.kernel.refusal import Refused

GOLDEN = Path(__file__).parents[2] / "golden" / "rules"
CORPUS = [re.sub(r"^-- .*$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) for path in sorted(GOLDEN.glob("*/*.sql"))]
PASSING = [sql for sql, path in zip(CORPUS, sorted(GOLDEN.glob("*/*.sql")), strict=True) if path.parent.name == "allowed"]
ANSWERED = "SELECT t.zone, COUNT(*) AS n FROM carmaker.trips t GROUP BY t.zone ORDER BY n DESC"
WORDS = sorted({word for sql in CORPUS for word in re.findall(r"\w+|'[^']*'|\S", sql)})
TRIPS = Schema(
    "carmaker.trips",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("vin", ColumnType.TEXT, Role.HIDDEN),
        Column("road", ColumnType.TEXT, Role.FREE),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("started", ColumnType.TIMESTAMP, Role.GROUP),
        Column("day", ColumnType.DATE, Role.FILTER),
        Column("weather", ColumnType.TEXT, Role.FILTER),
        Column("automated", ColumnType.BOOLEAN, Role.GROUP),
        Column("speed", ColumnType.DOUBLE, Role.MEASURE),
        Column("brakes", ColumnType.INTEGER, Role.MEASURE, frozenset(Aggregate)),
        Column("gap", ColumnType.DECIMAL, Role.MEASURE),
    ),
    "vehicle",
    5,
)
JOBS = Schema("fleet.jobs", (Column("vehicle", ColumnType.TEXT, Role.KEY), Column("depot", ColumnType.TEXT, Role.GROUP)), None, 9)
ROADS = Schema("road.segments", (Column("road", ColumnType.TEXT, Role.FREE), Column("class", ColumnType.TEXT, Role.FREE)), None, 1)
TERMS = {schema.product: ProductTerms(schema) for schema in (TRIPS, JOBS, ROADS)}


@st.composite
def mutated(draw: st.DrawFn, corpus: list[str]) -> str:
    words = re.findall(r"\w+|'[^']*'|\s+|\S", draw(st.sampled_from(corpus)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(words) - 1))
        match draw(st.sampled_from(["drop", "replace", "insert", "double"])):
            case "drop":
                words[place] = " "
            case "replace":
                words[place] = draw(st.sampled_from(WORDS))
            case "insert":
                words.insert(place, f" {draw(st.sampled_from(WORDS))} ")
            case _:
                words.insert(place, words[place])
    return "".join(words)


@settings(max_examples=400, deadline=None)
@given(mutated(CORPUS))
def test_any_text_is_vetted_or_refused_and_what_is_vetted_names_no_hidden_column(sql: str) -> None:
    verdict = vet(sql, TERMS)
    assert isinstance(verdict, VettedQuery | Refused)
    if isinstance(verdict, VettedQuery):
        assert "vin" not in {column.name for one in verdict.inputs for column in one.columns}
        assert '"vin"' not in verdict.sql
        assert vet(sql, TERMS) == verdict


@settings(max_examples=150, deadline=None)
@given(mutated(PASSING))
def test_whatever_is_vetted_runs(sql: str) -> None:
    """A statement that the engine then refuses would be an oracle and a riddle; types are judged before."""
    verdict = vet(sql, TERMS)
    if isinstance(verdict, VettedQuery):
        result = DuckDBEngine("128MB", 1, 20.0).run(verdict, EMPTY)
        assert {gate.column for gate in verdict.gates} <= set(result.column_names)


def _empty(schema: Schema) -> pa.Table:
    kinds = {
        ColumnType.TEXT: pa.string(),
        ColumnType.INTEGER: pa.int64(),
        ColumnType.DOUBLE: pa.float64(),
        ColumnType.DECIMAL: pa.decimal128(9, 2),
        ColumnType.BOOLEAN: pa.bool_(),
        ColumnType.DATE: pa.date32(),
        ColumnType.TIMESTAMP: pa.timestamp("us"),
    }
    return pa.table({one.name: pa.array([], kinds[one.type]) for one in schema.columns})


EMPTY = {schema.product: _empty(schema) for schema in (TRIPS, JOBS, ROADS)}


def test_the_strictest_owner_gives_the_smallest_group_and_each_product_its_own_units() -> None:
    query = vet("SELECT COUNT(t.brakes), SUM(t.brakes) FROM carmaker.trips t JOIN fleet.jobs j ON t.vehicle = j.vehicle", TERMS)
    assert isinstance(query, VettedQuery)
    expected = (Gate("__rows", 9), Gate("__n0", 5), Gate("__n1", 9), Gate("__n2", 5), Gate("__s0", 1, "join-fan-out"))
    assert (query.gates, query.minimum_group) == (expected, 9)


def test_public_reference_data_need_no_group_of_their_own() -> None:
    query = vet("SELECT s.class, COUNT(*) FROM carmaker.trips t JOIN road.segments s ON t.road = s.road GROUP BY s.class", TERMS)
    assert isinstance(query, VettedQuery)
    assert query.gates == (Gate("__rows", 5), Gate("__n0", 5), Gate("__k0", 1, "join-fan-out"))


@pytest.mark.parametrize("sql", ["", ";", "-- nothing", "\x00", "SELECT", "\ud800"])
def test_what_is_no_question_is_refused(sql: str) -> None:
    assert isinstance(vet(sql, TERMS), Refused)


def test_an_agreement_with_a_larger_group_is_honoured() -> None:
    terms = {"carmaker.trips": ProductTerms(TRIPS, minimum_group=50)}
    query = vet("SELECT COUNT(*) FROM carmaker.trips", terms)
    assert isinstance(query, VettedQuery)
    assert query.minimum_group == 50


def test_a_question_that_was_judged_leaves_nothing_for_the_collector_of_cycles() -> None:
    answered, refused = ANSWERED, "SELECT t.vehicle, t.vin FROM carmaker.trips t WHERE t.weather = 'rain'"
    verdicts = [vet(sql, TERMS) for sql in (answered, refused)]  # whatever is made once is made here
    gc.collect()
    gc.disable()
    try:
        before = nodes_alive()
        verdicts = [vet(sql, TERMS) for sql in (answered, refused)]
        after = nodes_alive()
    finally:
        gc.enable()
    assert [type(one) for one in verdicts] == [VettedQuery, Refused]
    assert after == before


def nodes_alive() -> int:
    return sum(isinstance(one, exp.Expr) for one in gc.get_objects())


def test_a_question_that_was_judged_is_no_question_any_more() -> None:
    parsed = read(ANSWERED)
    assert isinstance(parsed, Parsed)
    assert isinstance(judge(parsed, TERMS), VettedQuery)
    again = judge(parsed, TERMS)
    assert isinstance(again, Refused)


@pytest.mark.parametrize(
    "question",
    [
        "SELECT COUNT(*) FROM carmaker.trips WHERE " + "(" * 9000 + "automated" + ")" * 9000,
        "SELECT COUNT(*) FROM " + "(" * 9000 + "carmaker.trips" + ")" * 9000,
        "SELECT COUNT(*) FROM carmaker.trips WHERE brakes = " + "[" * 9000 + "1" + "]" * 9000,
        "SELECT " + "CASE WHEN " * 1000 + "automated" + " THEN 1 END" * 900 + " FROM carmaker.trips",
        "SELECT " + "FROM " * 3900 + "carmaker.trips",
        "SELECT COUNT(*) FROM carmaker.trips WHERE " + "NOT " * 4800 + "automated",
    ],
    ids=["condition", "source", "list", "case", "from", "not"],
)
def test_what_stands_in_itself_thousands_of_times_is_too_complex_even_where_the_stack_is_small(question: str) -> None:
    verdicts: list[object] = []
    usual = threading.stack_size(2**20)
    try:
        thread = threading.Thread(target=lambda: verdicts.append(vet(question, TERMS)))
        thread.start()
    finally:
        threading.stack_size(usual)
    thread.join()
    assert [one.rule for one in verdicts if isinstance(one, Refused)] == ["too-complex"]


@pytest.mark.parametrize(
    ("question", "nested"),
    [
        ("SELECT COUNT(*) FROM a.b" + " JOIN c.d ON x = y" * 50, False),
        ("SELECT COUNT(*) FROM a.b" + " LEFT JOIN c.d USING (x)" * 50, False),
        ("SELECT COUNT(*) FROM a.b" + " CROSS JOIN c.d" * 50, False),
        ("SELECT COUNT(*) FROM a.b" + " JOIN c.d" * 4, False),
        ("SELECT COUNT(*) FROM a.b" + " JOIN c.d" * 5, True),
        ("SELECT COUNT(*) FROM a.b" + " LEFT JOIN c.d USING SAMPLE 5" * 5, True),
        ("SELECT COUNT(*) FROM a.b JOIN c.d JOIN c.d JOIN (SELECT DISTINCT ON (x) y FROM a.b JOIN c.d JOIN c.d", True),
        ("SELECT COUNT(*) FROM a.b WHERE x IN (1) AND y IN (2)" + " AND (z = 3)" * 500, False),
        (")" * 9 + "]" * 9 + "(" * 118 + "1", False),
        (")" * 9 + "]" * 9 + "(" * 119 + "1", True),
        ("SELECT " + "FROM " * 300 + "a.b", True),
        ("SELECT " + "EXTRACT(day FROM x), " * 300 + "1 FROM a.b", False),
    ],
)
def test_joins_that_wait_for_their_on_and_brackets_are_counted_before_they_are_parsed(question: str, nested: bool) -> None:
    assert is_nested(token.token_type for token in Dialect.get_or_raise("duckdb").tokenize(question)) is nested


def test_joins_without_on_which_a_parser_tries_twice_each_are_refused_at_once() -> None:
    verdict = vet("SELECT COUNT(*) FROM carmaker.trips t" + " JOIN fleet.jobs j" * 60, TERMS)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "too-complex"
