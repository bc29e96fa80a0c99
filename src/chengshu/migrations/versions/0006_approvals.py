"""An approval keeps the job as its asker signed it, the data it was given for, and how the job ended."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was approved before has no job and no data to be held against, so that it opens nothing again."""
    op.add_column("approvals", sa.Column("document", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("approvals", sa.Column("signature", sa.String(length=256), nullable=True))
    op.add_column("approvals", sa.Column("data_digest", sa.String(length=80), nullable=True))
    op.add_column("approvals", sa.Column("state", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("state", "data_digest", "signature", "document"):
        op.drop_column("approvals", name)
