"""The paths of a transfer process, both bindings in one."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chengshu.dsp.routes.door import PATH, Call, Called, Door, Family
from chengshu.dsp.translate import transfer as translate
from chengshu.identity.ports import CredentialSource
from chengshu.kernel.errors import Invalid
from chengshu.transfer.process.service import TransferProcesses

Reader = Callable[[dict[str, Any]], translate.Received]

_LATER: dict[str, Reader] = {
    "/start": translate.read_start,
    "/suspension": translate.read_suspension,
    "/completion": translate.read_completion,
    "/termination": translate.read_termination,
}
"""Both sides have the same paths: a pid is ours alone, and the state machine knows who may say what."""


def transfer_router(*, processes: TransferProcesses, credentials: CredentialSource) -> APIRouter:
    """Return the paths below ``/transfers``, to be included as :func:`chengshu.dsp.routes.protocol.router` is."""
    routes = APIRouter(include_in_schema=False)
    way_in = _Transfers(Door(credentials), processes)
    routes.post(PATH + "/transfers/request")(way_in.request)
    for path, read in _LATER.items():
        routes.post(f"{PATH}/transfers/{{pid:path}}{path}")(_later(way_in, read))
    routes.get(PATH + "/transfers/{pid:path}")(way_in.state)
    return routes


def _later(way_in: "_Transfers", read: Reader) -> Callable[[Call, str], Response]:
    def endpoint(call: Called, pid: str) -> Response:
        return way_in.later(call, pid, read)

    return endpoint


class _Transfers:
    """Calls the transfer room's verbs for the messages that come."""

    def __init__(self, door: Door, processes: TransferProcesses) -> None:
        self._door = door
        self._processes = processes

    def request(self, call: Called) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            peer_pid, content = translate.read_request(value)
            return translate.state_of(self._processes.receive_first(sender, peer_pid=peer_pid, content=content))

        return self._door.answer(Family.TRANSFER, call, act, status=201)

    def later(self, call: Call, pid: str, read: Reader) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            try:
                received = read(value)
                peer_pid = received.peer_of(pid)
            except Invalid:
                self._processes.seen_by(sender, pid)  # a pid that is not the sender's looks unknown, whatever the message is like
                raise
            moved = self._processes.receive(sender, own_pid=pid, peer_pid=peer_pid, content=received.content)
            return translate.state_of(moved)

        return self._door.answer(Family.TRANSFER, call, act, pid=pid)

    def state(self, call: Called, pid: str) -> Response:
        def act(sender: str, _: dict[str, Any]) -> dict[str, Any]:
            return translate.state_of(self._processes.seen_by(sender, pid))

        return self._door.answer(Family.TRANSFER, call, act, pid=pid)
