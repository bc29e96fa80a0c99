"""A served node whose PostgreSQL server goes and comes back under it: typed errors, and then all goes on as if nothing was."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from crashing import PRODUCT, Pair, come_to_rest, faults, raised
from small_space import hang_up, until

from chengshu.cli.doctor import examine
from chengshu.config import DATABASE_URL
from chengshu.contract.model import State
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.errors import Unavailable
from databases import Cluster, cluster

LASTING = ("max_connections=100",)
"""A server that flushes to the disk, so that it loses nothing when it is stopped at once."""

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections of this process to a server that went away

ASKED = [
    ("POST", "/catalog/request", "CatalogError"),
    ("GET", f"/catalog/datasets/{PRODUCT}", "CatalogError"),
    ("POST", "/negotiations/request", "ContractNegotiationError"),
    ("GET", "/negotiations/urn:x", "ContractNegotiationError"),
    ("POST", "/negotiations/urn:x/events", "ContractNegotiationError"),
    ("POST", "/negotiations/urn:x/agreement/verification", "ContractNegotiationError"),
    ("POST", "/transfers/request", "TransferError"),
    ("GET", "/transfers/urn:x", "TransferError"),
    ("POST", "/transfers/urn:x/termination", "TransferError"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.delenv(DATABASE_URL, raising=False)  # it would go before what each node's settings say
    with cluster(settings=LASTING) as server:
        yield server


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ask(pair: Pair, count: int) -> list[str]:
    (offer, *_) = pair.consumer.peers.dataset(pair.provider.identity.did, PRODUCT)["hasPolicy"]
    return [pair.consumer.contracts.request(pair.provider.identity.did, dataset=PRODUCT, offer=offer) for _ in range(count)]


def states(pair: Pair) -> list[State]:
    return [one.state for one in pair.consumer.contracts.negotiations()]


def answer(pair: Pair, method: str, path: str, authorization: str) -> httpx.Response:
    body = json.dumps({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"]}).encode() if method == "POST" else b""
    url = pair.provider.identity.address + path
    return httpx.request(method, url, content=body, headers={"Authorization": authorization}, trust_env=False, timeout=60)


def told(pair: Pair, method: str, path: str) -> tuple[int, Any, Any]:
    """Status, type and code of an answer to a credential that is valid, without asking the consumer's own database for one."""
    body = json.dumps({"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"]}).encode() if method == "POST" else b""
    whole = httpx.URL(pair.provider.identity.address + path).raw_path.decode()
    signed = pair.consumer.credentials.issue(pair.provider.identity.did, SignedRequest(method, whole, body))
    found = answer(pair, method, path, signed)
    return found.status_code, found.json().get("@type"), found.json().get("code")


@pytest.mark.parametrize("kept", [("provider",), ("consumer", "provider")], ids=" and ".join)
def test_a_database_that_goes_and_comes_back_under_served_nodes_loses_and_doubles_nothing(
    server: Cluster, stack: ExitStack, tmp_path: Path, kept: tuple[str, ...]
) -> None:
    pair = raised(tmp_path, stack, kept_by=dict.fromkeys(kept, server.url))
    stack.callback(hang_up, *pair.nodes.values())
    asked = ask(pair, 40)
    until(lambda: State.FINALIZED in states(pair))
    assert {state.final for state in states(pair)} == {True, False}  # some are in the middle of it
    server.stop("immediate")

    assert [told(pair, method, path) for method, path, _ in ASKED] == [(503, kind, "database.unavailable") for _, _, kind in ASKED]
    for address in {pair.nodes[name].settings.serve.address for name in kept}:
        assert httpx.get(f"{address}/health", trust_env=False).status_code == 200  # the process lives, and says who it is
        assert httpx.post(f"{address}/room/jobs", json={}, trust_env=False).status_code != 500
    with pytest.raises(Unavailable):
        pair.provider.contracts.negotiations()
    assert any(one.bad and "server runs" in one.remedy.en for one in examine(pair.provider.folder))

    server.start()
    asked += ask(pair, 10)
    come_to_rest(pair)
    assert faults(pair, asked) == []
    assert {name: process.poll() for name, process in pair.processes.items()} == {"consumer": None, "provider": None}
