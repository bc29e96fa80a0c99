"""What can be asked of settlements."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chengshu.cleanroom.ports import IsSignedBy, Nodes
from chengshu.cleanroom.service import Cleanroom
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, NotFound, Tampered
from chengshu.kernel.ids import NewId
from chengshu.kernel.money import Fen
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.settlement import store
from chengshu.settlement.model import CoalitionCount, Order, differences, parse, settle
from chengshu.settlement.ports import Evidence

SEND_TASK = "statement.send"


class Settlements:
    """Computes statements, takes in those of others after recomputing them, and keeps the journal."""

    def __init__(
        self,
        database: Database,
        *,
        room: Cleanroom,
        room_of: Callable[[str], str | None],
        nodes: Nodes,
        tasks: Tasks,
        evidence: Evidence,
        signer: Signer,
        own_id: str,
        is_signed_by: IsSignedBy,
        digests: Digests,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._database = database
        self._room = room
        self._room_of = room_of
        self._nodes = nodes
        self._tasks = tasks
        self._evidence = evidence
        self._signer = signer
        self._own_id = own_id
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock
        self._new_id = new_id

    def settle(self, *, job: str, payer: str, price: Fen) -> dict[str, Any]:
        """Compute, sign and book the statement for a released job of this node's clean room, and send it to the job's parties.

        The counts are the room's own released table ``coalitions`` (columns coalition, seen, n), never what somebody says they were.
        Returns ``{"document", "signer", "signature"}``. Raises NotFound when the job released no such table.
        """
        asker, holders = self._room.parties(job)
        order = Order(statement=self._new_id(), job=job, payer=payer, price=price, coalitions=self._counts(job))
        document = settle(order, at=self._clock()).as_document()
        signature = base64.b64encode(self._signer.sign(canonical(document))).decode()
        signed = {"document": document, "signer": self._own_id, "signature": signature}
        others = sorted({asker, payer, *holders} - {self._own_id})
        self._book(signed, kind="settlement.computed", send_to=others)
        return signed

    def send(self, payload: Mapping[str, Any]) -> None:
        """Send a statement to one party (the handler of ``statement.send``)."""
        self._nodes.post(payload["party"], "/room/statements", payload["signed"])

    def receive(self, signed: Mapping[str, Any], *, expected_signer: str) -> list[str]:
        """Take in a statement: check whose it is and its signature, recompute it, book it; a repeat changes nothing.

        Returns the differences found, which is an empty list when it was booked. Raises Tampered when it is not by the room that this
        node let run the job, or the signature is wrong.
        """
        document = signed["document"]
        signature = base64.b64decode(signed["signature"])
        rightful = expected_signer == self._room_of(parse(document).order.job) == signed["signer"]
        if not rightful or not self._is_signed_by(expected_signer, signature, canonical(document)):
            raise Tampered(
                "settlement.bad-signature",
                "expected a statement signed by the clean room that ran the job, got another signature",
                hint=Text("Keep the document and ask the clean room which key it signs with.", "请保留该文件并向净室核实其签名密钥。"),
            )
        found = differences(document)
        if not found:
            self._book(signed, kind="payment.recorded", send_to=())
        return found

    def get(self, statement: str) -> dict[str, Any]:
        """Return a signed statement; raise NotFound for one that is not here."""
        with self._database.read() as tx:
            row = store.find(tx, statement)
        if row is None:
            raise NotFound(
                "settlement.unknown",
                "expected the id of a statement of this node, got an unknown one",
                hint=Text("List them with 'chengshu statement list'.", "用 chengshu statement list 查看全部结算单。"),
            )
        return {"document": row["document"], "signer": row["signer"], "signature": row["signature"]}

    def every(self) -> list[dict[str, Any]]:
        """Return every signed statement of this node."""
        with self._database.read() as tx:
            rows = store.every(tx)
        return [{"document": row["document"], "signer": row["signer"], "signature": row["signature"]} for row in rows]

    def balance(self, party: str) -> Fen:
        """Return what the journal credits a party less what it debits, in fen."""
        with self._database.read() as tx:
            return store.balance(tx, party)

    def imbalance(self) -> int:
        """Return the journal's debits less its credits: zero, or something is wrong."""
        with self._database.read() as tx:
            return store.imbalance(tx)

    def _book(self, signed: Mapping[str, Any], *, kind: str, send_to: Sequence[str]) -> None:
        document = signed["document"]
        fingerprint = self._digests.of(document)
        with self._database.write() as tx:
            known = store.find(tx, document["statement"])
            if known is not None:
                if not self._digests.agree(known["digest"], fingerprint):
                    raise Conflict(
                        "settlement.other-text",
                        "expected the statement as it was first received, got another text under the same id",
                        hint=Text("Keep both; the log holds the digest of the first.", "请保留两份；日志中有第一份的摘要。"),
                    )
                return
            store.add(tx, document=document, digest=fingerprint, signer=signed["signer"], signature=signed["signature"])
            payments = {party: Fen(fen) for party, fen in document["payments_fen"].items()}
            store.post(tx, document["statement"], payer=document["payer"], payments=payments)
            body = {"job": document["job"], "statement": document["statement"], "statement_digest": fingerprint}
            self._evidence.append(tx, kind, document["job"], body)
            for party in send_to:
                payload = {"party": party, "signed": dict(signed)}
                self._tasks.defer(tx, SEND_TASK, payload, lane=f"statement {party}", waits_for=party)

    def _counts(self, job: str) -> tuple[CoalitionCount, ...]:
        table = self._room.released_table(job, table="coalitions")
        return tuple(
            CoalitionCount(frozenset(row["coalition"].split("+")) if row["coalition"] else frozenset(), row["seen"], row["n"])
            for row in table.to_pylist()
        )
