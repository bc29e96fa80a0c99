"""Transfer processes by their ids, for their owner and for their counterparty, and errors that tell nobody else that they exist."""

from dataclasses import replace

from sqlalchemy import Connection

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text
from chengshu.transfer.process import store
from chengshu.transfer.process.model import TransferProcess


def own(tx: Connection, pid: str) -> TransferProcess:
    """Return the process with our id; raise NotFound where there is none."""
    process = store.get(tx, pid)
    if process is None:
        raise _unknown()
    return process


def shared(tx: Connection, sender: str, own_pid: str) -> TransferProcess:
    """Return the process with our id if ``sender`` is its counterparty; raise NotFound otherwise, with the same words."""
    process = store.get(tx, own_pid)
    if process is None or process.counterparty != sender:
        raise _unknown()
    return process


def with_peer(tx: Connection, process: TransferProcess, peer_pid: str) -> TransferProcess:
    """Return the process with the counterparty's pid, learnt here where its message overtakes its answer to ours; raises Invalid."""
    if process.peer_pid == peer_pid:
        return process
    taken = store.find(tx, process.counterparty, role=process.role, peer_pid=peer_pid)
    if process.peer_pid is not None or taken is not None:
        raise Invalid(
            "transfer.pid",
            "expected the pid that the counterparty gave this transfer, got another",
            hint=Text("Send the pid that the first answer named.", "请使用首次应答中给出的流程标识。"),
        )
    known = replace(process, peer_pid=peer_pid)
    store.save(tx, known)
    return known


def _unknown() -> NotFound:
    return NotFound(
        "transfer.unknown",
        "expected the id of a transfer between these two parties, got one that is not",
        hint=Text("Check the pid and who is asking.", "请核对流程标识与请求方。"),
    )
