"""Whom the attacks of the corpus are made on: the clean room as its node runs it, and a plain database over the same rows."""

import csv
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from attack_files import CORPUS, Answer

from chengshu.cleanroom import store
from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.differencing import Guard
from chengshu.cleanroom.gate.release import Released, release
from chengshu.cleanroom.model import ColumnType, Job, JobInput, Privacy, Schema, SqlQuestion
from chengshu.cleanroom.noise import protected
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.refusal import Refused
from databases import database_at

PATIENCE_S = 0.3
"""How long an unprotected database works on one question before it is taken to work on it for ever."""
_TYPES = {ColumnType.TEXT: pa.string(), ColumnType.INTEGER: pa.int64(), ColumnType.DOUBLE: pa.float64()}
_READ = {ColumnType.TEXT: str, ColumnType.INTEGER: int, ColumnType.DOUBLE: float}
_ASKER = "asker"
Tables = dict[str, pa.Table]


def schemas() -> tuple[Schema, ...]:
    """The products of the corpus's world."""
    return tuple(Schema.parse(one) for one in json.loads((CORPUS / "world" / "schemas.json").read_text(encoding="utf-8")))


def tables(change: tuple[str, str] | None) -> Tables:
    """The rows of the world; with ``change``, of the second world: without a vehicle, or with another fare."""
    return {schema.product: _table(schema, change if schema.product == "fleet.jobs" else None) for schema in schemas()}


def _table(schema: Schema, change: tuple[str, str] | None) -> pa.Table:
    with (CORPUS / "world" / f"{schema.product}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    victim, other = change or ("", "")
    if victim and not other:
        rows = [row for row in rows if victim not in row.values()]
    elif victim:
        rows = [{name: other if cell == victim else cell for name, cell in row.items()} for row in rows]
    return pa.table(
        {
            column.name: pa.array([_READ[column.type](row[column.name]) if row[column.name] else None for row in rows], _TYPES[column.type])
            for column in schema.columns
        }
    )


class Room:
    """A clean room with its memory of what was asked and answered; ``fleet.jobs`` is under a budget of noise where ``rho`` says so."""

    def __init__(self, folder: Path, world: Mapping[str, pa.Table], rho: Decimal | None) -> None:
        self._folder = folder
        self._digests = Digests(INTERNATIONAL)
        self._engine = DuckDBEngine("256MB", 1, 20.0)
        self._world = dict(world)
        self._privacy = None if rho is None else Privacy(rho, 6)
        self._kept: dict[str, pa.Table] = {}
        self._count = 0

    @cached_property
    def _database(self) -> Database:
        """Made once a question has passed the vetting: most do not."""
        database = database_at(self._folder / "room.db")
        metadata.create_all(database.engine)
        return database

    def ask(self, sql: str) -> Answer:
        """Return what the asker of one question is told, who asked all earlier ones too."""
        self._count += 1
        job = Job(f"job-{self._count}", f"did:key:{_ASKER}", "did:key:room", "study", SqlQuestion(sql), self._inputs())
        try:
            verdict = self._verdict(job)
        except ChengshuError as error:
            return Answer(error.code, said=json.dumps(error.as_dict()), is_exhausted=error.code.startswith("cleanroom.query"))
        if isinstance(verdict, Refused):
            return Answer(verdict.rule, said=json.dumps([verdict.as_dict("en"), verdict.as_dict("zh")]))
        return Answer("answered", tuple(tuple(row.values()) for row in verdict.table.to_pylist()))

    def close(self) -> None:
        """Close the room's memory, where it has any."""
        if "_database" in self.__dict__:
            self._database.close()

    def _inputs(self) -> tuple[JobInput, ...]:
        return tuple(
            JobInput(
                schema,
                f"did:key:{schema.product.partition('.')[0]}",
                "urn:agreement",
                schema.product.partition(".")[2],
                privacy=self._privacy if schema.product == "fleet.jobs" else None,
            )
            for schema in schemas()
        )

    def _verdict(self, job: Job) -> Released | Refused:
        assert isinstance(job.question, SqlQuestion)
        query = vet(job.question.sql, job.terms({}))
        if isinstance(query, Refused):
            return query
        if query.protection is not None:
            return self._noisy(job, query)
        with self._database.write() as tx:
            kept = store.RoomJob(job.id, job.consumer, job.as_document(), "", "", "RUNNING", "", None)
            store.add_room_job(tx, kept, at="2026-01-01T00:00:00.000Z")
        guard = Guard(self._database, engine=self._engine, digests=self._digests)
        held = guard.held(job, query, self._engine.run(query, self._world), tables=self._world)
        verdict = held if isinstance(held, Refused) else release(held, query=query)
        with self._database.write() as tx:
            store.save_room_job(tx, job.id, state="REFUSED" if isinstance(verdict, Refused) else "RELEASED")
        return verdict

    def _noisy(self, job: Job, query: VettedQuery) -> Released | Refused:
        assert query.protection is not None
        key = protected.question_key(job, query, digests=self._digests)
        if key not in self._kept:
            self._kept[key] = protected.noised(self._engine.run(query, self._world), query.protection)
        return protected.answer(self._kept[key], query)


class Unprotected:
    """A plain database: it answers whatever it is asked; where it is ``noisy``, each time with fresh noise."""

    def __init__(self, database: duckdb.DuckDBPyConnection, *, noisy: bool) -> None:
        self._database = database
        self._noise = np.random.default_rng(20260101) if noisy else None

    def ask(self, sql: str) -> Answer:
        """Return the answer, or the engine's own words."""
        stop = threading.Timer(PATIENCE_S, self._database.interrupt)
        stop.start()
        try:
            return self._answer(sql)
        except duckdb.Error as error:
            ran_out = isinstance(error, duckdb.InterruptException | duckdb.OutOfMemoryException)
            return Answer("error", said=str(error), is_exhausted=ran_out)
        finally:
            stop.cancel()
            stop.join()

    def _answer(self, sql: str) -> Answer:
        rows = self._database.execute(sql).fetchall()
        if self._noise is not None:
            rows = [tuple(cell + self._noise.normal(0, 30) if isinstance(cell, int | float) else cell for cell in row) for row in rows]
        return Answer("answered", tuple(rows))


@contextmanager
def unprotected(world: Mapping[str, pa.Table], *, noisy: bool) -> Iterator[Unprotected]:
    """A plain database that holds the world's rows."""
    with duckdb.connect(":memory:") as database:
        database.execute("SET memory_limit = '400MB'; SET threads = 1; SET temp_directory = ''")
        for name, table in world.items():
            database.register("given", table)
            database.execute(f"CREATE SCHEMA {name.partition('.')[0]}; CREATE TABLE {name} AS FROM given")
            database.unregister("given")
        yield Unprotected(database, noisy=noisy)


@contextmanager
def room(folder: Path, world: Mapping[str, pa.Table], rho: Decimal | None) -> Iterator[Room]:
    """A clean room whose memory is below ``folder``."""
    folder.mkdir(parents=True)
    opened = Room(folder, world, rho)
    try:
        yield opened
    finally:
        opened.close()


def shown(answer: Answer) -> dict[str, Any]:
    """An answer as a failed test tells it."""
    return {"verdict": answer.verdict, "rows": answer.rows[:5], "said": answer.said[:300]}
