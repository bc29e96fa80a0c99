"""What a verb needs first: the negotiation or agreement that an id names, for whoever may know of it."""

from chengshu.contract import store
from chengshu.contract.model import Agreement, Negotiation, State
from chengshu.kernel.errors import Conflict, Invalid, NotFound
from chengshu.kernel.register import Register
from chengshu.kernel.text import Text

NEGOTIATIONS: Register[Negotiation] = Register(
    "negotiation", get=store.get_negotiation, find=store.find_negotiation, save_peer_pid=store.save_peer_pid
)
"""Negotiations by their pids."""


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
