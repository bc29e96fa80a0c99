"""The paths of a contract negotiation, both bindings in one."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chengshu.contract.model import Negotiation, Propose, Request
from chengshu.contract.service import Contracts
from chengshu.dsp.routes.door import PATH, Door, Family, no_such_path
from chengshu.dsp.routes.processes import Arrival, ProcessDoor, Reader
from chengshu.dsp.translate import negotiation as translate

_FIRST: dict[str, Reader[translate.Received]] = {"/request": translate.read_request, "/offers": translate.read_offer}
_LATER: dict[str, Reader[translate.Received]] = {
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

    def receive(come: Arrival[translate.Received]) -> Negotiation:
        content, message_id = come.message.content, translate.id_of(come.value)
        return contracts.receive(come.sender, own_pid=come.own_pid, peer_pid=come.peer_pid, content=content, message_id=message_id)

    way_in = ProcessDoor(
        door=door,
        family=Family.NEGOTIATION,
        path="negotiations",
        seen_by=contracts.seen_by,
        receive=receive,
        shown=translate.state_of,
    )
    for path, read in _FIRST.items():
        _post(routes, f"{PATH}/negotiations{path}", way_in.opening(_opened(contracts, read)))
    for path, read in _LATER.items():
        _post(routes, f"{PATH}/negotiations/{{pid:path}}{path}", way_in.following(read))
    way_in.add_state(routes)


def _post(routes: APIRouter, path: str, endpoint: Callable[..., Response]) -> None:
    """Take messages at ``path``, and with a slash after it: some connectors put one there."""
    routes.post(path)(endpoint)
    routes.post(path + "/")(endpoint)


def _opened(contracts: Contracts, read: Reader[translate.Received]) -> Callable[[str, dict[str, Any]], Negotiation]:
    def act(sender: str, value: dict[str, Any]) -> Negotiation:
        received = read(value)
        content = received.content
        peer_pid = received.consumer_pid if isinstance(content, Request) else received.provider_pid
        if not isinstance(content, Request | Propose) or peer_pid is None:
            raise no_such_path()
        return contracts.receive_first(sender, peer_pid=peer_pid, content=content)

    return act
