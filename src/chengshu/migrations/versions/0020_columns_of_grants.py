"""A grant says which columns of its product go out; those that there are were of whole products."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing in it is the whole product."""
    op.add_column("grants", sa.Column("columns", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Withdraw what was granted of some columns, which would be granted whole, and drop the column."""
    op.execute("UPDATE grants SET state = 'CLOSED' WHERE state = 'OPEN' AND columns IS NOT NULL")
    op.drop_column("grants", "columns")
