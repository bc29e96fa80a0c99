"""``room``: a clean room collects the products that their holders approve for this one job, computes, and forgets them."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.cleanroom.model import Job
from chengshu.cleanroom.planning import sights
from chengshu.cleanroom.planning.model import Action, Cost, Gap, Plan, Reading, Step
from chengshu.cleanroom.relation.model import VettedQuery

_ASKED = 2
"""Messages between asker and room: the job, and how it stands."""
_HELD = 3
"""Messages between room and holder: leave, the product, and the receipt."""


@dataclass(frozen=True, slots=True)
class _Room:
    name: str = "room"

    def places(self, asker: str, *, holders: Sequence[str], rooms: Sequence[str]) -> tuple[str, ...]:
        """Return every clean room that is known."""
        del asker, holders
        return tuple(rooms)

    def plan(self, job: Job, vetted: VettedQuery) -> Plan:
        """Return a plan in which the room sees of every product what questions can need, each holder the question but not the answer."""
        node = job.room
        moved = [one for one in job.by_name if one.provider != node]
        reads = sights.read_by(vetted)
        sending = tuple(
            Action(
                one.provider,
                Step.SEND,
                (Reading(one.alias, tuple(sorted(one.schema.askable))),),
                (node,),
                (*sights.of_holder(job, one.provider), *(sights.of_receiver(node, one) if one in moved else ())),
            )
            for one in job.by_name
        )
        known = (*sights.of_room(vetted, node), *sights.of_coordinator(node))
        return Plan(
            placement=self.name,
            place=node,
            actions=(
                *sending,
                Action(node, Step.COMPUTE, reads, (node,), known),
                Action(node, Step.RELEASE, (), (job.consumer,), (*sights.of_asker(job, vetted), *sights.of_network(moved))),
            ),
            cost=Cost(products_moved=len(moved), messages=_ASKED + _HELD * len(job.inputs)),
            gaps=(Gap.DIFFERENCING, Gap.INFERENCE, Gap.ROOM_OPERATOR, Gap.COLLUSION, Gap.UNENCRYPTED_LINES, Gap.DURATION),
        )


ROOM = _Room()
