"""Tokens of data flows that end and are renewed: as whom a flow acts, the digest of what renews its token, and when that token ends."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_COLUMNS = (("participant", 512), ("refresh_digest", 80), ("expires_at", 32))


def upgrade() -> None:
    """Add the columns, empty: a flow from before has a token that ends with it."""
    with op.batch_alter_table("data_flows") as table:
        for name, length in _COLUMNS:
            table.add_column(sa.Column(name, sa.String(length=length), nullable=True))


def downgrade() -> None:
    """Drop the columns: an access token that had an end is good for as long as its flow is started."""
    with op.batch_alter_table("data_flows") as table:
        for name, _ in reversed(_COLUMNS):
            table.drop_column(name)
