"""The paths of a transfer process, both bindings in one."""

from typing import Any

from fastapi import APIRouter

from chengshu.dsp.routes.door import PATH, Door, Family
from chengshu.dsp.routes.processes import Arrival, ProcessDoor, Reader
from chengshu.dsp.translate import transfer as translate
from chengshu.transfer.process.model import TransferProcess
from chengshu.transfer.process.service import TransferProcesses

_LATER: dict[str, Reader[translate.Received]] = {
    "/start": translate.read_start,
    "/suspension": translate.read_suspension,
    "/completion": translate.read_completion,
    "/termination": translate.read_termination,
}
"""Both sides have the same paths: a pid is ours alone, and the state machine knows who may say what."""


def transfer_router(*, processes: TransferProcesses, door: Door) -> APIRouter:
    """Return the paths below ``/transfers``, to be included as :func:`chengshu.dsp.routes.protocol.router` is."""

    def request(sender: str, value: dict[str, Any]) -> TransferProcess:
        peer_pid, content = translate.read_request(value)
        return processes.receive_first(sender, peer_pid=peer_pid, content=content)

    def receive(come: Arrival[translate.Received]) -> TransferProcess:
        return processes.receive(come.sender, own_pid=come.own_pid, peer_pid=come.peer_pid, content=come.message.content)

    routes = APIRouter(include_in_schema=False)
    way_in = ProcessDoor(
        door=door,
        family=Family.TRANSFER,
        path="transfers",
        seen_by=processes.seen_by,
        receive=receive,
        shown=translate.state_of,
    )
    routes.post(PATH + "/transfers/request")(way_in.opening(request))
    for path, read in _LATER.items():
        routes.post(f"{PATH}/transfers/{{pid:path}}{path}")(way_in.following(read))
    way_in.add_state(routes)
    return routes
