"""What can be asked of settlements."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.known import KnownJob
from chengshu.cleanroom.model import Job
from chengshu.cleanroom.ports import IsSignedBy, Nodes
from chengshu.cleanroom.provenance import NO_SOURCES, SOURCES
from chengshu.cleanroom.service import Cleanroom
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import Signer
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Tampered, Unavailable
from chengshu.kernel.ids import NewId
from chengshu.kernel.money import Fen
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.settlement import store
from chengshu.settlement.model import Agreed, CoalitionCount, Order, Statement, differences, objections, parse, settle
from chengshu.settlement.ports import Evidence

SEND_TASK = "statement.send"
COALITIONS = "coalitions"
NO_COUNTS = pa.table({"coalition": pa.array([], pa.string()), "seen": pa.array([], pa.int64()), "n": pa.array([], pa.int64())})
"""The table of a job that released no counts: nothing can be settled that equals it."""


class Settlements:
    """Computes statements, takes in those of others after recomputing them, and keeps the journal."""

    def __init__(
        self,
        database: Database,
        *,
        room: Cleanroom,
        known: Callable[[str], KnownJob | None],
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
        self._known = known
        self._nodes = nodes
        self._tasks = tasks
        self._evidence = evidence
        self._signer = signer
        self._own_id = own_id
        self._is_signed_by = is_signed_by
        self._digests = digests
        self._clock = clock
        self._new_id = new_id

    def settle(self, job: str) -> dict[str, Any]:
        """Compute, sign and book the statement for a released job of this node's clean room, and send it to the asker and those it names.

        Payer and price are the signed job's; the counts are the room's own released table ``coalitions`` (columns coalition, seen, n).
        A job is settled once: asked again, this returns the first statement. Returns ``{"document", "signer", "signature"}``. Raises
        NotFound when the job released no such table, Invalid when its asker named no price or a stranger would be paid.
        """
        asked = self._room.job(job)
        table = self._room.released_table(job, table=COALITIONS)
        told = self._room.released_table(job, table=SOURCES)
        with self._database.read() as tx:
            first = store.find_of_job(tx, job)
        if first is not None:
            return _signed(first)
        if asked.price_fen is None:
            raise Invalid(
                "settlement.no-price",
                "expected a job whose asker named a price, got one without",
                hint=Text("The asker names it with 'chengshu job run --price-fen'.", "由使用方以 chengshu job run --price-fen 指定价格。"),
            )
        order = Order(self._new_id(), job, asked.consumer, asked.price_fen, _counts(table), _sharing(table, told))
        statement = settle(order, at=self._clock())
        against = objections(statement, _agreed(asked, {COALITIONS: table, SOURCES: told}))
        if against:
            raise Invalid(
                "settlement.stranger", against[0], hint=Text("The method must name the job's parties.", "方法只能列出作业的各方。")
            )
        document = statement.as_document()
        signature = base64.b64encode(self._signer.sign(canonical(document))).decode()
        signed = {"document": document, "signer": self._own_id, "signature": signature}
        return self._book(signed, kind="settlement.computed", send_to=_concerned(asked, statement) - {self._own_id})

    def send(self, payload: Mapping[str, Any]) -> None:
        """Send a statement to one party (the handler of ``statement.send``)."""
        self._nodes.post(payload["party"], "/room/statements", payload["signed"])

    def receive(self, signed: Mapping[str, Any], *, expected_signer: str) -> list[str]:
        """Take in a statement: hold it against the job that this node asked for or approved, recompute it, book it.

        Returns the differences found, which is an empty list when it was booked; a repeat changes nothing. The asker holds payer, price
        and counts against its own job and the table it was given; a holder, which is not shown the table, holds payer and price against
        the signed job, and the end of the job against the receipt. Raises Tampered when it is not by the room that this node let run
        the job, or the signature is wrong, Conflict for a second statement about a job, Unavailable before this node has the receipt.
        """
        document = signed["document"]
        signature = base64.b64decode(signed["signature"])
        statement = parse(document)
        known = self._known(statement.order.job)
        rightful = known is not None and expected_signer == known.job.room == signed["signer"]
        if known is None or not rightful or not self._is_signed_by(expected_signer, signature, canonical(document)):
            raise Tampered(
                "settlement.bad-signature",
                "expected a statement signed by the clean room that ran the job, got another signature",
                hint=Text("Keep the document and ask the clean room which key it signs with.", "请保留该文件并向净室核实其签名密钥。"),
            )
        found = [*_against(statement, known), *differences(document)]
        if not found:
            self._book(signed, kind="payment.recorded", send_to=frozenset())
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
        return _signed(row)

    def every(self) -> list[dict[str, Any]]:
        """Return every signed statement of this node."""
        with self._database.read() as tx:
            rows = store.every(tx)
        return [_signed(row) for row in rows]

    def balance(self, party: str) -> Fen:
        """Return what the journal credits a party less what it debits, in fen."""
        with self._database.read() as tx:
            return store.balance(tx, party)

    def imbalance(self) -> int:
        """Return the journal's debits less its credits: zero, or something is wrong."""
        with self._database.read() as tx:
            return store.imbalance(tx)

    def _book(self, signed: dict[str, Any] | Mapping[str, Any], *, kind: str, send_to: frozenset[str]) -> dict[str, Any]:
        """Keep a statement with its postings, and return it, or the one that was booked for this job before."""
        document = signed["document"]
        fingerprint = self._digests.of(document)
        with self._database.write() as tx:
            first = store.find(tx, document["statement"]) or store.find_of_job(tx, document["job"])
            if first is not None:
                if not self._digests.agree(first["digest"], fingerprint):
                    raise _second(first, document)
                return _signed(first)
            store.add(tx, document=document, digest=fingerprint, signer=signed["signer"], signature=signed["signature"])
            payments = {party: Fen(fen) for party, fen in document["payments_fen"].items()}
            store.post(tx, document["statement"], payer=document["payer"], payments=payments)
            body = {"job": document["job"], "statement": document["statement"], "statement_digest": fingerprint}
            self._evidence.append(tx, kind, document["job"], body)
            for party in sorted(send_to):
                payload = {"party": party, "signed": dict(signed)}
                self._tasks.defer(tx, SEND_TASK, payload, lane=f"statement {party}", waits_for=party)
        return dict(signed)


