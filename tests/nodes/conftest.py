"""What the tests of whole nodes share: a space of real nodes on loopback, and a plug-in installed for the time of a module."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from negotiators import PRODUCT, Node, Start, StepClock, introduce, policy_for, starter
from published_schemas import wrong
from small_settlement import plugged_in
from small_space import Town, raised_town

from chengshu.policy.odrl import to_odrl


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with raised_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def plug_in() -> Iterator[None]:
    with plugged_in():
        yield


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


@pytest.fixture
def as_published() -> Iterator[None]:
    """Nothing that the nodes say to one another in the test is against the protocol's published schemas."""
    wrong.clear()
    yield
    assert wrong == []
