"""What can be asked of transfers."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection

from chengshu.catalog.restriction import Restriction
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Denied, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.transfer import store
from chengshu.transfer.model import Grant, GrantState, Position, StopReason
from chengshu.transfer.ports import Evidence, JobLeave, Products
from chengshu.transfer.revoking import revocation
from chengshu.transfer.sealed.frames import Binding, Form, commitment
from chengshu.transfer.sealed.outgoing import SealedSending
from chengshu.transfer.sending import Delivery, Sending
from chengshu.transfer.streams.encodings import ARROW, PLAIN_ARROW

GRANT_LIFE = timedelta(minutes=5)


class Transfers:
    """Grants that open once, and the record of what went through them."""

    def __init__(
        self, database: Database, *, products: Products, leave: JobLeave, evidence: Evidence, digests: Digests, clock: Clock, new_id: NewId
    ) -> None:
        self._database = database
        self._products = products
        self._evidence = evidence
        self._digests = digests
        self._clock = clock
        self._new_id = new_id
        self._leave = leave
        self._running: dict[str, tuple[Grant, Sending]] = {}
        self._opening: set[object] = set()
        self._revoked: dict[str, Refused] = {}

    def grant(
        self,
        tx: Connection,
        *,
        product: str,
        agreement: str,
        job: str,
        recipient: str,
        columns: Sequence[str] | None,
        only: Sequence[Restriction] = (),
    ) -> str:
        """Give ``recipient`` leave to pull ``product`` once for ``job``, in the caller's transaction; return the secret token.

        Only these ``columns`` of it go out, None is all of them, and ``only`` rows of which every restriction holds.
        """
        token = secrets.token_urlsafe(32)
        named = None if columns is None else tuple(columns)
        until = self._clock() + GRANT_LIFE
        grant = Grant(self._new_id(), product, agreement, job, recipient, GrantState.OPEN, until, named, tuple(only))
        store.add(tx, grant, token_digest=self._digests.of_bytes(token.encode()))
        return token

    def close(self, tx: Connection, *, product: str, job: str) -> None:
        """Withdraw every unused grant of ``product`` for ``job``, in the caller's transaction: the job has ended."""
        store.close(tx, product=product, job=job)

    def commitments(self, tx: Connection, *, product: str, job: str) -> frozenset[str]:
        """Return the commitment to each stream of ``product`` that went out for ``job``, in the caller's transaction."""
        sent = store.find_sent(tx, job=job, product=product)
        return frozenset(commitment(self._digests, grant=grant, rows=rows, digest=digest) for grant, rows, digest in sent)

    def deliver(
        self, token: str, *, recipient: str, key: bytes, after: Position | None = None, form: Form = Form.COMPRESSED
    ) -> SealedSending:
        """Open the grant of ``token`` and return its product in this form, encrypted to ``key``, which the caller MUST close.

        What the recipient has ``after`` a sending of this product that broke off is left out. Raises as :meth:`start` and as the catalogue
        does, Invalid for a key that is none, and Conflict where the stream is another than the one that broke off, before anything is sent.
        """
        opening = object()
        self._opening.add(opening)  # before the grant is judged, so that nobody takes this node for idle in between
        try:
            return self._opened(token, recipient, key=key, after=after, form=form)
        finally:
            self._opening.discard(opening)

    def _opened(self, token: str, recipient: str, *, key: bytes, after: Position | None, form: Form) -> SealedSending:
        grant = self.start(token, recipient=recipient, key=key, after=after)
        binding = Binding(grant.job, grant.product, self._digests.of_bytes(token.encode()))
        try:
            rows = self._products.rows(grant.product, columns=grant.columns, only=grant.only)
            encoding = PLAIN_ARROW if form is Form.PLAIN else ARROW
            sending = Sending(self, grant, rows, digests=self._digests, encoding=encoding)
            if after is not None:
                sending.skip(after)
            sealed = SealedSending(sending, suite=self._digests.suite, public=key, binding=binding, form=form)
        except ChengshuError:
            self.stop(grant, delivery=Delivery(0, self._digests.of_bytes(b"")), sent_bytes=0, reason=StopReason.SENDING_FAILED)
            raise
        self._running[grant.id] = (grant, sending)
        return sealed

    def is_sending(self) -> bool:
        """Say whether a product is on its way out to a clean room, or about to be."""
        return bool(self._opening or self._running)

    def reconsider(self) -> list[Grant]:
        """Break off every product on its way to a clean room that its job may not have any more; return the grants of those.

        Whatever was not taken by then never goes out, and what had been is metered.
        """
        ended = []
        for grant, sending in list(self._running.values()):
            with self._database.read() as tx:
                refused = self._refusal(tx, grant)
            if refused is not None:
                self._revoked[grant.id] = refused
                sending.close(StopReason.REVOKED)
                ended.append(grant)
        return ended

    def start(self, token: str, *, recipient: str, key: bytes, after: Position | None = None) -> Grant:
        """Open the grant of ``token``; raise NotFound for an unknown token and Denied, naming the rule, for one that may not open."""
        with self._database.write() as tx:
            grant = store.find(tx, token_digest=self._digests.of_bytes(token.encode()))
            if grant is None:
                raise NotFound("transfer.unknown-grant", "expected the token of a grant, got an unknown one", hint=_ASK_AGAIN)
            fault = grant.fault(recipient=recipient, now=self._clock())
            refused = self._refusal(tx, grant) if fault is None else None
            if fault is None and refused is None:
                told = {"key": self._digests.of_bytes(key), **({} if after is None else {"after": after.pieces})}
                self._evidence.append(tx, "transfer.started", grant.job, {**_body(grant), **told})
                return store.save_state(tx, grant, state=GrantState.STARTED)
            self._evidence.append(
                tx, "transfer.refused", grant.job, {**_body(grant), "asked_by": recipient, "rule": refused.rule if refused else fault}
            )
        if refused is not None:
            raise Denied(f"transfer.{refused.rule}", refused.message, hint=refused.would_pass)
        raise Denied(f"transfer.{fault}", f"expected an open grant of this recipient, got: {fault}", hint=_ASK_AGAIN)

    def _refusal(self, tx: Connection, grant: Grant) -> Refused | None:
        """Why a grant opens nothing any more: the product became core, or the job's agreement does not allow it now."""
        graded = self._products.grade_of(tx, grant.product).refuses(is_open_to_all=False)
        return graded or self._leave.refusal(tx, job=grant.job, product=grant.product)

    def begin(self, tx: Connection, grant: Grant, *, transfer: str) -> Grant:
        """Open a grant that a transfer process gives and takes at once, in the caller's transaction; nobody else can come with it."""
        store.add(tx, grant, token_digest=f"transfer:{grant.id}")
        self._evidence.append(tx, "transfer.started", grant.job, {**_body(grant), "transfer": transfer})
        return grant

    def begun(self, tx: Connection, *, job: str, product: str) -> bool:
        """Say whether a product began to go out for a job before."""
        return store.is_begun(tx, job=job, product=product)

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        """Record that the whole product went out, and meter the use once, however often one job had to pull the product."""
        self._running.pop(grant.id, None)
        with self._database.write() as tx:
            self.completed(tx, grant, delivery=delivery)

    def completed(self, tx: Connection, grant: Grant, *, delivery: Delivery) -> None:
        """Record as :meth:`complete` does, in the caller's transaction."""
        body = {**_body(grant), "rows": delivery.rows, "data_digest": delivery.digest}
        self._evidence.append(tx, "transfer.completed", grant.job, body)
        self._meter(tx, store.save_state(tx, grant, state=GrantState.COMPLETED), delivery)

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        """Record that a product did not go out whole; where rows of it did, meter the use, once as :meth:`complete` does.

        A receiver that breaks off just before the end has had the data: it is not spared.
        """
        refused = self._revoked.pop(grant.id, None)
        self._running.pop(grant.id, None)
        with self._database.write() as tx:
            body = {**_body(grant), "rows": delivery.rows, "bytes": sent_bytes, "reason": reason.value}
            self._evidence.append(tx, "transfer.stopped", grant.job, body)
            if refused is not None:
                self._evidence.append(tx, "use.revoked", grant.job, {**_body(grant), **revocation(refused)})
            stopped = store.save_state(tx, grant, state=GrantState.STOPPED)
            if delivery.rows > 0:
                self._meter(tx, stopped, delivery)

    def _meter(self, tx: Connection, grant: Grant, delivery: Delivery) -> None:
        repeated = store.find_delivery(tx, job=grant.job, product=grant.product) is not None
        store.save_delivery(tx, grant, rows=delivery.rows, data_digest=delivery.digest)
        if not repeated:
            self._evidence.append(tx, "use.metered", grant.job, {**_body(grant), "uses": 1})

    def used_in_place(self, tx: Connection, *, job: str, product: str, agreement: str, recipient: str, rows: int, data_digest: str) -> None:
        """Meter a use of a product whose rows were computed with here, so that none went out, in the caller's transaction."""
        ends = self._clock()
        grant = Grant(self._new_id(), product, agreement, job, recipient, GrantState.COMPLETED, ends)
        store.add(tx, grant, token_digest=f"in-place:{grant.id}")
        self._meter(tx, grant, Delivery(rows, data_digest))

    def delivered(self, tx: Connection, *, job: str, product: str) -> tuple[int, str] | None:
        """Return rows and digest of what went out for a job over one product, in the caller's transaction; None if nothing did."""
        return store.find_delivery(tx, job=job, product=product)


_ASK_AGAIN = Text("Submit the job again to obtain a new grant.", "请重新提交作业以获得新的授权。")


def _body(grant: Grant) -> dict[str, str]:
    return {"job": grant.job, "product": grant.product, "agreement": grant.agreement, "recipient": grant.recipient}
