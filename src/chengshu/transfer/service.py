"""What can be asked of transfers."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa
from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests, RunningDigest
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Denied, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.text import Text
from chengshu.transfer import store
from chengshu.transfer.model import Grant, GrantState, StopReason
from chengshu.transfer.ports import Evidence, Products
from chengshu.transfer.streams.arrow import rows_within, to_stream

GRANT_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was handed over: its size and the digest of its bytes on the wire, never the rows."""

    rows: int
    digest: str


class Sending:
    """A product on its way out, piece by piece; whoever takes the pieces closes it, and how it ended is in the log then.

    A piece counts as handed over once it has been taken: what the receiver's machine made of it, nobody on this side can see.
    """

    def __init__(self, transfers: "Transfers", grant: Grant, table: pa.Table, *, digests: Digests) -> None:
        self._transfers = transfers
        self._grant = grant
        self._table = table
        self._running = RunningDigest(digests)
        self._pieces = self._running.over(to_stream(table))
        self._taken = 0
        self._bytes = 0
        self._reason = StopReason.RECEIVER_LEFT
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        self._reason = StopReason.SENDING_FAILED  # whatever ends it from here to the return is this side's doing
        piece = next(self._pieces, None)
        if piece is None:
            self._transfers.complete(self._grant, delivery=Delivery(self._table.num_rows, self._running.digest()))
            self._is_over = True
            raise StopIteration
        self._taken += 1
        self._bytes += len(piece)
        self._reason = StopReason.RECEIVER_LEFT
        return piece

    def close(self) -> None:
        """Record that the transfer was broken off, unless the whole product went out; a second call changes nothing."""
        if self._is_over:
            return
        self._is_over = True
        delivery = Delivery(rows_within(self._table, pieces=self._taken), self._running.digest())
        self._transfers.stop(self._grant, delivery=delivery, sent_bytes=self._bytes, reason=self._reason)


class Transfers:
    """Grants that open once, and the record of what went through them."""

    def __init__(
        self, database: Database, *, products: Products, evidence: Evidence, digests: Digests, clock: Clock, new_id: NewId
    ) -> None:
        self._database = database
        self._products = products
        self._evidence = evidence
        self._digests = digests
        self._clock = clock
        self._new_id = new_id

    def grant(self, tx: Connection, *, product: str, agreement: str, job: str, recipient: str) -> str:
        """Give ``recipient`` leave to pull ``product`` once for ``job``, in the caller's transaction; return the secret token."""
        token = secrets.token_urlsafe(32)
        grant = Grant(self._new_id(), product, agreement, job, recipient, GrantState.OPEN, self._clock() + GRANT_LIFE)
        store.add(tx, grant, token_digest=self._digests.of_bytes(token.encode()))
        return token

    def close(self, tx: Connection, *, product: str, job: str) -> None:
        """Withdraw every unused grant of ``product`` for ``job``, in the caller's transaction: the job has ended."""
        store.close(tx, product=product, job=job)

    def deliver(self, token: str, *, recipient: str) -> Sending:
        """Open the grant of ``token`` and return its product as an Arrow stream, which the caller MUST close.

        Raises as :meth:`start` and as the catalogue does, before anything is sent.
        """
        grant = self.start(token, recipient=recipient)
        try:
            table = self._products.open(grant.product)
        except ChengshuError:
            self.stop(grant, delivery=Delivery(0, self._digests.of_bytes(b"")), sent_bytes=0, reason=StopReason.SENDING_FAILED)
            raise
        return Sending(self, grant, table, digests=self._digests)

    def start(self, token: str, *, recipient: str) -> Grant:
        """Open the grant of ``token``; raise NotFound for an unknown token and Denied, naming the rule, for one that may not open."""
        with self._database.write() as tx:
            grant = store.find(tx, token_digest=self._digests.of_bytes(token.encode()))
            if grant is None:
                raise NotFound("transfer.unknown-grant", "expected the token of a grant, got an unknown one", hint=_ASK_AGAIN)
            fault = grant.fault(recipient=recipient, now=self._clock()) or self._graded(tx, grant.product)
            if fault is None:
                self._evidence.append(tx, "transfer.started", grant.job, _body(grant))
                return store.save_state(tx, grant, state=GrantState.STARTED)
            self._evidence.append(tx, "transfer.refused", grant.job, {**_body(grant), "asked_by": recipient, "rule": fault})
        raise Denied(f"transfer.{fault}", f"expected an open grant of this recipient, got: {fault}", hint=_ASK_AGAIN)

    def _graded(self, tx: Connection, product: str) -> str | None:
        """Name the rule against a product that became core since its grant was given."""
        refused = self._products.grade_of(tx, product).refuses(is_open_to_all=False)
        return None if refused is None else refused.rule

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        """Record that the whole product went out, and meter the use once, however often one job had to pull the product."""
        with self._database.write() as tx:
            body = {**_body(grant), "rows": delivery.rows, "data_digest": delivery.digest}
            self._evidence.append(tx, "transfer.completed", grant.job, body)
            self._meter(tx, store.save_state(tx, grant, state=GrantState.COMPLETED), delivery)

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        """Record that a product did not go out whole; where rows of it did, meter the use, once as :meth:`complete` does.

        A receiver that breaks off just before the end has had the data: it is not spared.
        """
        with self._database.write() as tx:
            body = {**_body(grant), "rows": delivery.rows, "bytes": sent_bytes, "reason": reason.value}
            self._evidence.append(tx, "transfer.stopped", grant.job, body)
            stopped = store.save_state(tx, grant, state=GrantState.STOPPED)
            if delivery.rows > 0:
                self._meter(tx, stopped, delivery)

    def _meter(self, tx: Connection, grant: Grant, delivery: Delivery) -> None:
        repeated = store.find_delivery(tx, job=grant.job, product=grant.product) is not None
        store.save_delivery(tx, grant, rows=delivery.rows, data_digest=delivery.digest)
        if not repeated:
            self._evidence.append(tx, "use.metered", grant.job, {**_body(grant), "uses": 1})

    def delivered(self, tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
        """Return rows and digest of what went out for a job over one product, in the caller's transaction; None if nothing did."""
        return store.find_delivery(tx, job=job, product=product)


_ASK_AGAIN = Text("Submit the job again to obtain a new grant.", "请重新提交作业以获得新的授权。")


def _body(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "product": grant.product, "agreement": grant.agreement, "recipient": grant.recipient}
