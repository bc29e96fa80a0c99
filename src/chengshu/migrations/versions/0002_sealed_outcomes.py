"""Seal the outcomes of jobs: from JSON that anyone with the file reads to bytes under the node's data key."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("asked_jobs", "room_jobs")
Close = Callable[[Mapping[str, Any], str], bytes]
Open = Callable[[bytes, str], Mapping[str, Any]]


def upgrade() -> None:
    """Seal what is kept and give the column its new type; freed pages are overwritten, so that no plain outcome stays behind."""
    close: Close | None = context.config.attributes.get("close")
    op.get_bind().exec_driver_sql("PRAGMA secure_delete=ON")
    for name in _TABLES:
        rows = _kept(name)
        with op.batch_alter_table(name) as table:
            table.drop_column("outcome")
            table.add_column(sa.Column("outcome", sa.LargeBinary(), nullable=True))
        for job, outcome in rows:
            assert close is not None, "expected a data key to seal kept outcomes with, got none"  # noqa: S101  # open_node gives it
            _put(name, job, close(json.loads(outcome), job))


def downgrade() -> None:
    """Open what is kept and write it as JSON again."""
    opened: Open | None = context.config.attributes.get("open")
    for name in _TABLES:
        rows = _kept(name)
        with op.batch_alter_table(name) as table:
            table.drop_column("outcome")
            table.add_column(sa.Column("outcome", sa.JSON(), nullable=True))
        for job, outcome in rows:
            assert opened is not None, "expected a data key to open kept outcomes with, got none"  # noqa: S101  # whoever undoes gives it
            _put(name, job, json.dumps(opened(outcome, job)))


def _kept(name: str) -> list[tuple[str, Any]]:
    """Id and outcome, as the database holds it, of every job that has one."""
    table = sa.table(name, sa.column("id"), sa.column("outcome"))
    return [tuple(row) for row in op.get_bind().execute(sa.select(table.c.id, table.c.outcome).where(table.c.outcome.is_not(None)))]


def _put(name: str, job: str, outcome: Any) -> None:
    table = sa.table(name, sa.column("id"), sa.column("outcome"))
    op.get_bind().execute(sa.update(table).where(table.c.id == job).values(outcome=outcome))
