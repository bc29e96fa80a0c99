"""The provider's side of use receipts: one is issued for each use of a product of this node, sent, and concluded or disputed."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.outcome import parse_refusal
from chengshu.cleanroom.ports import Deliveries, Evidence, IsSignedBy, Nodes
from chengshu.cleanroom.receipts.book import USE_RECEIPT_TASK, Receipts, ReceiptState, decoded, encoded, limit_of
from chengshu.cleanroom.receipts.use_receipt import UseReceipt, countersigned_bytes, field_of, issued_bytes
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock, iso
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Tampered, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text


class Issuer:
    """Issues use receipts and collects the consumers' countersignatures; takes no answer for a signature that is not one."""

    def __init__(
        self,
        database: Database,
        *,
        own_id: str,
        signer: Signer,
        book: Receipts,
        contracts: Contracts,
        deliveries: Deliveries,
        nodes: Nodes,
        tasks: Tasks,
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._signer = signer
        self._book = book
        self._contracts = contracts
        self._deliveries = deliveries
        self._nodes = nodes
        self._tasks = tasks
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock

    def issue(self, tx: Connection, approval: Mapping[str, Any], *, outcome: str, room_receipt_digest: str) -> None:
        """Issue the receipt for an approved use that has ended, in the caller's transaction, and defer sending it.

        None is issued where nothing was handed over, and none for a use of one's own product.
        """
        delivery = self._deliveries.delivered(tx, job=approval["job"], product=approval["product"])
        found = self._contracts.find(tx, approval["agreement"])
        if delivery is None or found is None or approval["uses"] is None or approval["consumer"] == self._own_id:
            return
        agreement, (rows, data_digest) = found[0], delivery
        limit = limit_of(agreement)
        receipt = UseReceipt(
            job=approval["job"],
            job_digest=approval["job_digest"],
            product=approval["product"],
            agreement=agreement.id,
            policy_digest=agreement.policy_digest(self._digests),
            provider=self._own_id,
            consumer=agreement.consumer,
            room=approval["room"],
            purpose=approval["purpose"],
            uses=approval["uses"],
            remaining=None if limit is None else limit - approval["uses"],
            data_digest=data_digest,
            rows=rows,
            outcome=outcome,
            room_receipt_digest=room_receipt_digest,
            at=iso(self._clock()),
        )
        signature = encoded(self._signer.sign(issued_bytes(receipt)))
        self._book.keep(tx, receipt, signature, state=ReceiptState.ISSUED)
        self._evidence.append(tx, "receipt.issued", agreement.id, receipt.body(self._digests))
        self._defer(tx, receipt.digest(self._digests), consumer=agreement.consumer)

    def send(self, payload: Mapping[str, Any]) -> None:
        """Send one receipt to its consumer and take its answer (the handler of ``use-receipt.send``); a repeat changes nothing.

        Raises Unavailable, with the consumer's reason, while it cannot answer. Any other answer than its signature is a dispute: it is
        kept, and raised as an alert in the log.
        """
        kept = self._book.find(payload["receipt_digest"])
        if kept["state"] == ReceiptState.COUNTERSIGNED:
            return
        receipt = UseReceipt.parse(kept["document"])
        try:
            message = {"receipt": kept["document"], "signature": kept["provider_signature"]}
            answer = self._nodes.post(receipt.consumer, "/room/uses", message)
            if "refused" in answer:
                refusal = _refusal(answer["refused"])
                self._dispute(receipt, field=field_of(refusal), message=refusal.message)
                return
            signature = self._checked(receipt, answer)
        except Unavailable:
            raise
        except ChengshuError as error:
            self._dispute(receipt, field=_FIELD_OF_CODE.get(error.code, "other"), message=f"{error.code}: {error.message}")
            return
        self._conclude(receipt, signature)

    def send_again(self, job: str, *, product: str) -> str:
        """Defer sending a receipt that was disputed, or whose sending was given up, once more; return its digest.

        Raises Conflict where there is nothing to send again.
        """
        with self._database.write() as tx:
            under_way = {task.payload["receipt_digest"] for task in self._tasks.waiting(tx) if task.kind == USE_RECEIPT_TASK}
            mine = [one for one in store.every_use_receipt(tx, job=job) if (one["provider"], one["product"]) == (self._own_id, product)]
            open_ones = [one for one in mine if one["state"] != ReceiptState.COUNTERSIGNED and one["digest"] not in under_way]
            if not open_ones:
                raise Conflict(
                    "receipt.nothing-to-send",
                    "expected a receipt of this node's own that was disputed or given up, got none for this job and product",
                    hint=Text(
                        "See 'chengshu receipt list'; what is under way is sent by itself.",
                        "请用 chengshu receipt list 查看；在途回执会自动发送。",
                    ),
                )
            (receipt, *_) = open_ones
            store.save_use_receipt(tx, receipt["digest"], state=ReceiptState.ISSUED, dispute=None)
            self._defer(tx, receipt["digest"], consumer=receipt["consumer"])
        return str(receipt["digest"])

    def _checked(self, receipt: UseReceipt, answer: Mapping[str, Any]) -> str:
        signature = answer.get("signature")
        raw = decoded(signature)
        if raw is None or not self._is_signed_by(receipt.consumer, raw, countersigned_bytes(receipt)):
            raise Tampered(
                "receipt.countersignature",
                "expected the consumer's signature over the receipt that was sent, got another answer",
                hint=Text("Keep the receipt and the log, and ask the consumer's operator.", "请保留回执与日志，并联系使用方运营人员。"),
            )
        return str(signature)

    def _conclude(self, receipt: UseReceipt, signature: str) -> None:
        with self._database.write() as tx:
            kept = store.find_use_receipt(tx, receipt.digest(self._digests))
            if kept is None or kept["state"] == ReceiptState.COUNTERSIGNED:
                return
            store.save_use_receipt(
                tx, receipt.digest(self._digests), state=ReceiptState.COUNTERSIGNED, consumer_signature=signature, dispute=None
            )
            self._evidence.append(tx, "receipt.countersigned", receipt.agreement, receipt.body(self._digests))

    def _dispute(self, receipt: UseReceipt, *, field: str, message: str) -> None:
        with self._database.write() as tx:
            kept = store.find_use_receipt(tx, receipt.digest(self._digests))
            if kept is None or kept["state"] != ReceiptState.ISSUED:
                return
            store.save_use_receipt(
                tx, receipt.digest(self._digests), state=ReceiptState.DISPUTED, dispute={"field": field, "message": message}
            )
            self._book.alert(tx, receipt, field=field)

    def _defer(self, tx: Connection, receipt_digest: str, *, consumer: str) -> None:
        lane = f"use-receipt {receipt_digest}"  # a lane of its own: one that waits holds back no other
        self._tasks.defer(tx, USE_RECEIPT_TASK, {"receipt_digest": receipt_digest}, lane=lane, waits_for=consumer)


_FIELD_OF_CODE = {"receipt.countersignature": "countersignature"}


def _refusal(document: object) -> Refused:
    """The consumer's refusal; Tampered for what is none."""
    try:
        return parse_refusal(document)  # type: ignore[arg-type]  # whatever came is tried, and what does not fit is told
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Tampered(
            "receipt.answer",
            "expected a countersignature or a refusal with its rule, got something else",
            hint=Text("Ask the consumer's operator which version its node runs.", "请向使用方运营人员核实其节点版本。"),
        ) from error
