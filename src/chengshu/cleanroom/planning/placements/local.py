"""``local``: every product is the asker's own, and its own node computes; nothing leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.cleanroom.model import Job
from chengshu.cleanroom.planning import sights
from chengshu.cleanroom.planning.model import Action, Cost, Plan, Step
from chengshu.cleanroom.relation.model import VettedQuery


@dataclass(frozen=True, slots=True)
class _Local:
    name: str = "local"

    def places(self, asker: str, *, holders: Sequence[str], rooms: Sequence[str]) -> tuple[str, ...]:
        """Return the asker's own node where it holds everything."""
        del rooms
        return (asker,) if set(holders) == {asker} else ()

    def plan(self, job: Job, vetted: VettedQuery) -> Plan:
        """Return a plan in which one node does everything: it learns nothing that it does not hold."""
        node = job.consumer
        reads = sights.read_by(vetted)
        return Plan(
            placement=self.name,
            place=node,
            actions=(
                Action(node, Step.READ, reads, (node,), ()),
                Action(node, Step.COMPUTE, reads, (node,), sights.of_room(vetted, node)),
                Action(node, Step.RELEASE, (), (node,), sights.of_asker(job, vetted)),
            ),
            cost=Cost(products_moved=0, messages=0),
            gaps=(),
        )


LOCAL = _Local()