def _against(statement: Statement, known: KnownJob) -> list[str]:
    """Hold a statement against what this node knows of the job by itself."""
    match known.state:
        case None:
            raise Unavailable(
                "settlement.not-ended",
                "expected a statement about a job whose receipt this node has, got one that comes before it",
                hint=Text("It is sent again; the receipt is on its way.", "系统会重新发送；回执正在途中。"),
            )
        case "RELEASED":
            return objections(statement, _agreed(known.job, known.tables))
        case state:
            return [f"job: expected one whose result was released, got one that ended as {state}"]


def _agreed(job: Job, tables: Mapping[str, pa.Table] | None) -> Agreed:
    members = frozenset({one.provider for one in job.inputs} | {one.party for one in job.inputs})
    if tables is None:
        return Agreed(job.consumer, job.price_fen, members, None, None)
    table = tables.get(COALITIONS, NO_COUNTS)
    return Agreed(job.consumer, job.price_fen, members, frozenset(_counts(table)), _sharing(table, tables.get(SOURCES, NO_SOURCES)))


def _concerned(job: Job, statement: Statement) -> frozenset[str]:
    """Whom a statement is sent to: who pays, and the holders that it names, by id or by handle."""
    holders = {one.provider for one in job.inputs if {one.provider, one.party} & statement.shares.keys()}
    return frozenset({job.consumer, *holders})


def _counts(table: pa.Table) -> tuple[CoalitionCount, ...]:
    return tuple(
        CoalitionCount(frozenset(row["coalition"].split("+")) if row["coalition"] else frozenset(), row["seen"], row["n"])
        for row in table.to_pylist()
    )


def _sharing(counts: pa.Table, told: pa.Table) -> frozenset[frozenset[str]]:
    """Who holds the same data, in the names that the counts use: ids or handles."""
    players = {name for coalition in counts["coalition"].to_pylist() for name in coalition.split("+") if name}
    holders: dict[int, set[str]] = {}
    for row in told.to_pylist():
        holders.setdefault(row["content"], set()).update({row["party"], row["provider"]} & players)
    return frozenset(frozenset(names) for names in holders.values() if len(names) > 1)


def _signed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"document": row["document"], "signer": row["signer"], "signature": row["signature"]}


def _second(first: Mapping[str, Any], document: Mapping[str, Any]) -> Conflict:
    hint = Text("Keep both; the log holds the digest of the first.", "请保留两份；日志中有第一份的摘要。")
    if first["id"] == document["statement"]:
        return Conflict("settlement.other-text", "expected the statement as first received, got another text under the same id", hint=hint)
    return Conflict("settlement.second-statement", "expected one statement about a job, got a second one", hint=hint)
