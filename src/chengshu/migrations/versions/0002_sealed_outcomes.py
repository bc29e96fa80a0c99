"""Seal the outcomes of jobs: from JSON that anyone with the file reads to bytes under the node's data key."""

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
    """Seal what is kept and give the column its new type; freed pages are overwritten, so that no plain outcome stays behind.

    Only SQLite's files can hold plain outcomes: nodes were kept by PostgreSQL from a later revision on.
    """
    close: Close | None = context.config.attributes.get("close")
    if op.get_bind().dialect.name == "sqlite":
        op.get_bind().exec_driver_sql("PRAGMA secure_delete=ON")
    for name in _TABLES:
        rows = _kept(name, sa.JSON())
        with op.batch_alter_table(name) as table:
            table.drop_column("outcome")
            table.add_column(sa.Column("outcome", sa.LargeBinary(), nullable=True))
        for job, outcome in rows:
            assert close is not None, "expected a data key to seal kept outcomes with, got none"  # noqa: S101  # open_node gives it
            _put(name, job, sa.LargeBinary(), close(outcome, job))


def downgrade() -> None:
    """Open what is kept and write it as JSON again."""
    opened: Open | None = context.config.attributes.get("open")
    for name in _TABLES:
        rows = _kept(name, sa.LargeBinary())
        with op.batch_alter_table(name) as table:
            table.drop_column("outcome")
            table.add_column(sa.Column("outcome", sa.JSON(), nullable=True))
        for job, outcome in rows:
            assert opened is not None, "expected a data key to open kept outcomes with, got none"  # noqa: S101  # whoever undoes gives it
            _put(name, job, sa.JSON(), opened(outcome, job))


def _kept(name: str, kind: sa.types.TypeEngine[Any]) -> list[tuple[str, Any]]:
    """Id and outcome of every job that has one."""
    table = sa.table(name, sa.column("id", sa.String()), sa.column("outcome", kind))
    return [tuple(row) for row in op.get_bind().execute(sa.select(table.c.id, table.c.outcome).where(table.c.outcome.is_not(None)))]


def _put(name: str, job: str, kind: sa.types.TypeEngine[Any], outcome: Any) -> None:
    table = sa.table(name, sa.column("id", sa.String()), sa.column("outcome", kind))
    op.get_bind().execute(sa.update(table).where(table.c.id == job).values(outcome=outcome))
