"""``secure-aggregation``: every holder adds up its own rows, and a room adds up the masked sums, none of which it can read."""

from collections.abc import Sequence
from dataclasses import dataclass

from chengshu.cleanroom.model import SECURE_AGGREGATION, Job
from chengshu.cleanroom.planning import sights
from chengshu.cleanroom.planning.lineage import group_keys
from chengshu.cleanroom.planning.model import Action, Cost, Gap, Leak, Part, Plan, Step, What
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.secure_aggregation.fitting import LEAST_HOLDERS

_ASKED = 2
"""Messages between asker and room: the job, and how it stands."""
_HELD = 6
"""Messages between room and holder: to join, to share, the sums, to confirm, to open, and the receipt."""


@dataclass(frozen=True, slots=True)
class _Sums:
    name: str = SECURE_AGGREGATION

    def places(self, asker: str, *, holders: Sequence[str], rooms: Sequence[str]) -> tuple[str, ...]:
        """Return every clean room that is known beside which, and the asker, there are holders enough."""
        return tuple(one for one in rooms if len(set(holders) - {asker, one}) >= LEAST_HOLDERS)

    def plan(self, job: Job, vetted: VettedQuery) -> Plan:
        """Return a plan in which no row leaves its holder: the room sees the names of groups, and the totals of those that leave."""
        node = job.room
        holders = tuple(dict.fromkeys(one.provider for one in job.by_name))
        alias_of = {holder: {one.alias for one in job.inputs if one.provider == holder} for holder in holders}
        adding = tuple(
            Action(
                holder,
                Step.SUM,
                tuple(one for one in sights.read_by(vetted) if one.product in alias_of[holder]),
                (node,),
                (*sights.of_holder(job, holder), *_of_member(vetted, holder), *_of_sender(job, vetted, holder)),
            )
            for holder in holders
        )
        known = (*_of_room(node), *sights.of_coordinator(node))
        return Plan(
            placement=self.name,
            place=node,
            actions=(
                *adding,
                Action(node, Step.COMPUTE, (), (node,), known),
                Action(node, Step.RELEASE, (), (job.consumer,), (*sights.of_asker(job, vetted), *sights.of_network(()))),
            ),
            cost=Cost(products_moved=0, messages=_ASKED + _HELD * len(holders)),
            gaps=(Gap.DIFFERENCING, Gap.INFERENCE, Gap.HOLDERS_TOGETHER, Gap.UNENCRYPTED_LINES, Gap.DURATION),
        )


def _of_member(vetted: VettedQuery, holder: str) -> tuple[Leak, ...]:
    """A member learns which of its groups are large enough at every other one, and who these are."""
    who = (Part.HOLDER, holder)
    return (*(Leak(*who, What.GROUP_KEYS, product, columns) for product, columns in group_keys(vetted)), Leak(*who, What.ADDRESSES))


def _of_sender(job: Job, vetted: VettedQuery, holder: str) -> tuple[Leak, ...]:
    """What the room learns of a holder: its schemas, and the names of its groups that are large enough."""
    who, mine = (Part.ROOM, job.room), {one.alias for one in job.inputs if one.provider == holder}
    keys = (Leak(*who, What.GROUP_KEYS, product, columns) for product, columns in group_keys(vetted) if product in mine)
    return (*(Leak(*who, What.SCHEMAS, one) for one in sorted(mine)), *keys)


def _of_room(room: str) -> tuple[Leak, ...]:
    who = (Part.ROOM, room)
    return (Leak(*who, What.QUESTION), Leak(*who, What.PURPOSE), Leak(*who, What.TOTALS), Leak(*who, What.RELEASED))


SUMS = _Sums()
