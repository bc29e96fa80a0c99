"""Witnessing: what was cosigned last, notes that speak against a log, and how each witness answered."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the witness's tables."""
    op.create_table(
        "witnessed_logs",
        sa.Column("origin", sa.String(length=512), nullable=False),
        sa.Column("size", sa.String(length=20), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_witnessed_logs")),
    )
    op.create_table(
        "split_views",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("origin", sa.String(length=512), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("held", sa.LargeBinary(), nullable=False),
        sa.Column("shown", sa.LargeBinary(), nullable=False),
        sa.Column("held_digest", sa.String(length=71), nullable=False),
        sa.Column("shown_digest", sa.String(length=71), nullable=False),
        sa.Column("seen_at", sa.String(length=512), nullable=False),
        sa.Column("found_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_split_views")),
        sa.UniqueConstraint("origin", "code", "held_digest", "shown_digest", name=op.f("uq_split_views_origin")),
    )
    op.create_table(
        "asked_witnesses",
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("size", sa.String(length=20), nullable=False),
        sa.Column("tried_at", sa.String(length=32), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_asked_witnesses")),
    )


def downgrade() -> None:
    """Drop the witness's tables."""
    op.drop_table("asked_witnesses")
    op.drop_table("split_views")
    op.drop_table("witnessed_logs")
