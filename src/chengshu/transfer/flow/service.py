"""What a control plane can ask of data flows; each verb works in the caller's transaction, so that it is of one piece with the step."""

import hmac
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.errors import Conflict, NotFound, Unidentified
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
from chengshu.transfer.flow.renewable import HTTP_PULL, HTTP_PUSH, TOKEN_LIFE, Tokens, push_address, renewable_address, renewal_of
from chengshu.transfer.flow.store import TokenDigests
from chengshu.transfer.flow.vault import Vault

PUSH_TASK = "transfer.push"
"""The kind of task that sends one product to another party's endpoint."""


class DataFlows:
    """Starts, suspends, resumes and ends data flows, and gives and takes back the addresses that open them.

    An address of ours holds a token that is derived when it is asked for; only its digest is kept, and it opens its flow for as long as
    the flow is started and no later address was given; by the HTTP profile for no longer than :data:`TOKEN_LIFE`, and then it is renewed.
    """

    def __init__(self, *, tasks: Tasks, vault: Vault, digests: Digests, clock: Clock, new_id: NewId, url: str) -> None:
        self._tasks = tasks
        self._vault = vault
        self._digests = digests
        self._clock = clock
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
        url = f"{self._url}/{flow.id}"
        if flow.expires_at is not None:
            return renewable_address(url, self.tokens_of(flow), refresh_url=f"{url}/token")
        token = self._vault.token(flow.id, generation=flow.generation)
        return push_address(url, token) if flow.order.format == HTTP_PUSH else address(url, token, direction=flow.direction)

    def tokens_of(self, flow: DataFlow) -> Tokens:
        """Return the present tokens of a flow whose access token ends, and for how long it is still good."""
        left = timedelta(0) if flow.expires_at is None else max(flow.expires_at - self._clock(), timedelta(0))
        token, refresh = (derive(flow.id, generation=flow.generation) for derive in (self._vault.token, self._vault.refresh_token))
        return Tokens(token, refresh, left)

    def opened(self, tx: Connection, flow_id: str, token: str) -> DataFlow | None:
        """Return the flow that a token opens, None for one that opens none.

        Raises Unidentified for a token that did open a started flow, and has ended or given way to the next.
        """
        flow = store.find_by_token(tx, flow_id, token_digest=self._digests.of_bytes(token.encode()))
        if flow is None:
            if self._was_last(store.get(tx, flow_id), token):
                raise _token_over()
            return None
        if flow.expires_at is not None and self._clock() >= flow.expires_at:
            raise _token_over()
        return flow

    def find_renewable(self, tx: Connection, flow_id: str, refresh: str) -> DataFlow | None:
        """Return the started flow whose present refresh token this is, None for every other."""
        kept = store.get_refresh_digest(tx, flow_id) or ""
        is_present = hmac.compare_digest(kept.encode(), self._digests.of_bytes(refresh.encode()).encode())
        flow = store.get(tx, flow_id) if is_present else None
        return flow if flow is not None and flow.state is FlowState.STARTED else None

    def renew(self, tx: Connection, flow: DataFlow, refresh: str) -> DataFlow | None:
        """Put new tokens in the place of those that ``refresh`` belongs to, which are void then; None where it was used meanwhile."""
        fresh, tokens = self._fresh(flow)
        used = self._digests.of_bytes(refresh.encode())
        return fresh if store.replace_tokens(tx, flow.id, used=used, generation=fresh.generation, tokens=tokens) else None

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
        fresh, tokens = self._fresh(flow)
        store.save_tokens(tx, flow.id, generation=fresh.generation, tokens=tokens)
        return fresh

    def _fresh(self, flow: DataFlow) -> tuple[DataFlow, TokenDigests]:
        """The flow with its next tokens, and what is kept of them."""
        expires_at = self._clock() + TOKEN_LIFE if flow.order.format == HTTP_PULL else None
        fresh = replace(flow, generation=flow.generation + 1, expires_at=expires_at)
        tokens = self.tokens_of(fresh)
        refresh = None if expires_at is None or tokens.refresh is None else self._digests.of_bytes(tokens.refresh.encode())
        return fresh, TokenDigests(self._digests.of_bytes(tokens.access.encode()), refresh, expires_at)

    def _was_last(self, flow: DataFlow | None, token: str) -> bool:
        """Whether a token is the one before the present one, of a flow that is started and whose tokens end."""
        if flow is None or flow.expires_at is None or not flow.gives_address or flow.state is not FlowState.STARTED:
            return False
        return hmac.compare_digest(self._vault.token(flow.id, generation=flow.generation - 1).encode(), token.encode())

    def _close(self, tx: Connection, flow: DataFlow) -> None:
        """Take back what a flow that is not started any more must not be opened with; a receiver's endpoint only waits meanwhile."""
        is_over = flow.state in {FlowState.COMPLETED, FlowState.TERMINATED}
        if is_over or (flow.state is FlowState.SUSPENDED and flow.order.role is Role.PROVIDER):
            store.save_tokens(tx, flow.id, generation=flow.generation, tokens=TokenDigests(expires_at=flow.expires_at))
        if is_over:
            store.save_address(tx, flow.id, address=None)

    def _keep(self, tx: Connection, flow: DataFlow, remote: Document | None) -> None:
        if remote is not None and not flow.gives_address:
            renewal = renewal_of(remote)
            expires_at = None if renewal is None else self._clock() + renewal.life
            store.save_address(tx, flow.id, address=self._vault.close(remote, flow=flow.id), expires_at=expires_at)


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


def _token_over() -> Unidentified:
    return Unidentified(
        "transfer.token-over",
        "expected an access token that is good now, got one that has ended or was renewed",
        hint=Text("Renew it at the refreshEndpoint of its address.", "请在该地址的 refreshEndpoint 续期令牌。"),
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
