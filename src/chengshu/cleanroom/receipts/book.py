"""The node's book of use receipts, on either side: both sides keep the same document, both logs name it by the same digest."""

import base64
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.ports import Evidence, IsSignedBy
from chengshu.cleanroom.receipts.use_receipt import UseReceipt, countersigned_bytes, issued_bytes, signed_document
from chengshu.contract.model import Agreement
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import NotFound
from chengshu.kernel.tasks import Task, Tasks
from chengshu.kernel.text import Text

USE_RECEIPT_TASK = "use-receipt.send"
"""The kind of task that sends one use receipt to its consumer until it is countersigned or disputed."""

Document = dict[str, Any]


class ReceiptState(StrEnum):
    """Where a use receipt stands."""

    ISSUED = "ISSUED"
    COUNTERSIGNED = "COUNTERSIGNED"
    DISPUTED = "DISPUTED"


class Receipts:
    """Keeps use receipts with their signatures, and says of each where it stands, for whom it waits and why."""

    def __init__(
        self, database: Database, *, tasks: Tasks, evidence: Evidence, is_signed_by: IsSignedBy, digests: Digests, clock: Clock
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock

    def every(self) -> list[Document]:
        """Return every receipt of this node: which use, between whom, its state, and for whom it waits and why (None: for nobody)."""
        with self._database.read() as tx:
            rows = store.every_use_receipt(tx)
            sending = {task.payload["receipt_digest"]: task for task in self._tasks.waiting(tx) if task.kind == USE_RECEIPT_TASK}
        return [
            {
                "job": row["job"],
                "product": row["product"],
                "provider": row["provider"],
                "consumer": row["consumer"],
                "uses": row["uses"],
                "state": row["state"],
                "receipt_digest": row["digest"],
                "waits_for": row["consumer"] if row["state"] == ReceiptState.ISSUED else None,
                "why": _why(row, sending.get(row["digest"])),
            }
            for row in rows
        ]

    def show(self, job: str, *, product: str) -> list[Document]:
        """Return every receipt for the use of a product by a job, each with its signatures; raise NotFound when there is none.

        ``leakage`` is the digest of the leakage statement that the job was signed with, which the receipt's ``job_digest`` covers.

        Products of two providers may bear one name, and a disputed text is kept beside the one that was countersigned.
        """
        with self._database.read() as tx:
            rows = [row for row in store.every_use_receipt(tx, job=job) if row["product"] == product]
            leakage = store.leakage_of(tx, job)
        if not rows:
            raise unknown_receipt()
        return [
            {
                **signed_document(row["document"], provider=row["provider_signature"], consumer=row["consumer_signature"]),
                "receipt_digest": row["digest"],
                "leakage": leakage,
                "state": row["state"],
                "dispute": row["dispute"],
                "signatures_verify": self._verify(row),
            }
            for row in rows
        ]

    def find(self, receipt_digest: str) -> Document:
        """Return what is kept of the receipt with this digest; raise NotFound where there is none."""
        with self._database.read() as tx:
            row = store.find_use_receipt(tx, receipt_digest)
        if row is None:
            raise unknown_receipt()
        return row

    def keep(self, tx: Connection, receipt: UseReceipt, signature: str, *, state: ReceiptState) -> None:
        """Keep a receipt with its provider's signature (base64), in the caller's transaction."""
        store.add_use_receipt(
            tx,
            digest=receipt.digest(self._digests),
            job=receipt.job,
            provider=receipt.provider,
            product=receipt.product,
            agreement=receipt.agreement,
            consumer=receipt.consumer,
            uses=receipt.uses,
            document=receipt.as_document(),
            provider_signature=signature,
            state=state,
            kept_at=iso(self._clock()),
        )

    def alert(self, tx: Connection, receipt: UseReceipt, *, field: str) -> None:
        """Raise the alert that a receipt is disputed for one of its fields, in the caller's transaction."""
        self._evidence.append(
            tx, "alert.raised", receipt.agreement, {"code": "receipt.disputed", "field": field, **receipt.body(self._digests)}
        )

    def _verify(self, row: Mapping[str, Any]) -> bool:
        receipt = UseReceipt.parse(row["document"])
        good = self._is_signed_by(receipt.provider, base64.b64decode(row["provider_signature"]), issued_bytes(receipt))
        if row["consumer_signature"] is None:
            return good
        return good and self._is_signed_by(receipt.consumer, base64.b64decode(row["consumer_signature"]), countersigned_bytes(receipt))


def limit_of(agreement: Agreement) -> int | None:
    """Return how many uses an agreement allows, or None where it sets no limit."""
    return agreement.policy.most_uses


def encoded(signature: bytes) -> str:
    """Return a signature as messages carry it."""
    return base64.b64encode(signature).decode()


def decoded(signature: object) -> bytes | None:
    """Return the signature that a message carries, or None where it carries none."""
    try:
        return base64.b64decode(signature, validate=True) if isinstance(signature, str) else None
    except ValueError:
        return None


def _why(row: Mapping[str, Any], task: Task | None) -> str | None:
    if row["state"] == ReceiptState.DISPUTED:
        return str((row["dispute"] or {}).get("message", "-"))
    if row["state"] == ReceiptState.COUNTERSIGNED:
        return None
    return "not sent: sending was given up" if task is None else (task.last_error or "not sent yet")


def unknown_receipt() -> NotFound:
    """Return the error for a use that no receipt of this node is about."""
    return NotFound(
        "receipt.unknown",
        "expected a use receipt of this node, got none for this job and product",
        hint=Text("List them with 'chengshu receipt list'.", "用 chengshu receipt list 查看全部使用回执。"),
    )
