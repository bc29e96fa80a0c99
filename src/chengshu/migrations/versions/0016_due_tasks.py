"""Tasks are found by when they may be taken: a lease is part of that, and a task behind another of its lane has no such moment yet."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TEXT = sa.String(length=32).with_variant(sa.String(length=32, collation="C"), "postgresql")
_LONG_AGO = "1970-01-01T00:00:00.000Z"


def upgrade() -> None:
    """Give the tasks at the heads of their lanes, and no others, a moment; nothing is leased while nothing runs."""
    op.drop_index("ix_tasks_state", table_name="tasks")
    with op.batch_alter_table("tasks") as table:
        table.alter_column("due_at", existing_type=_TEXT, nullable=True)
        table.drop_column("leased_until")
        table.add_column(sa.Column("leased_by", sa.String(length=256), nullable=True))
    kept = _tasks()
    before = kept.alias("before")
    is_behind = sa.exists().where(before.c.lane == kept.c.lane, before.c.state == "PENDING", before.c.seq < kept.c.seq)
    op.execute(sa.update(kept).where(kept.c.state == "PENDING", is_behind).values(due_at=sa.null()))
    op.create_index("ix_tasks_state_due_at", "tasks", ["state", "due_at", "seq"])
    op.create_index("ix_tasks_lane", "tasks", ["lane", "state", "seq"])


def downgrade() -> None:
    """Give every task a moment again, and the lease a column of its own."""
    op.drop_index("ix_tasks_lane", table_name="tasks")
    op.drop_index("ix_tasks_state_due_at", table_name="tasks")
    kept = _tasks()
    op.execute(sa.update(kept).where(kept.c.due_at.is_(None)).values(due_at=_LONG_AGO))
    with op.batch_alter_table("tasks") as table:
        table.alter_column("due_at", existing_type=_TEXT, nullable=False)
        table.drop_column("leased_by")
        table.add_column(sa.Column("leased_until", sa.String(length=32), nullable=True))
    op.create_index("ix_tasks_state", "tasks", ["state"])


def _tasks() -> sa.Table:
    names = ("seq", "lane", "state", "due_at")
    return sa.Table("tasks", sa.MetaData(), *(sa.Column(name, sa.Integer if name == "seq" else sa.String) for name in names))
