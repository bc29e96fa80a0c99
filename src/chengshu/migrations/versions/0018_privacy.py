"""What answers have told about people is counted, for ever; a room keeps protected answers, so that it gives the same one again."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of charges and of protected answers."""
    op.create_table(
        "privacy_charges",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=256), nullable=False),
        sa.Column("consumer", sa.String(length=512), nullable=False),
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("rho", _LONG, nullable=False),
        sa.Column("delta", _LONG, nullable=False),
        sa.Column("question", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("job", "product", name="pk_privacy_charges"),
    )
    op.create_index("ix_privacy_charges_consumer_product", "privacy_charges", ["consumer", "product"])
    op.create_table(
        "protected_answers",
        sa.Column("question", sa.String(length=80), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("released", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("question", name="pk_protected_answers"),
    )


def downgrade() -> None:
    """Forget both: what was spent is then no longer known, and only the log still says it."""
    op.drop_table("protected_answers")
    op.drop_index("ix_privacy_charges_consumer_product", table_name="privacy_charges")
    op.drop_table("privacy_charges")
