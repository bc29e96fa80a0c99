"""The consumer's side of use receipts: nothing is countersigned that this node's own records do not say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from chengshu.cleanroom import store
from chengshu.cleanroom.asker import OUTCOME_TASK
from chengshu.cleanroom.ports import Evidence, IsSignedBy
from chengshu.cleanroom.receipts.book import Receipts, ReceiptState, decoded, encoded, limit_of
from chengshu.cleanroom.receipts.use_receipt import (
    Asked,
    Ended,
    UseReceipt,
    countersigned_bytes,
    dispute,
    dispute_outcome,
    disputed,
    field_of,
    issued_bytes,
)
from chengshu.contract.model import Agreement, State
from chengshu.contract.service import Contracts
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Denied, Tampered, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text


@dataclass(frozen=True, slots=True)
class Countersignature:
    """The consumer's signature (base64) over the receipt with this digest."""

    receipt_digest: str
    signature: str


class Countersigner:
    """Holds providers' receipts against this node's own agreements, jobs and outcomes, and countersigns those that agree."""

    def __init__(
        self,
        database: Database,
        *,
        own_id: str,
        signer: Signer,
        book: Receipts,
        contracts: Contracts,
        tasks: Tasks,
        evidence: Evidence,
        is_signed_by: IsSignedBy,
        digests: Digests,
    ) -> None:
        self._database = database
        self._own_id = own_id
        self._signer = signer
        self._book = book
        self._contracts = contracts
        self._tasks = tasks
        self._evidence = evidence
        self._is_signed_by = is_signed_by
        self._digests = digests

    def countersign(self, document: Mapping[str, Any], *, signature: str, sender: str) -> Countersignature | Refused:
        """Hold a provider's receipt against this node's own records and countersign it; a repeat gets the same answer.

        Returns the refusal that names the first field in which it departs from them; it is kept as evidence and raised as an alert. Raises
        Denied where the sender is not its provider or this node not its consumer, Tampered for another signature than the provider's,
        Conflict where another text for the same use is countersigned, and Unavailable while this node does not know the job's end yet.
        """
        receipt = UseReceipt.parse(document)
        self._check_parties(receipt, signature=signature, sender=sender)
        with self._database.write() as tx:
            verdict = self._verdict(tx, receipt)
            match verdict:
                case Refused() | Conflict():
                    self._keep_disputed(tx, receipt, signature, verdict)
                case UseReceipt():
                    return self._countersigned(tx, receipt, signature)
                case Countersignature():
                    return verdict
        if isinstance(verdict, Unavailable | Conflict):
            raise verdict  # outside the transaction, which has to keep what it wrote
        return verdict

    def _verdict(self, tx: Connection, receipt: UseReceipt) -> Countersignature | UseReceipt | Refused | Unavailable | Conflict:
        kept = store.find_use_receipt(tx, receipt.digest(self._digests))
        if kept is not None and kept["consumer_signature"] is not None:
            return Countersignature(receipt.digest(self._digests), kept["consumer_signature"])
        if _is_second(tx, receipt):
            return _other_text()
        asked = store.find_asked(tx, receipt.job)
        if asked is None:
            return disputed("job", expected="a job that this node asked for", got="another")
        found = self._contracts.find(tx, receipt.agreement)
        if found is None:
            return disputed("agreement", expected="an agreement of this node", got="another")
        agreement, state = found
        if not state.final:
            return _wait("the contract negotiation to be concluded on this side", "本方合约协商尚未完成")
        refusal = _dispute_agreement(receipt, agreement, state) or self._dispute_job(tx, receipt, agreement, asked)
        if refusal is not None:
            return refusal
        if asked["receipt_digest"] is None:
            self._fetch_outcome(tx, receipt)
            return _wait(f"the clean room {receipt.room} to tell this node how the job ended", "等待净室告知作业结果")
        ended = Ended(asked["state"], asked["receipt_digest"])
        return dispute_outcome(receipt, ended) or receipt

    def _dispute_job(self, tx: Connection, receipt: UseReceipt, agreement: Agreement, asked: Mapping[str, Any]) -> Refused | None:
        job = asked["document"]
        named = next((one for one in job["inputs"] if (one["provider"], one["product"]) == (receipt.provider, receipt.product)), None)
        if named is None:
            return disputed("product", expected="an input that the job names", got="another product")
        own = Asked(
            job_digest=self._digests.of(job),
            agreement=named["agreement"],
            policy_digest=agreement.policy_digest(self._digests),
            room=job["room"],
            purpose=job["purpose"],
            limit=limit_of(agreement),
            jobs=store.count_asked(tx, provider=receipt.provider, agreement=receipt.agreement),
            counted=store.has_counted(tx, agreement=receipt.agreement, uses=receipt.uses),
        )
        return dispute(receipt, own)

    def _countersigned(self, tx: Connection, receipt: UseReceipt, signature: str) -> Countersignature:
        ours = encoded(self._signer.sign(countersigned_bytes(receipt)))
        if store.find_use_receipt(tx, receipt.digest(self._digests)) is None:
            self._book.keep(tx, receipt, signature, state=ReceiptState.COUNTERSIGNED)
        store.save_use_receipt(tx, receipt.digest(self._digests), state=ReceiptState.COUNTERSIGNED, consumer_signature=ours, dispute=None)
        self._evidence.append(tx, "receipt.countersigned", receipt.agreement, receipt.body(self._digests))
        return Countersignature(receipt.digest(self._digests), ours)

    def _keep_disputed(self, tx: Connection, receipt: UseReceipt, signature: str, reason: Refused | Conflict) -> None:
        if store.find_use_receipt(tx, receipt.digest(self._digests)) is not None:
            return
        self._book.keep(tx, receipt, signature, state=ReceiptState.DISPUTED)
        field = field_of(reason) if isinstance(reason, Refused) else "other"
        store.save_use_receipt(tx, receipt.digest(self._digests), dispute={"field": field, "message": reason.message})
        self._book.alert(tx, receipt, field=field)

    def _fetch_outcome(self, tx: Connection, receipt: UseReceipt) -> None:
        lane = f"outcome {receipt.job}"
        if not self._tasks.waiting(tx, lane=lane):
            self._tasks.defer(tx, OUTCOME_TASK, {"job": receipt.job}, lane=lane, waits_for=receipt.room)

    def _check_parties(self, receipt: UseReceipt, *, signature: str, sender: str) -> None:
        if sender != receipt.provider or receipt.consumer != self._own_id or sender == self._own_id:
            raise Denied(
                "receipt.parties",
                "expected a use receipt sent by its provider to its consumer, got one of or for another party",
                hint=Text(
                    "A provider sends its own receipts, each to the consumer that it names.", "提供方只能向回执所载使用方发送本方回执。"
                ),
            )
        raw = decoded(signature)
        if raw is None or not self._is_signed_by(receipt.provider, raw, issued_bytes(receipt)):
            raise Tampered(
                "receipt.signature",
                "expected the provider's signature over this receipt, got another",
                hint=Text(
                    "Nothing was countersigned. Keep the message and ask the provider.", "未会签任何内容。请保留该消息并联系提供方。"
                ),
            )


