"""Grades of products (GB/T 43697)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table of grades."""
    op.create_table(
        "grades",
        sa.Column("product", sa.String(length=256), nullable=False),
        sa.Column("grade", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=1024), nullable=False),
        sa.Column("set_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("product", name=op.f("pk_grades")),
    )


def downgrade() -> None:
    """Take the table of grades away."""
    op.drop_table("grades")
