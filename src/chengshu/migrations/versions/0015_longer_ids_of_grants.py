"""A grant names products, agreements and recipients with ids of up to 512 characters, as everything else does."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for longer ids."""
    _resize(512)


def downgrade() -> None:
    """Take the room away."""
    _resize(256)


def _resize(length: int) -> None:
    """SQLite keeps texts of any length whatever a column is declared as, and can only copy a table to declare it otherwise."""
    if op.get_bind().dialect.name != "sqlite":
        for column in ("product", "agreement", "recipient"):
            op.alter_column("grants", column, type_=sa.String(length=length, collation="C"), existing_nullable=False)
