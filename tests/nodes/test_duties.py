"""Duties under an agreement, from owed to fulfilled, on both nodes; and what an overdue one keeps from being used."""

import copy
from datetime import timedelta
from typing import Any

import pytest
from negotiators import PRODUCT, Node, StepClock, a_use, negotiated, policy_for

from chengshu.contract.duties import Duties, DutyStanding
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Conflict, Denied, Invalid, NotFound
from chengshu.kernel.refusal import Refused
from chengshu.policy.constraint import Constraint
from chengshu.policy.duties import DutyState, Ground
from chengshu.policy.model import Basis, CountLimit, Deed, DutyAction, Pay, Policy
from chengshu.policy.odrl import to_odrl
from chengshu.policy.terms import Operand, Operator
from chengshu.policy.values import Duration

DAY = timedelta(days=1)


def within(days: int) -> Constraint:
    return Constraint(Operand.ELAPSED, Operator.LTEQ, Duration(0, days * 86_400_000))


def duties_of(node: Node, clock: StepClock) -> Duties:
    return Duties(node.database, identity=node.identity, evidence=node.evidence, digests=Digests(INTERNATIONAL), clock=clock)


def without_count(consumer: Node) -> Policy:
    """The usual policy for any number of uses."""
    return Policy(tuple(rule for rule in policy_for(consumer).rules if not isinstance(rule, CountLimit)))


class Case:
    """An agreement with duties between two nodes."""

    def __init__(self, consumer: Node, provider: Node, clock: StepClock, policy: Policy) -> None:
        self.clock, self.consumer, self.provider = clock, consumer, provider
        provider.products.policies[PRODUCT] = to_odrl(policy)
        pid, _ = negotiated(consumer, provider)
        self.agreement = str(consumer.contracts.negotiation(pid).agreement_id)
        self.theirs, self.ours = duties_of(consumer, clock), duties_of(provider, clock)

    def use(self) -> str | None:
        """Use it once, as the provider counts it; return the rule that refuses it."""
        use = a_use(self.clock, self.consumer)
        with self.provider.database.write() as tx:
            verdict = self.provider.contracts.permit_use(tx, self.agreement, use)
            if isinstance(verdict, Refused):
                return verdict.rule
            self.provider.contracts.record_use(tx, self.agreement, use)
            return None

    def states(self) -> dict[tuple[str, int], DutyState]:
        return {(one.owed.duty, one.owed.occurrence): one.state for one in self.ours.standings(self.agreement)}

    def one(self, name: str) -> DutyStanding:
        return next(one for one in self.ours.standings(self.agreement) if one.owed.duty == name)


@pytest.fixture
def erased(consumer: Node, provider: Node, clock: StepClock) -> Case:
    usual = without_count(consumer)
    erase = Deed(DutyAction.DELETE, within(30), (Deed(DutyAction.ATTRIBUTE),))
    return Case(consumer, provider, clock, Policy(usual.rules, (Pay(Basis.CONTRIBUTION), erase)))


def test_a_duty_is_owed_from_the_first_use_and_bars_uses_once_it_is_overdue(erased: Case) -> None:
    assert erased.states() == {}
    assert erased.use() is None
    assert erased.states() == {("permission-1/duty-1", 1): DutyState.PENDING, ("permission-1/duty-2", 1): DutyState.PENDING}
    erased.clock.now += 30 * DAY
    assert erased.use() is None  # the deadline itself is still in time
    erased.clock.now += timedelta(milliseconds=1)
    assert erased.use() == "duty-overdue"
    assert erased.one("permission-1/duty-2").state is DutyState.OVERDUE


def test_what_the_assignee_states_is_recorded_as_stated_on_both_nodes_and_a_repeat_changes_nothing(erased: Case) -> None:
    assert erased.use() is None
    with pytest.raises(NotFound):
        erased.theirs.state(erased.agreement, "permission-1/duty-9", words="erased")
    document = erased.theirs.state(erased.agreement, "permission-1/duty-2", words="erased on 24 November, backups too")
    for _ in range(2):
        told = erased.ours.take(copy.deepcopy(document))
        assert (told.state, told.owed.ground, told.words) == (DutyState.FULFILLED, Ground.STATED, "erased on 24 November, backups too")
    assert [node.kinds().count("duty.fulfilled") for node in (erased.consumer, erased.provider)] == [1, 1]
    with pytest.raises(Conflict):
        erased.theirs.state(erased.agreement, "permission-1/duty-2", words="again")
    erased.clock.now += 99 * DAY
    assert erased.states()["permission-1/duty-2", 1] is DutyState.FULFILLED


def test_a_late_fulfilment_still_owes_its_consequence(erased: Case) -> None:
    assert erased.use() is None
    erased.clock.now += 31 * DAY
    erased.ours.confirm(erased.agreement, "permission-1/duty-2", words="seen erased")
    assert erased.use() == "duty"
    assert erased.one("permission-1/duty-2/consequence-1").owed.consequence_of == "permission-1/duty-2"
    erased.ours.confirm(erased.agreement, "permission-1/duty-2/consequence-1", words="named as the source")
    assert erased.use() is None
    (late, _) = [entry.body for entry in erased.provider.evidence.entries(0, 1000) if entry.kind == "duty.fulfilled"]
    assert (late["late"], late["ground"], late["action"]) == (True, "observed", "delete")


