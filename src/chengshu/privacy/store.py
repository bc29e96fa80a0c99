"""What is kept of privacy losses: one charge for each job and product, for ever."""

from typing import Any

from sqlalchemy import Column, Connection, Index, String, Table, select, update

from chengshu.kernel.clock import from_iso
from chengshu.kernel.database import LONG, add_if_absent, metadata
from chengshu.privacy.model import Account, Charge, Loss, Spent, State

charges = Table(
    "privacy_charges",
    metadata,
    Column("job", String(64), primary_key=True),
    Column("product", String(256), primary_key=True),
    Column("consumer", String(512), nullable=False),
    Column("agreement", String(512), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("rho", LONG, nullable=False),
    Column("delta", LONG, nullable=False),
    Column("question", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("at", String(32), nullable=False),
    Index("ix_privacy_charges_consumer_product", "consumer", "product"),
)


def add(tx: Connection, charge: Charge, *, at: str) -> bool:
    """Keep a charge as reserved; return False, and nothing done, where the job was charged for the product already."""
    values = {
        "job": charge.job,
        "product": charge.account.product,
        "consumer": charge.account.consumer,
        "agreement": charge.agreement,
        "kind": charge.kind.value,
        "rho": charge.loss.rho,
        "delta": charge.loss.delta,
        "question": charge.question,
        "state": State.RESERVED.value,
        "at": at,
    }
    return add_if_absent(tx, charges, values)


def find(tx: Connection, job: str, *, product: str) -> dict[str, Any] | None:
    """Return what a job was charged for a product, or None."""
    row = tx.execute(select(charges).where(charges.c.job == job, charges.c.product == product)).mappings().first()
    return None if row is None else dict(row)


def save(tx: Connection, job: str, *, product: str, outcome: str) -> None:
    """Keep that a charge is final, and how its job ended."""
    keys = (charges.c.job == job, charges.c.product == product)
    tx.execute(update(charges).where(*keys).values(state=State.COMMITTED.value, outcome=outcome))


def spent(tx: Connection, account: Account) -> list[Spent]:
    """Return everything that was ever charged to an account, whether reserved or committed, oldest first."""
    return [Spent(Loss(row["rho"], row["delta"]), from_iso(row["at"])) for row in of(tx, account)]


def of(tx: Connection, account: Account) -> list[dict[str, Any]]:
    """Return the charges of an account, oldest first."""
    mine = (charges.c.consumer == account.consumer, charges.c.product == account.product)
    return [dict(row) for row in tx.execute(select(charges).where(*mine).order_by(charges.c.at, charges.c.job)).mappings()]
