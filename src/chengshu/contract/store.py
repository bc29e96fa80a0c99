"""Offers, negotiations, the messages they received, agreements and their uses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    update,
)

from chengshu.contract.life import window_of
from chengshu.contract.model import Agreement, Document, Negotiation, State
from chengshu.identity.model import MAX_ID
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import add_unless_there, metadata
from chengshu.kernel.machine import Role

offers = Table(
    "offers",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("offer_id", String(512), nullable=False, index=True),
    Column("dataset", String(512), nullable=False, index=True),
    Column("document", JSON, nullable=False),
)

negotiations = Table(
    "negotiations",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("counterparty", String(MAX_ID), nullable=False),
    Column("peer_pid", String(512)),
    Column("callback", String(1024)),
    Column("offer", String(71), ForeignKey("offers.digest"), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("agreement_id", String(512)),
    Column("code", String(256)),
    Column("reasons", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("replaces", String(512)),
    Column("is_replacing_known", Boolean, nullable=False, default=False),
    UniqueConstraint("counterparty", "role", "peer_pid"),
)

received = Table(
    "negotiation_messages",
    metadata,
    Column("negotiation", String(128), ForeignKey("negotiations.id"), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("received_at", String(32), nullable=False),
)

agreements = Table(
    "agreements",
    metadata,
    Column("id", String(512), primary_key=True),
    Column("negotiation", String(128), ForeignKey("negotiations.id"), nullable=False, unique=True),
    Column("product", String(512), nullable=False, index=True),
    Column("document", JSON, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("provider_signature", String(128)),
    Column("consumer_signature", String(128)),
    Column("valid_until", String(32), index=True),
)

uses = Table(
    "agreement_uses",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("agreement", String(512), ForeignKey("agreements.id"), nullable=False, index=True),
    Column("at", String(32), nullable=False),
    Column("recipient", String(MAX_ID), nullable=False),
    Column("purpose", String(256), nullable=True),
)


# What every message asks for is put together once: to build a statement costs more than to run it.
_WITH_OFFER = select(negotiations, offers.c.document).join(offers, offers.c.digest == negotiations.c.offer)
_BY_OWN_PID = _WITH_OFFER.where(negotiations.c.id == bindparam("own_pid"))
_BY_PEER_PID = _WITH_OFFER.where(
    negotiations.c.counterparty == bindparam("party"),
    negotiations.c.role == bindparam("side"),
    negotiations.c.peer_pid == bindparam("pid"),
)
_WITH_STATE = select(agreements, negotiations.c.state).join(negotiations, negotiations.c.id == agreements.c.negotiation)
_AGREEMENT = _WITH_STATE.where(agreements.c.id == bindparam("agreement_id"))
_RECEIVED = select(received.c.kind).where(received.c.negotiation == bindparam("own_pid"), received.c.digest == bindparam("message"))
_OFFER = select(offers.c.digest).where(offers.c.digest == bindparam("key"))
_ADD, _ADD_OFFER = (table.insert() for table in (negotiations, offers))
_ADD_AGREEMENT, _ADD_RECEIVED = (add_unless_there(table) for table in (agreements, received))
_SIGN = update(agreements).where(agreements.c.id == bindparam("agreement_id"))
_USES = select(func.count()).select_from(uses).where(uses.c.agreement == bindparam("agreement_id"))
_SAVE = update(negotiations).where(negotiations.c.id == bindparam("own_pid"))


def add_negotiation(tx: Connection, negotiation: Negotiation, *, offer: str) -> None:
    """Keep a new negotiation and its offer, which has the digest ``offer``."""
    kept = {"offer": _keep_offer(tx, negotiation.offer, key=offer)}
    tx.execute(_ADD, {"id": negotiation.id, "created_at": iso(negotiation.created_at), **kept, **_values(negotiation)})


def save_negotiation(tx: Connection, negotiation: Negotiation, *, offer: str | None = None) -> None:
    """Keep a negotiation's new state, and where it is another one its offer, which has the digest ``offer``."""
    kept = {} if offer is None else {"offer": _keep_offer(tx, negotiation.offer, key=offer)}
    tx.execute(_SAVE, {"own_pid": negotiation.id, **kept, **_values(negotiation)})


def save_peer_pid(tx: Connection, negotiation: Negotiation) -> None:
    """Keep the counterparty's id of a negotiation."""
    tx.execute(_SAVE, {"own_pid": negotiation.id, "peer_pid": negotiation.peer_pid})


def get_negotiation(tx: Connection, pid: str) -> Negotiation | None:
    """Return the negotiation with our pid, if there is one."""
    row = tx.execute(_BY_OWN_PID, {"own_pid": pid}).mappings().one_or_none()
    return None if row is None else _negotiation(row)


def find_negotiation(tx: Connection, counterparty: str, *, role: Role, peer_pid: str) -> Negotiation | None:
    """Return the negotiation that a counterparty knows by its own pid, if there is one."""
    row = tx.execute(_BY_PEER_PID, {"party": counterparty, "side": role, "pid": peer_pid}).mappings().one_or_none()
    return None if row is None else _negotiation(row)


