"""A room keeps which rows each consumer asked about, so that a later question is held against earlier ones."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; what was asked before it is not known any more in a form to compare with."""
    op.create_table(
        "asked_questions",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("consumer", sa.String(length=256), nullable=False),
        sa.Column("sources", sa.String(length=80), nullable=False),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_asked_questions"),
        sa.UniqueConstraint("job", name="uq_asked_questions_job"),
    )
    op.create_index("ix_asked_questions_consumer_sources", "asked_questions", ["consumer", "sources"])


def downgrade() -> None:
    """Forget it."""
    op.drop_index("ix_asked_questions_consumer_sources", table_name="asked_questions")
    op.drop_table("asked_questions")
