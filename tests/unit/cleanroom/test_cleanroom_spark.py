"""Spark computes what DuckDB computes: every operator over awkward values, every golden question; and it is as locked down as DuckDB."""

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import test_cleanroom_golden_rules as golden
from hypothesis import HealthCheck, Phase, given, settings
from pyspark.errors import PySparkException
from two_engines import DUCKDB, KINDS, LOCAL, NOISY, Spark, Tables, said, spark_in, tables, vetted

from chengshu.cleanroom.engines.choosing import Engines
from chengshu.cleanroom.engines.engine import Spill
from chengshu.cleanroom.engines.rendering import bounded_sql, differences_sql
from chengshu.cleanroom.engines.spark import application
from chengshu.cleanroom.engines.spark.application import asked, locked
from chengshu.cleanroom.engines.spark.engine import SparkEngine
from chengshu.cleanroom.engines.spark.sizes import bytes_of
from chengshu.cleanroom.gate.differencing import about, crossings_of, sample_of
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, Role
from chengshu.cleanroom.relation.model import (
    Body,
    Bounded,
    Crossings,
    Differences,
    Finish,
    Input,
    Join,
    JoinKind,
    Measure,
    Ref,
    Summary,
    Table,
    VettedQuery,
)
from chengshu.kernel.errors import Invalid

TRIED = settings(
    max_examples=2,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
GROUPS = ["name", "small, whole", "exact, odd", "flag, day, moment"]
TRUNCATIONS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]
PARTS = ["minute", "hour", "day", "dow", "isodow", "doy", "week", "month", "quarter", "year"]
CONDITIONS = [
    "name = 'it''s' OR name = 'back\\slash' OR name > '中'",
    "name IN ('', 'a ', '\\u0041') OR name IS NULL",
    "NOT (name < 'a') AND name <> 'z`'",
    "whole >= 9007199254740993 OR whole < -461168601842738790 OR small = -7",
    "exact <= 1.25 AND exact <> -0.0005 OR wide > 0.5",
    "odd > 1.5 OR odd = 0 OR NOT (odd <= 0)",
    "flag = TRUE OR flag IS NULL",
    "day BETWEEN DATE '1999-12-31' AND DATE '2024-12-30'",
    "moment > TIMESTAMP '1969-12-31 23:59:59.000001' AND moment < '2026-01-04 17:45:01.5'",
    "EXTRACT(dow FROM day) = 5 OR DATE_TRUNC('week', moment) = TIMESTAMP '1999-12-27 00:00:00'",
]
FORBIDDEN = [
    "SELECT reflect('java.lang.System', 'getenv', 'HOME')",
    "SELECT java_method('java.lang.System', 'getenv', 'HOME')",
    "SELECT * FROM range(3)",
    "SELECT input_file_name()",
    "SELECT raise_error('x')",
    "SELECT * FROM parquet.`{folder}`",
    "SELECT * FROM csv.`{folder}`",
    "CREATE TABLE t USING parquet LOCATION '{folder}/t' AS SELECT 1",
    "INSERT OVERWRITE DIRECTORY '{folder}/t' USING csv SELECT 1",
    "SET spark.sql.runSQLOnFiles = true",
    "SHOW TABLES",
    "DROP VIEW x",
    "SELECT TRANSFORM(1) USING 'cat'",
    "SELECT COUNT(*) FROM (SELECT TRANSFORM(1) USING 'touch {folder}/t')",
]


@pytest.fixture(scope="class")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_in(tmp_path_factory.mktemp("spark")) as found:
        yield found


