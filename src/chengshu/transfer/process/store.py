"""Transfer processes, as this node sees them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, LargeBinary, String, Table, UniqueConstraint, select, update

from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata
from chengshu.kernel.machine import Role
from chengshu.transfer.flow.model import Extent
from chengshu.transfer.process.model import State, TransferProcess

processes = Table(
    "transfer_processes",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("counterparty", String(512), nullable=False),
    Column("peer_pid", String(512)),
    Column("callback", String(1024)),
    Column("agreement_id", String(512), nullable=False, index=True),
    Column("product", String(512)),
    Column("format", String(512), nullable=False),
    Column("purpose", String(512)),
    Column("extent", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("code", String(256)),
    Column("reasons", JSON, nullable=False),
    Column("awaits_address", Boolean, nullable=False),
    Column("replied_to", String(80)),
    Column("request", String(80)),
    Column("address", LargeBinary),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    UniqueConstraint("counterparty", "role", "peer_pid"),
)

_OPEN = [state for state in State if not state.final]

# What the policy monitor asks for again and again is put together once: to build a statement costs more than to run it.
_ANY_OPEN = select(processes.c.id).where(processes.c.state.in_(_OPEN)).limit(1)
_EVERY_OPEN = select(processes).where(processes.c.state.in_(_OPEN)).order_by(processes.c.created_at, processes.c.id)


def add(tx: Connection, process: TransferProcess, *, request: str | None = None, address: bytes | None = None) -> None:
    """Keep a new process; with the digest of the request that came and the sealed address in it, where it did."""
    values = {"id": process.id, "created_at": iso(process.created_at), "request": request, "address": address}
    tx.execute(processes.insert().values(**values, **_values(process)))


def save(tx: Connection, process: TransferProcess) -> None:
    """Keep what a process has become."""
    tx.execute(update(processes).where(processes.c.id == process.id).values(**_values(process)))


def get(tx: Connection, pid: str) -> TransferProcess | None:
    """Return the process with our pid, if there is one."""
    row = tx.execute(select(processes).where(processes.c.id == pid)).mappings().one_or_none()
    return None if row is None else _process(row)


def find(tx: Connection, counterparty: str, *, role: Role, peer_pid: str) -> TransferProcess | None:
    """Return the process that a counterparty knows by its own pid, if there is one."""
    named = (processes.c.counterparty == counterparty, processes.c.role == role, processes.c.peer_pid == peer_pid)
    row = tx.execute(select(processes).where(*named)).mappings().one_or_none()
    return None if row is None else _process(row)


def get_request(tx: Connection, pid: str) -> str | None:
    """Return the digest of the request that opened a process, None where it was our own."""
    kept: str | None = tx.execute(select(processes.c.request).where(processes.c.id == pid)).scalar_one_or_none()
    return kept


def get_address(tx: Connection, pid: str) -> bytes | None:
    """Return the sealed address that came with the request of a push, None where none did."""
    kept: bytes | None = tx.execute(select(processes.c.address).where(processes.c.id == pid)).scalar_one_or_none()
    return kept


def every(tx: Connection) -> list[TransferProcess]:
    """Return all processes, oldest first."""
    rows = tx.execute(select(processes).order_by(processes.c.created_at, processes.c.id)).mappings()
    return [_process(row) for row in rows]


def is_any_open(tx: Connection) -> bool:
    """Say whether there is a process that has not ended."""
    return tx.execute(_ANY_OPEN).first() is not None


def every_open(tx: Connection) -> list[TransferProcess]:
    """Return the processes that have not ended, oldest first."""
    return [_process(row) for row in tx.execute(_EVERY_OPEN).mappings()]


def _values(process: TransferProcess) -> dict[str, Any]:
    return {
        "role": process.role,
        "counterparty": process.counterparty,
        "peer_pid": process.peer_pid,
        "callback": process.callback,
        "agreement_id": process.agreement_id,
        "product": process.product,
        "format": process.format,
        "purpose": process.purpose,
        "extent": process.extent,
        "state": process.state,
        "code": process.code,
        "reasons": list(process.reasons),
        "awaits_address": process.awaits_address,
        "replied_to": process.replied_to,
        "updated_at": iso(process.updated_at),
    }


def _process(row: Mapping[Any, Any]) -> TransferProcess:
    return TransferProcess(
        id=row["id"],
        role=Role(row["role"]),
        counterparty=row["counterparty"],
        peer_pid=row["peer_pid"],
        callback=row["callback"],
        agreement_id=row["agreement_id"],
        product=row["product"],
        format=row["format"],
        purpose=row["purpose"],
        extent=Extent(row["extent"]),
        state=State(row["state"]),
        code=row["code"],
        reasons=tuple(row["reasons"]),
        created_at=from_iso(row["created_at"]),
        updated_at=from_iso(row["updated_at"]),
        awaits_address=row["awaits_address"],
        replied_to=row["replied_to"],
    )
