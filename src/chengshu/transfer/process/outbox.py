"""The way out: messages wait in the task table and are sent after the transaction that decided on them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.machine import Role
from chengshu.kernel.tasks import Handler, OnFailed
from chengshu.transfer.process.model import Content, Request, Start, State, Terminate, TransferProcess, from_json
from chengshu.transfer.process.ports import Courier
from chengshu.transfer.process.service import TransferProcesses
from chengshu.transfer.process.steps import SEND


class TransferOutbox:
    """Sends the messages that :class:`TransferProcesses` deferred; sending one twice does no harm, since a repeat is recognised."""

    def __init__(self, *, processes: TransferProcesses, courier: Courier) -> None:
        self._processes = processes
        self._courier = courier

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {SEND: self.send}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {SEND: self.failed}

    def send(self, payload: Mapping[str, Any]) -> None:
        """Send one message, unless the process was terminated meanwhile; raises as :class:`chengshu.contract.ports.Peers`.

        Nothing else is left out: the counterparty's state follows from every message, one after the other.
        """
        process = self._processes.process(payload["process"])
        content = from_json(payload["content"])
        if _is_moot(process, content):
            return
        peer_pid = self._courier.deliver(process, self._addressed(process, content))
        if peer_pid is not None:
            self._processes.learn(process.id, peer_pid)

    def failed(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """End the process whose message could not be delivered."""
        self._processes.abandon(payload["process"], from_json(payload["content"]), error=error)

    def _addressed(self, process: TransferProcess, content: Content) -> Content:
        """The message with the address that it carries: a push's request has the consumer's, a pull's start the provider's."""
        if isinstance(content, Request) or (isinstance(content, Start) and process.role is Role.PROVIDER):
            return replace(content, address=self._processes.address_of(process.id))
        return content


def _is_moot(process: TransferProcess, content: Content) -> bool:
    if isinstance(content, Terminate):
        return process.peer_pid is None  # nobody on the other side knows of it
    return process.state is State.TERMINATED
