"""What ended agreements: a set that only grows, at most one termination of each party and one supersession of an agreement."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, ForeignKey, Select, String, Table, select, update

from chengshu.contract.life import Ending, Expiry, Supersession, Termination
from chengshu.contract.model import State
from chengshu.contract.store import agreements, negotiations
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata

endings = Table(
    "agreement_endings",
    metadata,
    Column("agreement", String(512), ForeignKey("agreements.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("by", String(512), primary_key=True),
    Column("at", String(32), nullable=False),
    Column("code", String(256)),
    Column("reasons", JSON, nullable=False),
    Column("successor", String(512)),
    Column("is_mutual", Boolean),
    Column("told", String(16)),
)


class Told(StrEnum):
    """Whether the counterparty knows of a termination of ours."""

    WAITING = "WAITING"
    TOLD = "TOLD"
    NOT_UNDERSTOOD = "NOT_UNDERSTOOD"
    """Its connector has no such message: it is told by the end of every transfer that runs under the agreement."""
    REFUSED = "REFUSED"


# What is asked for again and again is put together once: to build a statement costs more than to run it.
_CONCLUDED = agreements.join(negotiations, negotiations.c.id == agreements.c.negotiation)
_NEXT_TO_EXPIRE = (
    select(agreements.c.id, agreements.c.valid_until)
    .select_from(_CONCLUDED.outerjoin(endings, endings.c.agreement == agreements.c.id))
    .where(agreements.c.valid_until.is_not(None), negotiations.c.state == State.FINALIZED, endings.c.agreement.is_(None))
    .order_by(agreements.c.valid_until)
    .limit(1)
)


def add(tx: Connection, ending: Ending, *, told: Told | None = None) -> None:
    """Keep one more ending; ``told`` is set where the counterparty has to be told of it."""
    tx.execute(endings.insert().values(agreement=ending.agreement, told=told, **_values(ending)))


def of(tx: Connection, agreement_id: str) -> list[Ending]:
    """Return everything that ended an agreement."""
    return [_ending(dict(row)) for row in tx.execute(_in_order().where(endings.c.agreement == agreement_id)).mappings()]


def every(tx: Connection) -> dict[str, list[Ending]]:
    """Return everything that ended any agreement, by the agreement's id."""
    found: dict[str, list[Ending]] = {}
    for row in tx.execute(_in_order()).mappings():
        found.setdefault(row["agreement"], []).append(_ending(dict(row)))
    return found


def next_to_expire(tx: Connection) -> tuple[str, datetime] | None:
    """Return the agreement whose time runs out next, or ran out first, of those concluded that nothing has ended; None where none does."""
    row = tx.execute(_NEXT_TO_EXPIRE).first()
    return None if row is None else (row.id, from_iso(row.valid_until))


def told(tx: Connection, agreement_id: str, *, by: str) -> Told | None:
    """Return whether the counterparty knows of the termination that we sent; None where there is none."""
    key = (endings.c.agreement == agreement_id, endings.c.kind == Termination.__name__, endings.c.by == by)
    found = tx.execute(select(endings.c.told).where(*key)).scalar_one_or_none()
    return None if found is None else Told(found)


def save_told(tx: Connection, agreement_id: str, *, by: str, told: Told) -> None:
    """Keep what came of telling the counterparty."""
    key = (endings.c.agreement == agreement_id, endings.c.kind == Termination.__name__, endings.c.by == by)
    tx.execute(update(endings).where(*key).values(told=told))


def _in_order() -> Select[Any]:
    return select(endings).order_by(endings.c.agreement, endings.c.kind, endings.c.by)


def _values(ending: Ending) -> dict[str, Any]:
    values: dict[str, Any] = {"kind": type(ending).__name__, "at": iso(ending.at), "by": "", "reasons": []}
    match ending:
        case Termination(_, by, _, code, reasons):
            return values | {"by": by, "code": code, "reasons": list(reasons)}
        case Supersession(_, _, successor, is_mutual):
            return values | {"successor": successor, "is_mutual": is_mutual}
        case Expiry():
            return values


def _ending(row: Mapping[str, Any]) -> Ending:
    agreement, at = row["agreement"], from_iso(row["at"])
    match row["kind"]:
        case Termination.__name__:
            return Termination(agreement, row["by"], at, row["code"], tuple(row["reasons"]))
        case Supersession.__name__:
            return Supersession(agreement, at, row["successor"], bool(row["is_mutual"]))
        case _:
            return Expiry(agreement, at)
