"""The two kinds of connectors that :mod:`dsp` measures: a pair of our nodes, and a pair of Eclipse EDC connectors, behind one face."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import httpx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select
from tests.conformance.edc_connector import Edc, free_port

from chengshu.catalog import listing_store
from chengshu.catalog.listing import OWN, Listing, Member
from chengshu.catalog.model import Column, DataContract, LogicalType, Product, Role
from chengshu.catalog.odcs import document_of
from chengshu.cli import verbs
from chengshu.contract import store
from chengshu.contract.model import State
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node

PAGE = 50
CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
POLICY = {"permission": [{"action": "use"}]}
THREADS = 8

Page = tuple[int, str | None]
"""How many datasets a page has, and where the next one is."""


class Pair(Protocol):
    """A consumer and a provider, each a process of its own."""

    provider: int
    """The id of the provider's process."""

    consumer: int
    """The id of the consumer's process."""

    cold_s: float
    """From the start of the provider's process to its first answer."""

    def ask(self) -> str:
        """Have the consumer ask for the provider's offer; return the negotiation's id."""
        ...

    def ended(self, asked: list[str]) -> bool:
        """Say whether all of these have ended at the consumer, in force or otherwise."""
        ...

    def failed(self) -> int:
        """Return how many negotiations ended otherwise than in force."""
        ...

    def fill(self, datasets: int) -> None:
        """Bring the provider's catalog to so many datasets."""
        ...

    def page(self, at: str | None) -> Page:
        """Read one page of the provider's catalog as a stranger does, over HTTP; None is the first."""
        ...

    def further(self, after: str | None, page: int, *, size: int, pages: int) -> str | None:
        """Return the page to read next: about so many ``pages`` of a catalog of that ``size``, or all of them where that is cheap."""
        ...


class Ours:
    """Two nodes as an operator starts them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._giver, self._taker = (_born(folder / name, name) for name in ("giver", "taker"))
        verbs.add_peer(self._giver, verbs.describe(self._taker))
        verbs.add_peer(self._taker, verbs.describe(self._giver))
        self._template = _published(self._giver)
        self._filled = 1
        self.cold_s, process = _started(lambda: _serve(self._giver, stack), self._giver.settings.serve.address)
        self.provider = process.pid
        _, process = _started(lambda: _serve(self._taker, stack), self._taker.settings.serve.address)
        self.consumer = process.pid
        (self._offer,) = self._taker.peers.dataset(self._giver.identity.did, "counts")["hasPolicy"]
        self._client = stack.enter_context(httpx.Client(trust_env=False, timeout=60))
        stack.callback(self._taker.peers.close)

    def ask(self) -> str:
        """Ask as the command line does: the consumer's process sends what this one has put into the outbox."""
        return self._taker.contracts.request(self._giver.identity.did, dataset="counts", offer=self._offer)

    def ended(self, asked: list[str]) -> bool:
        """Count in the consumer's database."""
        states = self._states()
        return sum(states.values()) >= len(asked) and all(State(state).final for state in states)

    def failed(self) -> int:
        """Count in the consumer's database."""
        return self._states().get(State.TERMINATED, 0)

    def _states(self) -> dict[str, int]:
        with self._taker.database.read() as tx:
            counted = select(store.negotiations.c.state, func.count()).group_by(store.negotiations.c.state)
            return {str(state): int(count) for state, count in tx.execute(counted)}

    def fill(self, datasets: int) -> None:
        """Write the listings of products like the published one; the catalog is shown from listings alone."""
        with self._giver.database.write() as tx:
            listing_store.add(tx, (_listing(self._template, number) for number in range(self._filled, datasets)), party=OWN, generation=0)
        self._filled = datasets

    def page(self, at: str | None) -> Page:
        """Follow the Link header."""
        url = at or f"{self._giver.identity.address}/catalog/request"
        body = json.dumps({"@context": [CONTEXT], "@type": "CatalogRequestMessage", "filter": [{"limit": PAGE}]}).encode()
        request = self._client.build_request("POST", url, content=body, headers={"Content-Type": "application/json"})
        signed = SignedRequest("POST", request.url.raw_path.decode(), body)
        request.headers["Authorization"] = self._taker.credentials.issue(self._giver.identity.did, signed)
        answer = self._client.send(request).raise_for_status()
        return len(answer.json().get("dataset", [])), answer.links.get("next", {}).get("url")

    def further(self, after: str | None, page: int, *, size: int, pages: int) -> str | None:
        """Read on from the beginning: a page is found by the key after which it begins, wherever that is."""
        del size
        return after if page + 1 < pages else None


