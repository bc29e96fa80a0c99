"""A use may have no stated purpose: a delivery is asked for by a party that need not say what for."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UNSAID = ""
"""What an older node reads where nobody said what for."""


def upgrade() -> None:
    """Let the purpose of a use be none."""
    with op.batch_alter_table("agreement_uses") as table:
        table.alter_column("purpose", existing_type=sa.String(length=256), nullable=True)


def downgrade() -> None:
    """Keep uses without a purpose under an empty one."""
    uses = sa.table("agreement_uses", sa.column("purpose", sa.String))
    op.execute(uses.update().where(uses.c.purpose.is_(None)).values(purpose=UNSAID))
    with op.batch_alter_table("agreement_uses") as table:
        table.alter_column("purpose", existing_type=sa.String(length=256), nullable=False)
