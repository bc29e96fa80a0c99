"""The migrations make exactly the tables that the stores declare, and can be undone."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, MetaData, String, Table, inspect, literal_column, null, select

import chengshu.node  # noqa: F401  # brings every room's store, and so every table
from chengshu import migrations
from chengshu.cleanroom.sealing import Seal
from chengshu.cleanroom.store import asked_jobs, room_jobs
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import Database, metadata

SEAL = Seal(INTERNATIONAL, INTERNATIONAL.new_data_key())


def closed(outcome: Mapping[str, Any], job: str) -> bytes:
    return SEAL.close(outcome, job=job)


def at(revision: str, database: Database) -> None:
    """Bring a database up or down to one revision."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    settings.attributes |= {"database": database, "close": closed, "open": lambda sealed, job: SEAL.open(sealed, job=job)}
    (command.downgrade if database.path.exists() else command.upgrade)(settings, revision)


def test_outcomes_from_before_sealing_are_sealed_and_can_be_opened_again(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    at("0001", database)
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
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"cGxhaW4gdGV4dA" not in database.path.read_bytes()
    at("0001", database)
    with database.read() as tx:
        assert json.loads(tx.execute(select(literal_column("outcome")).select_from(asked_jobs)).scalars().first() or "") == outcome


OF_THE_ROOM = {"consumer": "c", "digest": "d", "waits_for": "", "submitted_at": "t"}


def _but_for_lengths(_context: Any, _inspected: Any, _declared: Any, kept: Any, meant: Any) -> bool | None:
    """SQLite knows no length of a text, and only copying a table would declare another."""
    return False if isinstance(kept, String) and isinstance(meant, String) else None


def test_a_migrated_database_has_every_declared_table_and_nothing_else(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    migrations.upgrade(database, close=closed)
    with database.engine.connect() as connection:
        differs = MigrationContext.configure(connection, opts={"compare_type": _but_for_lengths})
        assert compare_metadata(differs, metadata) == []


def test_migrating_twice_changes_nothing_and_undoing_leaves_no_table(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    migrations.upgrade(database, close=closed)
    migrations.upgrade(database, close=closed)
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    settings.attributes["database"] = database
    command.downgrade(settings, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]


def test_jobs_that_were_asked_before_are_counted_under_their_agreements(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    at("0001", database)
    inputs = [{"provider": "did:key:road", "product": "counts", "agreement": "urn:a1", "schema": {}}]
    job = {"id": "urn:j1", "room": "did:key:room", "inputs": inputs}
    values = {"id": "urn:j1", "room": "did:key:room", "document": job, "signature": "-", "state": "SUBMITTED", "asked_at": "-"}
    with database.write() as tx:
        tx.execute(metadata.tables["asked_jobs"].insert().values(**values))
    migrations.upgrade(database, close=closed)
    with database.read() as tx:
        rows = tx.execute(metadata.tables["asked_inputs"].select()).all()
    assert [tuple(row) for row in rows] == [("urn:j1", "did:key:road", "counts", "urn:a1")]


def test_the_newest_revision_is_the_one_that_the_tool_finds() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert migrations.newest() == {ScriptDirectory.from_config(settings).get_current_head()}


def test_a_node_that_is_served_loads_nothing_that_only_computing_playing_or_migrating_needs(tmp_path: Path) -> None:
    migrations.upgrade(Database(tmp_path / "node.db"), close=closed)
    program = f"""
import sys
from pathlib import Path
import chengshu.cli.main
from chengshu import migrations
from chengshu.kernel.database import Database
migrations.upgrade(Database(Path({str(tmp_path / "node.db")!r})), close=None)
print(sorted({{"alembic", "numba", "llvmlite", "jinja2", "pyproj"}} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert ran.stdout == "[]\n"
