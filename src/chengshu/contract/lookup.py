"""What a verb needs first: the negotiation or agreement that an id names, for whoever may know of it."""

from dataclasses import replace

from sqlalchemy import Connection

from chengshu.contract import store
from chengshu.contract.model import Agreement, Negotiation, State
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.text import Text


def own(tx: Connection, negotiation_id: str) -> Negotiation:
    """Return the negotiation with our id; raise NotFound where there is none."""
    negotiation = store.get_negotiation(tx, negotiation_id)
    if negotiation is None:
        raise _unknown()
    return negotiation


def shared(tx: Connection, sender: str, own_pid: str) -> Negotiation:
    """Return the negotiation with our id if ``sender`` is its counterparty; raise NotFound otherwise, with the same words."""
    negotiation = store.get_negotiation(tx, own_pid)
    if negotiation is None or negotiation.counterparty != sender:
        raise _unknown()
    return negotiation


def with_peer(tx: Connection, negotiation: Negotiation, peer_pid: str) -> Negotiation:
    """Return the negotiation with the counterparty's pid, learnt here where its message overtakes its answer to ours; raises Invalid."""
    if negotiation.peer_pid == peer_pid:
        return negotiation
    taken = store.find_negotiation(tx, negotiation.counterparty, role=negotiation.role, peer_pid=peer_pid)
    if negotiation.peer_pid is not None or taken is not None:
        raise Invalid(
            "negotiation.pid",
            "expected the pid that the counterparty gave this negotiation, got another",
            hint=Text("Send the pid that the first answer named.", "请使用首次应答中给出的流程标识。"),
        )
    known = replace(negotiation, peer_pid=peer_pid)
    store.save_peer_pid(tx, negotiation.id, peer_pid)
    return known


def found(row: tuple[Agreement, State] | None) -> tuple[Agreement, State]:
    """Return the agreement that was looked for; raise NotFound where there is none."""
    if row is None:
        raise NotFound(
            "contract.agreement-unknown",
            "expected the id of an agreement of this node, got one that is not here",
            hint=Text("List the agreements that are in force.", "请查看当前有效的合约。"),
        )
    return row


def not_their_address() -> Invalid:
    """Return the error for an opening message that names somebody else's address to be answered at."""
    return Invalid(
        "negotiation.callback",
        "expected a callbackAddress with the scheme, host and port that this party is listed with, got another",
        hint=Text(
            "List the party with the address it calls back from, or its host in [outgoing] hosts.",
            "请按对方回调地址登记该参与方，或将该主机列入 [outgoing] hosts。",
        ),
    )


def pid_in_use() -> Conflict:
    """Return the error for an opening message under a pid that opened another negotiation."""
    return Conflict(
        "negotiation.pid-in-use",
        "expected a new pid, or the very message that opened this negotiation, got another message",
        hint=Text("Open a negotiation with a fresh pid.", "请使用新的流程标识发起协商。"),
    )


def no_product() -> NotFound:
    """Return the error for a product that this node does not offer."""
    return NotFound(
        "contract.product-unknown",
        "expected the id of a product that this node offers, got another",
        hint=Text("List the products with 'chengshu product list'.", "请用 chengshu product list 查看产品列表。"),
    )


def _unknown() -> NotFound:
    return NotFound(
        "negotiation.unknown",
        "expected the id of a negotiation between these two parties, got one that is not",
        hint=Text("Check the pid and who is asking.", "请核对流程标识与请求方。"),
    )
