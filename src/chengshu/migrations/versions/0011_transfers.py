"""Transfer processes of the Dataspace Protocol, and the data flows that they steer."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of processes and of flows."""
    op.create_table(
        "transfer_processes",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("counterparty", sa.String(length=512), nullable=False),
        sa.Column("peer_pid", sa.String(length=512), nullable=True),
        sa.Column("callback", sa.String(length=1024), nullable=True),
        sa.Column("agreement_id", sa.String(length=512), nullable=False),
        sa.Column("product", sa.String(length=512), nullable=True),
        sa.Column("format", sa.String(length=512), nullable=False),
        sa.Column("purpose", sa.String(length=512), nullable=True),
        sa.Column("extent", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=256), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("awaits_address", sa.Boolean(), nullable=False),
        sa.Column("replied_to", sa.String(length=80), nullable=True),
        sa.Column("request", sa.String(length=80), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_processes")),
        sa.UniqueConstraint("counterparty", "role", "peer_pid", name=op.f("uq_transfer_processes_counterparty")),
    )
    for column in ("agreement_id", "state"):
        op.create_index(op.f(f"ix_transfer_processes_{column}"), "transfer_processes", [column], unique=False)
    op.create_table(
        "data_flows",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("control", sa.String(length=64), nullable=False),
        sa.Column("process", sa.String(length=512), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("format", sa.String(length=512), nullable=False),
        sa.Column("extent", sa.String(length=16), nullable=False),
        sa.Column("product", sa.String(length=512), nullable=False),
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("counterparty", sa.String(length=512), nullable=False),
        sa.Column("purpose", sa.String(length=512), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("callback", sa.String(length=1024), nullable=True),
        sa.Column("token_digest", sa.String(length=80), nullable=True),
        sa.Column("address", sa.LargeBinary(), nullable=True),
        sa.Column("pushed", sa.String(length=256), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_flows")),
    )
    for column in ("process", "state"):
        op.create_index(op.f(f"ix_data_flows_{column}"), "data_flows", [column], unique=False)


def downgrade() -> None:
    """Drop the tables of processes and of flows."""
    for table, columns in (("data_flows", ("process", "state")), ("transfer_processes", ("agreement_id", "state"))):
        for column in columns:
            op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)
        op.drop_table(table)
