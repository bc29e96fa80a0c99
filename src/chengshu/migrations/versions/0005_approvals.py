"""An approval keeps the job as its asker signed it, the data it was given for, and how the job ended.

Revision ID: 0005
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was approved before keeps an empty digest, which no job equals, so that it opens nothing again."""
    with op.batch_alter_table("approvals") as table:
        table.add_column(sa.Column("job_digest", sa.String(length=80), nullable=False, server_default=""))
        table.add_column(sa.Column("document", sa.JSON(), nullable=False, server_default="{}"))
        table.add_column(sa.Column("signature", sa.String(length=128), nullable=False, server_default=""))
        table.add_column(sa.Column("data_digest", sa.String(length=80), nullable=False, server_default=""))
        table.add_column(sa.Column("state", sa.String(length=16), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("approvals") as table:
        for name in ("state", "data_digest", "signature", "document", "job_digest"):
            table.drop_column(name)
