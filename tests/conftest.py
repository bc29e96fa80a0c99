"""What holds for every test: a slow machine is no defect, so no example of a property has a deadline."""

import pytest
from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-negotiations", type=int, default=1000, help="negotiations during which nodes are killed")
    parser.addoption("--crash-seed", type=int, default=None, help="the seed of the moments at which nodes are killed; none: a new one")
