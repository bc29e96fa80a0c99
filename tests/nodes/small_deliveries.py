"""A provider that gives rows, a consumer under agreement with it, and what they say to one another about transfers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from small_space import agree, hang_up, publish, until

from chengshu.node import Node
from chengshu.policy.model import CountLimit, Form, OutputForm, Policy, Purpose, Rule
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space
from chengshu.transfer.flow.model import PULL, Extent
from chengshu.transfer.process.model import State, Wanted

STUDY = "road-safety"


class Pair:
    """Two served nodes, products under agreement by name."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.provider, self.consumer = (space.add(name) for name in ("giver", "taker"))
        self.agreements: dict[str, str] = {}
        for name, rules in PRODUCTS.items():
            self.offer(name, *rules)

    def offer(self, name: str, *rules: Rule, table: pa.Table | None = None) -> str:
        """Publish a product and come to an agreement on it."""
        publish(self.provider, name, policy=to_odrl(Policy(rules)), table=table)
        self.agreements[name] = agree(self.consumer, self.provider, name)
        return self.agreements[name]

    def request(self, name: str, *, format_name: str = PULL, extent: Extent = Extent.FINITE, purpose: str | None = None) -> str:
        """Ask for a product; return the consumer's pid."""
        return self.consumer.moving.processes.request(Wanted(self.agreements[name], format_name, purpose, extent))

    def started(self, name: str, *, format_name: str = PULL, extent: Extent = Extent.FINITE) -> tuple[str, str]:
        """Ask for a product and wait until it is started on both sides; return both pids, the consumer's first."""
        pid = self.request(name, format_name=format_name, extent=extent)
        until(lambda: state(self.consumer, pid) is State.STARTED)
        return pid, peer(self.consumer, pid)

    def both(self, pid: str) -> tuple[State, State | None]:
        """How the consumer's process and the provider's stand; None while there is none at the provider."""
        theirs = self.consumer.moving.processes.process(pid).peer_pid
        return state(self.consumer, pid), None if theirs is None else state(self.provider, theirs)

    def settled(self, pid: str, expected: State) -> None:
        """Wait until both sides are in this state."""
        until(lambda: self.both(pid) == (expected, expected))


PRODUCTS: dict[str, tuple[Rule, ...]] = {
    "rows": (OutputForm(Form.ROWS),),
    "thrice": (OutputForm(Form.ROWS), CountLimit(3)),
    "study": (OutputForm(Form.ROWS), Purpose(frozenset({STUDY}))),
    "room_only": (OutputForm(Form.AGGREGATE),),
}


@contextmanager
def raised_pair(folder: Path) -> Iterator[Pair]:
    """Serve the pair below ``folder`` for the time of the context."""
    with Space(folder) as space:
        pair = Pair(space)
        yield pair
    for node in space.nodes.values():
        node.moving.close()
    hang_up(*space.nodes.values())


def state(node: Node, pid: str) -> State:
    """Where one side's process stands."""
    return node.moving.processes.process(pid).state


def peer(node: Node, pid: str) -> str:
    """The counterparty's id of a process."""
    return str(node.moving.processes.process(pid).peer_pid)
