"""Two questions that nobody thought of, one after another: no group that both answers show differs by some units, and fewer than k."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
from generated_questions import ROADS, TRIPS, Cells, K, Question, Row, behind_groups, conditions, questions, registers, rows, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom import store
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.differencing import Guard
from chengshu.cleanroom.gate.release import release
from chengshu.cleanroom.model import Job, JobInput, SqlQuestion
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.refusal import Refused
from databases import database_at

ENGINE = DuckDBEngine("256MB", 1, 60.0)
STAGED = DuckDBEngine("256MB", 1, 60.0, staged_from=0, few_rows=0)


@contextmanager
def _database() -> Iterator[Database]:
    with TemporaryDirectory() as folder:
        database = database_at(Path(folder) / "room.db")
        try:
            metadata.create_all(database.engine)
            yield database
        finally:
            database.close()


def _shown(database: Database, number: int, question: Question, tables: dict[str, pa.Table]) -> set[Cells]:
    """The groups that the answer shows, of a room that remembers; none where it is refused."""
    inputs = tuple(JobInput(schema, "did:key:holder", "urn:agreement", schema.product) for schema in (TRIPS, ROADS))
    job = Job(f"job-{number}", "did:key:asker", "did:key:room", "study", SqlQuestion(question.sql), inputs)
    query = vet(question.sql, job.terms({}))
    assert isinstance(query, VettedQuery), query
    with database.write() as tx:
        kept = store.RoomJob(job.id, job.consumer, job.as_document(), "", "", "RUNNING", "", None)
        store.add_room_job(tx, kept, at="2026-01-01T00:00:00.000Z")
    engine = (ENGINE, STAGED)[number]
    guard = Guard(database, engine=engine, digests=Digests(INTERNATIONAL))
    held = guard.held(job, query, engine.run(query, tables), tables=tables)
    verdict = held if isinstance(held, Refused) else release(held, query=query)
    with database.write() as tx:
        store.save_room_job(tx, job.id, state="REFUSED" if isinstance(verdict, Refused) else "RELEASED")
    if isinstance(verdict, Refused):
        return set()
    return {tuple(row.values())[: len(question.groups)] for row in verdict.table.to_pylist()}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Question, Question]:
    """A question and another about other rows of the same products, or about the same; most often in the same groups."""
    first = replace(draw(questions()), most=None)
    where = draw(st.one_of(conditions(), st.none()))
    other = replace(first, where=where if first.join or where is None or "r.kind" not in where.sql else None)
    fewer = draw(st.lists(st.sampled_from(first.groups), unique=True)) if first.groups else []
    return first, replace(other, groups=draw(st.sampled_from([first.groups, first.groups, (), tuple(fewer)])))


@settings(max_examples=80, derandomize=True)
@given(pairs(), rows(), registers())
def test_no_group_of_two_answers_differs_by_some_units_and_fewer_than_k(
    asked: tuple[Question, Question], trips: list[Row], roads: list[Row]
) -> None:
    first, second = asked
    tables = {"fleet.trips": table_of(TRIPS, trips), "city.roads": table_of(ROADS, roads)}
    with _database() as database:
        shown = [_shown(database, number, question, tables) for number, question in enumerate((first, second))]
    if not all(shown) or first.join != second.join:
        return
    behind = [behind_groups(question, trips, roads) for question in (first, second)]
    if {group.sql for group in first.groups} == {group.sql for group in second.groups}:
        order = [[group.sql for group in first.groups].index(group.sql) for group in second.groups]
        pairs = [(key, tuple(key[place] for place in order)) for key in shown[0]]
        differing = [(behind[0][one], behind[1][other]) for one, other in pairs if other in shown[1]]
    else:
        all_of = [[row for some in each.values() for row in some] for each in behind]
        differing = [(all_of[0], all_of[1])]
        for key in shown[0]:
            for other in shown[1]:
                alone = _alone(behind[0][key], behind[1][other]), _alone(behind[1][other], behind[0][key])
                assert alone == (0, 0) or max(alone) >= K, (first.sql, second.sql)
    for one, other in differing:
        assert _alone(one, other) not in range(1, K), (first.sql, second.sql)
        assert _alone(other, one) not in range(1, K), (first.sql, second.sql)


def _alone(one: Sequence[Row], other: Sequence[Row]) -> int:
    """How many units the rows of one alone are of."""
    there = {row["n"] for row in other}
    return len({row["vehicle"] for row in one if row["n"] not in there} - {None})
