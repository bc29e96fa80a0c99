"""What the kit wants the node's operator to do in each of its tests: by hand, with the verbs that every operator has.

A script is a list of steps; each waits for its state. The kit expects an answer first and the act later: it listens for a message only
once the answer to its own has been read.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from chengshu.contract.decision import Objections
from chengshu.contract.model import State
from chengshu.kernel.machine import Role
from chengshu.node import Node
from chengshu.transfer.process.model import State as Transfer

ACT_AFTER_S = 0.6
Act = Callable[[Node, str], object]
Step = tuple[StrEnum, Act]


def propose(node: Node, pid: str) -> object:
    """Propose what the catalog has."""
    return node.contracts.counter(pid)


def ask_again(node: Node, pid: str) -> object:
    """Ask for the plainest of terms."""
    return node.contracts.counter(pid, policy={"permission": [{"action": "use"}]})


def accept(node: Node, pid: str) -> object:
    """Accept the offer on the table."""
    return node.contracts.accept(pid)


def agree(node: Node, pid: str) -> object:
    """Agree to the offer on the table."""
    return node.contracts.agree(pid)


def verify(node: Node, pid: str) -> object:
    """Confirm the agreement.

    This version of the kit, where it plays the provider, names the two parties the wrong way round in its agreements, and another product
    in its offers. The node says so and signs nothing of the kind; its operator sets that aside for the kit's sake.
    """
    return node.contracts.verify(pid, objections=Objections.SET_ASIDE)


def verify_what_was_asked_for(node: Node, pid: str) -> object:
    """Confirm the agreement, unless anything is against it."""
    return node.contracts.verify(pid)


def finalize(node: Node, pid: str) -> object:
    """Put the agreement into force."""
    return node.contracts.finalize(pid)


def end(node: Node, pid: str) -> object:
    """End the negotiation."""
    return node.contracts.terminate(pid, code="kit", reason="this test wants it ended here")


def start(node: Node, pid: str) -> object:
    """Start the transfer, or resume it."""
    return node.moving.processes.start(pid)


def suspend(node: Node, pid: str) -> object:
    """Suspend the transfer."""
    return node.moving.processes.suspend(pid, reason="this test wants it suspended here")


def complete(node: Node, pid: str) -> object:
    """Complete the transfer."""
    return node.moving.processes.complete(pid)


def stop(node: Node, pid: str) -> object:
    """End the transfer."""
    return node.moving.processes.terminate(pid, code="kit", reason="this test wants it ended here")


REQUESTED, OFFERED, ACCEPTED, AGREED, VERIFIED = State.REQUESTED, State.OFFERED, State.ACCEPTED, State.AGREED, State.VERIFIED

AS_PROVIDER: Mapping[str, Sequence[Step]] = {
    "ACN0101": [(REQUESTED, propose)],
    "ACN0102": [(REQUESTED, propose), (REQUESTED, end)],
    "ACN0103": [(REQUESTED, propose), (ACCEPTED, agree), (VERIFIED, finalize)],
    "ACN0104": [(REQUESTED, agree), (VERIFIED, finalize)],
    "ACN0201": [(REQUESTED, end)],
    "ACN0202": [],
    "ACN0203": [(REQUESTED, agree)],
    "ACN0204": [(REQUESTED, propose)],
    "ACN0205": [(REQUESTED, propose), (OFFERED, end)],
    "ACN0206": [(REQUESTED, propose), (ACCEPTED, end)],
    "ACN0207": [(REQUESTED, agree), (VERIFIED, end)],
    "ACN0301": [(REQUESTED, agree), (VERIFIED, finalize)],
    "ACN0302": [(REQUESTED, propose)],
    "ACN0303": [(REQUESTED, propose)],
    "ACN0304": [(REQUESTED, propose)],
}
"""By dataset, where the node is the provider; the last four digits are those of the kit's test (ACN0101: CN:01-01)."""

