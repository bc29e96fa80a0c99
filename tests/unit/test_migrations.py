"""The migrations make exactly the tables that the stores declare, and can be undone."""

import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import chengshu.node  # noqa: F401  # brings every room's store, and so every table
from chengshu import migrations
from chengshu.kernel.database import Database, metadata


def test_a_migrated_database_has_every_declared_table_and_nothing_else(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    migrations.upgrade(database)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_twice_changes_nothing_and_undoing_leaves_no_table(tmp_path: Path) -> None:
    database = Database(tmp_path / "node.db")
    migrations.upgrade(database)
    migrations.upgrade(database)
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    settings.attributes["database"] = database
    command.downgrade(settings, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]


def test_the_newest_revision_is_the_one_that_the_tool_finds() -> None:
    settings = Config()
    settings.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert migrations.newest() == {ScriptDirectory.from_config(settings).get_current_head()}


def test_a_node_that_is_served_loads_nothing_that_only_computing_playing_or_migrating_needs(tmp_path: Path) -> None:
    migrations.upgrade(Database(tmp_path / "node.db"))
    program = f"""
import sys
from pathlib import Path
import chengshu.cli.main
from chengshu import migrations
from chengshu.kernel.database import Database
migrations.upgrade(Database(Path({str(tmp_path / "node.db")!r})))
print(sorted({{"alembic", "numba", "llvmlite", "jinja2", "pyproj"}} & sys.modules.keys()))
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, check=True)
    assert ran.stdout == "[]\n"
