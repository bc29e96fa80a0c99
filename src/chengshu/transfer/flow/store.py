"""What is kept of data flows: never a token of ours, only its digest, and never an address of others in clear."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, select, update

from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata
from chengshu.kernel.machine import Role
from chengshu.transfer.flow.model import DataFlow, Extent, FlowState, Order

flows = Table(
    "data_flows",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("control", String(64), nullable=False),
    Column("process", String(512), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("format", String(512), nullable=False),
    Column("extent", String(16), nullable=False),
    Column("product", String(512), nullable=False),
    Column("agreement", String(512), nullable=False),
    Column("counterparty", String(512), nullable=False),
    Column("purpose", String(512)),
    Column("state", String(16), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("callback", String(1024)),
    Column("token_digest", String(80)),
    Column("address", LargeBinary),
    Column("pushed", String(256)),
    Column("participant", String(512)),
    Column("refresh_digest", String(80)),
    Column("expires_at", String(32)),
)


def add(tx: Connection, flow: DataFlow) -> None:
    """Keep a new flow."""
    order = flow.order
    tx.execute(
        flows.insert().values(
            id=flow.id,
            control=order.control,
            process=order.process,
            role=order.role,
            format=order.format,
            extent=order.extent,
            product=order.product,
            agreement=order.agreement,
            counterparty=order.counterparty,
            purpose=order.purpose,
            state=flow.state,
            generation=flow.generation,
            callback=flow.callback,
            participant=order.participant,
        )
    )


def get(tx: Connection, flow_id: str) -> DataFlow | None:
    """Return the flow with this id, or None."""
    row = tx.execute(select(flows).where(flows.c.id == flow_id)).mappings().one_or_none()
    return None if row is None else _flow(row)


def find_by_process(tx: Connection, *, control: str, process: str) -> DataFlow | None:
    """Return the flow of a control plane's process, or None."""
    row = tx.execute(select(flows).where(flows.c.control == control, flows.c.process == process)).mappings().one_or_none()
    return None if row is None else _flow(row)


def find_by_token(tx: Connection, flow_id: str, *, token_digest: str) -> DataFlow | None:
    """Return the flow with this id if the digest is that of its present token, or None."""
    row = tx.execute(select(flows).where(flows.c.id == flow_id, flows.c.token_digest == token_digest)).mappings().one_or_none()
    return None if row is None else _flow(row)


def save_state(tx: Connection, flow_id: str, *, state: FlowState) -> None:
    """Keep a flow's new state."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(state=state))


@dataclass(frozen=True, slots=True)
class TokenDigests:
    """What is kept of a flow's tokens: their digests, and when the access token ends; None where it opens nothing, or has no end."""

    access: str | None = None
    refresh: str | None = None
    expires_at: datetime | None = None


def save_tokens(tx: Connection, flow_id: str, *, generation: int, tokens: TokenDigests) -> None:
    """Keep which generation of tokens a flow has, and their digests."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(generation=generation, **_kept(tokens)))


def replace_tokens(tx: Connection, flow_id: str, *, used: str, generation: int, tokens: TokenDigests) -> bool:
    """Keep new tokens in place of those whose refresh token has the digest ``used``; False where it is not that of a started flow."""
    present = (flows.c.id == flow_id, flows.c.refresh_digest == used, flows.c.state == FlowState.STARTED)
    return bool(tx.execute(update(flows).where(*present).values(generation=generation, **_kept(tokens))).rowcount)


def get_refresh_digest(tx: Connection, flow_id: str) -> str | None:
    """Return the digest of a flow's present refresh token, None where it has none."""
    kept: str | None = tx.execute(select(flows.c.refresh_digest).where(flows.c.id == flow_id)).scalar_one_or_none()
    return kept


def save_address(tx: Connection, flow_id: str, *, address: bytes | None, expires_at: datetime | None = None) -> None:
    """Keep the other side's sealed address and when its token ends, or forget it."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(address=address, expires_at=_text(expires_at)))


def get_address(tx: Connection, flow_id: str) -> bytes | None:
    """Return the other side's sealed address, None where none came."""
    kept: bytes | None = tx.execute(select(flows.c.address).where(flows.c.id == flow_id)).scalar_one_or_none()
    return kept


def save_pushed(tx: Connection, flow_id: str, *, version: str) -> None:
    """Keep which version of its product a pushing flow has sent, or is about to send."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(pushed=version))


def get_pushed(tx: Connection, flow_id: str) -> str | None:
    """Return which version of its product a pushing flow has sent, or the digest of what was pushed here; None where nothing was."""
    kept: str | None = tx.execute(select(flows.c.pushed).where(flows.c.id == flow_id)).scalar_one_or_none()
    return kept


def every_lasting_push(tx: Connection) -> list[tuple[DataFlow, str | None]]:
    """Return the started flows that push for as long as they are not ended, with the version that each sent last."""
    wanted = (flows.c.state == FlowState.STARTED, flows.c.role == Role.PROVIDER, flows.c.extent == Extent.NON_FINITE)
    rows = tx.execute(select(flows).where(*wanted).order_by(flows.c.id)).mappings()
    return [(_flow(row), row["pushed"]) for row in rows if not _flow(row).gives_address]


def _kept(tokens: TokenDigests) -> dict[str, str | None]:
    return {"token_digest": tokens.access, "refresh_digest": tokens.refresh, "expires_at": _text(tokens.expires_at)}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def _flow(row: Mapping[Any, Any]) -> DataFlow:
    order = Order(
        control=row["control"],
        process=row["process"],
        role=Role(row["role"]),
        format=row["format"],
        extent=Extent(row["extent"]),
        product=row["product"],
        agreement=row["agreement"],
        counterparty=row["counterparty"],
        purpose=row["purpose"],
        participant=row["participant"],
    )
    expires_at = None if row["expires_at"] is None else from_iso(row["expires_at"])
    return DataFlow(row["id"], order, FlowState(row["state"]), row["generation"], row["callback"], expires_at)
