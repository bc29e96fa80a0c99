"""What a placement says of itself: at which nodes it could compute, and the plan of a job there."""

from collections.abc import Sequence
from typing import Protocol

from chengshu.cleanroom.model import Job
from chengshu.cleanroom.planning.model import Plan
from chengshu.cleanroom.relation.model import VettedQuery


class Placement(Protocol):
    """One way to compute a job."""

    @property
    def name(self) -> str:
        """The name that plans and statements call it by."""
        ...

    def places(self, asker: str, *, holders: Sequence[str], rooms: Sequence[str]) -> tuple[str, ...]:
        """Return the nodes that could compute a question over products of ``holders``; ``rooms`` are the clean rooms that are known."""
        ...

    def plan(self, job: Job, vetted: VettedQuery) -> Plan:
        """Return the plan of a job in this placement; the job alone decides it."""
        ...
