"""The database's shape, step by step (Alembic)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from chengshu.kernel.database import Database

_HERE = Path(__file__).parent


def upgrade(database: Database, *, close: Callable[[Mapping[str, Any], str], bytes]) -> None:
    """Bring a node's database to the newest shape; a database that is there already is left alone.

    ``close`` seals one job's outcome: databases from before outcomes were sealed get theirs sealed.
    """
    settings = Config()
    settings.attributes["close"] = close
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.attributes["database"] = database
    with database.read() as tx:
        present = MigrationContext.configure(tx).get_current_revision()
    if present != ScriptDirectory.from_config(settings).get_current_head():
        command.upgrade(settings, "head")
