"""Agreements live after signing: what ended each, and which one a negotiation is to replace."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of endings, and say of negotiations what they replace; those from before replace nothing."""
    op.create_table(
        "agreement_endings",
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("by", sa.String(length=512), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=256), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("successor", sa.String(length=512), nullable=True),
        sa.Column("is_mutual", sa.Boolean(), nullable=True),
        sa.Column("told", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.id"], name=op.f("fk_agreement_endings_agreement_agreements")),
        sa.PrimaryKeyConstraint("agreement", "kind", "by", name=op.f("pk_agreement_endings")),
    )
    op.add_column("negotiations", sa.Column("replaces", sa.String(length=512), nullable=True))
    op.add_column("negotiations", sa.Column("is_replacing_known", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Forget what ended agreements and what negotiations replace."""
    op.drop_column("negotiations", "is_replacing_known")
    op.drop_column("negotiations", "replaces")
    op.drop_table("agreement_endings")
