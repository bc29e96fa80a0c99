"""What the tests of whole nodes share: a space of real nodes on loopback, and a plug-in installed for the time of a module."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from negotiators import PRODUCT, Node, Start, StepClock, introduce, policy_for, starter
from small_space import PURPOSE, Town, agree, counts, hang_up, publish

from chengshu.cli import verbs
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Space(tmp_path_factory.mktemp("town")) as space:
        road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
        room = space.add("room", clean_room=True)
        terms = verbs.Terms(room.identity.did, [PURPOSE])
        publish(road, "counts", policy=verbs.offer_of(terms))
        publish(road, "other", policy=verbs.offer_of(terms))
        publish(road, "twice", policy=verbs.offer_of(verbs.Terms(room.identity.did, [PURPOSE], uses=2)))
        publish(fleet, "trips", policy=verbs.offer_of(terms), table=counts(vehicles=range(30, 60)))
        agreements = {name: agree(firm, road, name) for name in ("counts", "other", "twice")}
        agreements["trips"] = agree(firm, fleet, "trips")
        yield Town(space, road, fleet, firm, room, agreements)
    hang_up(*space.nodes.values())


@pytest.fixture(scope="module")
def plug_in() -> Iterator[None]:
    folder = str(Path(__file__).parent / "plug_in")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(tmp_path: Path, clock: StepClock, stack: ExitStack) -> Start:
    return starter(tmp_path, clock, stack)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """A consumer and a provider for tests in which nothing is ever accepted, so that they can share them."""
    with ExitStack() as stack:
        start = starter(tmp_path_factory.mktemp("idle"), StepClock(), stack)
        provider, consumer = start("provider"), start("consumer", serving=False)
        introduce(provider, consumer)
        provider.products.policies[PRODUCT] = to_odrl(policy_for(consumer))
        yield consumer, provider
        assert provider.contracts.negotiations() == []


@pytest.fixture
def provider(start: Start) -> Node:
    return start("provider")


@pytest.fixture
def consumer(start: Start, provider: Node) -> Node:
    node = start("consumer")
    introduce(provider, node)
    provider.products.policies[PRODUCT] = to_odrl(policy_for(node))
    return node
