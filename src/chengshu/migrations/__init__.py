"""The database's shape, step by step (Alembic)."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Column, MetaData, String, Table, inspect, select

from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import Conflict, NotFound
from chengshu.kernel.text import Text

_HERE = Path(__file__).parent
_REVISION = re.compile(r"^revision(?:: [^=\n]+)? = [\"']([^\"']+)[\"']$", re.MULTILINE)
_BEFORE = re.compile(r"^down_revision(?:: [^=\n]+)? = [\"']([^\"']+)[\"']$", re.MULTILINE)

_STEP = Table(
    "alembic_version", MetaData(naming_convention={"pk": "%(table_name)s_pkc"}), Column("version_num", String(32), primary_key=True)
)
"""Where a database keeps the step that it is at, as Alembic has it."""


def upgrade(database: Database, *, close: Callable[[Mapping[str, Any], str], bytes]) -> None:
    """Bring a node's database to the newest shape: an empty one at once, another step by step; one that has it is left alone.

    ``close`` seals one job's outcome: databases from before outcomes were sealed get theirs sealed.
    """
    at = present(database)
    if at == newest():
        return
    if not at:
        _make(database)
        return
    from alembic import command  # noqa: PLC0415  # large, and only a database that changes needs it
    from alembic.config import Config  # noqa: PLC0415  # large, and only a database that changes needs it

    settings = Config()
    settings.attributes["close"] = close
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    settings.attributes["database"] = database
    command.upgrade(settings, "head")


def _make(database: Database) -> None:
    """Make what all steps together would make, in one transaction."""
    with database.write() as tx:
        metadata.create_all(tx)
        _STEP.create(tx)
        tx.execute(_STEP.insert(), [{"version_num": revision} for revision in newest()])


def begin_anew(database: Database) -> None:
    """Make the place of a new node's database; raise Conflict where it holds a node already."""
    database.create()
    if present(database):
        raise Conflict(
            "database.taken",
            f"expected a place for a new node's database, got {database.name}, which holds one",
            hint=Text("Name another schema or database in the URL.", "请在 URL 中指定其他模式或数据库。"),
        )


def begin_again(database: Database) -> None:
    """Find the database of a node that was made before; raise NotFound for a server's schema without one.

    A node that began anew there would disown its own log.
    """
    if not database.backend.begins_empty and not present(database):
        raise NotFound(
            "database.empty",
            f"expected this node's database, got nothing in {database.name}",
            hint=Text(
                "Restore it there, or mend 'url' under [database] in chengshu.toml (or CHENGSHU_DATABASE_URL): it may name another place."
                " A node whose creation broke off is created again in an empty folder.",
                "请在该处恢复数据库，或修正 chengshu.toml 中 [database] 的 url（或 CHENGSHU_DATABASE_URL）。"
                "若创建节点时中断，请在空目录中重新创建。",
            ),
        )


def newest() -> set[str]:
    """Return the revisions that none follows, as the scripts beside this file say; there is one."""
    scripts = [path.read_text(encoding="utf-8") for path in sorted((_HERE / "versions").glob("*.py"))]
    followed = {found for script in scripts for found in _BEFORE.findall(script)}
    return {found for script in scripts for found in _REVISION.findall(script)} - followed


def present(database: Database) -> set[str]:
    """Return the revisions that the database is at: one, or none where it is empty."""
    with database.read() as tx:
        if not inspect(tx).has_table(_STEP.name):
            return set()
        return set(tx.execute(select(_STEP.c.version_num)).scalars())
