"""The way out: messages wait in the task table and are sent after the transaction that decided on them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from chengshu.contract.model import MACHINE, Content, Negotiation, Terminate, from_json
from chengshu.contract.ports import Courier
from chengshu.contract.service import Contracts
from chengshu.contract.steps import SEND, SEND_LAST
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.tasks import MESSAGE_PATIENCE, Handler, Keep, OnFailed, Patience


class Outbox:
    """Sends the messages that :class:`Contracts` deferred; sending one twice does no harm, since a repeat is recognised."""

    def __init__(self, *, contracts: Contracts, courier: Courier) -> None:
        self._contracts = contracts
        self._courier = courier

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {SEND: self.send, SEND_LAST: self.send}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {SEND: self.failed, SEND_LAST: self.failed}

    def patience(self) -> dict[str, Patience]:
        """Return how long the worker tries each kind of task."""
        return {SEND: MESSAGE_PATIENCE}

    def send(self, payload: Mapping[str, Any]) -> Keep | None:
        """Send one message, unless the negotiation went on without it; return how to keep what the answer told.

        Raises as :class:`chengshu.contract.ports.Peers`.
        """
        negotiation = self._contracts.negotiation(payload["negotiation"])
        content = from_json(payload["content"])
        if _is_moot(negotiation, content):
            return None
        peer_pid = self._courier.deliver(negotiation, content, payload.get("message"))
        if peer_pid is None or negotiation.peer_pid is not None:  # a later answer is no place for another pid: what counts came first
            return None
        return partial(self._contracts.learn, negotiation_id=negotiation.id, peer_pid=peer_pid)

    def failed(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """End the negotiation whose message could not be delivered."""
        self._contracts.abandon(payload["negotiation"], from_json(payload["content"]), error=error)


def _is_moot(negotiation: Negotiation, content: Content) -> bool:
    if isinstance(content, Terminate):
        return negotiation.peer_pid is None  # nobody on the other side knows of it
    return negotiation.state is not MACHINE.leads_to(type(content))
