"""What a registered control plane can ask of this data plane, and what it is told (Data Plane Signaling 1.0)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests, canonical, plain
from chengshu.kernel.clock import Clock
from chengshu.kernel.connections import silence_of
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, Unavailable, Unidentified
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.outgoing import Outgoing
from chengshu.kernel.tasks import Handler, OnFailed, Tasks
from chengshu.kernel.text import Text
from chengshu.transfer.flow.leave import Leave
from chengshu.transfer.flow.model import DataFlow, Direction, Document, FlowState, Order, Verb, direction_of, endpoint_of
from chengshu.transfer.flow.receptions import Receptions
from chengshu.transfer.flow.renewable import HTTP_PULL, profiled
from chengshu.transfer.flow.service import DataFlows, unknown_flow
from chengshu.transfer.flow.vault import Vault
from chengshu.transfer.ports import Evidence
from chengshu.transfer.signaling.registry import Answers, ControlPlane, ControlPlanes

READY_TASK, TELL_TASK, FETCH_TASK = "signaling.ready", "signaling.tell", "signaling.fetch"
TIMEOUT_S = 10.0
TOKEN_S = 3600
MAX_ERROR = 500

_EVIDENCE = {
    FlowState.PREPARED: "delivery.requested",
    FlowState.STARTED: "delivery.started",
    FlowState.SUSPENDED: "delivery.suspended",
    FlowState.COMPLETED: "delivery.completed",
    FlowState.TERMINATED: "delivery.terminated",
}


@dataclass(frozen=True, slots=True)
class Status:
    """How a flow stands, and the address that opens it where the other side comes to us."""

    flow: DataFlow
    address: Document | None


class Signaling:
    """Takes orders of registered control planes; agreement and policy are theirs to judge, the product and its grade are ours.

    Each sees its own flows alone. Every step is an entry of the log; a finite delivery that went out or came whole is told in a callback,
    and so is an error that trying again does not mend.
    """

    def __init__(
        self,
        database: Database,
        *,
        planes: ControlPlanes,
        vault: Vault,
        clock: Clock,
        flows: DataFlows,
        receptions: Receptions,
        leave: Leave,
        outgoing: Outgoing,
        tasks: Tasks,
        evidence: Evidence,
        digests: Digests,
        new_id: NewId,
        folder: Path,
    ) -> None:
        self.planes = planes
        self._vault = vault
        self._clock = clock
        self._database = database
        self._flows = flows
        self._receptions = receptions
        self._leave = leave
        self._outgoing = outgoing
        self._client = outgoing.client(timeout_s=TIMEOUT_S, patience_s=TIMEOUT_S)
        self._tasks = tasks
        self._evidence = evidence
        self._digests = digests
        self._new_id = new_id
        self._folder = folder

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._client.close()

    # --- who asks -------------------------------------------------------------------------------------------------------------------

    def identify(self, authorization: str | None) -> ControlPlane:
        """Return whose ``Authorization`` this is: a secret or a token of :meth:`grant`, with or without the word ``Bearer`` before it.

        Raises Unidentified where it is nobody's.
        """
        scheme, _, rest = (authorization or "").partition(" ")
        shown = rest.strip() if scheme.lower() == "bearer" else authorization or ""
        plane = self.planes.by_secret(shown)
        for other in self.planes.every.values():
            for hour in (self._hour(), self._hour() - 1):
                if hmac.compare_digest(self._token(other, hour).encode(), shown.encode()):
                    plane = other
        if plane is None:
            raise _stranger()
        return plane

    def grant(self, client: str, secret: str) -> tuple[str, int]:
        """Return a token for a registered control plane and the seconds that it is good for at least (RFC 6749, client credentials).

        Raises Unidentified for another name or secret.
        """
        plane = self.planes.by_secret(secret)
        if plane is None or plane.name != client:
            raise _stranger()
        return self._token(plane, self._hour()), TOKEN_S

    def _token(self, plane: ControlPlane, hour: int) -> str:
        """A token of one hour; it is derived, so that none is kept, and void with the secret that it was given for."""
        return self._vault.token(f"control plane {plane.name} {self._digests.of_bytes(plane.accepts.encode())}", generation=hour)

    def _hour(self) -> int:
        return int(self._clock().timestamp()) // TOKEN_S

    # --- what control planes ask ----------------------------------------------------------------------------------------------------

    def prepare(self, plane: ControlPlane, order: Order, *, callback: str | None) -> Status:
        """Make ready to receive; raises Invalid for a format or callback that does not do, Conflict for a process that has its flow."""
        return self._begin(plane, order, callback=callback, remote=None)

    def start(self, plane: ControlPlane, order: Order, *, callback: str | None, remote: Document | None) -> Status:
        """Begin to send; raises as :meth:`prepare`, Invalid for an address with a pull, and Denied where the product may not go out."""
        if remote is not None and direction_of(order.format) is Direction.PULL:
            raise Invalid("signaling.address", "expected no dataAddress with the start of a pull, got one", hint=_SPECIFICATION)
        return self._begin(plane, order, callback=callback, remote=remote)

    def steer(self, plane: ControlPlane, flow_id: str, verb: Verb, *, remote: Document | None = None) -> Status:
        """Take one step of a flow.

        Raises NotFound for another's, Conflict where it does not follow, Invalid for the address of a pull by the HTTP profile that is not
        as that has it, and Denied for one that this node does not call.
        """
        with self._database.write() as tx:
            flow = self._own(tx, plane, flow_id)
            if remote is not None and not flow.gives_address and flow.order.format == HTTP_PULL:
                self._check_profiled(remote)
            moved = self._flows.steer(tx, flow, verb, remote=remote)
            if moved.state is not flow.state:
                self._log(tx, moved)
            pulls = moved.order.role is Role.CONSUMER and moved.direction is Direction.PULL
            if remote is not None and pulls and moved.state is FlowState.STARTED:
                self._defer(tx, FETCH_TASK, moved, lane=f"{moved.id}/data")
        return self._status(moved)

    def status(self, plane: ControlPlane, flow_id: str) -> Status:
        """Return how a flow stands; raise NotFound for another's."""
        with self._database.read() as tx:
            return self._status(self._own(tx, plane, flow_id))

    def message_id(self) -> str:
        """Return a fresh id for an answer."""
        return self._new_id()

    # --- what the data plane reports ------------------------------------------------------------------------------------------------

    def completed(self, tx: Connection, flow: DataFlow) -> None:
        """Complete a flow whose product went out or came whole, and have its control plane told, in the caller's transaction."""
        moved = self._flows.steer(tx, flow, Verb.COMPLETE)
        self._log(tx, moved)
        self._tell(tx, moved, "completed")

    def errored(self, tx: Connection, flow: DataFlow, *, code: str, reason: str) -> None:
        """Have a flow's control plane told that it cannot go on; what becomes of it is for the control plane to say."""
        self._tell(tx, flow, "errored", error=f"{code}: {reason}"[:MAX_ERROR])

    # --- what the worker runs -------------------------------------------------------------------------------------------------------

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {READY_TASK: self.make_ready, TELL_TASK: self.tell, FETCH_TASK: self.fetch}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {FETCH_TASK: self.fetch_failed}

    def make_ready(self, payload: Mapping[str, Any]) -> None:
        """Make a flow ready whose control plane wants to be told later, and have it told."""
        with self._database.write() as tx:
            flow = self._flows.get(tx, payload["flow"])
            if flow.state not in {FlowState.PREPARING, FlowState.STARTING}:
                return
            moved = self._flows.steer(tx, flow, Verb.READY)
            self._log(tx, moved)
            self._tell(tx, moved, moved.state.lower())

    def tell(self, payload: Mapping[str, Any]) -> None:
        """Send one callback; raises Unavailable where trying again may help."""
        with self._database.read() as tx:
            flow = self._flows.get(tx, payload["flow"])
        plane = self.planes.get(flow.order.control)
        message = {"messageId": payload["message"], **document(Status(flow, self._flows.address_of(flow))), "state": payload["state"]}
        message |= {} if payload["error"] is None else {"error": payload["error"]}
        url = f"{flow.callback or plane.url}/transfers/{flow.order.process}/dataflow/{payload['event']}"
        headers = {"Content-Type": "application/json"} | ({} if plane.sends is None else {"Authorization": f"Bearer {plane.sends}"})
        try:
            status = self._client.post(url, content=canonical(message), headers=headers).status_code
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise _unheard(plane, silence_of(error)) from error
        if status >= 500 or status in {404, 408, 425, 429}:
            raise _unheard(plane, f"status {status}")
        if not 200 <= status < 300:
            raise Denied("signaling.refused", f"expected {plane.name} to take a callback, got status {status}", hint=_SPECIFICATION)

    def fetch(self, payload: Mapping[str, Any]) -> None:
        """Pull a flow's product into the node's folder and have its control plane told; raises as :meth:`Receptions.fetch`."""
        with self._database.read() as tx:
            flow = self._flows.get(tx, payload["flow"])
        if flow.state is not FlowState.STARTED:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        name = plain(self._digests.of_bytes(flow.id.encode()))[:32]
        self._receptions.fetch(flow.id, self._folder / f"{name}.pulled")
        with self._database.write() as tx:
            now = self._flows.get(tx, flow.id)
            if now.state is FlowState.STARTED:
                self.completed(tx, now)

    def fetch_failed(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """Have a control plane told that a product could not be pulled."""
        with self._database.write() as tx:
            self.errored(tx, self._flows.get(tx, payload["flow"]), code=error.code, reason=error.message)

    # --- inside ---------------------------------------------------------------------------------------------------------------------

    def _begin(self, plane: ControlPlane, order: Order, *, callback: str | None, remote: Document | None) -> Status:
        if callback is not None and not plane.owns(callback):
            raise Invalid(
                "signaling.callback", "expected a callbackAddress below the control plane's own URL, got another", hint=_SPECIFICATION
            )
        ours = replace(order, control=plane.name)
        later = plane.answers is Answers.LATER
        with self._database.write() as tx:
            if self._flows.find(tx, control=plane.name, process=order.process) is not None:
                raise Conflict("signaling.flow-exists", "expected a process without a data flow, got one that has one", hint=_SPECIFICATION)
            if order.role is Role.PROVIDER and (refused := self._leave.ask(tx, ours)) is not None:
                raise Denied(f"signaling.{refused.rule}", refused.message, hint=refused.would_pass)
            flow_id = self._new_id()
            base = None if callback is None else callback.rstrip("/")
            if order.role is Role.CONSUMER:
                flow = self._flows.prepare(tx, flow_id, ours, callback=base, is_ready=not later)
            else:
                flow = self._flows.start(tx, flow_id, ours, remote=remote, callback=base, is_ready=not later)
            if later:
                self._defer(tx, READY_TASK, flow, lane=flow.id)
            else:
                self._log(tx, flow)
        return self._status(flow)

    def _check_profiled(self, remote: Document) -> None:
        """A consumer MUST reject an endpoint without https (HTTP profile); in development mode this machine's own go without."""
        renewal = profiled(remote)
        for url in (endpoint_of(remote).url, renewal.url):
            self._outgoing.check(url)

    def _own(self, tx: Connection, plane: ControlPlane, flow_id: str) -> DataFlow:
        """A flow of the control plane's, by our id or, as Eclipse EDC calls it, by the id of its process."""
        flow = self._flows.find(tx, control=plane.name, process=flow_id) or self._flows.get(tx, flow_id)
        if flow.order.control != plane.name:
            raise unknown_flow()
        return flow

    def _status(self, flow: DataFlow) -> Status:
        ready = flow.state in {FlowState.PREPARED, FlowState.STARTED}
        return Status(flow, self._flows.address_of(flow) if ready else None)

    def _tell(self, tx: Connection, flow: DataFlow, event: str, *, error: str | None = None) -> None:
        self._defer(tx, TELL_TASK, flow, lane=flow.id, event=event, state=flow.state.value, message=self._new_id(), error=error)

    def _defer(self, tx: Connection, kind: str, flow: DataFlow, *, lane: str, **more: Any) -> None:
        self._tasks.defer(tx, kind, {"flow": flow.id, **more}, lane=lane, waits_for=flow.order.control)

    def _log(self, tx: Connection, flow: DataFlow) -> None:
        order = flow.order
        body = {
            "transfer": flow.id,
            "role": order.role.value,
            "counterparty": order.counterparty,
            "agreement": order.agreement,
            "product": order.product,
            "format": order.format,
            "state": flow.state.value,
            "control": order.control,
            "process": order.process,
        }
        self._evidence.append(tx, _EVIDENCE[flow.state], flow.id, body)


def document(status: Status) -> dict[str, Any]:
    """Return what a control plane is told of a flow, without the message's own id."""
    told = {"dataFlowId": status.flow.id, "state": status.flow.state.value}
    return told if status.address is None else told | {"dataAddress": dict(status.address)}


_SPECIFICATION = Text(
    "See Data Plane Signaling 1.0 and docs/reference/signaling.md.", "请参阅 Data Plane Signaling 1.0 与 docs/reference/signaling.md。"
)


def _stranger() -> Unidentified:
    return Unidentified(
        "signaling.unidentified", "expected the secret or a token of a registered control plane, got another", hint=_SPECIFICATION
    )


def _unheard(plane: ControlPlane, got: str) -> Unavailable:
    return Unavailable(
        "signaling.silent",
        f"expected {plane.name} to take a callback, got {got}",
        hint=Text("Check that the control plane runs and that its URL is right.", "请确认控制平面正在运行且地址正确。"),
    )
