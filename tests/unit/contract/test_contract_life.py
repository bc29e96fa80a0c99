"""Agreements' lives: what the standing is read off, and two contract rooms that end and replace at will over a road that loses things."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from chengshu.contract.agreements import TELL, Agreements
from chengshu.contract.life import RULES, Ending, Expiry, Phase, Supersession, Termination, leading, life_of, termination_from
from chengshu.contract.model import Agreement, Content, Negotiation, Propose, Request, State
from chengshu.contract.outbox import Outbox
from chengshu.contract.service import Contracts
from chengshu.contract.steps import SEND_LAST
from chengshu.evidence.service import Evidence
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import iso
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.errors import ChengshuError, Conflict, Unavailable
from chengshu.kernel.ids import new_id
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text
from chengshu.kernel.worker import Worker
from chengshu.policy.model import CountLimit, Environment, Policy, Purpose, TimeWindow
from chengshu.policy.odrl import to_odrl
from databases import database_at

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DAY = timedelta(days=1)

# --- the pure rule


def agreement(window: TimeWindow | None = None) -> Agreement:
    rules = (Purpose(frozenset({"research"})),) if window is None else (Purpose(frozenset({"research"})), window)
    head = {"@id": "urn:a", "@type": "Agreement", "target": "urn:t", "assigner": "did:p", "assignee": "did:c", "timestamp": iso(NOW)}
    return Agreement("urn:a", "urn:n", {**head, **to_odrl(Policy(rules))}, None, None)


moments = st.integers(-3, 3).map(lambda days: NOW + days * DAY)
terminations = st.builds(Termination, st.just("urn:a"), st.sampled_from(["did:p", "did:c"]), moments, st.just("code"), st.just(("why",)))
endings = st.one_of(
    terminations,
    st.builds(Supersession, st.just("urn:a"), moments, st.just("urn:b"), st.booleans()),
    st.builds(Expiry, st.just("urn:a"), moments),
)
windows = st.sampled_from([None, TimeWindow(NOW - DAY, NOW + DAY), TimeWindow(None, NOW), TimeWindow(NOW + DAY, None)])


@given(windows, st.lists(endings, max_size=3), st.lists(endings, min_size=1, max_size=3), moments, moments)
def test_no_further_ending_and_no_later_moment_brings_an_ended_agreement_back(
    window: TimeWindow | None, known: list[Ending], further: list[Ending], one: datetime, other: datetime
) -> None:
    early, late = sorted((one, other))
    before = life_of(agreement(window), State.FINALIZED, endings=known, at=early)
    after = life_of(agreement(window), State.FINALIZED, endings=[*known, *further], at=late)
    assert after.phase.ended
    assert not before.phase.ended or life_of(agreement(window), State.FINALIZED, endings=known, at=late).phase.ended
    assert (after.refusal() is None) is (after.phase is Phase.IN_FORCE)


@given(st.lists(endings, min_size=1, max_size=4))
def test_the_standing_does_not_depend_on_the_order_in_which_endings_became_known(known: list[Ending]) -> None:
    said = {one.by: one for one in known if isinstance(one, Termination)}  # one word of each party, one supersession, one expiry: as kept
    others = {type(one): one for one in known if not isinstance(one, Termination)}
    kept = [*said.values(), *others.values()]
    assert len({leading(order) for order in permutations(kept)}) == 1


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_but_one_refuses_with_a_rule_of_its_own(phase: Phase) -> None:
    assert (phase in RULES) is (phase is not Phase.IN_FORCE)
    assert len(set(RULES.values())) == len(RULES)


@pytest.mark.parametrize(
    ("window", "state", "known", "phase", "words"),
    [
        (None, State.FINALIZED, [], Phase.IN_FORCE, ()),
        (None, State.VERIFIED, [], Phase.NOT_CONCLUDED, ("FINALIZED", "VERIFIED")),
        (TimeWindow(NOW, NOW), State.FINALIZED, [], Phase.IN_FORCE, ()),
        (TimeWindow(NOW + DAY, None), State.FINALIZED, [], Phase.NOT_YET_VALID, (iso(NOW + DAY),)),
        (TimeWindow(None, NOW - DAY), State.FINALIZED, [], Phase.EXPIRED, (iso(NOW - DAY), iso(NOW))),
        (None, State.FINALIZED, [Supersession("urn:a", NOW, "urn:b", True)], Phase.SUPERSEDED, ("urn:b", iso(NOW))),
        (
            None,
            State.FINALIZED,
            [Termination("urn:a", "did:p", NOW, "breach", ("not paid",))],
            Phase.TERMINATED,
            ("did:p", "breach", "not paid"),
        ),
    ],
)
def test_a_refusal_says_who_or_what_when_and_why(
    window: TimeWindow | None, state: State, known: list[Ending], phase: Phase, words: tuple[str, ...]
) -> None:
    life = life_of(agreement(window), state, endings=known, at=NOW)
    refused = life.refusal()
    assert life.phase is phase
    assert (refused is None) is (phase is Phase.IN_FORCE)
    assert all(refused is not None and word in refused.message for word in words)
    assert refused is None or "not paid" not in str(refused.facts)  # somebody's free words are not fit for the log


@given(terminations)
def test_a_termination_survives_the_outbox(one: Termination) -> None:
    assert termination_from(one.as_document()) == one


# --- two sides

LOST = Unavailable("peer.unreachable", "expected an answer, got none", hint=Text("Wait.", "请等待。"))


@dataclass
class StepClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Products:
    """The provider's one product, whose terms change now and then."""

    uses: int = 3
    days: int = 30

    def policy_of(self, _tx: Connection, dataset_id: str) -> dict[str, Any] | None:
        rules = (Purpose(frozenset({"research"})), Environment("did:room"), CountLimit(self.uses), TimeWindow(NOW, NOW + self.days * DAY))
        return to_odrl(Policy(rules)) if dataset_id == "urn:t" else None

    def ids(self, _tx: Connection) -> list[str]:
        return ["urn:t"]


