"""The trust list and the tokens already seen."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Connection, String, Table, delete, or_, select
from sqlalchemy.exc import IntegrityError

from chengshu.identity.model import MAX_ID, Party, Scheme
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import add_unless_there, metadata

parties = Table(
    "parties",
    metadata,
    Column("did", String(MAX_ID), primary_key=True),
    Column("name_en", String(120), nullable=False, unique=True),
    Column("name_zh", String(120), nullable=False, unique=True),
    Column("handle", String(64), unique=True),
    Column("address", String(512), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("added_at", String(32), nullable=False),
    Column("scheme", String(16), nullable=False),
)

seen_tokens = Table(
    "seen_tokens",
    metadata,
    Column("did", String(MAX_ID), primary_key=True),
    Column("jti", String(256), primary_key=True),
    Column("until", String(32), nullable=False, index=True),
)


# What every message asks for is put together once: to build a statement costs more than to run it.
_ADD_SEEN = add_unless_there(seen_tokens)


def add(tx: Connection, party: Party) -> bool:
    """Keep a party; return False where its id, its handle or one of its names is taken."""
    try:
        with tx.begin_nested():
            tx.execute(
                parties.insert().values(
                    did=party.did,
                    name_en=party.name_en,
                    name_zh=party.name_zh,
                    handle=party.handle,
                    address=party.address,
                    roles=list(party.roles),
                    added_at=iso(party.added_at),
                    scheme=party.scheme,
                )
            )
    except IntegrityError:
        return False
    return True


def get(tx: Connection, did: str) -> Party | None:
    """Return the party with this id, if it is known."""
    row = tx.execute(select(parties).where(parties.c.did == did)).mappings().one_or_none()
    return None if row is None else _party(dict(row))


def find(tx: Connection, name: str) -> list[Party]:
    """Return the parties whose English name, Chinese name or handle is ``name``."""
    named = or_(parties.c.name_en == name, parties.c.name_zh == name, parties.c.handle == name)
    return [_party(dict(row)) for row in tx.execute(select(parties).where(named)).mappings()]


def every(tx: Connection) -> list[Party]:
    """Return all known parties in the order they were added."""
    rows = tx.execute(select(parties).order_by(parties.c.added_at, parties.c.did)).mappings()
    return [_party(dict(row)) for row in rows]


def remember(tx: Connection, did: str, *, jti: str, until: datetime) -> bool:
    """Keep a used token until it is void anyway; return False where it was kept before."""
    return bool(tx.execute(_ADD_SEEN[tx.dialect.name], {"did": did, "jti": jti, "until": iso(until)}).rowcount)


def forget_void(tx: Connection, *, now: datetime) -> None:
    """Remove the used tokens that are void by now."""
    tx.execute(delete(seen_tokens).where(seen_tokens.c.until < iso(now)))


def _party(row: Mapping[str, Any]) -> Party:
    return Party(
        did=row["did"],
        name_en=row["name_en"],
        name_zh=row["name_zh"],
        address=row["address"],
        roles=tuple(row["roles"]),
        added_at=from_iso(row["added_at"]),
        handle=row["handle"],
        scheme=Scheme(row["scheme"]),
    )