class TestTheSameAsDuckDB:
    def check(self, spark: Spark, query: VettedQuery, given: Tables) -> None:
        assert said(spark.run(query, given)) == said(DUCKDB.run(query, given))

    @TRIED
    @given(given=tables())
    @pytest.mark.parametrize("column", GROUPS)
    def test_groups_and_counts_of_rows_units_and_values(self, spark: Spark, column: str, given: Tables) -> None:
        query = vetted(f"SELECT {column}, COUNT(*), COUNT(odd), COUNT(DISTINCT wide) FROM north.rows GROUP BY {column}")  # noqa: S608  # of this file
        self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    @pytest.mark.parametrize(
        ("product", "function"), [("rows", "SUM"), ("rows", "AVG"), ("rows", "MIN"), ("rows", "MAX"), ("kept", "SUM"), ("kept", "AVG")]
    )
    def test_aggregates_of_every_kind_of_number(self, spark: Spark, product: str, function: str, given: Tables) -> None:
        listed = ", ".join(f"{function}({column})" for column in ("small", "whole", "exact", "wide", "number"))
        self.check(spark, vetted(f"SELECT flag, {listed} FROM north.{product} GROUP BY flag"), given)  # noqa: S608  # of this file

    @TRIED
    @given(given=tables())
    def test_aggregates_of_nothing_and_of_what_is_no_number(self, spark: Spark, given: Tables) -> None:
        listed = "COUNT(*), SUM(whole), AVG(exact), MIN(odd), MAX(odd), MIN(name), MAX(name), MIN(moment), MAX(day)"
        self.check(spark, vetted(f"SELECT {listed} FROM north.rows WHERE odd <> 1"), given)  # noqa: S608  # of this file
        self.check(spark, vetted("SELECT COUNT(*), SUM(odd), AVG(odd) FROM north.rows WHERE odd = 2.5"), given)

    @TRIED
    @given(given=tables())
    def test_times_cut_and_taken_apart(self, spark: Spark, given: Tables) -> None:
        for column in ("moment", "day"):
            cut = [f"DATE_TRUNC('{step}', {column})" for step in TRUNCATIONS]
            parts = [f"EXTRACT({part} FROM {column})" for part in PARTS]
            for some in (cut, parts):
                self.check(spark, vetted(f"SELECT COUNT(*) FROM north.rows GROUP BY {', '.join(some)}"), given)  # noqa: S608  # of this file

    @TRIED
    @given(given=tables())
    def test_steps_of_times_and_numbers(self, spark: Spark, given: Tables) -> None:
        steps = [f"TIME_BUCKET(INTERVAL '{step}', moment)" for step in ("7 seconds", "90 minutes", "6 hours", "10 days")]
        numbers = [f"FLOOR({column} / {width}) * {width}" for column, width in (("number", "0.5"), ("whole", "3"), ("exact", "0.1"))]
        for some in (steps, numbers, ["FLOOR(odd / 2) * 2"], ["FLOOR(odd)", "FLOOR(wide)"]):
            self.check(spark, vetted(f"SELECT COUNT(*) FROM north.rows GROUP BY {', '.join(some)}"), given)  # noqa: S608  # of this file

    @settings(TRIED, max_examples=1)
    @given(given=tables())
    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_conditions(self, spark: Spark, condition: str, given: Tables) -> None:
        self.check(spark, vetted(f"SELECT COUNT(*), COUNT(DISTINCT unit) FROM north.rows WHERE {condition}"), given)  # noqa: S608  # of this file

    @TRIED
    @given(given=tables())
    @pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
    def test_joins_with_the_marks_of_records_and_of_unique_keys(self, spark: Spark, kind: str, given: Tables) -> None:
        joined = f"north.rows AS r {kind} south.names AS s ON r.name = s.name"
        query = vetted(f"SELECT s.whole, SUM(r.number), COUNT(r.exact) FROM {joined} GROUP BY s.whole")  # noqa: S608  # of this file
        assert query.summary.singles
        assert query.summary.uniques
        self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    def test_sub_queries(self, spark: Spark, given: Tables) -> None:
        inside = "SELECT unit, name, whole, DATE_TRUNC('day', moment) AS d FROM north.rows WHERE small < 3"
        query = vetted(f"WITH x AS ({inside}) SELECT d, SUM(whole), MIN(name) FROM (SELECT unit, name, whole, d FROM x) AS y GROUP BY d")  # noqa: S608  # of this file
        self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    @pytest.mark.parametrize("condition", CONDITIONS[:6])
    def test_conditions_inside_aggregates(self, spark: Spark, condition: str, given: Tables) -> None:
        filtered = "COUNT(*), COUNT(DISTINCT whole), SUM(whole), AVG(exact), SUM(number)".replace(")", f") FILTER (WHERE {condition})")
        cased = ", ".join(f"{one}(CASE WHEN {condition} THEN small ELSE 2 END)" for one in ("SUM", "AVG"))
        counted = f"SUM(CASE WHEN {condition} THEN 1 ELSE 0 END), AVG(CASE WHEN {condition} THEN 0.5 ELSE 1 END)"
        for listed in (filtered.replace("COUNT(*)", "SUM(small), COUNT(*)"), cased, counted):
            query = vetted(f"SELECT flag, {listed} FROM north.rows GROUP BY flag")  # noqa: S608  # of this file
            assert any(one.cell for one in query.summary.counts)
            self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    @pytest.mark.parametrize("kind", ["JOIN", "LEFT JOIN"])
    def test_rows_of_two_owners_under_one_another(self, spark: Spark, kind: str, given: Tables) -> None:
        columns = ", ".join(name for name in KINDS if name != "unit")
        both = f"(SELECT {columns} FROM north.rows WHERE small < 3 UNION ALL SELECT {columns} FROM east.rows) AS d"  # noqa: S608  # of this file
        listed = "COUNT(*), SUM(small), SUM(whole), AVG(exact), SUM(wide), MIN(exact), MIN(whole), MAX(name), MIN(moment), AVG(number)"
        for sql in (
            f"SELECT flag, whole, {listed} FROM {both} GROUP BY flag, whole",  # noqa: S608  # of this file
            f"SELECT s.whole, COUNT(*), SUM(d.number) FROM {both} {kind} south.names AS s ON d.name = s.name GROUP BY s.whole",  # noqa: S608  # of this file
        ):
            query = vetted(sql)
            assert {one.product for one in query.summary.counts} >= {"north.rows", "east.rows"}
            self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    def test_sums_that_one_contributor_makes_up(self, spark: Spark, given: Tables) -> None:
        for grouped in ("GROUP BY flag", ""):
            query = vetted(f"SELECT SUM(number), SUM(small) FROM north.kept {grouped}")  # noqa: S608  # of this file
            assert query.summary.dominances
            self.check(spark, query, given)

    @TRIED
    @given(given=tables())
    def test_parts_of_answers_with_noise(self, spark: Spark, given: Tables) -> None:
        query = vetted("SELECT flag, COUNT(*), SUM(number), AVG(exact) FROM north.kept GROUP BY flag", NOISY)
        assert isinstance(query.instead, Bounded)
        self.check(spark, query, given)
        query = vetted("SELECT flag, COUNT(*) FROM north.kept GROUP BY flag", NOISY)
        assert isinstance(query.instead, Bounded)
        few = replace(query.instead, most=2)
        bounded = replace(query, sql=bounded_sql(few), instead=few)
        totals = [sum(row["a0"] for row in one.run(bounded, given).to_pylist()) for one in (spark, DUCKDB)]
        assert totals[0] == totals[1]  # which rows of a unit are kept is each engine's own; how many is not

    @TRIED
    @given(given=tables())
    def test_differences_of_two_conditions(self, spark: Spark, given: Tables) -> None:
        asked_of = "SELECT flag, COUNT(*) FROM north.rows WHERE {} GROUP BY flag"
        (one,), (other,) = (about(vetted(asked_of.format(each)), own=frozenset()) for each in CONDITIONS[:2])
        inputs = {column.name: column for each in (one, other) for column in each.inputs[0].columns}
        for groups in (one.groups, ()):
            between = Differences(one.sources, groups, one.units, one.where, (other.where, None))
            nothing = Summary((), (), (), (), (), one.sources)
            needed = (Input("north.rows", tuple(inputs.values())),)
            self.check(
                spark, VettedQuery(differences_sql(between), nothing, Finish((), None, (), None, 0), (), needed, instead=between), given
            )

    @TRIED
    @given(given=tables())
    def test_labels_of_every_kind_for_values_of_every_kind(self, spark: Spark, given: Tables) -> None:
        cases = [
            "CASE WHEN name = 'a' THEN 'it''s' WHEN name IN ('b', '中文') THEN '' END",
            "CASE WHEN whole < 0 THEN -1 WHEN whole = 4 THEN 7 ELSE 0 END",
            "CASE WHEN number <= 0.25 THEN 0.5 WHEN NOT number = 1.5 THEN -2 ELSE 1 END",
            "CASE WHEN EXTRACT(month FROM moment) < 3 THEN 'early' ELSE 'late' END",
            "CASE WHEN flag THEN 'yes' ELSE 'no' END",
        ]
        for case in cases:
            self.check(spark, vetted(f"SELECT {case} AS label, COUNT(*), SUM(number) FROM north.rows GROUP BY label"), given)  # noqa: S608  # of this file

    @TRIED
    @given(given=tables())
    def test_groups_that_are_nearly_those_of_a_question_that_groups_otherwise(self, spark: Spark, given: Tables) -> None:
        asked_of = "SELECT {}, COUNT(*) FROM north.{} WHERE {} GROUP BY {}"
        for product in ("rows", "kept"):
            (one,) = about(vetted(asked_of.format("flag, name", product, CONDITIONS[0], "flag, name")), own=frozenset())
            others = [asked_of.format("flag, day", product, each, "flag, day") for each in CONDITIONS[1:3]]
            earlier = [found for each in others for found in about(vetted(each), own=frozenset())]
            for near in crossings_of([one], earlier):
                self.check(spark, near, given)
            for near in crossings_of(earlier[:1], [one, replace(one, groups=())]):
                self.check(spark, near, given)
                assert isinstance(near.instead, Crossings)
                self.check(spark, sample_of(near, near.instead, share=1), given)
            for near in crossings_of([replace(one, groups=())], earlier[:1]):
                assert isinstance(near.instead, Crossings)
                self.check(spark, sample_of(near, near.instead, share=1), given)

    @pytest.mark.parametrize("path", golden.ALLOWED, ids=lambda path: path.stem)
    def test_an_allowed_golden_question_is_answered_as_by_duckdb(self, spark: Spark, path: Path) -> None:
        world = golden._comments(path)["schema"]
        query, given = vetted(path.read_text(encoding="utf-8"), golden._terms(world)), golden._tables(world)
        answers = [release(one.run(query, given), query=query) for one in (spark, DUCKDB)]
        assert isinstance(answers[0], Released)
        assert answers[0] == answers[1]

    def test_a_session_knows_no_files_no_other_functions_and_no_commands(self, spark: Spark, tmp_path: Path) -> None:
        session = locked(spark.session.newSession())
        for sql in FORBIDDEN:
            told = sql.format(folder=tmp_path)
            with pytest.raises(ValueError, match="expected a question"):
                asked(session, told)
            if "TRANSFORM" not in told:  # the session alone lets programs run
                with pytest.raises(PySparkException):
                    session._jsparkSession.sessionState().sqlParser().parseQuery(told)
                    session.sql(told)
        assert list(tmp_path.iterdir()) == []
        assert asked(session, "SELECT COUNT(*) AS n").toArrow().to_pylist() == [{"n": 1}]

    def test_views_of_one_question_are_not_in_the_next_ones_session(self, spark: Spark) -> None:
        query = vetted("SELECT COUNT(*) FROM north.rows")
        spark.run(query, {"north.rows": pa.table({"unit": ["a"]})})
        with pytest.raises(PySparkException, match="TABLE_OR_VIEW_NOT_FOUND"):
            asked(spark.session.newSession(), "SELECT COUNT(*) FROM `5_north_rows`")


