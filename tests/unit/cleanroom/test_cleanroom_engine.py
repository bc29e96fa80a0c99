import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.engines.engine import Spill
from chengshu.cleanroom.engines.spare import SPARE
from chengshu.cleanroom.model import Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import Input, VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.errors import Invalid

SCHEMA = Schema(
    "fleet.jobs",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("at", ColumnType.TIMESTAMP, Role.GROUP),
        Column("fare", ColumnType.DOUBLE, Role.MEASURE, lower=Decimal(0), upper=Decimal(10)),
        Column("note", ColumnType.TEXT, Role.HIDDEN),
    ),
    "vehicle",
    2,
)
TERMS = {"fleet.jobs": ProductTerms(SCHEMA)}
TABLES = {
    "fleet.jobs": pa.table(
        {
            "vehicle": ["a", "b", "c"],
            "at": pa.array([datetime(2026, 3, 1, 8, tzinfo=UTC)] * 3, pa.timestamp("ms", "Asia/Shanghai")),
            "fare": [-5, 4, 99],
            "note": ["x", "y", "z"],
        }
    )
}
ENGINE = DuckDBEngine("256MB", 1, 20.0)


def _vetted(sql: str) -> VettedQuery:
    query = vet(sql, TERMS)
    assert isinstance(query, VettedQuery), query
    return query


def test_measures_are_clipped_to_the_owners_range_before_anything_is_computed() -> None:
    result = ENGINE.run(_vetted("SELECT SUM(fare) FROM fleet.jobs"), TABLES)
    assert result.column("a0").to_pylist() == [14.0]


def test_times_with_a_zone_are_read_as_utc() -> None:
    result = ENGINE.run(_vetted("SELECT EXTRACT(hour FROM at) AS h FROM fleet.jobs GROUP BY h"), TABLES)
    assert result.column("g0").to_pylist() == [8]


def test_only_the_needed_columns_reach_the_engine() -> None:
    query = _vetted("SELECT AVG(fare) FROM fleet.jobs")
    assert [(one.product, [column.name for column in one.columns]) for one in query.inputs] == [("fleet.jobs", ["fare", "vehicle"])]
    bypassed = replace(query, sql='SELECT COUNT(note) FROM "fleet"."jobs"')
    with pytest.raises(Invalid) as caught:
        ENGINE.run(bypassed, TABLES)
    assert caught.value.code == "cleanroom.query-failed"


@pytest.mark.parametrize(
    ("table", "got"),
    [
        (pa.table({"vehicle": ["a"]}), "fleet.jobs.fare: expected one column of this name, got none or several"),
        (pa.table({"vehicle": ["a"], "fare": ["secret"]}), "fleet.jobs.fare: expected double, got string"),
    ],
)
def test_a_table_that_drifted_from_its_schema_is_named_before_anything_runs(table: pa.Table, got: str) -> None:
    with pytest.raises(Invalid) as caught:
        ENGINE.run(_vetted("SELECT AVG(fare) FROM fleet.jobs"), {"fleet.jobs": table})
    assert (caught.value.code, caught.value.message) == ("cleanroom.schema-drift", got)


def test_a_missing_product_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        ENGINE.run(_vetted("SELECT AVG(fare) FROM fleet.jobs"), {})
    assert caught.value.facts == {"column": "fleet.jobs"}


def test_a_heavy_question_ends_at_the_time_limit_and_leaves_no_thread_behind() -> None:
    before = {thread.name for thread in threading.enumerate()}
    heavy = VettedQuery("SELECT SUM(x.range * y.range) AS a0 FROM range(10000000) x, range(10000000) y", *_empty())
    with pytest.raises(Invalid) as caught:
        DuckDBEngine("256MB", 1, 0.2).run(heavy, {})
    assert caught.value.code == "cleanroom.query-timeout"
    SPARE.settle()  # the next question's database may be on its way
    assert {thread.name for thread in threading.enumerate()} <= before


