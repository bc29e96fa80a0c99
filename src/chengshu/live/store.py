"""What is kept of permits: the document as received, its state, every transition, zones once published, tokens, directives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKey, Integer, String, Table, Text, select, update

from chengshu.kernel.database import LONG, metadata
from chengshu.live.model import Act, PermitState, Verb

permits = Table(
    "permits",
    metadata,
    Column("permit_id", String(256), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("issuer", String(256), nullable=False),
    Column("document", JSON, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("restriction", JSON),
)

permit_transitions = Table(
    "permit_transitions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("permit_id", ForeignKey("permits.permit_id"), nullable=False, index=True),
    Column("verb", String(16), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("rule", String(32), nullable=False),
    Column("evidence", String(80), nullable=False),
    Column("actor", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("entry", LONG, nullable=False),
)

published_zones = Table(
    "published_zones",
    metadata,
    Column("zone_id", String(256), primary_key=True),
    Column("digest", String(80), nullable=False),
    Column("permit_id", String(256), nullable=False),
)

directives = Table(
    "directives",
    metadata,
    Column("directive_id", String(256), primary_key=True),
    Column("document", JSON, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("issued_by", String(256), nullable=False),
    Column("lifted_ms", LONG),
)

admissions = Table(
    "admissions",
    metadata,
    Column("token_id", String(128), primary_key=True),
    Column("permit_id", ForeignKey("permits.permit_id"), nullable=False, index=True),
    Column("veh_pid", String(256), nullable=False),
    Column("used_by", String(256)),
)


@dataclass(frozen=True, slots=True)
class StoredPermit:
    """A permit as kept."""

    permit_id: str
    state: PermitState
    issuer: str
    document: Mapping[str, Any]
    digest: str
    restriction: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of a permit: from where to where, by which verb and act, when, and its entry in the evidence log."""

    verb: Verb
    before: PermitState
    after: PermitState
    act: Act
    at: str
    entry: int


def find_permit(tx: Connection, permit_id: str) -> StoredPermit | None:
    """Return a permit, or None where there is none of that id."""
    row = tx.execute(select(permits).where(permits.c.permit_id == permit_id)).mappings().first()
    return None if row is None else StoredPermit(**{**row, "state": PermitState(row["state"])})


def save_draft(tx: Connection, permit: StoredPermit) -> None:
    """Keep a draft, in place of an earlier draft of the same id."""
    values = {"state": permit.state, "issuer": permit.issuer, "document": dict(permit.document), "digest": permit.digest}
    if find_permit(tx, permit.permit_id) is None:
        tx.execute(permits.insert().values(permit_id=permit.permit_id, **values))
    else:
        tx.execute(update(permits).where(permits.c.permit_id == permit.permit_id).values(**values))


def save_state(tx: Connection, permit_id: str, *, state: PermitState, restriction: Mapping[str, Any] | None) -> None:
    """Keep a permit's new state and its restriction."""
    kept = None if restriction is None else dict(restriction)
    tx.execute(update(permits).where(permits.c.permit_id == permit_id).values(state=state, restriction=kept))


def add_transition(tx: Connection, permit_id: str, move: Transition) -> None:
    """Keep one transition."""
    act = move.act
    row = {"rule": act.rule, "evidence": act.evidence, "actor": act.actor, "reason": act.reason, "at": move.at, "entry": move.entry}
    tx.execute(permit_transitions.insert().values(permit_id=permit_id, verb=move.verb, before=move.before, after=move.after, **row))


def transitions_of(tx: Connection, permit_id: str) -> list[Transition]:
    """Return a permit's transitions, oldest first."""
    rows = tx.execute(select(permit_transitions).where(permit_transitions.c.permit_id == permit_id).order_by(permit_transitions.c.seq))
    return [
        Transition(
            Verb(row["verb"]),
            PermitState(row["before"]),
            PermitState(row["after"]),
            Act(row["actor"], row["rule"], row["evidence"], row["reason"]),
            row["at"],
            row["entry"],
        )
        for row in rows.mappings()
    ]


def zone_digest(tx: Connection, zone_id: str) -> str | None:
    """Return the digest under which a zone was published, or None where it was not."""
    digest: str | None = tx.execute(select(published_zones.c.digest).where(published_zones.c.zone_id == zone_id)).scalar()
    return digest


def add_zone(tx: Connection, zone_id: str, *, digest: str, permit_id: str) -> None:
    """Keep a zone as published."""
    tx.execute(published_zones.insert().values(zone_id=zone_id, digest=digest, permit_id=permit_id))


def add_admission(tx: Connection, token_id: str, *, permit_id: str, veh_pid: str) -> None:
    """Keep that a token was issued."""
    tx.execute(admissions.insert().values(token_id=token_id, permit_id=permit_id, veh_pid=veh_pid))


def user_of(tx: Connection, token_id: str) -> tuple[bool, str | None]:
    """Return whether a token was issued here, and the shift that uses it."""
    row = tx.execute(select(admissions.c.used_by).where(admissions.c.token_id == token_id)).first()
    return row is not None, None if row is None else row.used_by


def save_user(tx: Connection, token_id: str, used_by: str) -> None:
    """Keep which shift uses a token."""
    tx.execute(update(admissions).where(admissions.c.token_id == token_id).values(used_by=used_by))


def add_directive(tx: Connection, directive_id: str, *, document: Mapping[str, Any], digest: str, issued_by: str) -> None:
    """Keep a directive."""
    tx.execute(directives.insert().values(directive_id=directive_id, document=dict(document), digest=digest, issued_by=issued_by))


def find_directive(tx: Connection, directive_id: str) -> tuple[str, str, int | None] | None:
    """Return a directive's digest, issuer and the moment it was lifted, or None where there is none of that id."""
    row = tx.execute(select(directives).where(directives.c.directive_id == directive_id)).first()
    return None if row is None else (row.digest, row.issued_by, row.lifted_ms)


def save_lifted(tx: Connection, directive_id: str, lifted_ms: int) -> None:
    """Keep when a directive was lifted."""
    tx.execute(update(directives).where(directives.c.directive_id == directive_id).values(lifted_ms=lifted_ms))


def all_directives(tx: Connection) -> list[tuple[Mapping[str, Any], int | None]]:
    """Return every directive's document and the moment it was lifted, by id."""
    rows = tx.execute(select(directives.c.document, directives.c.lifted_ms).order_by(directives.c.directive_id))
    return [(row.document, row.lifted_ms) for row in rows]
