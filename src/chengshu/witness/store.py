"""What is kept of witnessing: what was cosigned last, notes that speak against a log, and how each witness answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, UniqueConstraint, func, select
from sqlalchemy import Text as LongText

from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import add_if_absent, add_or_save, metadata
from chengshu.witness.model import Held, SplitView

witnessed_logs = Table(
    "witnessed_logs",
    metadata,
    Column("origin", String(512), primary_key=True),
    Column("size", String(20), nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False),
)

split_views = Table(
    "split_views",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("origin", String(512), nullable=False),
    Column("code", String(64), nullable=False),
    Column("held", LargeBinary, nullable=False),
    Column("shown", LargeBinary, nullable=False),
    Column("held_digest", String(71), nullable=False),
    Column("shown_digest", String(71), nullable=False),
    Column("seen_at", String(512), nullable=False),
    Column("found_at", String(32), nullable=False),
    UniqueConstraint("origin", "code", "held_digest", "shown_digest"),
)

asked_witnesses = Table(
    "asked_witnesses",
    metadata,
    Column("name", String(512), primary_key=True),
    Column("size", String(20), nullable=False),
    Column("tried_at", String(32), nullable=False),
    Column("error", LongText),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a witness answered last: the size that it cosigned last, when it was tried, and the error if that failed."""

    name: str
    size: int
    tried_at: datetime
    error: str | None


def get(tx: Connection, origin: str) -> Held | None:
    """Return what was cosigned last of a log."""
    row = tx.execute(select(witnessed_logs).where(witnessed_logs.c.origin == origin)).mappings().one_or_none()
    return None if row is None else _held(row)


def save(tx: Connection, held: Held) -> None:
    """Keep what was cosigned in place of what was before."""
    values = {"origin": held.origin, "size": str(held.size), "root": held.root, "note": held.note, "at": iso(held.at)}
    add_or_save(tx, witnessed_logs, values, key=["origin"])


def every(tx: Connection) -> list[Held]:
    """Return what was cosigned last of every log, by origin."""
    return [_held(row) for row in tx.execute(select(witnessed_logs).order_by(witnessed_logs.c.origin)).mappings()]


def add_view(tx: Connection, view: SplitView) -> bool:
    """Keep two notes that do not fit; return False where they were kept before."""
    held, shown = view.digests
    values = {
        "origin": view.origin,
        "code": view.code,
        "held": view.held,
        "shown": view.shown,
        "held_digest": held,
        "shown_digest": shown,
        "seen_at": view.seen_at,
        "found_at": iso(view.found_at),
    }
    return add_if_absent(tx, split_views, values)


def count_views(tx: Connection, origin: str, code: str) -> int:
    """Return how many pairs of notes are kept against one log under one code."""
    where = (split_views.c.origin == origin, split_views.c.code == code)
    return int(tx.execute(select(func.count()).select_from(split_views).where(*where)).scalar_one())


def views(tx: Connection) -> list[SplitView]:
    """Return every pair of notes that does not fit, oldest first."""
    rows = tx.execute(select(split_views).order_by(split_views.c.seq)).mappings()
    return [SplitView(row["origin"], row["code"], row["held"], row["shown"], row["seen_at"], from_iso(row["found_at"])) for row in rows]


def asked(tx: Connection) -> dict[str, Asked]:
    """Return how every witness that was ever asked answered last, by name."""
    rows = tx.execute(select(asked_witnesses)).mappings()
    return {row["name"]: Asked(row["name"], int(row["size"]), from_iso(row["tried_at"]), row["error"]) for row in rows}


def save_asked(tx: Connection, one: Asked) -> None:
    """Keep how a witness answered."""
    values = {"name": one.name, "size": str(one.size), "tried_at": iso(one.tried_at), "error": one.error}
    add_or_save(tx, asked_witnesses, values, key=["name"])


def _held(row: Any) -> Held:
    return Held(row["origin"], int(row["size"]), row["root"], row["note"], from_iso(row["at"]))
