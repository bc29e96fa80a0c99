"""What was done for duties, and which events are going on; a fulfilment is kept once and never taken back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, ForeignKey, Integer, String, Table, delete, func, select

from chengshu.contract.store import uses
from chengshu.identity.model import MAX_ID
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata

fulfilments = Table(
    "duty_fulfilments",
    metadata,
    Column("agreement", String(512), ForeignKey("agreements.id"), primary_key=True),
    Column("duty", String(64), primary_key=True),
    Column("occurrence", Integer, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("ground", String(16), nullable=False),
    Column("by", String(MAX_ID), nullable=False),
    Column("statement", JSON, nullable=False),
    Column("signature", String(256)),
)

events = Table(
    "events_under_way",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("since", String(32), nullable=False),
    Column("reason", String(1024), nullable=False),
)


def add(tx: Connection, fulfilment: Mapping[str, Any]) -> None:
    """Keep one fulfilment."""
    tx.execute(fulfilments.insert().values(**fulfilment))


def of(tx: Connection, agreement_id: str) -> dict[tuple[str, int], dict[str, Any]]:
    """Return every fulfilment under an agreement, by duty and occurrence."""
    rows = tx.execute(select(fulfilments).where(fulfilments.c.agreement == agreement_id)).mappings()
    return {(row["duty"], row["occurrence"]): dict(row) for row in rows}


def use_times(tx: Connection, agreement_id: str) -> list[datetime]:
    """Return when an agreement was used, in the order in which the uses were counted."""
    return [from_iso(at) for at in tx.execute(select(uses.c.at).where(uses.c.agreement == agreement_id).order_by(uses.c.seq)).scalars()]


def first_use(tx: Connection, agreement_id: str) -> datetime | None:
    """Return when an agreement was first used; None where it was not."""
    earliest = tx.execute(select(func.min(uses.c.at)).where(uses.c.agreement == agreement_id)).scalar_one()
    return None if earliest is None else from_iso(earliest)


def begin(tx: Connection, name: str, *, since: datetime, reason: str) -> None:
    """Keep that an event is going on."""
    tx.execute(events.insert().values(name=name, since=iso(since), reason=reason))


def end(tx: Connection, name: str) -> None:
    """Forget an event that is over."""
    tx.execute(delete(events).where(events.c.name == name))


def under_way(tx: Connection) -> list[dict[str, Any]]:
    """Return every event that is going on, by name."""
    return [dict(row) for row in tx.execute(select(events).order_by(events.c.name)).mappings()]
