"""Parties have a credential scheme, and ids of up to 512 characters."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_IDS = (("parties", "did"), ("seen_tokens", "did"), ("negotiations", "counterparty"), ("agreement_uses", "recipient"))


def upgrade() -> None:
    """Add the scheme of parties, which was the signed token, and make room for longer ids."""
    op.add_column("parties", sa.Column("scheme", sa.String(length=16), server_default="token", nullable=False))
    _resize(512)


def downgrade() -> None:
    """Take the scheme away, and the room."""
    op.drop_column("parties", "scheme")
    _resize(128)


def _resize(length: int) -> None:
    """SQLite keeps texts of any length whatever a column is declared as, and can only copy a table to declare it otherwise."""
    if op.get_bind().dialect.name != "sqlite":
        for table, column in _IDS:
            op.alter_column(table, column, type_=sa.String(length=length, collation="C"), existing_nullable=False)
