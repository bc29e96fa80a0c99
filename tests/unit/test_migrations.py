"""The migrations make exactly the tables that the stores declare, and can be undone."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, Column, Integer, LargeBinary, MetaData, String, Table, column, func, inspect, null, select

import chengshu.node  # noqa: F401  # brings every room's store, and so every table
from chengshu import migrations
from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.store import asked_jobs, room_jobs
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.databases.sqlite import SQLite
from databases import database_at, on_postgresql

SEAL = Seal(INTERNATIONAL, INTERNATIONAL.new_data_key())


def closed(outcome: Mapping[str, Any], job: str) -> bytes:
    return SEAL.close(outcome, job=job)


def settings_for(database: Database) -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    settings.attributes |= {"database": database, "close": closed, "open": lambda sealed, job: SEAL.open(sealed, job=job)}
    return settings


def up(database: Database, revision: str) -> None:
    command.upgrade(settings_for(database), revision)


def down(database: Database, revision: str) -> None:
    command.downgrade(settings_for(database), revision)


def shape(database: Database) -> object:
    """Tables, columns, keys and indexes, as the database itself describes them."""
    with database.engine.connect() as connection:
        found = MetaData()
        found.reflect(connection)
        return {
            name: (
                {column.name: (str(column.type), column.nullable) for column in sorted(table.columns, key=lambda one: str(one.name))},
                sorted(column.name for column in table.primary_key),
                sorted((index.name or "", index.unique, tuple(index.columns.keys())) for index in table.indexes),
                sorted(str(sorted(found)) for found in ([c.name for c in one.columns] for one in table.constraints) if found),
            )
            for name, table in sorted(found.tables.items())
        }


def test_outcomes_from_before_sealing_are_sealed_and_can_be_opened_again(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    up(database, "0001")
    outcome = {"outcome": {"state": "RELEASED", "tables": {"answer": "cGxhaW4gdGV4dA=="}}, "receipt": {"signature": "c2ln"}}
    old = {"id": "j1", "document": {}, "signature": "s", "outcome": outcome, "state": "RELEASED"}
    with database.write() as tx:
        for name, more in {"asked_jobs": {"room": "r", "asked_at": "t"}, "room_jobs": OF_THE_ROOM}.items():
            table = Table(name, MetaData(), *(Column(key, JSON if key in {"document", "outcome"} else String) for key in {**old, **more}))
            tx.execute(table.insert().values(**old, **more))
            tx.execute(table.insert().values(**old | {"id": "j2", "outcome": null()}, **more))
    migrations.upgrade(database, close=closed)
    for table in (asked_jobs, room_jobs):
        with database.read() as tx:
            kept = {row.id: row.outcome for row in tx.execute(select(table.c.id, table.c.outcome))}
        assert (SEAL.open(kept["j1"], job="j1"), kept["j2"]) == (outcome, None)
    down(database, "0001")
    with database.read() as tx:
        plain = select(column("outcome", JSON)).select_from(asked_jobs).order_by(asked_jobs.c.id)
        assert tx.execute(plain).scalars().first() == outcome


@pytest.mark.on_sqlite("nodes were kept by SQLite alone when outcomes were not sealed yet")
def test_no_outcome_from_before_sealing_stays_behind_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    database = Database(SQLite(path))
    up(database, "0001")
    with database.write() as tx:
        asked = Table("asked_jobs", MetaData(), *(Column(key, JSON if key == "outcome" else String) for key in (*ASKED, "outcome")))
        tx.execute(asked.insert().values(**ASKED, outcome={"answer": "cGxhaW4gdGV4dA"}))
    migrations.upgrade(database, close=closed)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"cGxhaW4gdGV4dA" not in path.read_bytes()


ASKED = {"id": "j1", "document": "{}", "signature": "s", "state": "RELEASED", "room": "r", "asked_at": "t"}
OF_THE_ROOM = {"consumer": "c", "digest": "d", "waits_for": "", "submitted_at": "t"}


def _but_for_lengths(_context: Any, _inspected: Any, _declared: Any, kept: Any, meant: Any) -> bool | None:
    """SQLite knows no length of a text, and only copying a table would declare another."""
    return False if isinstance(kept, String) and isinstance(meant, String) else None


def test_a_migrated_database_has_every_declared_table_and_nothing_else(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    up(database, "head")
    assert differences(database) == []


def test_a_new_database_is_made_at_once_as_all_steps_make_it(tmp_path: Path) -> None:
    stepped, made = (database_at(tmp_path / name) for name in ("stepped.db", "made.db"))
    up(stepped, "head")
    migrations.upgrade(made, close=closed)
    assert migrations.present(made) == migrations.present(stepped) == migrations.newest()
    assert (without_lengths(shape(made)), rules(made)) == (without_lengths(shape(stepped)), rules(stepped))


def without_lengths(found: object) -> str:
    """SQLite keeps the length that a text was first declared with, and holds nobody to it."""
    return re.sub(r"VARCHAR\(\d+\)", "VARCHAR", str(found)) if not on_postgresql() else str(found)


FILLED = {("negotiations", "is_replacing_known"), ("parties", "scheme")}
"""Columns that a step filled in rows that were there; the stores name their values in every row."""


def rules(database: Database) -> dict[str, Any]:
    """What the database fills in by itself and what it checks, by table."""
    found = inspect(database.engine)
    return {
        name: (
            {one["name"]: one["default"] for one in found.get_columns(name) if (name, one["name"]) not in FILLED and one["default"]},
            sorted((str(one["name"]), str(one["sqltext"])) for one in found.get_check_constraints(name)),
            sorted((one["constrained_columns"], one["referred_table"], one["options"]) for one in found.get_foreign_keys(name)),
        )
        for name in sorted(found.get_table_names())
    }


def differences(database: Database) -> list[Any]:
    """What a database has otherwise than the stores declare it."""
    with database.engine.connect() as connection:
        by = _but_for_lengths if connection.dialect.name == "sqlite" else True
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": by}), metadata))


def test_migrating_twice_changes_nothing_and_undoing_leaves_no_table(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    migrations.upgrade(database, close=closed)
    migrations.upgrade(database, close=closed)
    down(database, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]


def test_jobs_that_were_asked_before_are_counted_under_their_agreements(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    up(database, "0001")
    inputs = [{"provider": "did:key:road", "product": "counts", "agreement": "urn:a1", "schema": {}}]
    job = {"id": "urn:j1", "room": "did:key:room", "inputs": inputs}
    values = {"id": "urn:j1", "room": "did:key:room", "document": job, "signature": "-", "state": "SUBMITTED", "asked_at": "-"}
    with database.write() as tx:
        tx.execute(metadata.tables["asked_jobs"].insert().values(**values))
    migrations.upgrade(database, close=closed)
    with database.read() as tx:
        rows = tx.execute(metadata.tables["asked_inputs"].select()).all()
    assert [tuple(row) for row in rows] == [("urn:j1", "did:key:road", "counts", "urn:a1")]


def revisions() -> list[str]:
    """Every revision, oldest first."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return [one.revision for one in reversed(list(ScriptDirectory.from_config(settings).walk_revisions()))]


