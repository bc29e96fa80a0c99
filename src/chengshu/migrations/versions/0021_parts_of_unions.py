"""A question over a UNION ALL is kept once for each of its parts."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let one job have several rows, of different sources."""
    with op.batch_alter_table("asked_questions") as table:
        table.drop_constraint("uq_asked_questions_job", type_="unique")
        table.create_unique_constraint("uq_asked_questions_job", ["job", "sources"])


def downgrade() -> None:
    """Keep the first part of each job, and forget the others."""
    asked = sa.table("asked_questions", sa.column("seq"), sa.column("job"))
    firsts = sa.select(sa.func.min(asked.c.seq)).group_by(asked.c.job)
    op.execute(asked.delete().where(asked.c.seq.not_in(firsts)))
    with op.batch_alter_table("asked_questions") as table:
        table.drop_constraint("uq_asked_questions_job", type_="unique")
        table.create_unique_constraint("uq_asked_questions_job", ["job"])