# --- the engine: each question in an application of its own

ENGINE = SparkEngine(LOCAL, 120.0)
COUNTED = "SELECT name, COUNT(*) AS n, SUM(number) FROM north.kept GROUP BY name"
MANY = {"north.kept": pa.table({"unit": [f"u{one % 4}" for one in range(60_000)], "whole": pa.array([1] * 60_000, pa.int64())})}


def _pairs() -> VettedQuery:
    """A question of 3,600,000,000 pairs, which no vetting lets pass."""
    key = (Ref("t0", "whole"), Ref("t1", "whole"))
    body = Body(Table("north.kept", numbered=False), (Join(JoinKind.INNER, Table("north.kept", numbered=False), (key,)),), None)
    columns = (Column("unit", ColumnType.TEXT, Role.KEY), Column("whole", ColumnType.INTEGER, Role.KEY))
    measures = tuple(Measure(Aggregate.MAX, Ref(source, "unit"), distinct=False, column=None) for source in ("t0", "t1"))
    summary = Summary((Ref("t1", "unit"),), measures, (), (), (), body)
    return VettedQuery("", summary, Finish((), None, (), None, 0), (), (Input("north.kept", columns),))


def _spill(folder: Path, limit: str = "1GB") -> Spill:
    return Spill(folder, limit)


