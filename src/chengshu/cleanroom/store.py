"""What is kept of jobs: those this node's clean room was given, those it asked for or approved, and the receipts for their uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, Index, Integer, LargeBinary, String, Table, Text, func, select, update

from chengshu.kernel.database import metadata

room_jobs = Table(
    "room_jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("consumer", String(256), nullable=False),
    Column("document", JSON, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("waits_for", String(512), nullable=False),
    Column("outcome", LargeBinary),
    Column("submitted_at", String(32), nullable=False),
)

asked_jobs = Table(
    "asked_jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("room", String(256), nullable=False),
    Column("document", JSON, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", LargeBinary),
    Column("receipt_digest", String(80)),
    Column("asked_at", String(32), nullable=False),
)

asked_inputs = Table(
    "asked_inputs",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("provider", String(256), primary_key=True),
    Column("product", String(256), primary_key=True),
    Column("agreement", String(256), nullable=False, index=True),
)

approvals = Table(
    "approvals",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("product", String(256), primary_key=True),
    Column("agreement", String(256), nullable=False),
    Column("consumer", String(256), nullable=False),
    Column("room", String(256), nullable=False),
    Column("outcome_digest", Text),
    Column("approved_at", String(32), nullable=False),
    Column("job_digest", String(80)),
    Column("purpose", String(256)),
    Column("uses", Integer),
    Column("document", JSON(none_as_null=True)),
    Column("signature", String(256)),
    Column("data_digest", String(80)),
    Column("state", String(16)),
)

use_receipts = Table(
    "use_receipts",
    metadata,
    Column("digest", String(80), primary_key=True),
    Column("job", String(512), nullable=False, index=True),
    Column("provider", String(512), nullable=False),
    Column("product", String(512), nullable=False),
    Column("agreement", String(512), nullable=False),
    Column("consumer", String(512), nullable=False),
    Column("uses", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("provider_signature", String(256), nullable=False),
    Column("consumer_signature", String(256)),
    Column("state", String(16), nullable=False),
    Column("dispute", JSON(none_as_null=True)),
    Column("kept_at", String(32), nullable=False),
    Index("ix_use_receipts_agreement_uses", "agreement", "uses"),
)
"""Keyed by the receipt's own digest: a second text about the same use is kept beside the first, as evidence, never over it."""


@dataclass(frozen=True, slots=True)
class RoomJob:
    """One job as the clean room keeps it; ``outcome`` is sealed."""

    id: str
    consumer: str
    document: Mapping[str, Any]
    signature: str
    digest: str
    state: str
    waits_for: str
    outcome: bytes | None


def add_room_job(tx: Connection, job: RoomJob, *, at: str) -> None:
    """Keep a job that was given to the room."""
    tx.execute(
        room_jobs.insert().values(
            id=job.id,
            consumer=job.consumer,
            document=dict(job.document),
            signature=job.signature,
            digest=job.digest,
            state=job.state,
            waits_for=job.waits_for,
            outcome=job.outcome,
            submitted_at=at,
        )
    )


def find_room_job(tx: Connection, job: str) -> RoomJob | None:
    """Return a job that was given to the room, or None."""
    row = tx.execute(select(room_jobs).where(room_jobs.c.id == job)).mappings().first()
    if row is None:
        return None
    fields = {name: row[name] for name in ("id", "consumer", "document", "signature", "digest", "state", "waits_for", "outcome")}
    return RoomJob(**fields)


def find_told(tx: Connection, job: str) -> Mapping[str, Any] | None:
    """Return a job that this node's room was given, or whose use of its products it approved, unless it ended without an answer."""
    kept = find_room_job(tx, job)
    found = [(kept.state, kept.document)] if kept is not None else [(one["state"], one["document"]) for one in approvals_of(tx, job)]
    return next((document for state, document in found if document and state not in {"REFUSED", "FAILED"}), None)


def save_room_job(tx: Connection, job: str, **values: Any) -> None:
    """Change what is kept of a room's job."""
    tx.execute(update(room_jobs).where(room_jobs.c.id == job).values(**values))


def save_unfinished(tx: Connection, job: str, **values: Any) -> None:
    """Change what is kept of a room's job unless it has ended."""
    tx.execute(update(room_jobs).where(room_jobs.c.id == job, room_jobs.c.outcome.is_(None)).values(**values))


def unfinished(tx: Connection) -> list[dict[str, Any]]:
    """Return id, state and what each unfinished job of the room waits for."""
    columns = (room_jobs.c.id, room_jobs.c.state, room_jobs.c.waits_for)
    rows = tx.execute(select(*columns).where(room_jobs.c.outcome.is_(None)).order_by(room_jobs.c.submitted_at))
    return [dict(row) for row in rows.mappings()]


