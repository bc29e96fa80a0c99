"""What is kept of jobs: those this node's clean room was given, and those this node asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, String, Table, Text, select, update

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
    Column("outcome", JSON(none_as_null=True)),
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
    Column("outcome", JSON(none_as_null=True)),
    Column("asked_at", String(32), nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("product", String(256), primary_key=True),
    Column("agreement", String(256), nullable=False),
    Column("consumer", String(256), nullable=False),
    Column("room", String(256), nullable=False),
    Column("job_digest", String(80), nullable=False),
    Column("document", JSON, nullable=False),
    Column("signature", String(128), nullable=False),
    Column("data_digest", String(80), nullable=False),
    Column("state", String(16)),
    Column("outcome_digest", Text),
    Column("approved_at", String(32), nullable=False),
)


@dataclass(frozen=True, slots=True)
class RoomJob:
    """One job as the clean room keeps it."""

    id: str
    consumer: str
    document: Mapping[str, Any]
    signature: str
    digest: str
    state: str
    waits_for: str
    outcome: Mapping[str, Any] | None


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
            outcome=None if job.outcome is None else dict(job.outcome),
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


def save_room_job(tx: Connection, job: str, **values: Any) -> None:
    """Change what is kept of a room's job."""
    tx.execute(update(room_jobs).where(room_jobs.c.id == job).values(**values))


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


def find_asked(tx: Connection, job: str) -> dict[str, Any] | None:
    """Return a job that this node asked for, or None."""
    row = tx.execute(select(asked_jobs).where(asked_jobs.c.id == job)).mappings().first()
    return None if row is None else dict(row)


def every_asked(tx: Connection) -> list[dict[str, Any]]:
    """Return id, room, state and time of every job that this node asked for, oldest first."""
    columns = (asked_jobs.c.id, asked_jobs.c.room, asked_jobs.c.state, asked_jobs.c.asked_at)
    return [dict(row) for row in tx.execute(select(*columns).order_by(asked_jobs.c.asked_at)).mappings()]


def save_asked(tx: Connection, job: str, *, state: str, outcome: Mapping[str, Any]) -> None:
    """Record how a job that this node asked for ended."""
    tx.execute(update(asked_jobs).where(asked_jobs.c.id == job).values(state=state, outcome=dict(outcome)))


def add_approval(tx: Connection, **values: Any) -> None:
    """Keep that this holder approved a job, as its asker signed it, for one of its products as they are now."""
    tx.execute(approvals.insert().values(**values))


def approvals_of(tx: Connection, job: str) -> list[dict[str, Any]]:
    """Return what this holder approved for a job."""
    return [dict(row) for row in tx.execute(select(approvals).where(approvals.c.job == job)).mappings()]


def save_outcome(tx: Connection, job: str, *, product: str, state: str, digest: str) -> None:
    """Keep how a job over one product ended, and the digest of the receipt that says so."""
    keys = (approvals.c.job == job, approvals.c.product == product)
    tx.execute(update(approvals).where(*keys).values(state=state, outcome_digest=digest))