def test_the_engine_computes_and_leaves_only_what_it_was_handed(tmp_path: Path) -> None:
    given = {"north.kept": pa.table({name: ["a", "a", "b"] for name in ("unit", "name")} | {"number": [1.0, 0.5, 9.0]})}
    query = vetted(COUNTED)
    for _ in range(2):  # the second question of a job finds the files of the first
        assert said(ENGINE.run(query, given, spill=_spill(tmp_path))) == said(DUCKDB.run(query, given))
    left = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {file.suffix for file in left} == {".parquet"}
    assert all(file.stat().st_mtime <= time.time() for file in left)
    assert len({file.parent for file in left}) == 1


def test_a_question_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Invalid) as raised:
        SparkEngine(LOCAL, 1.5).run(_pairs(), MANY, spill=_spill(tmp_path))
    assert raised.value.code == "cleanroom.query-timeout"
    assert time.monotonic() - began < 12
    assert raised.value.__context__ is None


def test_a_question_that_is_stopped_ends_and_so_does_one_that_waits_for_it(tmp_path: Path) -> None:
    codes: dict[str, str] = {}
    until = time.monotonic() + 1.5

    def ask(name: str) -> None:
        try:
            ENGINE.run(_pairs(), MANY, spill=_spill(tmp_path / name), stopped=lambda: time.monotonic() > until)
        except Invalid as left:
            codes[name] = left.code

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("one", "two")]
    for name, thread in zip(("one", "two"), threads, strict=True):
        (tmp_path / name).mkdir()
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {"one": "cleanroom.query-stopped", "two": "cleanroom.query-stopped"}


