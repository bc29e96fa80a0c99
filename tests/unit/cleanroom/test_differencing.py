"""Two answers are not subtracted from one another: what the guard sees in forms, what it counts, and what its verdict tells."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom import store
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.differencing import Guard, about, crossings_of, sample_of
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import Column, ColumnType, Job, JobInput, Role, Schema, SqlQuestion
from chengshu.cleanroom.relation.implied import imply
from chengshu.cleanroom.relation.model import Crossings, VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import metadata
from chengshu.kernel.refusal import Refused
from databases import database_at

ENGINE = DuckDBEngine("256MB", 1, 30.0)
STAGED = DuckDBEngine("256MB", 1, 30.0, staged_from=0, few_rows=0)
"""Takes every product for a large one."""
K = 3
TRIPS = Schema(
    "road.trips",
    (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("road", ColumnType.TEXT, Role.GROUP),
        Column("hour", ColumnType.INTEGER, Role.FILTER),
    ),
    "vehicle",
    K,
)
Row = tuple[str, str | None, int | None]
Test = Callable[[int | None], bool]


class Room:
    """The guard of one room on a real database, and questions that are answered there one after another."""

    def __init__(self, folder: Path, engine: DuckDBEngine = ENGINE) -> None:
        self.database = database_at(folder / "room.db")
        metadata.create_all(self.database.engine)
        self.engine = engine
        self.guard = Guard(self.database, engine=engine, digests=Digests(INTERNATIONAL))
        self.count = 0

    def ask(
        self,
        sql: str,
        rows: Sequence[Row],
        *,
        consumer: str = "did:key:firm",
        provider: str = "did:key:road",
        schema: Schema = TRIPS,
    ) -> Released | Refused:
        self.count += 1
        part = JobInput(schema, provider, "urn:agreement", "trips")
        job = Job(f"job-{self.count}", consumer, "did:key:room", "study", SqlQuestion(sql), (part,))
        query = vet(sql, job.terms({}))
        assert isinstance(query, VettedQuery), query
        tables = {"road.trips": table(rows, hour=pa.float64() if schema.columns[2].type is ColumnType.DOUBLE else pa.int64())}
        with self.database.write() as tx:
            kept = store.RoomJob(job.id, consumer, job.as_document(), "", "", "RUNNING", "", None)
            store.add_room_job(tx, kept, at="2026-01-01T00:00:00.000Z")
        held = self.guard.held(job, query, self.engine.run(query, tables), tables=tables)
        verdict = held if isinstance(held, Refused) else release(held, query=query)
        with self.database.write() as tx:
            store.save_room_job(tx, job.id, state="REFUSED" if isinstance(verdict, Refused) else "RELEASED")
        return verdict


def table(rows: Sequence[Row], *, hour: pa.DataType | None = None) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    kinds = (pa.string(), pa.string(), hour or pa.int64())
    return pa.table({name: pa.array(values, kind) for name, values, kind in zip(("vehicle", "road", "hour"), columns, kinds, strict=True)})


@pytest.fixture(params=[ENGINE, STAGED], ids=["few rows", "many"])
def room(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Room]:
    room = Room(tmp_path, request.param)
    yield room
    room.database.close()


def seen(verdict: Released | Refused) -> list[tuple[object, ...]] | str:
    return verdict.rule if isinstance(verdict, Refused) else [tuple(row.values()) for row in verdict.table.to_pylist()]


ALL = "SELECT COUNT(DISTINCT vehicle) AS n FROM road.trips"
BY_ROAD = "SELECT road, COUNT(DISTINCT vehicle) AS n FROM road.trips"
MANY: list[Row] = [(f"v{hour}{place}", "ring" if place % 2 else "gate", hour) for hour in range(4) for place in range(8)]
ALONE: Row = ("victim", "ring", 9)


@pytest.mark.parametrize("sources", ["road.trips", "(SELECT vehicle, road, hour FROM road.trips) AS inside"])
def test_one_vehicle_is_not_found_by_subtracting_two_answers(room: Room, sources: str) -> None:
    sql = f"SELECT COUNT(DISTINCT vehicle) AS n FROM {sources}"  # noqa: S608  # of this file
    rows = [*MANY, ALONE]
    assert seen(room.ask(ALL, rows)) == [(33,)]
    assert seen(room.ask(f"{sql} WHERE hour < 9", rows)) == "differencing"
    assert seen(room.ask(f"{sql} WHERE NOT hour = 9", rows)) == "differencing"
    assert seen(room.ask(f"{sql} WHERE hour < 3", rows)) == [(24,)]  # nine are beside it
    assert seen(room.ask(f"{sql} WHERE NOT hour > 2", rows)) == [(24,)]  # the same once more
    assert seen(room.ask(f"{sql} WHERE hour < 9", rows, consumer="did:key:other")) == [(32,)]


def test_without_the_guard_the_same_two_questions_name_the_vehicle(room: Room) -> None:
    rows = [*MANY, ALONE]
    first, second = (room.ask(sql, rows, consumer=f"did:key:{sql}") for sql in (ALL, f"{ALL} WHERE hour < 9"))
    assert isinstance(first, Released)
    assert isinstance(second, Released)
    assert first.table.column("n")[0].as_py() - second.table.column("n")[0].as_py() == 1


@pytest.mark.parametrize(
    "under",
    [
        "COUNT(DISTINCT vehicle) FILTER (WHERE hour < 9) AS n FROM road.trips",
        "COUNT(DISTINCT CASE WHEN NOT hour >= 9 THEN vehicle END) AS n FROM road.trips",
        "COUNT(DISTINCT v) FILTER (WHERE h < 9) AS n FROM (SELECT vehicle AS v, hour AS h FROM road.trips) AS inside",
    ],
)
def test_a_condition_inside_an_aggregate_is_held_against_earlier_and_later_questions(room: Room, under: str) -> None:
    rows = [*MANY, ALONE]
    assert seen(room.ask(ALL, rows)) == [(33,)]
    assert seen(room.ask(f"SELECT {under}", rows)) == "differencing"
    assert seen(room.ask(f"SELECT {under}", rows, consumer="did:key:other")) == [(32,)]
    assert seen(room.ask(ALL, rows, consumer="did:key:other")) == "differencing"
    assert seen(room.ask(f"{ALL} WHERE hour < 9", rows, consumer="did:key:other")) == [(32,)]  # the same rows once more


def test_every_condition_of_a_question_is_held_against_every_one_of_earlier_ones(room: Room) -> None:
    rows = [*MANY, ALONE]
    first = "SELECT COUNT(*) FILTER (WHERE hour < 2) AS a, COUNT(*) FILTER (WHERE hour >= 2) AS b FROM road.trips"
    second = "SELECT COUNT(*) FILTER (WHERE hour < 1) AS a, COUNT(*) FILTER (WHERE hour BETWEEN 2 AND 8) AS b FROM road.trips"
    assert seen(room.ask(first, rows)) == [(16, 17)]
    assert seen(room.ask(second, rows)) == "differencing"
    assert seen(room.ask(first, rows)) == [(16, 17)]
    assert seen(room.ask("SELECT COUNT(*) FILTER (WHERE hour < 1) AS a FROM road.trips", rows)) == [(8,)]


def test_numbers_that_double_precision_cannot_tell_apart_are_no_way_around_the_guard(room: Room) -> None:
    rows = [*MANY, ("victim", "ring", 5)]
    double = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.DOUBLE, Role.FILTER)), "vehicle", K)
    assert seen(room.ask(f"{ALL} WHERE hour <= 5", rows, schema=double)) == [(33,)]
    assert seen(room.ask(f"{ALL} WHERE hour <= 5 AND hour < 5.0000000000000001", rows, schema=double)) == "differencing"


def test_only_the_groups_that_differ_by_few_are_left_out(room: Room) -> None:
    rows = [*MANY, ALONE, *[(f"late{place}", "gate", 9) for place in range(K)]]
    assert seen(room.ask(f"{BY_ROAD} WHERE hour < 9 GROUP BY road", rows)) == [("gate", 16), ("ring", 16)]
    assert seen(room.ask(f"{BY_ROAD} GROUP BY road", rows)) == [("gate", 19)]


def test_a_condition_on_what_is_grouped_by_takes_whole_groups_and_is_no_difference(room: Room) -> None:
    assert seen(room.ask(f"{BY_ROAD} WHERE hour < 9 GROUP BY road", MANY)) == [("gate", 16), ("ring", 16)]
    assert seen(room.ask(f"{BY_ROAD} WHERE hour < 9 AND road = 'ring' GROUP BY road", MANY)) == [("ring", 16)]


def test_a_group_of_one_answer_is_not_subtracted_from_another_answer(room: Room) -> None:
    rows = [*MANY, ALONE]
    assert seen(room.ask(f"{BY_ROAD} GROUP BY road", rows)) == [("gate", 16), ("ring", 17)]
    assert seen(room.ask(f"{ALL} WHERE road = 'ring' AND hour < 9", rows)) == "differencing"
    assert seen(room.ask(f"{ALL} WHERE road <> 'gate' AND hour < 9", rows)) == "differencing"  # there is no third road
    assert seen(room.ask(f"{ALL} WHERE road = 'ring' AND hour < 3", rows)) == [(12,)]  # five are beside it
    assert seen(room.ask(f"{ALL} WHERE road = 'ring'", rows)) == [(17,)]  # the same once more
    assert seen(room.ask(f"{ALL} WHERE hour < 3", rows)) == [(24,)]  # of both roads


def test_an_answer_is_not_subtracted_from_a_group_of_a_later_one(room: Room) -> None:
    rows = [*MANY, ALONE]
    assert seen(room.ask(f"{ALL} WHERE road = 'ring' AND hour < 9", rows)) == [(16,)]
    assert seen(room.ask(f"{BY_ROAD} GROUP BY road", rows)) == [("gate", 16)]
    assert seen(room.ask(f"{BY_ROAD} GROUP BY road", rows, consumer="did:key:other")) == [("gate", 16), ("ring", 17)]


def test_what_is_left_of_a_group_beside_a_part_of_it_must_be_large_enough_too(room: Room) -> None:
    kinds = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.INTEGER, Role.GROUP)), "vehicle", K)
    rows = [*MANY, *[(f"lane{place}", "lane", 1) for place in range(K)], ("victim", "lane", 2)]
    assert seen(room.ask(f"{BY_ROAD} GROUP BY road ORDER BY road", rows, schema=kinds)) == [("gate", 16), ("lane", 4), ("ring", 16)]
    finer = "SELECT road, hour, COUNT(DISTINCT vehicle) AS n FROM road.trips GROUP BY road, hour ORDER BY road, hour"
    assert seen(room.ask(finer, rows, schema=kinds)) == [(road, hour, 4) for road in ("gate", "ring") for hour in range(4)]
    assert (("lane", 1, 3) in seen(room.ask(finer, rows, schema=kinds, consumer="did:key:other"))) is True  # type: ignore[operator]  # answered


def test_a_group_that_is_named_by_what_is_no_number_is_held_back_like_others(room: Room) -> None:
    numbers = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.DOUBLE, Role.GROUP)), "vehicle", K)
    rows: list[Any] = [*MANY, *[(f"odd{place}", "lane", math.nan) for place in range(K)], ("victim", "lane", 2.0)]
    assert ("lane", K + 1) in seen(room.ask(f"{BY_ROAD} GROUP BY road", rows, schema=numbers))  # type: ignore[operator]  # answered
    sql = "SELECT road, FLOOR(hour / 5) * 5 AS h, COUNT(DISTINCT vehicle) AS n FROM road.trips GROUP BY road, h"
    assert [row for row in seen(room.ask(sql, rows, schema=numbers)) if row[0] == "lane"] == []
    other = seen(room.ask(sql, rows, schema=numbers, consumer="did:key:other"))
    assert [row for row in other if row[0] == "lane"] == [("lane", None, K)]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([f"v{one}" for one in range(30)]), st.sampled_from(["ring", "gate", None]), st.integers(0, 2))),
    st.sampled_from([("road", "hour"), ("road, hour", "road"), ("road", "road, hour"), ("", "road"), ("road", "")]),
    st.sampled_from([("hour < 2", "hour >= 0"), ("hour >= 0", "hour > 0"), ("hour = 1", "hour = 1")]),
    st.integers(1, 3),
)
def test_what_some_of_the_units_prove_to_be_apart_is_apart(
    rows: list[Row], groups: tuple[str, str], where: tuple[str, str], share: int
) -> None:
    kinds = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.INTEGER, Role.GROUP)), "vehicle", K)
    job = Job("j", "did:key:a", "did:key:r", "p", SqlQuestion("x"), (JobInput(kinds, "did:key:h", "a", "trips"),))
    asked = [
        f"SELECT {', '.join(filter(None, [by, 'COUNT(*) AS n']))} FROM road.trips WHERE {under}" + (f" GROUP BY {by}" if by else "")  # noqa: S608  # of this file
        for by, under in zip(groups, where, strict=True)
    ]
    found = [vet(sql, job.terms({})) for sql in asked]
    (question,), (earlier,) = (about(one, own=frozenset()) for one in found if isinstance(one, VettedQuery))
    tables = {"road.trips": table(rows)}
    for near in crossings_of([question], [earlier]):
        assert isinstance(near.instead, Crossings)
        sure = ENGINE.run(sample_of(near, near.instead, share=share), tables)
        left_out = ENGINE.run(near, tables)
        assert not {tuple(row.values()) for row in sure.to_pylist()} & {tuple(row.values()) for row in left_out.to_pylist()}


def test_large_products_are_proved_apart_without_looking_at_every_unit(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chengshu.cleanroom.gate.differencing._LARGE_FROM", 0)
    kinds = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.INTEGER, Role.GROUP)), "vehicle", K)
    rows: list[Row] = [(f"v{one}", ("ring", "gate")[one % 2], hour) for one in range(2000) for hour in range(3)]
    looked: list[int | None] = []
    run = room.engine.run

    def watched(query: VettedQuery, *given: object, **more: object) -> pa.Table:
        if isinstance(query.instead, Crossings):
            looked.append(query.instead.share)
        return run(query, *given, **more)  # type: ignore[arg-type]  # whatever it is called with

    monkeypatch.setattr(room.engine, "run", watched)
    assert len(seen(room.ask(f"{BY_ROAD} GROUP BY road", rows, schema=kinds))) == 2
    assert len(seen(room.ask("SELECT hour, COUNT(*) AS n FROM road.trips GROUP BY hour", rows, schema=kinds))) == 3
    assert looked == [64]
    few = [*rows, ("victim", "ring", 9)]
    assert seen(room.ask(f"{ALL} WHERE road = 'ring' AND hour < 9", few, schema=kinds)) == "differencing"
    assert None in looked


def test_units_that_are_in_many_groups_count_once_in_what_is_left(room: Room) -> None:
    kinds = Schema(TRIPS.product, (*TRIPS.columns[:2], Column("hour", ColumnType.INTEGER, Role.GROUP)), "vehicle", K)
    often = [("victim", "lane", hour) for hour in range(2, 9)]
    rows = [*MANY, *[(f"lane{place}", "lane", 1) for place in range(K)], *often]
    assert ("lane", 4) in seen(room.ask(f"{BY_ROAD} GROUP BY road", rows, schema=kinds))  # type: ignore[operator]  # answered
    finer = "SELECT road, hour, COUNT(DISTINCT vehicle) AS n FROM road.trips GROUP BY road, hour"
    assert [row for row in seen(room.ask(finer, rows, schema=kinds)) if row[0] == "lane"] == []


def test_slices_and_overlapping_windows_are_answered(room: Room) -> None:
    for condition in ("hour = 0", "hour = 1", "hour BETWEEN 0 AND 2", "hour BETWEEN 1 AND 3", "hour IN (2, 3)"):
        assert isinstance(room.ask(f"{ALL} WHERE {condition}", MANY), Released), condition


def test_a_question_that_was_refused_stands_in_nobodys_way(room: Room) -> None:
    assert seen(room.ask(f"{ALL} WHERE hour = 9", [*MANY, ALONE])) == "group-too-small"
    assert seen(room.ask(f"{ALL} WHERE hour >= 0", [*MANY, ALONE])) == [(33,)]
    assert seen(room.ask(f"{ALL} WHERE hour < 9", [*MANY, ALONE])) == "differencing"
    assert seen(room.ask(f"{ALL} WHERE hour BETWEEN 0 AND 2", [*MANY, ALONE])) == [(24,)]


@pytest.mark.parametrize("beside", [0, 1, K - 1, K])
def test_nobody_one_and_too_few_beside_a_question_get_the_same_verdict(room: Room, beside: int) -> None:
    rows = [*MANY, *[(f"late{place}", "ring", 9) for place in range(beside)]]
    assert seen(room.ask(f"{ALL} WHERE hour < 9", rows)) == [(32,)]
    assert seen(room.ask(ALL, rows)) == ("differencing" if beside < K else [(32 + beside,)])


def test_ones_own_product_is_not_guarded_from_oneself(room: Room) -> None:
    for sql in (ALL, f"{ALL} WHERE hour < 9"):
        assert isinstance(room.ask(sql, [*MANY, ALONE], consumer="did:key:road"), Released)


atoms = st.one_of(
    st.tuples(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), st.integers(0, 4)).map(lambda one: f"hour {one[0]} {one[1]}"),
    st.sampled_from(
        ["hour IS NULL", "road = 'ring'", "road <> 'gate'", "hour IN (1, 3)", "hour BETWEEN 1 AND 3", "road IN ('ring', 'gate')"]
    ),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda one: f"NOT ({one})"),
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda one: f"({one[0]} {one[1]} {one[2]})"),
    ),
    max_leaves=4,
)
EVERY: list[Row] = [(f"{road}{hour}", road, hour) for road in ("ring", "gate", None) for hour in (None, 0, 1, 2, 3, 4)]


def asked(condition: str) -> VettedQuery:
    job = Job("j", "did:key:a", "did:key:r", "p", SqlQuestion("x"), (JobInput(TRIPS, "did:key:h", "a", "trips"),))
    found = vet(f"{BY_ROAD} WHERE {condition} GROUP BY road", job.terms({}))
    assert isinstance(found, VettedQuery)
    return found


@settings(max_examples=150)
@given(conditions, conditions)
def test_what_is_seen_to_be_implied_is(one: str, other: str) -> None:
    ours, theirs = (about(asked(text), own=frozenset())[0].conditions for text in (one, other))
    if not imply(ours, theirs):
        return
    rows = [_rows(text) for text in (one, other)]
    assert rows[0] <= rows[1]


def _rows(condition: str) -> set[object]:
    import duckdb  # noqa: PLC0415  # the condition as a database reads it

    trips = table(EVERY)  # noqa: F841  # read by name
    return {row[0] for row in duckdb.sql(f"SELECT vehicle FROM trips WHERE {condition}").fetchall()}  # noqa: S608  # of this file


@settings(max_examples=60)
@given(
    st.sampled_from([("hour >= 0", "hour < 2"), ("hour < 3", "hour > 0"), ("hour IN (0, 1)", "hour <> 1")]),
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["ring", "gate"]), st.integers(0, 3)), max_size=24),
)
def test_the_verdict_tells_no_more_than_whether_the_differences_are_large_enough(pair: tuple[str, str], rows: list[Row]) -> None:
    with TemporaryDirectory() as folder:
        room = Room(Path(folder))
        try:
            first = room.ask(f"{BY_ROAD} WHERE {pair[0]} GROUP BY road", rows)
            second = room.ask(f"{BY_ROAD} WHERE {pair[1]} GROUP BY road", rows)
        finally:
            room.database.close()
    both = [{str(row["road"]) for row in one.table.to_pylist()} if isinstance(one, Released) else set() for one in (first, second)]
    for road in ("ring", "gate"):
        mine, theirs = (_units(rows, road, _test(text)) for text in pair)
        alone = [_units(rows, road, _alone(a, b)) for a, b in _ways(pair)]
        if road in both[1] and road in both[0]:
            assert min(one for one, (a, b) in zip(alone, _ways(pair), strict=True) if not _within(a, b)) >= K
        assert (road in both[0]) == (mine >= K)
        if road in both[0] and theirs >= K and all(one >= K for one in alone):
            assert road in both[1]


def _alone(one: Test, other: Test) -> Test:
    return lambda hour: one(hour) and not other(hour)


def _test(text: str) -> Test:
    """A condition on hours, as Python has it."""
    if text.startswith("hour IN"):
        return lambda hour: hour in (0, 1)
    _, operator, number = text.split()
    limit = int(number)
    return {
        ">=": lambda hour: hour >= limit,
        "<": lambda hour: hour < limit,
        ">": lambda hour: hour > limit,
        "<>": lambda hour: hour != limit,
    }[operator]


def _ways(pair: tuple[str, str]) -> list[tuple[Test, Test]]:
    one, other = map(_test, pair)
    return [(one, other), (other, one)]


def _within(one: Test, other: Test) -> bool:
    return all(other(hour) for hour in range(-50, 50) if one(hour))


def _units(rows: list[Row], road: str, test: Test) -> int:
    return len({vehicle for vehicle, where, hour in rows if where == road and test(hour)})
