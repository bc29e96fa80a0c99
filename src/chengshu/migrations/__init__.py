"""The database's shape, step by step (Alembic)."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from chengshu.kernel.database import Database

_HERE = Path(__file__).parent
_REVISION = re.compile(r"^revision(?:: [^=\n]+)? = [\"']([^\"']+)[\"']$", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision(?:: [^=\n]+)? = [\"']([^\"']+)[\"']$", re.MULTILINE)


def upgrade(database: Database, *, close: Callable[[Mapping[str, Any], str], bytes]) -> None:
    """Bring a node's database to the newest shape; a database that is there already is left alone.

    ``close`` seals one job's outcome: databases from before outcomes were sealed get theirs sealed.
    """
    if _present(database) == newest():
        return
    # only a database that changes needs the tool: a serving process is 10 MB smaller without it
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    settings = Config()
    settings.attributes["close"] = close
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.attributes["database"] = database
    command.upgrade(settings, "head")


def newest() -> set[str]:
    """Return the revisions that none follows, as the scripts beside this file say; there is one."""
    scripts = [path.read_text(encoding="utf-8") for path in sorted((_HERE / "versions").glob("*.py"))]
    followed = {found for script in scripts for found in _BEFORE.findall(script)}
    return {found for script in scripts for found in _REVISION.findall(script)} - followed


def _present(database: Database) -> set[str]:
    with database.read() as tx:
        if not inspect(tx).has_table("alembic_version"):
            return set()
        return set(tx.execute(text("SELECT version_num FROM alembic_version")).scalars())
