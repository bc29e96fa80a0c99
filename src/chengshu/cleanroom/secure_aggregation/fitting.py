"""Which questions can be answered by masked sums: counts, sums and means over the rows of three holders or more."""

from chengshu.cleanroom.model import SECURE_AGGREGATION, Aggregate, Job
from chengshu.cleanroom.relation.model import VettedQuery, products
from chengshu.cleanroom.unions.separating import separated
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

LEAST_HOLDERS = 3
"""So many holders beside the asker and the room: of two, each could subtract its own sum from the total and have the other's."""
MOST_HOLDERS = 64
RULE = SECURE_AGGREGATION
_ADDED = frozenset({Aggregate.COUNT, Aggregate.SUM, Aggregate.AVG})


def misfit(job: Job, vetted: VettedQuery | None) -> Refused | None:
    """Return why a job cannot be done by masked sums, None where it can, and for a job that is not to be."""
    if not job.sums_up:
        return None
    if vetted is None or vetted.protection is not None:
        return _refused("a question in SQL whose answer carries no noise", "another one")
    summary = vetted.summary
    if any(one.function not in _ADDED or one.distinct for one in summary.measures) or summary.singles or summary.uniques:
        return _refused("COUNT, SUM and AVG", "an aggregate that is not made of sums")
    read = [tuple(products(body)) for body in separated(summary.body)]
    if any(len(one) != 1 for one in read) or {one for (one,) in read} != {one.alias for one in job.inputs}:
        return _refused("a UNION ALL, each part of it of one product, and of every product that the job names", "another question")
    holders = {one.provider for one in job.inputs}
    if len(holders - {job.consumer, job.room}) < LEAST_HOLDERS:
        return _refused(f"the products of {LEAST_HOLDERS} holders or more beside the asker and the room", "those of fewer")
    return None if len(holders) <= MOST_HOLDERS else _refused(f"at most {MOST_HOLDERS} holders", "more")


def rows_stay() -> Refused:
    """Return the refusal of a room that asks for the rows of a job in which none leave."""
    return _refused("to be asked for a masked sum, as the signed job says", "to be asked for rows")


def _refused(expected: str, got: str) -> Refused:
    return Refused(
        RULE,
        f"job.placement: expected {expected}, got {got}",
        Text(
            "COUNT, SUM and AVG over a UNION ALL of the rows of three holders or more; other questions go to a clean room.",
            "对三个及以上持有方数据的 UNION ALL 使用 COUNT、SUM、AVG；其他问题请使用净室。",
        ),
    )
