"""What was done for duties, and which events are going on."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables, empty: what agreements from before owe follows from their policies and uses."""
    op.create_table(
        "duty_fulfilments",
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("duty", sa.String(length=64), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("ground", sa.String(length=16), nullable=False),
        sa.Column("by", sa.String(length=512), nullable=False),
        sa.Column("statement", sa.JSON(), nullable=False),
        sa.Column("signature", sa.String(length=256), nullable=True),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.id"], name=op.f("fk_duty_fulfilments_agreement_agreements")),
        sa.PrimaryKeyConstraint("agreement", "duty", "occurrence", name=op.f("pk_duty_fulfilments")),
    )
    op.create_table(
        "events_under_way",
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("since", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_events_under_way")),
    )


def downgrade() -> None:
    """Forget both."""
    op.drop_table("events_under_way")
    op.drop_table("duty_fulfilments")