@dataclass
class Road:
    """Hands messages over in the process; ``weather`` says of each trip whether the message or its answer is lost."""

    weather: list[str]
    sender: str = ""
    contracts: Contracts | None = None
    agreements: Agreements | None = None
    said: list[Termination] = field(default_factory=list)

    def deliver(self, negotiation: Negotiation, content: Content, message_id: str | None) -> str | None:
        def hand_over() -> str:
            assert self.contracts is not None
            if isinstance(content, Request | Propose) and content.callback is not None:
                return self.contracts.receive_first(self.sender, peer_pid=negotiation.id, content=content).id
            pids = {"own_pid": str(negotiation.peer_pid), "peer_pid": negotiation.id}
            return self.contracts.receive(self.sender, **pids, content=content, message_id=message_id).id

        return self._trip(hand_over)

    def tell(self, _counterparty: str, termination: Termination) -> bool:
        def hand_over() -> bool:
            assert self.agreements is not None
            self.said.append(termination)
            self.agreements.receive_termination(self.sender, termination)
            return True

        return self._trip(hand_over)

    def repeat(self) -> None:
        """Bring again what was brought before, the oldest first."""
        assert self.agreements is not None
        for termination in self.said[:2]:
            self.agreements.receive_termination(self.sender, termination)

    def _trip(self, hand_over: Callable[[], Any]) -> Any:
        trip = self.weather.pop(0) if self.weather else "fine"
        if trip == "message lost":
            raise LOST
        answer = hand_over()
        if trip == "answer lost":
            raise LOST
        return answer


@dataclass
class Side:
    database: Database
    identity: Identity
    contracts: Contracts
    agreements: Agreements
    evidence: Evidence
    products: Products
    tasks: Tasks
    worker: Worker
    road: Road
    ended: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Hold every agreement's phase against the last look: what has ended stays ended."""
        now = {one.life.agreement.id for one in self.agreements.standings() if one.life.phase.ended}
        assert self.ended <= now
        self.ended = now

    def is_busy(self) -> bool:
        with self.database.read() as tx:
            return self.tasks.waiting(tx) != []

    def standings(self) -> dict[str, tuple[Phase, Any]]:
        return {one.life.agreement.id: (one.life.phase, _told(one.life.ending)) for one in self.agreements.standings()}


