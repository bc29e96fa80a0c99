"""What is kept of data flows: never a token of ours, only its digest, and never an address of others in clear."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, Integer, LargeBinary, String, Table, select, update

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


def save_token(tx: Connection, flow_id: str, *, generation: int, token_digest: str | None) -> None:
    """Keep which generation of token a flow has, and its digest; None where no token opens it."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(generation=generation, token_digest=token_digest))


def save_address(tx: Connection, flow_id: str, *, address: bytes | None) -> None:
    """Keep the other side's sealed address, or forget it."""
    tx.execute(update(flows).where(flows.c.id == flow_id).values(address=address))


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
    )
    return DataFlow(row["id"], order, FlowState(row["state"]), row["generation"], row["callback"])
