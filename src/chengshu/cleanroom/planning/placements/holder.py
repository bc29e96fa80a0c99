"""``holder``: one other party holds everything and runs a clean room itself; no row leaves its node."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.cleanroom.model import Job
from chengshu.cleanroom.planning import sights
from chengshu.cleanroom.planning.model import Action, Cost, Gap, Plan, Step
from chengshu.cleanroom.relation.model import VettedQuery


@dataclass(frozen=True, slots=True)
class _Holder:
    name: str = "holder"

    def places(self, asker: str, *, holders: Sequence[str], rooms: Sequence[str]) -> tuple[str, ...]:
        """Return the only holder where it is another party that runs a clean room."""
        only = set(holders)
        return tuple(only) if len(only) == 1 and only != {asker} and only <= set(rooms) else ()

    def plan(self, job: Job, vetted: VettedQuery) -> Plan:
        """Return a plan in which the holder reads its products in place; it learns the question and the answer."""
        node = job.room
        reads = sights.read_by(vetted)
        known = (*sights.of_holder(job, node), *sights.of_coordinator(node))
        return Plan(
            placement=self.name,
            place=node,
            actions=(
                Action(node, Step.READ, reads, (node,), known),
                Action(node, Step.COMPUTE, reads, (node,), sights.of_room(vetted, node)),
                Action(node, Step.RELEASE, (), (job.consumer,), (*sights.of_asker(job, vetted), *sights.of_network(()))),
            ),
            cost=Cost(products_moved=0, messages=2),
            gaps=(Gap.DIFFERENCING, Gap.INFERENCE, Gap.UNENCRYPTED_LINES, Gap.DURATION),
        )


HOLDER = _Holder()
