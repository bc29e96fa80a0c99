"""A small space in which one job was valued and settled, for tests of honest statements and of false ones."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from small_space import PURPOSE, agree, ask, counts, hang_up, publish, until

from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import MethodQuestion
from chengshu.kernel.money import Fen
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

PRICE = Fen(100_001)


@dataclass(frozen=True)
class Settled:
    """A space in which one job was valued and settled."""

    road: Node
    fleet: Node
    firm: Node
    room: Node
    inputs: list[InputChoice]
    standing: Standing
    signed: dict[str, Any]

    @property
    def statement(self) -> str:
        return str(self.signed["document"]["statement"])

    @property
    def worth(self) -> MethodQuestion:
        """The valuation of both holders' data over a hundred cases."""
        parties = {"counts": self.road.identity.did, "trips": self.fleet.identity.did}
        return MethodQuestion("small.worth", {"parties": parties, "n": 100})


@contextmanager
def plugged_in() -> Iterator[None]:
    """Install the small methods for the time of the context."""
    folder = str(Path(__file__).parent / "plug_in")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@contextmanager
def settled_space(folder: Path) -> Iterator[Settled]:
    """Serve two holders, a firm and a room below ``folder``, and settle one job of theirs; the methods must be installed."""
    with Space(folder) as space:
        road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
        room = space.add("room", clean_room=True)
        methods = Methods(frozenset({"small.worth", "small.unsaid"}))
        policy = to_odrl(Policy((Purpose(frozenset({PURPOSE})), Environment(room.identity.did), methods, OutputForm(Form.AGGREGATE))))
        publish(road, "counts", policy=policy)
        publish(fleet, "trips", policy=policy, table=counts(vehicles=range(30, 60)))
        inputs = [InputChoice(one.identity.did, name, agree(firm, one, name)) for one, name in ((road, "counts"), (fleet, "trips"))]
        parties = {"counts": road.identity.did, "trips": fleet.identity.did}
        standing = ask(firm, room, inputs, question=MethodQuestion("small.worth", {"parties": parties, "n": 100}), price=PRICE)
        assert standing.state == "RELEASED"
        signed = room.settlements.settle(standing.job)
        for node in (road, fleet, firm):
            until(lambda node=node: node.settlements.every() != [])  # type: ignore[misc]  # mypy does not infer a lambda's default
        yield Settled(road, fleet, firm, room, inputs, standing, signed)
    hang_up(*space.nodes.values())
