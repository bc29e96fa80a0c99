"""What holds for every test: a slow machine is no defect, so no example of a property has a deadline; and which database is under it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from chengshu.config import DATABASE_URL
from databases import CHOICE, cluster, log_out_the_forgotten, on_postgresql

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-negotiations", type=int, default=60, help="negotiations during which nodes are killed (make crashes: 1,000)")
    parser.addoption("--crash-seed", type=int, default=None, help="the seed of the moments at which nodes are killed; none: a new one")


@pytest.fixture(scope="session", autouse=True)
def database_server() -> Iterator[None]:
    """Where the run is PostgreSQL's, a server of this process's own, which every node and every database of tests is kept by.

    Programs that tests start find this folder's modules too.
    """
    chosen = os.environ.get(CHOICE, "sqlite")
    assert chosen in {"sqlite", "postgresql"}, f"{CHOICE}: expected sqlite or postgresql, got {chosen}"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        if chosen == "postgresql":
            patch.setenv(DATABASE_URL, stack.enter_context(cluster()).url)
        yield


@pytest.fixture(autouse=True)
def _kept_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that is SQLite's own says why with ``@pytest.mark.on_sqlite("…")`` and runs on SQLite in both runs."""
    if request.node.get_closest_marker("on_sqlite"):
        monkeypatch.delenv(DATABASE_URL, raising=False)


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    """What a file of tests has forgotten is logged out at its end: a server of PostgreSQL lets in so many and no more."""
    yield
    if on_postgresql():
        log_out_the_forgotten(os.environ[DATABASE_URL])