def every_negotiation(tx: Connection) -> list[Negotiation]:
    """Return all negotiations, oldest first."""
    rows = tx.execute(_WITH_OFFER.order_by(negotiations.c.created_at, negotiations.c.id)).mappings()
    return [_negotiation(row) for row in rows]


def add_received(tx: Connection, pid: str, *, message: str, kind: str, at: datetime) -> bool:
    """Remember the digest of a message that a negotiation received; return False where it was received before."""
    values = {"negotiation": pid, "digest": message, "kind": kind, "received_at": iso(at)}
    return bool(tx.execute(_ADD_RECEIVED[tx.dialect.name], values).rowcount)


def has_received(tx: Connection, pid: str, message: str) -> bool:
    """Say whether a negotiation received a message of this digest before."""
    return tx.execute(_RECEIVED, {"own_pid": pid, "message": message}).first() is not None


def add_agreement(tx: Connection, agreement: Agreement, *, digest: str) -> bool:
    """Keep an agreement under its document's digest; return False where its id is taken."""
    _, until = window_of(agreement)
    values = {
        "id": agreement.id,
        "negotiation": agreement.negotiation,
        "product": agreement.product,
        "document": dict(agreement.document),
        "digest": digest,
        "provider_signature": agreement.provider_signature,
        "consumer_signature": agreement.consumer_signature,
        "valid_until": None if until is None else iso(until),
    }
    return bool(tx.execute(_ADD_AGREEMENT[tx.dialect.name], values).rowcount)


def save_consumer_signature(tx: Connection, agreement_id: str, signature: str | None) -> None:
    """Keep the consumer's signature of an agreement."""
    tx.execute(_SIGN, {"agreement_id": agreement_id, "consumer_signature": signature})


def remove_agreement(tx: Connection, negotiation: str) -> None:
    """Forget the agreement that came in a negotiation and that this node has no part in."""
    tx.execute(delete(agreements).where(agreements.c.negotiation == negotiation))


def get_agreement(tx: Connection, agreement_id: str) -> tuple[Agreement, State] | None:
    """Return an agreement and the state of its negotiation, if there is one."""
    row = tx.execute(_AGREEMENT, {"agreement_id": agreement_id}).mappings().one_or_none()
    return None if row is None else (_agreement(row), State(row["state"]))


def every_agreement(tx: Connection) -> list[tuple[Agreement, State]]:
    """Return all agreements with the state of their negotiations, oldest first."""
    rows = tx.execute(_WITH_STATE.order_by(negotiations.c.created_at, agreements.c.id)).mappings()
    return [(_agreement(row), State(row["state"])) for row in rows]


def add_use(tx: Connection, agreement_id: str, *, at: datetime, recipient: str, purpose: str | None) -> int:
    """Keep one use of an agreement and return how many there are."""
    tx.execute(uses.insert().values(agreement=agreement_id, at=iso(at), recipient=recipient, purpose=purpose))
    return count_uses(tx, agreement_id)


def count_uses(tx: Connection, agreement_id: str) -> int:
    """Return how often an agreement was used."""
    return int(tx.execute(_USES, {"agreement_id": agreement_id}).scalar_one())


def _keep_offer(tx: Connection, document: Document, *, key: str) -> str:
    if tx.execute(_OFFER, {"key": key}).first() is None:
        tx.execute(_ADD_OFFER, {"digest": key, "offer_id": document["@id"], "dataset": document["target"], "document": dict(document)})
    return key


def _values(negotiation: Negotiation) -> dict[str, Any]:
    return {
        "role": negotiation.role,
        "counterparty": negotiation.counterparty,
        "peer_pid": negotiation.peer_pid,
        "callback": negotiation.callback,
        "state": negotiation.state,
        "agreement_id": negotiation.agreement_id,
        "code": negotiation.code,
        "reasons": list(negotiation.reasons),
        "updated_at": iso(negotiation.updated_at),
        "replaces": negotiation.replaces,
        "is_replacing_known": negotiation.is_replacing_known,
    }


def _negotiation(row: Mapping[Any, Any]) -> Negotiation:
    return Negotiation(
        id=row["id"],
        role=Role(row["role"]),
        counterparty=row["counterparty"],
        peer_pid=row["peer_pid"],
        callback=row["callback"],
        offer=row["document"],
        state=State(row["state"]),
        agreement_id=row["agreement_id"],
        code=row["code"],
        reasons=tuple(row["reasons"]),
        created_at=from_iso(row["created_at"]),
        updated_at=from_iso(row["updated_at"]),
        replaces=row["replaces"],
        is_replacing_known=bool(row["is_replacing_known"]),
    )


def _agreement(row: Mapping[Any, Any]) -> Agreement:
    return Agreement(
        id=row["id"],
        negotiation=row["negotiation"],
        document=row["document"],
        provider_signature=row["provider_signature"],
        consumer_signature=row["consumer_signature"],
    )
