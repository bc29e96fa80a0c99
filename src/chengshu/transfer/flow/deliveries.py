"""The bytes that leave through data flows: asked for before each, counted, metered, and broken off when a flow is not started any more."""

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Denied, Unavailable
from chengshu.kernel.ids import NewId
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.transfer.flow import store
from chengshu.transfer.flow.leave import Leave
from chengshu.transfer.flow.model import DataFlow, FlowState, endpoint_of
from chengshu.transfer.flow.ports import Carrier, Control
from chengshu.transfer.flow.service import DataFlows, is_lasting, unknown_flow
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.model import Grant, GrantState, StopReason
from chengshu.transfer.ports import Evidence, Products
from chengshu.transfer.sending import Delivery, Sending
from chengshu.transfer.service import GRANT_LIFE, Transfers
from chengshu.transfer.streams.encodings import ARROW, Encoding

AT_ONCE = 8
"""So many products may be on their way out at a time."""

LOOK_S = 0.25
"""So often a running delivery looks whether its flow is still started."""

CHUNK = 1 << 16


class Deliveries:
    """Sends products through data flows and tells their control planes how it went."""

    def __init__(
        self,
        database: Database,
        *,
        flows: DataFlows,
        transfers: Transfers,
        products: Products,
        leave: Leave,
        controls: Mapping[str, Control],
        carrier: Carrier,
        vault: Vault,
        evidence: Evidence,
        digests: Digests,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._database = database
        self._flows = flows
        self._transfers = transfers
        self._products = products
        self._leave = leave
        self._controls = controls
        self._carrier = carrier
        self._vault = vault
        self._evidence = evidence
        self._digests = digests
        self._clock = clock
        self._new_id = new_id
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def is_running(self, flow_id: str) -> bool:
        """Say whether a flow is started, as whatever process of this node ended it has left it."""
        with self._database.read() as tx:
            flow = store.get(tx, flow_id)
        return flow is not None and flow.state is FlowState.STARTED

    def open(self, flow_id: str, token: str, *, encoding: Encoding) -> Sending:
        """Begin a pull and return its product, which the caller MUST close; a use is counted.

        Raises NotFound for a token that is not the flow's present one, Unidentified for one that is to be renewed, Denied, naming the rule,
        where nothing may be delivered now, Unavailable where too many are under way, and as the catalogue does, before anything is sent.
        """
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            flow, grant = self._opened(flow_id, token)
            return self._sending(flow, grant, encoding, _Pulled(self, flow))
        except BaseException:
            self._places.release()
            raise

    def push(self, payload: Mapping[str, Any]) -> None:
        """Send a pushing flow's product whole, unless it is not started any more; raises as the carrier and the catalogue do.

        Tried again after a crash or a silence it is the same delivery: counted once, metered once.
        """
        with self._database.write() as tx:
            flow = store.get(tx, payload["flow"])
            if flow is None or flow.state is not FlowState.STARTED:
                return
            begun = self._begin(tx, flow, delivery=payload["delivery"])
            if isinstance(begun, Refused):
                self._controls[flow.order.control].errored(tx, flow, code=begun.rule, reason=begun.message)
                return
            sealed = store.get_address(tx, flow.id)
        if sealed is None:
            return
        endpoint = endpoint_of(self._vault.open(sealed, flow=flow.id))
        whole = _Pushed(self._transfers)
        sending = self._sending(flow, begun, ARROW, whole)
        try:
            self._carrier.push(flow.names_endpoint, endpoint, self._while_running(flow, sending), media_type=ARROW.media_type)
        except _Ended:
            sending.close(StopReason.PROCESS_ENDED)
            return
        except BaseException:
            sending.close()
            whole.take_back(begun, sent_bytes=sending.sent_bytes)
            raise
        if whole.delivery is not None:
            self.delivered(flow, begun, whole.delivery)

    def failed(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """Tell the control plane that a push was given up."""
        with self._database.write() as tx:
            flow = store.get(tx, payload["flow"])
            if flow is not None and flow.state is FlowState.STARTED:
                self._controls[flow.order.control].errored(tx, flow, code=error.code, reason=error.message)

    def push_changed(self) -> int:
        """Have every lasting push sent again whose product has another version than it sent last; return how many were."""
        with self._database.read() as tx:
            if not self._changed(tx):
                return 0
        with self._database.write() as tx:
            changed = self._changed(tx)
            for flow, version in changed:
                store.save_pushed(tx, flow.id, version=version)
                self._flows.send(tx, flow)
        return len(changed)

    def delivered(self, flow: DataFlow, grant: Grant, delivery: Delivery) -> None:
        """Record a whole delivery; a finite flow is complete with it, in the same transaction."""
        with self._database.write() as tx:
            self._transfers.completed(tx, grant, delivery=delivery)
            now = store.get(tx, flow.id)
            if now is not None and now.state is FlowState.STARTED and not is_lasting(flow):
                self._controls[flow.order.control].completed(tx, now)

    def leave_place(self) -> None:
        """Let another pull begin."""
        self._places.release()

    def stopped(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        """Record a delivery that did not go out whole."""
        self._transfers.stop(grant, delivery=delivery, sent_bytes=sent_bytes, reason=reason)

    def _opened(self, flow_id: str, token: str) -> tuple[DataFlow, Grant]:
        with self._database.write() as tx:
            flow = self._flows.opened(tx, flow_id, token)
            begun = None if flow is None else self._begin(tx, flow, delivery=self._new_id())
        if flow is None or begun is None:
            raise unknown_flow()
        if isinstance(begun, Refused):
            raise Denied(f"transfer.{begun.rule}", begun.message, hint=begun.would_pass)
        return flow, begun

    def _begin(self, tx: Connection, flow: DataFlow, *, delivery: str) -> Grant | Refused:
        order = flow.order
        grant = Grant(
            self._new_id(), order.product, order.agreement, delivery, order.counterparty, GrantState.STARTED, self._clock() + GRANT_LIFE
        )
        is_repeat = self._transfers.begun(tx, job=delivery, product=order.product)
        refused = _not_started(flow) if flow.state is not FlowState.STARTED else None if is_repeat else self._leave.ask(tx, order)
        if refused is not None:
            body = {"job": delivery, "transfer": flow.id, "product": order.product, "agreement": order.agreement, "rule": refused.rule}
            self._evidence.append(tx, "transfer.refused", delivery, {**body, "recipient": order.counterparty})
            return refused
        if not is_repeat:
            self._leave.spend(tx, order)
        store.save_pushed(tx, flow.id, version=self._products.version_of(tx, order.product) or "")
        return self._transfers.begin(tx, grant, transfer=flow.id)

    def _changed(self, tx: Connection) -> list[tuple[DataFlow, str]]:
        found = [(flow, sent, self._products.version_of(tx, flow.order.product)) for flow, sent in store.every_lasting_push(tx)]
        return [(flow, version) for flow, sent, version in found if sent is not None and version is not None and version != sent]

    def _sending(self, flow: DataFlow, grant: Grant, encoding: Encoding, ledger: "_Pulled | _Pushed") -> Sending:
        try:
            rows = self._products.rows(flow.order.product)
        except ChengshuError:
            nothing = Delivery(0, self._digests.of_bytes(b""))
            self._transfers.stop(grant, delivery=nothing, sent_bytes=0, reason=StopReason.SENDING_FAILED)
            raise
        return Sending(ledger, grant, rows, digests=self._digests, encoding=encoding)

    def _while_running(self, flow: DataFlow, sending: Sending) -> Iterator[bytes]:
        looked = time.monotonic()
        for piece in sending:
            for start in range(0, len(piece), CHUNK):
                if time.monotonic() - looked >= LOOK_S:
                    if not self.is_running(flow.id):
                        raise _Ended
                    looked = time.monotonic()
                yield bytes(piece[start : start + CHUNK])


class _Ended(Exception):  # noqa: N818  # not an error: whoever pushes is told that there is nothing more to push
    """The flow was suspended or ended while it was sending."""


class _Pulled:
    """Keeps how a pull ended, as soon as it has."""

    def __init__(self, deliveries: Deliveries, flow: DataFlow) -> None:
        self._deliveries = deliveries
        self._flow = flow

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        self._deliveries.delivered(self._flow, grant, delivery)
        self._deliveries.leave_place()

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        self._deliveries.leave_place()
        self._deliveries.stopped(grant, delivery=delivery, sent_bytes=sent_bytes, reason=reason)


class _Pushed:
    """Waits with a whole delivery until its receiver has said that it took it."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self.delivery: Delivery | None = None

    def complete(self, grant: Grant, *, delivery: Delivery) -> None:
        del grant
        self.delivery = delivery

    def stop(self, grant: Grant, *, delivery: Delivery, sent_bytes: int, reason: StopReason) -> None:
        self._transfers.stop(grant, delivery=delivery, sent_bytes=sent_bytes, reason=reason)

    def take_back(self, grant: Grant, *, sent_bytes: int) -> None:
        """Record that everything was sent, and not taken."""
        if self.delivery is not None:
            self._transfers.stop(grant, delivery=self.delivery, sent_bytes=sent_bytes, reason=StopReason.RECEIVER_LEFT)


def _not_started(flow: DataFlow) -> Refused:
    return Refused(
        "not-started",
        f"expected a started data flow, got one in state {flow.state}",
        Text("A pull after the next start message.", "在下一次启动消息之后拉取。"),
    )


def _busy() -> Unavailable:
    return Unavailable(
        "transfer.busy",
        f"expected at most {AT_ONCE} deliveries at a time, got one more",
        hint=Text("Try again soon.", "请稍后重试。"),
    )
