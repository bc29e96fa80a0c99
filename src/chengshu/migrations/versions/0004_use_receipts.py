"""Use receipts on both sides, what they rest on: the agreements of asked jobs, the place of each use in the count, what was handed over."""

import sqlalchemy as sa
from alembic import op

from chengshu.kernel.database import LONG

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of use receipts and of asked inputs, and fill the second from the jobs that were asked before."""
    op.create_table(
        "use_receipts",
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("job", sa.String(length=512), nullable=False),
        sa.Column("provider", sa.String(length=512), nullable=False),
        sa.Column("product", sa.String(length=512), nullable=False),
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("consumer", sa.String(length=512), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("provider_signature", sa.String(length=256), nullable=False),
        sa.Column("consumer_signature", sa.String(length=256), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("dispute", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("kept_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_use_receipts")),
    )
    op.create_index(op.f("ix_use_receipts_job"), "use_receipts", ["job"], unique=False)
    op.create_index("ix_use_receipts_agreement_uses", "use_receipts", ["agreement", "uses"], unique=False)
    asked = op.create_table(
        "asked_inputs",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=256), nullable=False),
        sa.Column("product", sa.String(length=256), nullable=False),
        sa.Column("agreement", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("job", "provider", "product", name=op.f("pk_asked_inputs")),
    )
    op.create_index(op.f("ix_asked_inputs_agreement"), "asked_inputs", ["agreement"], unique=False)
    jobs = sa.table("asked_jobs", sa.column("id", sa.String()), sa.column("document", sa.JSON()))
    for job, document in op.get_bind().execute(sa.select(jobs.c.id, jobs.c.document)).all():
        for one in document.get("inputs", ()):
            row = {"job": job, "provider": one["provider"], "product": one["product"], "agreement": one["agreement"]}
            op.execute(asked.insert().values(**row))
    op.add_column("asked_jobs", sa.Column("receipt_digest", sa.String(length=80), nullable=True))
    op.add_column("approvals", sa.Column("job_digest", sa.String(length=80), nullable=True))
    op.add_column("approvals", sa.Column("purpose", sa.String(length=256), nullable=True))
    op.add_column("approvals", sa.Column("uses", sa.Integer(), nullable=True))
    op.add_column("grants", sa.Column("rows", LONG, nullable=True))
    op.add_column("grants", sa.Column("data_digest", sa.String(length=80), nullable=True))


def downgrade() -> None:
    """Drop what the upgrade made."""
    for column in ("data_digest", "rows"):
        op.drop_column("grants", column)
    for column in ("uses", "purpose", "job_digest"):
        op.drop_column("approvals", column)
    op.drop_column("asked_jobs", "receipt_digest")
    op.drop_index(op.f("ix_asked_inputs_agreement"), table_name="asked_inputs")
    op.drop_table("asked_inputs")
    op.drop_index("ix_use_receipts_agreement_uses", table_name="use_receipts")
    op.drop_index(op.f("ix_use_receipts_job"), table_name="use_receipts")
    op.drop_table("use_receipts")
