"""What is kept of products: every version, its contract and policy as received, and where its file lies."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Integer, String, Table, UniqueConstraint, bindparam, delete, func, select, update

from chengshu.catalog.model import Grade, Product, ProductState
from chengshu.catalog.odcs import contract_of
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import LONG, metadata

products = Table(
    "products",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(256), nullable=False, index=True),
    Column("version", String(64), nullable=False),
    Column("document", JSON, nullable=False),
    Column("contract_digest", String(80), nullable=False),
    Column("policy", JSON, nullable=False),
    Column("policy_digest", String(80), nullable=False),
    Column("path", String(4096), nullable=False),
    Column("data_digest", String(80), nullable=False),
    Column("rows", LONG, nullable=False),
    Column("quality", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("published_at", String(32), nullable=False),
    UniqueConstraint("id", "version", name="uq_products_id_version"),
)


grades = Table(
    "grades",
    metadata,
    Column("product", String(256), primary_key=True),
    Column("grade", String(16), nullable=False),
    Column("reason", String(1024), nullable=False),
    Column("set_at", String(32), nullable=False),
)

# What every negotiation asks for is put together once: to build a statement costs more than to run it.
_POLICY = select(products.c.policy).where(products.c.id == bindparam("product"), products.c.state == ProductState.PUBLISHED)
_GRADE = select(grades.c.grade).where(grades.c.product == bindparam("of"))


def add(tx: Connection, product: Product) -> None:
    """Keep a new version of a product."""
    tx.execute(
        products.insert().values(
            id=product.id,
            version=product.version,
            document=dict(product.document),
            contract_digest=product.contract_digest,
            policy=dict(product.policy),
            policy_digest=product.policy_digest,
            path="" if product.path is None else str(product.path),
            data_digest=product.data_digest,
            rows=product.rows,
            quality=dict(product.quality),
            state=product.state,
            published_at=iso(product.published_at),
        )
    )


def find(tx: Connection, product_id: str) -> Product | None:
    """Return the published version of a product, or None."""
    wanted = (products.c.id == product_id) & (products.c.state == ProductState.PUBLISHED)
    row = tx.execute(select(products).where(wanted)).mappings().first()
    return None if row is None else _product(row)


def policy_of(tx: Connection, product_id: str) -> dict[str, Any] | None:
    """Return the policy and nothing else of the published version of a product, or None."""
    policy: dict[str, Any] | None = tx.execute(_POLICY, {"product": product_id}).scalar()
    return policy


def has_version(tx: Connection, product_id: str, *, version: str) -> bool:
    """Say whether that version was ever published, whatever its state is now."""
    wanted = (products.c.id == product_id) & (products.c.version == version)
    return tx.execute(select(products.c.seq).where(wanted)).first() is not None


def find_all(tx: Connection) -> list[Product]:
    """Return every published product, in the order of publication."""
    rows = tx.execute(select(products).where(products.c.state == ProductState.PUBLISHED).order_by(products.c.seq))
    return [_product(row) for row in rows.mappings()]


def find_versions(tx: Connection, product_id: str) -> list[Product]:
    """Return every version of a product that was ever published, oldest first."""
    rows = tx.execute(select(products).where(products.c.id == product_id).order_by(products.c.seq))
    return [_product(row) for row in rows.mappings()]


def ids(tx: Connection) -> list[str]:
    """Return the id of every published product, in the order of publication."""
    rows = tx.execute(select(products.c.id).where(products.c.state == ProductState.PUBLISHED).order_by(products.c.seq))
    return [str(row.id) for row in rows]


def count(tx: Connection) -> int:
    """Return how many products are published."""
    found = tx.execute(select(func.count()).select_from(products).where(products.c.state == ProductState.PUBLISHED))
    return int(found.scalar_one())


def save_state(tx: Connection, product: Product, *, state: ProductState) -> Product:
    """Record that this version of the product is now in ``state``, and return it so."""
    wanted = (products.c.id == product.id) & (products.c.version == product.version)
    tx.execute(update(products).where(wanted).values(state=state))
    return replace(product, state=state)


def _product(row: Any) -> Product:
    return Product(
        id=row["id"],
        version=row["version"],
        contract=contract_of(row["document"], file=row["id"]),
        document=row["document"],
        contract_digest=row["contract_digest"],
        policy=row["policy"],
        policy_digest=row["policy_digest"],
        path=Path(row["path"]) if row["path"] else None,
        data_digest=row["data_digest"],
        rows=row["rows"],
        quality=row["quality"],
        state=ProductState(row["state"]),
        published_at=from_iso(row["published_at"]),
    )


def grade_of(tx: Connection, product_id: str) -> Grade:
    """Return a product's grade; general until its owner sets another, whatever its version."""
    grade = tx.execute(_GRADE, {"of": product_id}).scalar_one_or_none()
    return Grade.GENERAL if grade is None else Grade(grade)


def save_grade(tx: Connection, product_id: str, *, grade: Grade, reason: str, at: datetime) -> None:
    """Keep a product's grade in place of the one before."""
    tx.execute(delete(grades).where(grades.c.product == product_id))
    tx.execute(grades.insert().values(product=product_id, grade=grade, reason=reason, set_at=iso(at)))


def every_grade(tx: Connection) -> dict[str, Grade]:
    """Return all grades that were set, by product."""
    return {row.product: Grade(row.grade) for row in tx.execute(select(grades.c.product, grades.c.grade))}