def _told(ending: Ending | None) -> Any:
    """An ending without what each side's own clock adds to it."""
    return replace(ending, at=NOW) if isinstance(ending, Supersession | Expiry) else ending


def side(folder: Path, clock: StepClock, weather: list[str], products: Products) -> Side:
    folder.mkdir()
    database = database_at(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", folder / "log", clock)
    identity = Identity(database, signer=signer, address=f"http://{folder.name}/2025-1", evidence=evidence, clock=clock)
    tasks, digests = Tasks(clock), Digests(INTERNATIONAL)
    shared: dict[str, Any] = {"tasks": tasks, "identity": identity, "evidence": evidence, "digests": digests, "clock": clock}
    contracts = Contracts(database, datasets=products, new_id=new_id, **shared)
    road = Road(weather)
    outbox = Outbox(contracts=contracts, courier=road)
    agreements = Agreements(database, contracts=contracts, heralds=road, **shared)
    worker = Worker(
        database,
        clock=clock,
        handlers=outbox.handlers() | agreements.handlers(),
        on_failed=outbox.on_failed() | agreements.on_failed(),
        given_up=lambda _tx, _task, _error: None,
        patient={TELL, SEND_LAST},
        patience=outbox.patience(),
    )
    return Side(database, identity, contracts, agreements, evidence, products, tasks, worker, road)


@dataclass
class World:
    """A consumer and a provider with one agreement in force, and what people and the road do to them."""

    clock: StepClock
    consumer: Side
    provider: Side

    def start(self) -> None:
        for one, other in ((self.consumer, self.provider), (self.provider, self.consumer)):
            name = one.identity.address.split("/")[2]
            other.identity.add(one.identity.did, name_en=name, name_zh=name, address=one.identity.address)
            one.road.contracts, one.road.agreements, one.road.sender = other.contracts, other.agreements, one.identity.did
        self.consumer.contracts.request(self.provider.identity.did, dataset="urn:t", offer=self.offer())
        self.settle()

    def offer(self) -> dict[str, Any]:
        with self.provider.database.read() as tx:
            (offer,) = self.provider.contracts.offers_for(tx, "urn:t", audience=self.consumer.identity.did)
        return dict(offer.document)

    def act(self, who: str, what: str, which: int) -> None:
        one = self.consumer if who == "consumer" else self.provider
        match what:
            case "terms":
                self.provider.products.uses += 1
            case "longer":
                self.provider.products.days += 30
            case "wait":
                self.clock.now += timedelta(minutes=which)
            case "work":
                one.worker.run_due()
            case "repeat":
                one.road.repeat()
            case _:
                self._verb(one, what, which)
        self.consumer.look()
        self.provider.look()

    def _verb(self, one: Side, what: str, which: int) -> None:
        known = [found.life.agreement.id for found in one.agreements.standings()]
        chosen = known[which % len(known)]
        try:
            match what:
                case "terminate":
                    one.agreements.terminate(chosen, code="not-needed", reason=f"reason {which}")
                case "renew":
                    one.agreements.renew(chosen, offer=self.offer())
                case "amend":
                    one.agreements.amend(chosen, offer=self.offer())
                case "accept":
                    for negotiation in one.contracts.negotiations():
                        if negotiation.state is State.OFFERED:
                            one.contracts.accept(negotiation.id)
        except Conflict:
            pass  # what does not follow from the standing is refused, and changes nothing

    def settle(self) -> None:
        """Let everything that is still to be said be said."""
        for _ in range(400):
            if not (self.consumer.is_busy() or self.provider.is_busy()):
                return
            for one in (self.consumer, self.provider):
                one.worker.run_due()
                one.look()
            self.clock.now += timedelta(minutes=5)
        raise AssertionError("expected both sides to come to rest")


trips = st.lists(st.sampled_from(["fine", "message lost", "answer lost"]), max_size=10)
VERBS = ["terminate", "renew", "amend", "accept", "terms", "longer", "work", "wait", "repeat"]
acts = st.lists(st.tuples(st.sampled_from(["consumer", "provider"]), st.sampled_from(VERBS), st.integers(0, 3)), max_size=24)
CROSSING = [
    *(("provider", "longer", 0), ("consumer", "renew", 0), ("provider", "terms", 0), ("provider", "amend", 0)),
    *(
        ("consumer", "work", 0),
        ("provider", "work", 0),
        ("consumer", "terminate", 0),
        ("provider", "terminate", 0),
        ("consumer", "accept", 0),
    ),
]
LATE = [
    *(("provider", "longer", 0), ("consumer", "renew", 0), ("consumer", "work", 0), ("provider", "work", 0), ("consumer", "work", 0)),
    *(("consumer", "terminate", 0), ("provider", "wait", 3), ("provider", "work", 0)),
]


@settings(max_examples=25, deadline=None)
@example([], [], CROSSING)
@example(["answer lost"] * 10, ["message lost", "answer lost"] * 5, CROSSING)
@example([], ["message lost"] * 10, LATE)
@given(trips, trips, acts)
def test_whatever_both_sides_do_and_whatever_the_road_loses_both_read_one_standing(
    there: list[str], back: list[str], todo: list[tuple[str, str, int]]
) -> None:
    clock, products = StepClock(), Products()
    with TemporaryDirectory() as folder:
        places = Path(folder)
        world = World(clock, side(places / "consumer", clock, [], products), side(places / "provider", clock, [], products))
        world.start()
        world.consumer.road.weather, world.provider.road.weather = list(there), list(back)
        for who, what, which in todo:
            world.act(who, what, which)
        world.settle()
        ours, theirs = world.consumer.standings(), world.provider.standings()
        assert ours == theirs
        for one in (world.consumer, world.provider):
            kinds = [(entry.kind, entry.subject, entry.body.get("by")) for entry in one.evidence.entries(0, 500)]
            ends = [kind for kind in kinds if kind[0] in {"agreement.terminated", "agreement.superseded"}]
            assert len(ends) == len(set(ends))  # nothing is done twice
            assert one.agreements.expire() == []


def test_a_termination_that_overtakes_the_last_word_of_the_negotiation_comes_again(tmp_path: Path) -> None:
    clock, products = StepClock(), Products()
    world = World(clock, side(tmp_path / "consumer", clock, [], products), side(tmp_path / "provider", clock, [], products))
    world.start()
    world.provider.products.days += 30
    (old,) = world.consumer.contracts.agreements()
    world.consumer.agreements.renew(old.id, offer=world.offer())
    world.consumer.worker.run_due()
    world.provider.worker.run_due()
    world.provider.road.weather = ["message lost"]
    world.consumer.worker.run_due()  # confirmed there: the provider has finalized, and its word is lost
    world.provider.worker.run_due()
    (new,) = world.provider.contracts.agreements()
    with pytest.raises(ChengshuError) as caught:
        word = Termination(new.id, world.provider.identity.did, clock(), "breach", ("not paid",))
        world.consumer.agreements.receive_termination(world.provider.identity.did, word)
    assert (type(caught.value), caught.value.code) == (Unavailable, "contract.not-concluded")
    world.provider.agreements.terminate(new.id, code="breach", reason="not paid")
    world.settle()
    assert world.consumer.standings() == world.provider.standings()
    assert world.consumer.standings()[new.id][0] is Phase.TERMINATED


def test_the_word_that_an_agreement_is_in_force_is_brought_however_long_the_other_side_is_away(tmp_path: Path) -> None:
    clock, products = StepClock(), Products()
    world = World(clock, side(tmp_path / "consumer", clock, [], products), side(tmp_path / "provider", clock, [], products))
    world.start()
    world.provider.products.uses += 1
    (old,) = world.consumer.contracts.agreements()
    world.consumer.agreements.amend(old.id, offer=world.offer())
    for one in (world.consumer, world.provider, world.consumer):
        one.worker.run_due()
    world.provider.road.weather = ["message lost"] * 100
    for _ in range(100):
        world.provider.worker.run_due()
        clock.now += timedelta(hours=1)
    assert world.consumer.standings()[old.id][0] is Phase.IN_FORCE
    world.settle()
    assert world.consumer.standings() == world.provider.standings()
    assert world.consumer.standings()[old.id][0] is Phase.SUPERSEDED
