"""A grant says which rows of its product go out; those that there are were of all rows."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing in it is every row."""
    op.add_column("grants", sa.Column("restrictions", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Withdraw what was granted of some rows, which would be granted whole, and drop the column."""
    op.execute("UPDATE grants SET state = 'CLOSED' WHERE state = 'OPEN' AND restrictions IS NOT NULL")
    op.drop_column("grants", "restrictions")
