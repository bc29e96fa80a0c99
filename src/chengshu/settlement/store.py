"""What is kept: statements as received, and a journal in double entry that is only ever added to."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Column, Connection, Integer, String, Table, func, select

from chengshu.kernel.database import LONG, metadata
from chengshu.kernel.money import Fen

statements = Table(
    "statements",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("job", String(64), nullable=False),
    Column("digest", String(80), nullable=False),
    Column("document", JSON, nullable=False),
    Column("signer", String(256), nullable=False),
    Column("signature", String(128), nullable=False),
)

postings = Table(
    "postings",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("statement", String(64), nullable=False, index=True),
    Column("account", String(256), nullable=False, index=True),
    Column("debit_fen", LONG, nullable=False),
    Column("credit_fen", LONG, nullable=False),
    CheckConstraint(
        "debit_fen >= 0 AND credit_fen >= 0 AND (debit_fen = 0) <> (credit_fen = 0)",
        name="one_side",
    ),
)


def add(tx: Connection, *, document: Mapping[str, Any], digest: str, signer: str, signature: str) -> None:
    """Keep a statement as it was received."""
    tx.execute(
        statements.insert().values(
            id=document["statement"], job=document["job"], digest=digest, document=dict(document), signer=signer, signature=signature
        )
    )


def find(tx: Connection, statement: str) -> dict[str, Any] | None:
    """Return a statement's row, or None."""
    row = tx.execute(select(statements).where(statements.c.id == statement)).mappings().first()
    return None if row is None else dict(row)


def find_of_job(tx: Connection, job: str) -> dict[str, Any] | None:
    """Return the row of the one statement about a job, or None."""
    row = tx.execute(select(statements).where(statements.c.job == job)).mappings().first()
    return None if row is None else dict(row)


def every(tx: Connection) -> list[dict[str, Any]]:
    """Return every statement's row, in order of id."""
    return [dict(row) for row in tx.execute(select(statements).order_by(statements.c.id)).mappings()]


def post(tx: Connection, statement: str, *, payer: str, payments: Mapping[str, Fen]) -> None:
    """Write one payment as a debit of the payer and a credit of each payee; zero amounts are not written."""
    rows = [
        {"statement": statement, "account": party, "debit_fen": 0, "credit_fen": fen} for party, fen in sorted(payments.items()) if fen > 0
    ]
    total = sum(payments.values())
    if total:
        rows.insert(0, {"statement": statement, "account": payer, "debit_fen": total, "credit_fen": 0})
        tx.execute(postings.insert(), rows)


def balance(tx: Connection, account: str) -> Fen:
    """Return the credits of an account less its debits."""
    total = select(func.coalesce(func.sum(postings.c.credit_fen - postings.c.debit_fen), 0)).where(postings.c.account == account)
    return Fen(int(tx.execute(total).scalar_one()))  # a sum is a Decimal in PostgreSQL


def imbalance(tx: Connection) -> int:
    """Return the sum of all debits less all credits: zero, or the journal is wrong."""
    total = select(func.coalesce(func.sum(postings.c.debit_fen - postings.c.credit_fen), 0))
    return int(tx.execute(total).scalar_one())
