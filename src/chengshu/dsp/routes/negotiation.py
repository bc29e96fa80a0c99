"""The paths of a contract negotiation, both bindings in one."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chengshu.contract.model import Propose, Request
from chengshu.contract.service import Contracts
from chengshu.dsp.routes.door import PATH, Call, Called, Door, Family, no_such_path
from chengshu.dsp.translate import negotiation as translate
from chengshu.kernel.errors import Invalid

Reader = Callable[[dict[str, Any]], translate.Received]

_FIRST: dict[str, Reader] = {"/request": translate.read_request, "/offers": translate.read_offer}
_LATER: dict[str, Reader] = {
    "/request": translate.read_request,
    "/offers": translate.read_offer,
    "/agreement/verification": translate.read_verification,
    "/agreement": translate.read_agreement,
    "/events": translate.read_event,
    "/termination": translate.read_termination,
}
"""Both bindings in one: a pid is ours alone, so the path below it says enough, and the state machine knows who may say what."""


def negotiation_routes(routes: APIRouter, door: Door, contracts: Contracts) -> None:
    """Add the paths below ``/negotiations``."""
    way_in = _Negotiations(door, contracts)
    for path, read in _FIRST.items():
        _post(routes, f"{PATH}/negotiations{path}", _first(way_in, read))
    for path, read in _LATER.items():
        _post(routes, f"{PATH}/negotiations/{{pid:path}}{path}", _later(way_in, read))
    routes.get(PATH + "/negotiations/{pid:path}")(way_in.state)


def _post(routes: APIRouter, path: str, endpoint: Callable[..., Response]) -> None:
    """Take messages at ``path``, and with a slash after it: some connectors put one there."""
    routes.post(path)(endpoint)
    routes.post(path + "/")(endpoint)


def _first(way_in: "_Negotiations", read: Reader) -> Callable[[Call], Response]:
    def endpoint(call: Called) -> Response:
        return way_in.first(call, read)

    return endpoint


def _later(way_in: "_Negotiations", read: Reader) -> Callable[[Call, str], Response]:
    def endpoint(call: Called, pid: str) -> Response:
        return way_in.later(call, pid, read)

    return endpoint


class _Negotiations:
    """Calls the contract room's verbs for the messages that come."""

    def __init__(self, door: Door, contracts: Contracts) -> None:
        self._door = door
        self._contracts = contracts

    def first(self, call: Call, read: Reader) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            received = read(value)
            content = received.content
            peer_pid = received.consumer_pid if isinstance(content, Request) else received.provider_pid
            if not isinstance(content, Request | Propose) or peer_pid is None:
                raise no_such_path()
            return translate.state_of(self._contracts.receive_first(sender, peer_pid=peer_pid, content=content))

        return self._door.answer(Family.NEGOTIATION, call, act, status=201)

    def later(self, call: Call, pid: str, read: Reader) -> Response:
        def act(sender: str, value: dict[str, Any]) -> dict[str, Any]:
            try:
                received = read(value)
                peer_pid = received.peer_of(pid)
            except Invalid:
                self._contracts.seen_by(sender, pid)  # a pid that is not the sender's looks unknown, whatever the message is like
                raise
            content, message_id = received.content, translate.id_of(value)
            moved = self._contracts.receive(sender, own_pid=pid, peer_pid=peer_pid, content=content, message_id=message_id)
            return translate.state_of(moved)

        return self._door.answer(Family.NEGOTIATION, call, act, pid=pid)

    def state(self, call: Called, pid: str) -> Response:
        def act(sender: str, _: dict[str, Any]) -> dict[str, Any]:
            return translate.state_of(self._contracts.seen_by(sender, pid))

        return self._door.answer(Family.NEGOTIATION, call, act, pid=pid)
