"""What is kept of grants: never a token, only its digest."""

from dataclasses import replace

from sqlalchemy import Column, Connection, String, Table, select, update

from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata
from chengshu.transfer.model import Grant, GrantState

grants = Table(
    "grants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("token_digest", String(80), nullable=False),
    Column("product", String(256), nullable=False),
    Column("agreement", String(256), nullable=False),
    Column("job", String(64), nullable=False, index=True),
    Column("recipient", String(256), nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at", String(32), nullable=False),
)


def add(tx: Connection, grant: Grant, *, token_digest: str) -> None:
    """Keep a new grant."""
    tx.execute(
        grants.insert().values(
            id=grant.id,
            token_digest=token_digest,
            product=grant.product,
            agreement=grant.agreement,
            job=grant.job,
            recipient=grant.recipient,
            state=grant.state,
            expires_at=iso(grant.expires_at),
        )
    )


def find(tx: Connection, *, token_digest: str) -> Grant | None:
    """Return the grant whose token has this digest, or None."""
    row = tx.execute(select(grants).where(grants.c.token_digest == token_digest)).mappings().first()
    if row is None:
        return None
    return Grant(
        id=row["id"],
        product=row["product"],
        agreement=row["agreement"],
        job=row["job"],
        recipient=row["recipient"],
        state=GrantState(row["state"]),
        expires_at=from_iso(row["expires_at"]),
    )


def has_completed(tx: Connection, *, product: str, job: str) -> bool:
    """Say whether the whole product went out for the job before."""
    keys = (grants.c.product == product, grants.c.job == job, grants.c.state == GrantState.COMPLETED)
    return tx.execute(select(grants.c.id).where(*keys)).first() is not None


def close(tx: Connection, *, product: str, job: str) -> None:
    """Record that the unused grants of a product for a job open nothing any more."""
    keys = (grants.c.product == product, grants.c.job == job, grants.c.state == GrantState.OPEN)
    tx.execute(update(grants).where(*keys).values(state=GrantState.CLOSED))


def save_state(tx: Connection, grant: Grant, *, state: GrantState) -> Grant:
    """Record that ``grant`` is now in ``state``."""
    tx.execute(update(grants).where(grants.c.id == grant.id).values(state=state))
    return replace(grant, state=state)
