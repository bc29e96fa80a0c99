"""Anchoring: every checkpoint that was to be anchored on a chain, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of anchors."""
    op.create_table(
        "anchors",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("origin", sa.String(length=512), nullable=False),
        sa.Column("size", sa.String(length=20), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("chain", sa.String(length=16), nullable=False),
        sa.Column("contract", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_at", sa.String(length=32), nullable=False),
        sa.Column("chain_id", sa.String(length=128), nullable=True),
        sa.Column("tx", sa.String(length=128), nullable=True),
        sa.Column("block", sa.String(length=20), nullable=True),
        sa.Column("block_at", sa.String(length=32), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_anchors")),
        sa.UniqueConstraint("digest", "chain", "contract", name=op.f("uq_anchors_digest")),
    )


def downgrade() -> None:
    """Drop the table of anchors."""
    op.drop_table("anchors")