def fill(database: Database) -> dict[str, int]:
    """Put a row into every table that the database has now, made of its columns' types; return how many each holds then."""
    found = MetaData()
    with database.engine.connect() as connection:
        found.reflect(connection)
    tables = [table for table in found.sorted_tables if table.name != "alembic_version"]
    with database.write() as tx:
        for table in tables:
            if tx.execute(select(func.count()).select_from(table)).scalar_one() == 0:
                tx.execute(table.insert().values({column.name: sample(column) for column in table.columns}))
        return {table.name: int(tx.execute(select(func.count()).select_from(table)).scalar_one()) for table in tables}


def sample(column: Column[Any]) -> Any:
    """A value that a column can hold, the same wherever another table may refer to it."""
    if column.name == "outcome" and isinstance(column.type, LargeBinary):
        return SEAL.close({"state": "RELEASED"}, job="x")
    if isinstance(column.type, LargeBinary):
        return b"x"
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, JSON):
        return {"inputs": [{"provider": "x", "product": "x", "agreement": "x"}]}
    if isinstance(column.type, Integer):
        return 0 if column.name == "credit_fen" else 1
    return "x"


def test_every_revision_can_be_undone_and_done_again_with_rows_in_every_table(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    shapes: dict[str, object] = {}
    for revision in revisions():
        up(database, revision)
        shapes[revision] = shape(database)
        rows = fill(database)
        assert set(rows.values()) == {1}
    for revision in reversed(revisions()):
        assert shape(database) == shapes[revision]
        down(database, "-1")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    for revision in revisions():
        up(database, revision)
        fill(database)
    assert shape(database) == shapes[revisions()[-1]]
    assert differences(database) == []


def test_text_is_ordered_by_its_bytes_on_either_database(tmp_path: Path) -> None:
    database = database_at(tmp_path / "node.db")
    migrations.upgrade(database, close=closed)
    table = metadata.tables["grades"]
    words = ["a b", "ab", "B", "b", "Ä", "_", "乘", "数", "z", "-", "a-b"]
    with database.write() as tx:
        tx.execute(table.insert(), [{"product": word, "grade": "x", "reason": "x", "set_at": "x"} for word in words])
    with database.read() as tx:
        assert list(tx.execute(select(table.c.product).order_by(table.c.product)).scalars()) == sorted(words)


def test_the_newest_revision_is_the_one_that_the_tool_finds() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert migrations.newest() == {ScriptDirectory.from_config(settings).get_current_head()}


def test_a_node_that_is_served_loads_nothing_that_only_computing_playing_or_migrating_needs(tmp_path: Path) -> None:
    migrations.upgrade(database_at(tmp_path / "node.db"), close=closed)
    program = f"""
import sys
from pathlib import Path
import chengshu.cli.main
from chengshu import migrations
from databases import database_at, on_postgresql
migrations.upgrade(database_at(Path({str(tmp_path / "node.db")!r})), close=None)
print(sorted({{"alembic", "numba", "llvmlite", "jinja2", "pyproj"}} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert ran.stdout == "[]\n"
