"""What is kept of anchoring: every checkpoint that was to be anchored, and what came of it."""

from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, UniqueConstraint, select
from sqlalchemy import Text as LongText

from chengshu.anchor.model import Anchor, State
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import add_or_save, metadata

_KEY = ("digest", "chain", "contract")

anchors = Table(
    "anchors",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("digest", String(71), nullable=False),
    Column("origin", String(512), nullable=False),
    Column("size", String(20), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("chain", String(16), nullable=False),
    Column("contract", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_at", String(32), nullable=False),
    Column("chain_id", String(128)),
    Column("tx", String(128)),
    Column("block", String(20)),
    Column("block_at", String(32)),
    Column("error", LongText),
    UniqueConstraint(*_KEY),
)


def get(tx: Connection, digest: str, *, chain: str, contract: str) -> Anchor | None:
    """Return one anchor by its digest and place."""
    where = (anchors.c.digest == digest, anchors.c.chain == chain, anchors.c.contract == contract)
    row = tx.execute(select(anchors).where(*where)).mappings().one_or_none()
    return None if row is None else _anchor(row)


def save(tx: Connection, anchor: Anchor) -> None:
    """Keep an anchor in place of what was kept of it before."""
    values = {
        "digest": anchor.digest,
        "chain": anchor.chain,
        "contract": anchor.contract,
        "origin": anchor.origin,
        "size": str(anchor.size),
        "body": anchor.body,
        "state": anchor.state.value,
        "requested_at": iso(anchor.requested_at),
        "chain_id": anchor.chain_id,
        "tx": anchor.tx,
        "block": None if anchor.block is None else str(anchor.block),
        "block_at": None if anchor.block_at is None else iso(anchor.block_at),
        "error": anchor.error,
    }
    add_or_save(tx, anchors, values, key=_KEY)


def every(tx: Connection) -> list[Anchor]:
    """Return every anchor, oldest first."""
    return [_anchor(row) for row in tx.execute(select(anchors).order_by(anchors.c.seq)).mappings()]


def _anchor(row: Any) -> Anchor:
    return Anchor(
        digest=row["digest"],
        origin=row["origin"],
        size=int(row["size"]),
        body=row["body"],
        chain=row["chain"],
        contract=row["contract"],
        state=State(row["state"]),
        requested_at=from_iso(row["requested_at"]),
        chain_id=row["chain_id"],
        tx=row["tx"],
        block=None if row["block"] is None else int(row["block"]),
        block_at=None if row["block_at"] is None else from_iso(row["block_at"]),
        error=row["error"],
    )
