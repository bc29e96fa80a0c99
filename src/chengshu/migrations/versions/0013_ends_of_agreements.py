"""An agreement keeps the end of its policy's time window beside its document, so that the next one to run out is found at once."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_DATE_TIME = "http://www.w3.org/ns/odrl/2/dateTime"


def upgrade() -> None:
    """Add the column, and read the end from every document that is here."""
    op.add_column("agreements", sa.Column("valid_until", sa.String(length=32), nullable=True))
    op.create_index(op.f("ix_agreements_valid_until"), "agreements", ["valid_until"])
    agreements = sa.table("agreements", sa.column("id", sa.String), sa.column("document", sa.JSON), sa.column("valid_until", sa.String))
    connection = op.get_bind()
    for row in connection.execute(sa.select(agreements.c.id, agreements.c.document)).all():
        until = _until(row.document)
        if until is not None:
            connection.execute(sa.update(agreements).where(agreements.c.id == row.id).values(valid_until=until))


def downgrade() -> None:
    """Drop the column."""
    op.drop_index(op.f("ix_agreements_valid_until"), table_name="agreements")
    op.drop_column("agreements", "valid_until")


def _until(document: Any) -> str | None:
    """The end of the time window as policies were written when this was made; None where there is none."""
    try:
        constraints = document["permission"][0].get("constraint", [])
        ends = [one["rightOperand"]["@value"] for one in constraints if (one["leftOperand"], one["operator"]) == (_DATE_TIME, "lteq")]
        moment = datetime.fromisoformat(ends[0]).astimezone(UTC)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
