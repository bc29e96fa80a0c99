"""What is kept of grants: never a token, only its digest."""

from dataclasses import replace

from sqlalchemy import JSON, Column, Connection, String, Table, select, update

from chengshu.catalog.restriction import Restriction
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import LONG, metadata
from chengshu.transfer.model import Grant, GrantState

grants = Table(
    "grants",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("token_digest", String(80), nullable=False),
    Column("product", String(512), nullable=False),
    Column("agreement", String(512), nullable=False),
    Column("job", String(64), nullable=False, index=True),
    Column("recipient", String(512), nullable=False),
    Column("state", String(16), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("rows", LONG),
    Column("data_digest", String(80)),
    Column("columns", JSON(none_as_null=True)),
    Column("restrictions", JSON(none_as_null=True)),
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
            columns=grant.columns,
            restrictions=[one.as_document() for one in grant.only] or None,
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
        columns=None if row["columns"] is None else tuple(row["columns"]),
        only=tuple(Restriction.of(one) for one in row["restrictions"] or ()),
    )


def close(tx: Connection, *, product: str, job: str) -> None:
    """Record that the unused grants of a product for a job open nothing any more."""
    keys = (grants.c.product == product, grants.c.job == job, grants.c.state == GrantState.OPEN)
    tx.execute(update(grants).where(*keys).values(state=GrantState.CLOSED))


def save_state(tx: Connection, grant: Grant, *, state: GrantState) -> Grant:
    """Record that ``grant`` is now in ``state``."""
    tx.execute(update(grants).where(grants.c.id == grant.id).values(state=state))
    return replace(grant, state=state)


def is_begun(tx: Connection, *, job: str, product: str) -> bool:
    """Say whether there is a grant for a job over one product."""
    return tx.execute(select(grants.c.id).where(grants.c.job == job, grants.c.product == product)).first() is not None


def save_delivery(tx: Connection, grant: Grant, *, rows: int, data_digest: str) -> None:
    """Keep the size and the digest of what went out under ``grant``."""
    tx.execute(update(grants).where(grants.c.id == grant.id).values(rows=rows, data_digest=data_digest))


def find_delivery(tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
    """Return rows and digest of what went out for a job over one product: of the last whole delivery, else of the longest; or None."""
    asked = (grants.c.job == job, grants.c.product == product, grants.c.data_digest.is_not(None))
    best_first = ((grants.c.state == GrantState.COMPLETED).desc(), grants.c.rows.desc(), grants.c.expires_at.desc())
    row = tx.execute(select(grants.c.rows, grants.c.data_digest).where(*asked).order_by(*best_first).limit(1)).first()
    return None if row is None else (int(row[0]), str(row[1]))


def find_sent(tx: Connection, *, job: str, product: str) -> list[tuple[str, int, str]]:
    """Return the token's digest, the rows and the digest of each stream that went out for a job over one product."""
    sent = (grants.c.job == job, grants.c.product == product, grants.c.data_digest.is_not(None))
    return [
        (row[0], int(row[1]), row[2]) for row in tx.execute(select(grants.c.token_digest, grants.c.rows, grants.c.data_digest).where(*sent))
    ]