def test_the_next_question_is_computed_where_java_has_died(tmp_path: Path) -> None:
    timer = threading.Timer(1.0, application.kill)
    timer.start()
    with pytest.raises(Invalid, match="error of the engine") as raised:
        ENGINE.run(_pairs(), MANY, spill=_spill(tmp_path))
    assert raised.value.code == "cleanroom.query-failed"
    query = vetted("SELECT COUNT(*) FROM north.kept")
    assert ENGINE.run(query, MANY).column("a0").to_pylist() == [60_000]


def test_more_than_the_spill_may_have_fails(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        ENGINE.run(vetted("SELECT COUNT(DISTINCT unit) FROM north.kept"), MANY, spill=_spill(tmp_path, "1B"))
    assert raised.value.code == "cleanroom.query-failed"


def test_what_spark_cannot_hold_is_drift_and_quotes_no_value() -> None:
    given = {"north.kept": pa.table({"unit": ["a"], "whole": pa.array([2**63 + 7], pa.uint64())})}
    with pytest.raises(Invalid) as raised:
        ENGINE.run(vetted("SELECT SUM(whole) FROM north.kept"), given)
    assert raised.value.code == "cleanroom.schema-drift"
    assert str(2**63 + 7) not in f"{raised.value.message} {raised.value.__context__}"


def test_what_is_to_be_installed_is_said_where_spark_or_java_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    application.close()
    with monkeypatch.context() as patch:
        patch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(Invalid, match=r"expected Java 17 or later.*default-jre-headless.*; got none") as raised:
            ENGINE.run(vetted("SELECT COUNT(*) FROM north.kept"), MANY)
        assert raised.value.code == "cleanroom.spark-absent"
        assert "cleanroom.engine" in raised.value.hint.en
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyspark", None)
        with pytest.raises(Invalid, match=r"pip install 'chengshu\[spark\]'"):
            ENGINE.run(vetted("SELECT COUNT(*) FROM north.kept"), MANY)


def test_an_older_java_is_told_by_its_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    application.close()
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", encoding="utf-8")
    java.chmod(0o700)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(Invalid, match="got Java 11"):
        ENGINE.run(vetted("SELECT COUNT(*) FROM north.kept"), MANY)


# --- the choice


@pytest.mark.parametrize(
    ("setting", "rows", "size", "chosen"),
    [
        ("duckdb", 0, 0, "duckdb"),
        ("spark", 10**9, 2**40, "spark"),
        ("auto", 60_000, 2**40, "spark"),
        ("auto", 60_001, 2**40, "duckdb"),
        ("auto", 10**9, 1000, "spark"),
    ],
)
def test_the_operator_or_the_size_of_the_input_chooses_the_engine(setting: str, rows: int, size: int, chosen: str) -> None:
    engines = Engines(setting, DUCKDB, ENGINE, rows, size)  # type: ignore[arg-type]  # the words of the table above
    assert engines.choose(MANY).name == chosen


@pytest.mark.parametrize(("words", "size"), [("4GB", 4 * 10**9), ("512MiB", 2**29), ("1.5 kb", 1500), ("0B", 0)])
def test_sizes_are_read_as_duckdb_reads_them(words: str, size: int) -> None:
    assert bytes_of(words) == size


@pytest.mark.parametrize("words", ["", "many", "4 XB", "-1GB", "IB"])
def test_a_size_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(Invalid, match="such as 4GB"):
        bytes_of(words)
