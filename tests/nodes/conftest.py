"""What the tests of whole nodes share: a space of real nodes on loopback, and a plug-in installed for the time of a module."""

from collections.abc import Iterator

import pytest
from small_settlement import plugged_in
from small_space import Town, raised_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with raised_town(tmp_path_factory.mktemp("town")) as town:
        yield town


@pytest.fixture(scope="module")
def plug_in() -> Iterator[None]:
    with plugged_in():
        yield
