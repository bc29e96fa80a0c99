"""What is true of an agreement when it is used, and what is owed under it, inside a caller's transaction.

What is owed follows from the policy, the agreement's time, its uses and the fulfilments that were kept: nothing else is stored, so that
nothing can disagree with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from chengshu.contract import owing_store, store
from chengshu.contract.model import Agreement
from chengshu.kernel.clock import from_iso
from chengshu.policy.duties import Duty, DutyAction, Ground, Owed, due
from chengshu.policy.model import Policy, UseState
from chengshu.policy.terms import Operand

Kept = Mapping[tuple[str, int], Mapping[str, Any]]


def state_of(tx: Connection, agreement: Agreement, policy: Policy, *, at: datetime, counted: bool) -> UseState:
    """Return what a use under an agreement with this policy is judged by, as far as the policy asks.

    A use that was ``counted`` already is not among the uses before it.
    """
    used = store.count_uses(tx, agreement.id)
    asks_first, asks_events = policy.speaks_of(Operand.SINCE_FIRST_USE), policy.speaks_of(Operand.EVENT)
    return UseState(
        assignee=agreement.consumer,
        uses=max(used - (1 if counted else 0), 0),
        agreed_at=agreed_at(agreement),
        first_use_at=owing_store.first_use(tx, agreement.id) if asks_first else None,
        events=frozenset(one["name"] for one in owing_store.under_way(tx)) if asks_events else frozenset(),
        owed=tuple(owed_under(tx, agreement, policy, at=at)),
    )


def owed_under(tx: Connection, agreement: Agreement, policy: Policy, *, at: datetime) -> Iterator[Owed]:
    """Yield what is owed under an agreement with this policy at a moment, from what is kept."""
    duties = [duty for _, duty in policy.owing()]
    if not duties:
        return
    reports = any(duty.action is DutyAction.INFORM for duty in duties)
    first = owing_store.first_use(tx, agreement.id)
    times = owing_store.use_times(tx, agreement.id) if reports else [] if first is None else [first]
    yield from owed(policy, start=agreed_at(agreement), times=times, kept=owing_store.of(tx, agreement.id), at=at)


def every_duty(policy: Policy) -> Iterator[tuple[str, Duty]]:
    """Yield every duty of a policy with its name, consequences too."""
    for name, duty in policy.owing():
        yield name, duty
        yield from ((f"{name}/consequence-{place}", one) for place, one in enumerate(duty.consequences, 1))


def agreed_at(agreement: Agreement) -> datetime | None:
    """Return when an agreement was made, as it says itself; None where it does not say it readably."""
    try:
        return from_iso(str(agreement.document.get("timestamp")))
    except (ValueError, OverflowError):
        return None


def owed(policy: Policy, *, start: datetime | None, times: Sequence[datetime], kept: Kept, at: datetime) -> Iterator[Owed]:
    """Yield what is owed at a moment: each duty once for each time it became owed, its consequences after it.

    ``start`` is the agreement's time, ``times`` are those of its uses (the first alone is enough where no duty is about each).
    """
    for name, duty in policy.owing():
        for occurrence, since in enumerate(_since(name, duty, start=start, times=times), 1):
            one = _owed(name, duty, occurrence, since=since, kept=kept)
            yield one
            late = one.due_at is not None and (one.fulfilled_at or at) > one.due_at
            for place, consequence in enumerate(duty.consequences if late else (), 1):
                assert one.due_at is not None  # noqa: S101  # what is late has a deadline
                below = f"{name}/consequence-{place}"
                yield _owed(below, consequence, occurrence, since=one.due_at, kept=kept, consequence_of=name)


def _since(name: str, duty: Duty, *, start: datetime | None, times: Sequence[datetime]) -> Sequence[datetime]:
    """When a duty became owed: an obligation with the agreement, a report with every use, any other duty with the first use."""
    if duty.action is DutyAction.INFORM:
        return times
    if name.startswith("obligation-"):
        return [] if start is None else [start]
    return [min(times)] if times else []


def _owed(name: str, duty: Duty, occurrence: int, *, since: datetime, kept: Kept, consequence_of: str | None = None) -> Owed:
    done = kept.get((name, occurrence))
    return Owed(
        duty=name,
        action=duty.action,
        occurrence=occurrence,
        since=since,
        due_at=due(duty, since=since),
        fulfilled_at=None if done is None else from_iso(done["at"]),
        ground=None if done is None else Ground(done["ground"]),
        consequence_of=consequence_of,
    )