def test_what_the_provider_saw_is_observed_and_each_side_has_its_own_verbs(erased: Case) -> None:
    assert erased.use() is None
    paid = erased.ours.confirm(erased.agreement, "permission-1/duty-1", words="paid, bank reference 4711")
    assert (paid.state, paid.owed.ground) == (DutyState.FULFILLED, Ground.OBSERVED)
    with pytest.raises(Denied):
        erased.theirs.confirm(erased.agreement, "permission-1/duty-1", words="paid")
    with pytest.raises(Denied):
        erased.ours.state(erased.agreement, "permission-1/duty-2", words="erased")
    with pytest.raises(NotFound):
        erased.ours.confirm(erased.agreement, "permission-9/duty-1", words="done")
    for words in ("", " ", "x" * 1001):
        with pytest.raises(Invalid):
            erased.ours.confirm(erased.agreement, "permission-1/duty-2", words=words)


def test_a_statement_that_somebody_changed_or_signed_in_anothers_place_is_not_taken(erased: Case) -> None:
    early = erased.theirs.state(erased.agreement, "permission-1/duty-1", words="paid before anything was used")
    with pytest.raises(NotFound):  # nothing was used yet, so nothing is owed, whatever the assignee says
        erased.ours.take(early)
    assert erased.use() is None
    document = erased.theirs.state(erased.agreement, "permission-1/duty-2", words="erased")
    other = erased.provider.identity.did
    changes: list[tuple[str, Any]] = [("words", "not erased"), ("duty", "permission-1/duty-1"), ("by", other), ("occurrence", 2)]
    for key, value in changes:
        forged = copy.deepcopy(document)
        forged["statement"][key] = value
        with pytest.raises((Denied, NotFound)):
            erased.ours.take(forged)
    for signature in ("", "AAAA", "%%", document["signature"][:-4] + "AAA="):
        with pytest.raises(Denied):
            erased.ours.take({**document, "signature": signature})
    broken: list[dict[str, Any]] = [{}, {"statement": {}}, {**document, "signature": 1}, {"statement": [], "signature": ""}]
    wrongs: list[dict[str, Any]] = [{"occurrence": True}, {"at": "soon"}, {"more": 1}, {"words": ""}]
    broken += [{**document, "statement": {**document["statement"], **wrong}} for wrong in wrongs]
    for one in broken:
        with pytest.raises(Invalid):
            erased.ours.take(one)
    assert erased.states()["permission-1/duty-2", 1] is DutyState.PENDING


def test_an_obligation_is_owed_from_the_agreement_on_and_a_report_for_every_use(consumer: Node, provider: Node, clock: StepClock) -> None:
    usual = without_count(consumer)
    report, attribute = Deed(DutyAction.INFORM, within(2)), Deed(DutyAction.ATTRIBUTE, within(9))
    case = Case(consumer, provider, clock, Policy(usual.rules, (report,), obligations=(attribute,)))
    assert case.states() == {("obligation-1", 1): DutyState.PENDING}
    assert case.use() is None
    clock.now += DAY
    assert case.use() is None
    name = "permission-1/duty-1"
    assert case.states() == {(name, 1): DutyState.PENDING, (name, 2): DutyState.PENDING, ("obligation-1", 1): DutyState.PENDING}
    case.ours.confirm(case.agreement, name, words="report of the first use", occurrence=1)
    clock.now += 2 * DAY - timedelta(hours=1)
    assert case.states()[name, 2] is DutyState.PENDING
    clock.now += timedelta(hours=2)
    assert case.states()[name, 2] is DutyState.OVERDUE
    case.ours.confirm(case.agreement, name, words="report of the second use", occurrence=2)
    clock.now += 9 * DAY
    assert case.use() == "duty-overdue"  # now the obligation


def test_events_begin_and_end_with_a_reason_and_policies_hear_of_them(consumer: Node, provider: Node, clock: StepClock) -> None:
    usual = without_count(consumer)
    case = Case(consumer, provider, clock, Policy((*usual.rules, Constraint(Operand.EVENT, Operator.IS_A, "disaster"))))
    assert case.use() == "event"
    case.ours.begin("flood", reason="warning of the weather service")
    with pytest.raises(Conflict):
        case.ours.begin("flood", reason="again")
    assert [one["name"] for one in case.ours.events()] == ["flood"]
    assert case.use() is None
    case.ours.end("flood", reason="warning lifted")
    assert case.use() == "event"
    with pytest.raises(NotFound):
        case.ours.end("flood", reason="again")
    with pytest.raises(Invalid):
        case.ours.begin("", reason="x")
    assert [kind for kind in provider.kinds() if kind.startswith("event.")] == ["event.begun", "event.ended"]


def test_how_long_an_agreement_lasts_is_told_from_its_own_time_and_its_first_use(consumer: Node, provider: Node, clock: StepClock) -> None:
    usual = without_count(consumer)
    since = Constraint(Operand.SINCE_FIRST_USE, Operator.LTEQ, Duration(0, 86_400_000))
    case = Case(consumer, provider, clock, Policy((*usual.rules, Constraint(Operand.ELAPSED, Operator.LTEQ, Duration(1, 0)), since)))
    clock.now += 20 * DAY
    assert case.use() is None
    clock.now += DAY
    assert case.use() is None
    clock.now += timedelta(milliseconds=1)
    assert case.use() == "since-first-use"
    clock.now += 20 * DAY
    assert case.use() == "elapsed-time"
