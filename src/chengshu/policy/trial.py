"""A dry run: under which circumstances, and from when until when, a policy would permit a use; pure, and nothing is counted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from chengshu.policy.constraint import Constraint, flat
from chengshu.policy.evaluation import Report, evaluate
from chengshu.policy.model import Form, Policy, QueryForm, Use, UseState
from chengshu.policy.terms import BROADER, Operand, Operator, broader
from chengshu.policy.values import Duration

STEP = timedelta(milliseconds=1)
"""The finest time that policies tell."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What would come of one use: from when and until when it is permitted (both None: never), and the verdict at the moment asked for."""

    use: Use
    since: datetime | None
    until: datetime | None
    report: Report


def try_use(policy: Policy, use: Use, state: UseState) -> Trial:
    """Return when the use would first be permitted, not before its own time, and until when without a break (None: no end in sight)."""
    moments = sorted({use.at, *(one for one in _edges(policy, state) if one > use.at)})
    verdicts = [(at, evaluate(policy, replace(use, at=at), state).permitted) for at in moments]
    since = next((at for at, is_permitted in verdicts if is_permitted), None)
    ends = [at for at, is_permitted in verdicts if since is not None and at > since and not is_permitted]
    return Trial(use, since, ends[0] - STEP if ends else None, evaluate(policy, use, state))


def uses_of(policy: Policy, *, party: str, at: datetime, rooms: tuple[str, ...]) -> Iterator[Use]:
    """Yield every use that the policy's own words suggest: each purpose by each means, in each room, and as a delivery."""
    purposes: list[str | None] = [*sorted(_named(policy, Operand.PURPOSE))] or [None]
    methods = sorted(_named(policy, Operand.METHOD))
    for purpose in purposes:
        for room in rooms:
            base = Use(party, at, purpose, room)
            query = replace(base, query=QueryForm.VETTED_SQL, output=Form.AGGREGATE, minimum_group=policy.least_group)
            privacy = policy.privacy
            yield query if privacy is None else replace(query, privacy_loss=privacy.loss, contributions=privacy.most_records)
            yield from (replace(base, method=method, output=Form.AGGREGATE) for method in methods)
        yield Use(party, at, purpose, party, output=Form.ROWS)


def _named(policy: Policy, operand: Operand) -> set[str]:
    """Every code that a permission names for an operand, and what is known to be a kind of it where kinds are meant."""
    found: set[str] = set()
    for one in _all(policy):
        if one.operand is not operand or one.operator in {Operator.NEQ, Operator.IS_NONE_OF}:
            continue
        found |= {value for value in one.values if isinstance(value, str)}
        if one.operator in {Operator.IS_A, Operator.IS_PART_OF}:
            found |= {code for code in BROADER if any(value in broader(code) for value in one.values)}
    return found


def _edges(policy: Policy, state: UseState) -> Iterator[datetime]:
    """The moments at which a verdict can change, and those right after them."""
    for one in [*_all(policy), *_forbidden(policy)]:
        for value in one.values:
            if isinstance(value, datetime):
                yield from (value, min(value, _LAST) + STEP)
            if isinstance(value, Duration):
                start = state.agreed_at if one.operand is Operand.ELAPSED else state.first_use_at
                if start is not None:
                    yield from (value.after(start), min(value.after(start), _LAST) + STEP)
    for owed in state.owed:
        if owed.due_at is not None:
            yield min(owed.due_at, _LAST) + STEP


_LAST = datetime(9999, 12, 30, tzinfo=UTC)


def _all(policy: Policy) -> list[Constraint]:
    return flat([condition for permission in policy.permissions for condition in permission.conditions])


def _forbidden(policy: Policy) -> list[Constraint]:
    return flat([condition for prohibition in policy.prohibitions for condition in prohibition.conditions])