def _dispute_agreement(receipt: UseReceipt, agreement: Agreement, state: State) -> Refused | None:
    if state is not State.FINALIZED:
        return disputed("agreement", expected=f"an agreement in state {State.FINALIZED}", got=f"one in state {state}")
    for field in ("provider", "product", "consumer"):
        if getattr(receipt, field) != getattr(agreement, field):
            return disputed(field, expected=getattr(agreement, field), got=getattr(receipt, field))
    return None


def _is_second(tx: Connection, receipt: UseReceipt) -> bool:
    """Whether another text for the same use of the same provider's product is countersigned already."""
    use = (receipt.provider, receipt.product, ReceiptState.COUNTERSIGNED)
    return any((one["provider"], one["product"], one["state"]) == use for one in store.every_use_receipt(tx, job=receipt.job))


def _other_text() -> Conflict:
    return Conflict(
        "receipt.other-text",
        "expected the receipt that was countersigned for this use, got another text for the same job and product",
        hint=Text("Keep both texts; both logs name the first by its digest.", "请保留两份文本；双方日志均以摘要记录了第一份。"),
    )


def _wait(en: str, zh: str) -> Unavailable:
    return Unavailable(
        "receipt.not-yet", f"expected to countersign, waiting for {en}", hint=Text(f"Try again later: {en}.", f"请稍后重试：{zh}。")
    )