AS_CONSUMER: Mapping[str, Sequence[Step]] = {
    "ACNC0101": [(OFFERED, accept), (AGREED, verify)],
    "ACNC0102": [(OFFERED, ask_again)],
    "ACNC0103": [(OFFERED, end)],
    "ACNC0104": [(AGREED, verify)],
    "ACNC0201": [],
    "ACNC0202": [(REQUESTED, end)],
    "ACNC0203": [(AGREED, end)],
    "ACNC0204": [],
    "ACNC0205": [(OFFERED, accept)],
    "ACNC0206": [(AGREED, verify)],
    "ACNC0301": [],
    "ACNC0302": [],
    "ACNC0303": [],
    "ACNC0304": [(OFFERED, accept)],
    "ACNC0305": [(OFFERED, accept)],
    "ACNC0306": [(OFFERED, accept)],
}
"""By dataset, where the node is the consumer (ACNC0101: CN_C:01-01)."""

ASKED, STARTED, SUSPENDED = Transfer.REQUESTED, Transfer.STARTED, Transfer.SUSPENDED

PROVIDES: Mapping[str, Sequence[Step]] = {
    "ATP0101": [(ASKED, start), (STARTED, stop)],
    "ATP0102": [(ASKED, start), (STARTED, complete)],
    "ATP0103": [(ASKED, start), (STARTED, suspend), (SUSPENDED, stop)],
    "ATP0104": [(ASKED, start), (STARTED, suspend), (SUSPENDED, start), (STARTED, complete)],
    "ATP0105": [(ASKED, stop)],
    "ATP0201": [(ASKED, start)],
    "ATP0202": [(ASKED, start)],
    "ATP0203": [(ASKED, start)],
    "ATP0205": [],
    "ATP0301": [],
    "ATP0302": [],
    "ATP0303": [(ASKED, start)],
    "ATP0304": [(ASKED, start)],
    "ATP0305": [(ASKED, start)],
    "ATP0306": [(ASKED, start)],
}
"""By the product of the agreement, where the node sends (ATP0101: TP:01-01)."""

RECEIVES: Mapping[str, Sequence[Step]] = {
    "ATPC0101": [],
    "ATPC0102": [],
    "ATPC0103": [],
    "ATPC0104": [],
    "ATPC0105": [],
    "ATPC0201": [(STARTED, stop)],
    "ATPC0202": [(STARTED, complete)],
    "ATPC0203": [(STARTED, suspend), (SUSPENDED, stop)],
    "ATPC0205": [(ASKED, stop)],
    "ATPC0301": [],
    "ATPC0302": [],
    "ATPC0303": [],
    "ATPC0304": [],
    "ATPC0305": [],
    "ATPC0306": [],
}
"""By the product of the agreement, where the node receives (ATPC0101: TP_C:01-01)."""

_NEGOTIATIONS: Mapping[Role, Mapping[str, Sequence[Step]]] = {
    Role.PROVIDER: {**AS_PROVIDER, **{name: [(REQUESTED, agree), (VERIFIED, finalize)] for name in PROVIDES}},
    Role.CONSUMER: {**AS_CONSUMER, **{name: [(AGREED, verify_what_was_asked_for)] for name in RECEIVES}},
}
_TRANSFERS: Mapping[Role, Mapping[str, Sequence[Step]]] = {Role.PROVIDER: PROVIDES, Role.CONSUMER: RECEIVES}


@dataclass
class Run:
    """How far one process is in its script."""

    steps: list[Step]
    state: str = ""
    since: float = field(default_factory=time.monotonic)


class Operator:
    """Does at a node what the scripts say; a process that no script is about is left alone."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._runs: dict[str, Run] = {}

    def look(self) -> None:
        """Take the steps that are due now."""
        with self._node.database.read() as tx:
            unsent = {task.lane for task in self._node.tasks.waiting(tx)}
        for pid, state, script in self._processes():
            self._follow(pid, state, script, is_delivered=pid not in unsent)

    def _processes(self) -> Iterator[tuple[str, StrEnum, Sequence[Step]]]:
        for negotiation in self._node.contracts.negotiations():
            yield negotiation.id, negotiation.state, _NEGOTIATIONS[negotiation.role].get(negotiation.dataset, [])
        for process in self._node.moving.processes.processes():
            yield process.id, process.state, _TRANSFERS[process.role].get(process.product or "", [])

    def _follow(self, pid: str, state: StrEnum, script: Sequence[Step], *, is_delivered: bool) -> None:
        run = self._runs.setdefault(pid, Run(list(script)))
        if run.state != state or not is_delivered:
            run.state, run.since = state, time.monotonic()
        elif run.steps and run.steps[0][0] == state and time.monotonic() - run.since >= ACT_AFTER_S:
            _, act = run.steps.pop(0)
            act(self._node, pid)
