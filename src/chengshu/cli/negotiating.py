"""What the commands of a negotiation show beside the negotiation itself."""

from chengshu.cli import verbs
from chengshu.contract.model import Negotiation
from chengshu.kernel.refusal import Refused
from chengshu.node import Node


def negotiations(node: Node) -> list[verbs.Document]:
    """Return the negotiations that have not ended, oldest first, each with whom it waits for."""
    kept = ("negotiation", "role", "product", "counterparty", "state", "waits_for", "why")
    every = [verbs.negotiation(node, one.id) for one in node.contracts.negotiations() if not one.state.final]
    return [{key: one[key] for key in kept} for one in every]


def stepped(node: Node, outcome: Negotiation | Refused) -> verbs.Document | Refused:
    """Return where a negotiation stands after a step of ours, or why there was none."""
    return outcome if isinstance(outcome, Refused) else verbs.negotiation(node, outcome.id)