def test_a_question_that_needs_more_memory_than_the_limit_fails_without_a_file() -> None:
    hungry = VettedQuery("SELECT COUNT(*) FROM (SELECT DISTINCT md5(CAST(range AS VARCHAR)) FROM range(3000000))", *_empty())
    with pytest.raises(Invalid) as caught:
        DuckDBEngine("32MB", 1, 30.0).run(hungry, {})
    assert caught.value.code == "cleanroom.query-failed"


HUNGRY = "SELECT COUNT(*) FROM (SELECT DISTINCT md5(CAST(range AS VARCHAR)) FROM range(3000000))"


def test_what_does_not_fit_in_memory_goes_to_the_private_folder_and_is_gone_afterwards(tmp_path: Path) -> None:
    result = DuckDBEngine("96MB", 1, 60.0).run(VettedQuery(HUNGRY, *_empty()), {}, spill=Spill(tmp_path, "1GB"))
    assert result.column(0).to_pylist() == [3_000_000]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_drawn_into_what_the_process_writes() -> None:
    result = ENGINE.run(VettedQuery("SELECT CAST(current_setting('enable_progress_bar') AS VARCHAR)", *_empty()), {})
    assert result.column(0).to_pylist() == ["false"]


def test_the_private_folder_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        DuckDBEngine("96MB", 1, 60.0).run(VettedQuery(HUNGRY, *_empty()), {}, spill=Spill(tmp_path, "1MB"))
    assert caught.value.code == "cleanroom.query-failed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{near}/../secret.csv')",
        "SELECT * FROM read_blob('/etc/hostname')",
        "COPY (SELECT 1) TO '{near}/out.csv'",
        "SET temp_directory = '/tmp'",
    ],
)
def test_a_folder_to_spill_to_opens_no_other_place_and_takes_no_copy(tmp_path: Path, sql: str) -> None:
    near = tmp_path / "spill"
    near.mkdir()
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        ENGINE.run(VettedQuery(sql.format(near=near), *_empty()), {}, spill=Spill(near, "1GB"))
    assert caught.value.code == "cleanroom.query-failed"
    assert list(near.iterdir()) == []


def test_a_question_that_is_stopped_ends_soon_and_says_so() -> None:
    heavy = VettedQuery("SELECT SUM(x.range * y.range) AS a0 FROM range(10000000) x, range(10000000) y", *_empty())
    began = time.monotonic()
    with pytest.raises(Invalid) as caught:
        DuckDBEngine("256MB", 1, 60.0).run(heavy, {}, stopped=lambda: time.monotonic() > began + 0.2)
    assert caught.value.code == "cleanroom.query-stopped"
    assert time.monotonic() < began + 20


def test_more_groups_than_the_room_carries_are_refused() -> None:
    wide = VettedQuery("SELECT range FROM range(1100000)", *_empty())
    with pytest.raises(Invalid) as caught:
        ENGINE.run(wide, {})
    assert caught.value.code == "cleanroom.result-too-large"


def test_the_engine_runs_again_after_a_failure() -> None:
    with pytest.raises(Invalid):
        ENGINE.run(VettedQuery("SELECT error('x')", *_empty()), {})
    assert ENGINE.run(_vetted("SELECT COUNT(*) FROM fleet.jobs"), TABLES).column("a0").to_pylist() == [3]


def _empty() -> tuple:  # type: ignore[type-arg]  # the rest of any question
    any_question = _vetted("SELECT COUNT(*) FROM fleet.jobs")
    return any_question.summary, any_question.finish, any_question.gates, ()


def test_an_input_without_columns_is_still_checked_for_presence() -> None:
    query = replace(_vetted("SELECT COUNT(*) FROM fleet.jobs"), inputs=(Input("fleet.jobs", ()),))
    with pytest.raises(Invalid):
        ENGINE.run(query, {})
