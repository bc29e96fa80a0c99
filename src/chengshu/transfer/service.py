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
from chengshu.kernel.errors import Denied, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.text import Text
from chengshu.transfer import store
from chengshu.transfer.model import Grant, GrantState
from chengshu.transfer.ports import Evidence, Products
from chengshu.transfer.streams.arrow import to_stream

GRANT_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was handed over: its size and the digest of its rows, never the rows."""

    rows: int
    digest: str


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

    def deliver(self, token: str, *, recipient: str) -> Iterator[bytes]:
        """Open the grant of ``token`` and return its product as an Arrow stream; it is metered only once the last piece has been taken.

        Raises as :meth:`start` and as the catalogue does, before anything is sent.
        """
        grant = self.start(token, recipient=recipient)
        return self._sent(grant, self._products.open(grant.product))

    def _sent(self, grant: Grant, table: pa.Table) -> Iterator[bytes]:
        running = RunningDigest(self._digests)
        yield from running.over(to_stream(table))
        self.complete(grant, delivery=Delivery(table.num_rows, running.digest()))

    def start(self, token: str, *, recipient: str) -> Grant:
        """Open the grant of ``token``; raise NotFound for an unknown token and Denied, naming the rule, for one that may not open."""
        with self._database.write() as tx:
            grant = store.find(tx, token_digest=self._digests.of_bytes(token.encode()))
            if grant is None:
                raise NotFound("transfer.unknown-grant", "expected the token of a grant, got an unknown one", hint=_ASK_AGAIN)
            fault = grant.fault(recipient=recipient, now=self._clock())
            if fault is None:
                self._evidence.append(tx, "transfer.started", grant.job, _body(grant))
                return store.save_state(tx, grant, state=GrantState.STARTED)
            self._evidence.append(tx, "transfer.refused", grant.job, {**_body(grant), "asked_by": recipient, "rule": fault})
        raise Denied(f"transfer.{fault}", f"expected an open grant of this recipient, got: {fault}", hint=_ASK_AGAIN)

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        """Record that the whole product went out, and meter the use once, however often one job had to pull the product."""
        with self._database.write() as tx:
            repeated = store.find_delivery(tx, job=grant.job, product=grant.product) is not None
            store.save_state(tx, grant, state=GrantState.COMPLETED)
            store.save_delivery(tx, grant, rows=delivery.rows, data_digest=delivery.digest)
            body = {**_body(grant), "rows": delivery.rows, "data_digest": delivery.digest}
            self._evidence.append(tx, "transfer.completed", grant.job, body)
            if not repeated:
                self._evidence.append(tx, "use.metered", grant.job, {**_body(grant), "uses": 1})

    def delivered(self, tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
        """Return rows and digest of what went out last for a job over one product, in the caller's transaction; None if nothing did."""
        return store.find_delivery(tx, job=job, product=product)


_ASK_AGAIN = Text("Submit the job again to obtain a new grant.", "请重新提交作业以获得新的授权。")


def _body(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "product": grant.product, "agreement": grant.agreement, "recipient": grant.recipient}