class Theirs:
    """Two EDC connectors with everything in memory."""

    def __init__(self, folder: Path, stack: ExitStack, *, iteration_ms: int | None) -> None:
        began = time.perf_counter()
        self._giver = stack.enter_context(Edc(folder / "giver", "giver", iteration_ms=iteration_ms))
        self.cold_s = time.perf_counter() - began
        self.provider = self._giver.pid
        self._taker = stack.enter_context(Edc(folder / "taker", "taker", iteration_ms=iteration_ms))
        self.consumer = self._taker.pid
        self._giver.offer("counts", source="http://127.0.0.1:9/")
        (dataset,) = self._taker.catalog("giver", self._giver.address)["dataset"]
        (self._offer,) = dataset["hasPolicy"]
        self._client = stack.enter_context(httpx.Client(trust_env=False, timeout=60))
        self._filled = 1

    def ask(self) -> str:
        """Ask through the consumer's management API."""
        return self._taker.negotiate("giver", self._giver.address, self._offer, asset="counts")

    def ended(self, asked: list[str]) -> bool:
        """Ask the management API for each in turn, from the one asked last: they are taken in order."""
        return all(self._taker.negotiation(one)["state"] in {"FINALIZED", "TERMINATED"} for one in reversed(asked))

    def failed(self) -> int:
        """Ask the management API for all."""
        return [one["state"] for one in self._taker.negotiations()].count("TERMINATED")

    def fill(self, datasets: int) -> None:
        """Publish assets through the management API, under one definition for all of them."""
        if self._filled == 1:
            self._giver.offer_all(policy="counts-policy")
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda number: self._giver.add_asset(f"product-{number:06d}"), range(self._filled, datasets)))
        self._filled = datasets

    def page(self, at: str | None) -> Page:
        """Ask with the filter that EDC's own consumers send; there is no link, so the next page is the next offset."""
        offset = int(at or 0)
        query = {"@type": "QuerySpec", "offset": offset, "limit": PAGE, "sortOrder": "ASC", "filterExpression": []}
        context = [CONTEXT, "https://w3id.org/edc/dspace/v0.0.1"]
        asked = {"@context": context, "@type": "CatalogRequestMessage", "filter": [query]}
        credential = {"region": "eu", "audience": self._giver.address, "clientId": "taker"}
        headers = {"Authorization": json.dumps(credential)}
        answer = self._client.post(f"{self._giver.address}/catalog/request", json=asked, headers=headers).raise_for_status()
        found = len(answer.json().get("dataset", []))
        return found, str(offset + found) if found == PAGE else None

    def further(self, after: str | None, page: int, *, size: int, pages: int) -> str | None:
        """Read all of a small catalog, and of a large one pages at even distances."""
        if size <= pages * PAGE:
            return after
        offset = (page + 1) * (size // pages)
        return str(offset) if page + 1 < pages else None


def memory_mib(pid: int) -> float:
    """The resident memory of a process and of those that it started."""
    process = psutil.Process(pid)
    return round(sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 2**20, 1)


def cpu_s(pid: int) -> float:
    """The processor time that a process has used."""
    return float(sum(psutil.Process(pid).cpu_times()[:2]))


def cpu_share(pid: int, *, seconds: float) -> float:
    """How much of one core a process uses while nobody asks it for anything."""
    before = cpu_s(pid)
    time.sleep(seconds)
    return round((cpu_s(pid) - before) / seconds, 4)


@contextmanager
def running(make: Callable[[ExitStack], Pair]) -> Iterator[Pair]:
    """A pair for the time of the context."""
    with ExitStack() as stack:
        yield make(stack)


def _born(folder: Path, handle: str) -> Node:
    verbs.init(folder, verbs.Birth(handle, handle.title(), f"{handle} 节点", port=free_port()))
    return open_node(folder)


def _serve(node: Node, stack: ExitStack) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "chengshu", "serve", "--node", str(node.folder), "--while-input-open"]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=dict(os.environ)))
    stack.callback(process.kill)
    return process


def _started(start: Callable[[], "subprocess.Popen[bytes]"], address: str) -> tuple[float, "subprocess.Popen[bytes]"]:
    began = time.perf_counter()
    process = start()
    while time.perf_counter() - began < 60:
        try:
            if httpx.get(f"{address}/.well-known/dspace-version", trust_env=False, timeout=1).is_success:
                return time.perf_counter() - began, process
        except httpx.TransportError:
            time.sleep(0.02)
    raise SystemExit("expected a node that answers within a minute, got none")


def _published(node: Node) -> Product:
    file = node.folder / "counts.parquet"
    pq.write_table(pa.table({"road": ["ring", "gate"], "vehicles": [20.0, 20.0]}), file)
    columns = (
        Column("road", LogicalType.STRING, "string", required=True, role=Role.GROUP),
        Column("vehicles", LogicalType.NUMBER, "float64", role=Role.MEASURE, aggregates=("sum",)),
    )
    contract = DataContract("counts", "1.0.0", "counts", Text("Counts", "计数"), "giver", "vehicles on roads", columns)
    product = node.catalog.publish(document_of(contract), source=file, policy=POLICY)
    if not isinstance(product, Product):
        raise SystemExit(f"expected the benchmark's product to be published, got {product}")
    return product


def _listing(product: Product, number: int) -> Listing:
    name = f"product-{number:06d}"
    members = {Member.TITLE: f"Counts {number}", Member.VERSION: "1.0.0", Member.PUBLISHER: "giver", Member.NAME: name}
    document = {"@id": name, "title": f"Counts {number}", "description": "vehicles on roads", "version": "1.0.0", "rows": 2}
    return Listing(name, members, (), datetime.now(UTC), f"{name} counts vehicles".casefold(), document, (product.policy,), None)