def add_asked(tx: Connection, *, document: Mapping[str, Any], signature: str, at: str) -> None:
    """Keep a job that this node asks for."""
    tx.execute(
        asked_jobs.insert().values(
            id=document["id"], room=document["room"], document=dict(document), signature=signature, state="SUBMITTED", asked_at=at
        )
    )


def add_asked_inputs(tx: Connection, document: Mapping[str, Any]) -> None:
    """Keep which agreements a job that this node asks for is under."""
    for one in document["inputs"]:
        tx.execute(
            asked_inputs.insert().values(job=document["id"], provider=one["provider"], product=one["product"], agreement=one["agreement"])
        )


def count_asked(tx: Connection, *, provider: str, agreement: str) -> int:
    """Return how many jobs this node asked for under an agreement with a provider."""
    asked = (asked_inputs.c.provider == provider, asked_inputs.c.agreement == agreement)
    return int(tx.execute(select(func.count(asked_inputs.c.job.distinct())).where(*asked)).scalar_one())


def find_asked(tx: Connection, job: str) -> dict[str, Any] | None:
    """Return a job that this node asked for, or None."""
    row = tx.execute(select(asked_jobs).where(asked_jobs.c.id == job)).mappings().first()
    return None if row is None else dict(row)


def every_asked(tx: Connection) -> list[dict[str, Any]]:
    """Return id, room, state and time of every job that this node asked for, oldest first."""
    columns = (asked_jobs.c.id, asked_jobs.c.room, asked_jobs.c.state, asked_jobs.c.asked_at)
    return [dict(row) for row in tx.execute(select(*columns).order_by(asked_jobs.c.asked_at)).mappings()]


def save_asked(tx: Connection, job: str, *, state: str, outcome: bytes, receipt_digest: str) -> None:
    """Record how a job that this node asked for ended: the sealed outcome, and the digest of the room's receipt over it."""
    values = {"state": state, "outcome": outcome, "receipt_digest": receipt_digest}
    tx.execute(update(asked_jobs).where(asked_jobs.c.id == job).values(**values))


def add_approval(tx: Connection, document: Mapping[str, Any], *, product: str, agreement: str, at: str, **kept: str | int | None) -> None:
    """Keep that this holder approved a job, as its asker signed it, for one of its products as they are now.

    ``kept`` are the asker's signature, the digests of the job and of the data, and the place of this use in the agreement's count.
    """
    about = {"job": document["id"], **{name: document[name] for name in ("consumer", "room", "purpose")}}
    tx.execute(approvals.insert().values(product=product, agreement=agreement, document=dict(document), approved_at=at, **about, **kept))


def approvals_of(tx: Connection, job: str) -> list[dict[str, Any]]:
    """Return what this holder approved for a job."""
    return [dict(row) for row in tx.execute(select(approvals).where(approvals.c.job == job)).mappings()]


def save_outcome(tx: Connection, job: str, *, product: str, state: str, digest: str) -> None:
    """Keep how a job over one product ended, and the digest of the receipt that says so."""
    keys = (approvals.c.job == job, approvals.c.product == product)
    tx.execute(update(approvals).where(*keys).values(state=state, outcome_digest=digest))


def add_use_receipt(tx: Connection, **values: Any) -> None:
    """Keep a new use receipt."""
    tx.execute(use_receipts.insert().values(**values))


def find_use_receipt(tx: Connection, digest: str) -> dict[str, Any] | None:
    """Return the use receipt with this digest, or None."""
    row = tx.execute(select(use_receipts).where(use_receipts.c.digest == digest)).mappings().first()
    return None if row is None else dict(row)


def save_use_receipt(tx: Connection, digest: str, **values: Any) -> None:
    """Change what is kept of a use receipt."""
    tx.execute(update(use_receipts).where(use_receipts.c.digest == digest).values(**values))


def has_counted(tx: Connection, *, agreement: str, uses: int) -> bool:
    """Say whether a countersigned receipt under an agreement has this place in the count of its uses."""
    taken = (use_receipts.c.agreement == agreement, use_receipts.c.uses == uses, use_receipts.c.consumer_signature.is_not(None))
    return tx.execute(select(use_receipts.c.digest).where(*taken)).first() is not None


def leakage_of(tx: Connection, job: str) -> str | None:
    """Return the digest of the leakage statement in a job that this node asked for or approved; None where it has none."""
    asked = find_asked(tx, job)
    documents = [row["document"] for row in approvals_of(tx, job)] if asked is None else [asked["document"]]
    return next((str(one["leakage"]) for one in documents if one and "leakage" in one), None)


def every_use_receipt(tx: Connection, *, job: str | None = None) -> list[dict[str, Any]]:
    """Return the use receipts of this node, or those of one job, oldest first."""
    wanted = [use_receipts.c.job == job] if job else []
    rows = tx.execute(select(use_receipts).where(*wanted).order_by(use_receipts.c.kept_at, use_receipts.c.digest))
    return [dict(row) for row in rows.mappings()]
