"""What a control plane can ask of data flows; each verb works in the caller's transaction, so that it is of one piece with the step."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Conflict, NotFound
from chengshu.kernel.ids import NewId
from chengshu.kernel.machine import Role
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.transfer.flow import store
from chengshu.transfer.flow.model import (
    LEADS_TO,
    TRANSITIONS,
    DataFlow,
    Direction,
    Document,
    Extent,
    FlowState,
    Order,
    Verb,
    address,
    direction_of,
)
from chengshu.transfer.flow.vault import Vault

PUSH_TASK = "transfer.push"
"""The kind of task that sends one product to another party's endpoint."""


class DataFlows:
    """Starts, suspends, resumes and ends data flows, and gives and takes back the addresses that open them.

    An address of ours holds a token that is derived when it is asked for; only its digest is kept, and it opens its flow for as long as
    the flow is started and no later address was given.
    """

    def __init__(self, *, tasks: Tasks, vault: Vault, digests: Digests, new_id: NewId, url: str) -> None:
        self._tasks = tasks
        self._vault = vault
        self._digests = digests
        self._new_id = new_id
        self._url = url

    def prepare(self, tx: Connection, flow_id: str, order: Order, *, callback: str | None = None, is_ready: bool = True) -> DataFlow:
        """Make ready to receive, now or with the verb READY; for a push this opens an endpoint of ours.

        Raises Invalid for a format that is not served.
        """
        direction_of(order.format)
        return self._added(tx, DataFlow(flow_id, order, FlowState.PREPARED if is_ready else FlowState.PREPARING, 0, callback))

    def start(
        self, tx: Connection, flow_id: str, order: Order, *, remote: Document | None, callback: str | None = None, is_ready: bool = True
    ) -> DataFlow:
        """Begin to send, now or with the verb READY: open an endpoint to pull from, or put the push to ``remote`` into the task table.

        Raises Invalid for a format that is not served, and Conflict for a push without an address.
        """
        if direction_of(order.format) is Direction.PUSH and remote is None:
            raise _nowhere()
        flow = self._added(tx, DataFlow(flow_id, order, FlowState.STARTED if is_ready else FlowState.STARTING, 0, callback))
        self._keep(tx, flow, remote)
        if is_ready:
            self.send(tx, flow)
        return flow

    def steer(self, tx: Connection, flow: DataFlow, verb: Verb, *, remote: Document | None = None) -> DataFlow:
        """Take a step and return the flow after it; one whose end is reached already changes nothing but the ``remote`` address.

        Raises Conflict for a step that does not follow.
        """
        state = TRANSITIONS.get((flow.state, verb))
        if state is None and LEADS_TO.get(verb) is not flow.state:
            raise _out_of_turn(flow, verb)
        self._keep(tx, flow, remote)
        if state is None:
            return flow
        store.save_state(tx, flow.id, state=state)
        moved = replace(flow, state=state)
        if verb not in {Verb.RESUME, Verb.READY}:
            self._close(tx, moved)
            return moved
        if moved.state is FlowState.STARTED:
            self.send(tx, moved)
        return self._with_token(tx, moved) if moved.direction is Direction.PULL and verb is Verb.RESUME else moved

    def get(self, tx: Connection, flow_id: str) -> DataFlow:
        """Return the flow with this id; raise NotFound where there is none."""
        flow = store.get(tx, flow_id)
        if flow is None:
            raise unknown_flow()
        return flow

    def find(self, tx: Connection, *, control: str, process: str) -> DataFlow | None:
        """Return the flow of a control plane's process, or None where it has none."""
        return store.find_by_process(tx, control=control, process=process)

    def has_begun(self, tx: Connection, flow_id: str) -> bool:
        """Say whether a delivery began through a flow, so that its use is counted."""
        return store.get_pushed(tx, flow_id) is not None

    def address_of(self, flow: DataFlow) -> dict[str, Any] | None:
        """Return the address at which the other side comes to us, None where it does not come or the flow has ended."""
        if not flow.gives_address or flow.generation == 0 or flow.state in {FlowState.COMPLETED, FlowState.TERMINATED}:
            return None
        token = self._vault.token(flow.id, generation=flow.generation)
        return address(f"{self._url}/{flow.id}", token, direction=flow.direction)

    def send(self, tx: Connection, flow: DataFlow) -> None:
        """Have a pushing flow's product sent, by a task in a lane of its own: the process's messages do not wait for it."""
        if flow.gives_address or flow.order.role is Role.CONSUMER:
            return
        payload = {"flow": flow.id, "delivery": self._new_id()}
        self._tasks.defer(tx, PUSH_TASK, payload, lane=f"{flow.id}/data", waits_for=flow.order.counterparty[:256])

    def _added(self, tx: Connection, flow: DataFlow) -> DataFlow:
        store.add(tx, flow)
        return self._with_token(tx, flow)

    def _with_token(self, tx: Connection, flow: DataFlow) -> DataFlow:
        """Give a flow that is come to a new token; the one before opens nothing from now on."""
        if not flow.gives_address:
            return flow
        renewed = replace(flow, generation=flow.generation + 1)
        token = self._vault.token(flow.id, generation=renewed.generation)
        store.save_token(tx, flow.id, generation=renewed.generation, token_digest=self._digests.of_bytes(token.encode()))
        return renewed

    def _close(self, tx: Connection, flow: DataFlow) -> None:
        """Take back what a flow that is not started any more must not be opened with; a receiver's endpoint only waits meanwhile."""
        is_over = flow.state in {FlowState.COMPLETED, FlowState.TERMINATED}
        if is_over or (flow.state is FlowState.SUSPENDED and flow.order.role is Role.PROVIDER):
            store.save_token(tx, flow.id, generation=flow.generation, token_digest=None)
        if is_over:
            store.save_address(tx, flow.id, address=None)

    def _keep(self, tx: Connection, flow: DataFlow, remote: Document | None) -> None:
        if remote is not None and not flow.gives_address:
            store.save_address(tx, flow.id, address=self._vault.close(remote, flow=flow.id))


def is_lasting(flow: DataFlow) -> bool:
    """Say whether a flow goes on after a delivery."""
    return flow.order.extent is Extent.NON_FINITE


def unknown_flow() -> NotFound:
    """Return the error for a flow that is not here, or is not the asker's: both look the same."""
    return NotFound(
        "transfer.unknown-flow",
        "expected a data flow of this node and its present token, got another",
        hint=Text("Use the address of the newest start message.", "请使用最近一次启动消息中的地址。"),
    )


def _nowhere() -> Conflict:
    return Conflict(
        "transfer.address-missing",
        "expected a dataAddress to push to, got none",
        hint=Text("Send a dataAddress with the request of a push.", "推送传输的请求须附带数据地址。"),
    )


def _out_of_turn(flow: DataFlow, verb: Verb) -> Conflict:
    possible = " or ".join(other for before, other in TRANSITIONS if before is flow.state) or "nothing more"
    return Conflict(
        "transfer.flow-state",
        f"expected {possible} for a flow in state {flow.state}, got {verb}",
        hint=Text("Ask for the flow's status.", "请查询数据流状态。"),
    )
