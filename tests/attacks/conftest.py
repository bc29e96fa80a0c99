"""Attacks on whole nodes are made in the same town as the tests of honest use."""

from collections.abc import Iterator

import pytest
from small_space import Town, raised_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with raised_town(tmp_path_factory.mktemp("town")) as town:
        yield town
