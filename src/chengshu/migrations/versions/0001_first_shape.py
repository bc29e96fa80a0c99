"""The first shape: parties, products, contracts, transfers, jobs, permits, statements, tasks and the log."""

import sqlalchemy as sa
from alembic import op

from chengshu.kernel.database import LONG

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "approvals",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=256), nullable=False),
        sa.Column("agreement", sa.String(length=256), nullable=False),
        sa.Column("consumer", sa.String(length=256), nullable=False),
        sa.Column("room", sa.String(length=256), nullable=False),
        sa.Column("outcome_digest", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("job", "product", name=op.f("pk_approvals")),
    )
    op.create_table(
        "asked_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("room", sa.String(length=256), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asked_jobs")),
    )
    op.create_table(
        "directives",
        sa.Column("directive_id", sa.String(length=256), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("issued_by", sa.String(length=256), nullable=False),
        sa.Column("lifted_ms", LONG, nullable=True),
        sa.PrimaryKeyConstraint("directive_id", name=op.f("pk_directives")),
    )
    op.create_table(
        "evidence_entries",
        sa.Column("index", LONG, autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("index", name=op.f("pk_evidence_entries")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("token_digest", sa.String(length=80), nullable=False),
        sa.Column("product", sa.String(length=256), nullable=False),
        sa.Column("agreement", sa.String(length=256), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("recipient", sa.String(length=256), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_job"), "grants", ["job"], unique=False)
    op.create_table(
        "offers",
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("offer_id", sa.String(length=512), nullable=False),
        sa.Column("dataset", sa.String(length=512), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_offers")),
    )
    op.create_index(op.f("ix_offers_dataset"), "offers", ["dataset"], unique=False)
    op.create_index(op.f("ix_offers_offer_id"), "offers", ["offer_id"], unique=False)
    op.create_table(
        "parties",
        sa.Column("did", sa.String(length=128), nullable=False),
        sa.Column("name_en", sa.String(length=120), nullable=False),
        sa.Column("name_zh", sa.String(length=120), nullable=False),
        sa.Column("handle", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=512), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("added_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("did", name=op.f("pk_parties")),
        sa.UniqueConstraint("handle", name=op.f("uq_parties_handle")),
        sa.UniqueConstraint("name_en", name=op.f("uq_parties_name_en")),
        sa.UniqueConstraint("name_zh", name=op.f("uq_parties_name_zh")),
    )
    op.create_table(
        "permits",
        sa.Column("permit_id", sa.String(length=256), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("issuer", sa.String(length=256), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("restriction", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("permit_id", name=op.f("pk_permits")),
    )
    op.create_table(
        "postings",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("statement", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=256), nullable=False),
        sa.Column("debit_fen", LONG, nullable=False),
        sa.Column("credit_fen", LONG, nullable=False),
        sa.CheckConstraint("debit_fen >= 0 AND credit_fen >= 0 AND (debit_fen = 0) <> (credit_fen = 0)", name="one_side"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_postings")),
    )
    op.create_index(op.f("ix_postings_account"), "postings", ["account"], unique=False)
    op.create_index(op.f("ix_postings_statement"), "postings", ["statement"], unique=False)
    op.create_table(
        "products",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("contract_digest", sa.String(length=80), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("policy_digest", sa.String(length=80), nullable=False),
        sa.Column("path", sa.String(length=4096), nullable=False),
        sa.Column("data_digest", sa.String(length=80), nullable=False),
        sa.Column("rows", LONG, nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("published_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_products")),
        sa.UniqueConstraint("id", "version", name="uq_products_id_version"),
    )
    op.create_index(op.f("ix_products_id"), "products", ["id"], unique=False)
    op.create_index(op.f("ix_products_state"), "products", ["state"], unique=False)
    op.create_table(
        "published_zones",
        sa.Column("zone_id", sa.String(length=256), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("permit_id", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("zone_id", name=op.f("pk_published_zones")),
    )
    op.create_table(
        "room_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("consumer", sa.String(length=256), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("waits_for", sa.String(length=512), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=True),
        sa.Column("submitted_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_jobs")),
    )
    op.create_table(
        "seen_tokens",
        sa.Column("did", sa.String(length=128), nullable=False),
        sa.Column("jti", sa.String(length=256), nullable=False),
        sa.Column("until", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("did", "jti", name=op.f("pk_seen_tokens")),
    )
    op.create_index(op.f("ix_seen_tokens_until"), "seen_tokens", ["until"], unique=False)
    op.create_table(
        "statements",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("signer", sa.String(length=256), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statements")),
    )
    op.create_table(
        "tasks",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=256), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.String(length=32), nullable=False),
        sa.Column("leased_until", sa.String(length=32), nullable=True),
        sa.Column("waits_for", sa.String(length=256), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_state"), "tasks", ["state"], unique=False)
    op.create_table(
        "admissions",
        sa.Column("token_id", sa.String(length=128), nullable=False),
        sa.Column("permit_id", sa.String(length=256), nullable=False),
        sa.Column("veh_pid", sa.String(length=256), nullable=False),
        sa.Column("used_by", sa.String(length=256), nullable=True),
        sa.ForeignKeyConstraint(["permit_id"], ["permits.permit_id"], name=op.f("fk_admissions_permit_id_permits")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_admissions")),
    )
    op.create_index(op.f("ix_admissions_permit_id"), "admissions", ["permit_id"], unique=False)
    op.create_table(
        "negotiations",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("counterparty", sa.String(length=128), nullable=False),
        sa.Column("peer_pid", sa.String(length=512), nullable=True),
        sa.Column("callback", sa.String(length=1024), nullable=True),
        sa.Column("offer", sa.String(length=71), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("agreement_id", sa.String(length=512), nullable=True),
        sa.Column("code", sa.String(length=256), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["offer"], ["offers.digest"], name=op.f("fk_negotiations_offer_offers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_negotiations")),
        sa.UniqueConstraint("counterparty", "role", "peer_pid", name=op.f("uq_negotiations_counterparty")),
    )
    op.create_index(op.f("ix_negotiations_state"), "negotiations", ["state"], unique=False)
    op.create_table(
        "permit_transitions",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("permit_id", sa.String(length=256), nullable=False),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("before", sa.String(length=16), nullable=False),
        sa.Column("after", sa.String(length=16), nullable=False),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("evidence", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("entry", LONG, nullable=False),
        sa.ForeignKeyConstraint(["permit_id"], ["permits.permit_id"], name=op.f("fk_permit_transitions_permit_id_permits")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_permit_transitions")),
    )
    op.create_index(op.f("ix_permit_transitions_permit_id"), "permit_transitions", ["permit_id"], unique=False)
    op.create_table(
        "agreements",
        sa.Column("id", sa.String(length=512), nullable=False),
        sa.Column("negotiation", sa.String(length=128), nullable=False),
        sa.Column("product", sa.String(length=512), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("provider_signature", sa.String(length=128), nullable=True),
        sa.Column("consumer_signature", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(["negotiation"], ["negotiations.id"], name=op.f("fk_agreements_negotiation_negotiations")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
        sa.UniqueConstraint("negotiation", name=op.f("uq_agreements_negotiation")),
    )
    op.create_index(op.f("ix_agreements_product"), "agreements", ["product"], unique=False)
    op.create_table(
        "negotiation_messages",
        sa.Column("negotiation", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=71), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("received_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["negotiation"], ["negotiations.id"], name=op.f("fk_negotiation_messages_negotiation_negotiations")),
        sa.PrimaryKeyConstraint("negotiation", "digest", name=op.f("pk_negotiation_messages")),
    )
    op.create_table(
        "agreement_uses",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("agreement", sa.String(length=512), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=128), nullable=False),
        sa.Column("purpose", sa.String(length=256), nullable=False),
        sa.ForeignKeyConstraint(["agreement"], ["agreements.id"], name=op.f("fk_agreement_uses_agreement_agreements")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_agreement_uses")),
    )
    op.create_index(op.f("ix_agreement_uses_agreement"), "agreement_uses", ["agreement"], unique=False)


def downgrade() -> None:
    """Drop every table."""
    op.drop_index(op.f("ix_agreement_uses_agreement"), table_name="agreement_uses")
    op.drop_table("agreement_uses")
    op.drop_table("negotiation_messages")
    op.drop_index(op.f("ix_agreements_product"), table_name="agreements")
    op.drop_table("agreements")
    op.drop_index(op.f("ix_permit_transitions_permit_id"), table_name="permit_transitions")
    op.drop_table("permit_transitions")
    op.drop_index(op.f("ix_negotiations_state"), table_name="negotiations")
    op.drop_table("negotiations")
    op.drop_index(op.f("ix_admissions_permit_id"), table_name="admissions")
    op.drop_table("admissions")
    op.drop_index(op.f("ix_tasks_state"), table_name="tasks")
    op.drop_table("tasks")
    op.drop_table("statements")
    op.drop_index(op.f("ix_seen_tokens_until"), table_name="seen_tokens")
    op.drop_table("seen_tokens")
    op.drop_table("room_jobs")
    op.drop_table("published_zones")
    op.drop_index(op.f("ix_products_state"), table_name="products")
    op.drop_index(op.f("ix_products_id"), table_name="products")
    op.drop_table("products")
    op.drop_index(op.f("ix_postings_statement"), table_name="postings")
    op.drop_index(op.f("ix_postings_account"), table_name="postings")
    op.drop_table("postings")
    op.drop_table("permits")
    op.drop_table("parties")
    op.drop_index(op.f("ix_offers_offer_id"), table_name="offers")
    op.drop_index(op.f("ix_offers_dataset"), table_name="offers")
    op.drop_table("offers")
    op.drop_index(op.f("ix_grants_job"), table_name="grants")
    op.drop_table("grants")
    op.drop_table("evidence_entries")
    op.drop_table("directives")
    op.drop_table("asked_jobs")
    op.drop_table("approvals")
