"""How a job can be computed: one placement a file, in the order of preference where a node could be the place in two of them.

A further placement is one more file and its name in :data:`PLACEMENTS`; planner, statement, holders and rooms ask this list alone. Secure
aggregation stands beside them: a job says by itself that it is done so.
"""

from chengshu.cleanroom.model import Job
from chengshu.cleanroom.planning.model import Plan
from chengshu.cleanroom.planning.placements import holder, local, room, sums
from chengshu.cleanroom.planning.placements.placement import Placement
from chengshu.cleanroom.relation.model import VettedQuery

PLACEMENTS: tuple[Placement, ...] = (local.LOCAL, holder.HOLDER, room.ROOM)


def placement_of(job: Job) -> Placement:
    """Return the placement that a job is in: the one it names, or what follows from who asks, who holds and where it is computed."""
    if job.sums_up:
        return sums.SUMS
    holders = tuple(dict.fromkeys(one.provider for one in job.inputs))
    return next(one for one in PLACEMENTS if job.room in one.places(job.consumer, holders=holders, rooms=(job.room,)))


def plan_of(job: Job, vetted: VettedQuery) -> Plan:
    """Return the plan by which a job is done."""
    return placement_of(job).plan(job, vetted)
