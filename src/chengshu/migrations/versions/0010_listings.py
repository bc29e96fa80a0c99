"""Listings: what the catalog shows, kept in the form in which it is asked for, and the catalogs of other parties."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ORDERED = sa.String(length=512).with_variant(sa.String(length=512, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables; the node lists its published products when it opens."""
    op.create_table(
        "listings",
        sa.Column("audience", sa.String(length=512), nullable=False),
        sa.Column("party", _ORDERED, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", _ORDERED, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_zh", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("formats", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("audience", "party", "generation", "dataset", name=op.f("pk_listings")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_listings_dataset", "listings", ["party", "generation", "dataset"])
    op.create_table(
        "listing_documents",
        sa.Column("party", _ORDERED, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("dataset", _ORDERED, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("policies", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("party", "generation", "dataset", name=op.f("pk_listing_documents")),
    )
    op.create_table(
        "federated_catalogs",
        sa.Column("party", _ORDERED, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("catalog", sa.String(length=512), nullable=False),
        sa.Column("services", sa.JSON(), nullable=False),
        sa.Column("fetched_at", sa.String(length=32), nullable=True),
        sa.Column("tried_at", sa.String(length=32), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("party", name=op.f("pk_federated_catalogs")),
    )


def downgrade() -> None:
    """Drop the tables; products are kept elsewhere."""
    op.drop_table("federated_catalogs")
    op.drop_table("listing_documents")
    op.drop_index("ix_listings_dataset", table_name="listings")
    op.drop_table("listings")
