"""Two nodes as processes that are killed at random moments, and what must hold once they have come to rest.

They are served by :mod:`served_in_a_process`, which can be told to break its outbox, so that it can be shown that the checks find it.
"""

import http.client
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from small_space import PURPOSE, born, publish, until
from sqlalchemy import func, select

from chengshu.cli import publishing, verbs
from chengshu.contract.model import State
from chengshu.contract.store import negotiations, received
from chengshu.evidence.reconciling.reconcile import reconcile
from chengshu.kernel.tasks import TaskState, tasks
from chengshu.node import LOG, Node

PRODUCT = "counts"
VICTIMS = (("consumer",), ("provider",), ("consumer", "provider"))
"""Who dies at once; as many negotiations as :data:`BATCH` are begun between two deaths."""

BATCH = 50
ALIVE_S = (0.2, 2.0)
"""So long both nodes live between two deaths."""

REST_S = 60.0
"""So long nothing at all may happen before the nodes count as having come to rest, though something waits."""

CONSUMED = ["negotiation.requested", "negotiation.agreed", "agreement.signed", "negotiation.verified", "negotiation.finalized"]
PROVIDED = ["negotiation.requested", "negotiation.agreed", "negotiation.verified", "agreement.signed", "negotiation.finalized"]
"""What one negotiation leaves in the log of each side."""

KEPT_AS_ALL: Mapping[str, str] = {}
"""Both nodes are kept by the database of the test run."""

SERVES = Path(__file__).with_name("served_in_a_process.py")
Process = subprocess.Popen[bytes]


@dataclass
class Pair:
    """A consumer and a provider, each served by a process of its own."""

    consumer: Node
    provider: Node
    sabotage: str | None
    stack: ExitStack
    processes: dict[str, Process] = field(default_factory=dict)
    kills: int = 0

    @property
    def nodes(self) -> Mapping[str, Node]:
        return {"consumer": self.consumer, "provider": self.provider}

    def serve(self, name: str) -> None:
        """Start one node's process and wait until it answers."""
        words = [self.nodes[name].folder, *([self.sabotage] if self.sabotage else [])]
        command = [sys.executable, str(SERVES), *map(str, words)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.stack.callback(_ended, process)
        self.processes[name] = process
        until(lambda: _answers(self.nodes[name]) or process.poll() is not None)
        assert process.poll() is None, process.stderr.read() if process.stderr else ""

    def kill(self, *names: str) -> None:
        """Kill processes as a power cut does, and start them again."""
        for name in names:
            os.kill(self.processes[name].pid, signal.SIGKILL)
        for name in names:
            _ended(self.processes[name])
            self.serve(name)
        self.kills += len(names)


def raised(folder: Path, stack: ExitStack, *, sabotage: str | None = None, kept_by: Mapping[str, str] = KEPT_AS_ALL) -> Pair:
    """Two nodes that know one another; the provider offers one product to the consumer. ``kept_by`` says whose database is elsewhere."""
    consumer, provider = (born(folder / name, name, database=kept_by.get(name)) for name in ("consumer", "provider"))
    for knower, known in ((consumer, provider), (provider, consumer)):
        verbs.add_peer(knower, verbs.describe(known))
        stack.callback(knower.peers.close)
    publish(provider, PRODUCT, policy=publishing.offer_of(publishing.Terms(consumer.identity.did, [PURPOSE])))
    pair = Pair(consumer, provider, sabotage, stack)
    for name in pair.nodes:
        pair.serve(name)
    return pair


def negotiate_and_kill(
    pair: Pair,
    *,
    count: int,
    seed: int,
    batch: int = BATCH,
    victims: Sequence[tuple[str, ...]] = VICTIMS,
    patience_s: float = REST_S,
) -> list[str]:
    """Ask for ``count`` contracts while one or both nodes are killed again and again; return the consumer's ids.

    ``patience_s`` is how long nothing at all may happen between two batches: a slow machine is no defect.
    """
    chance = random.Random(seed)  # noqa: S311  # which process dies and when, not a secret
    (offer, *_) = pair.consumer.peers.dataset(pair.provider.identity.did, PRODUCT)["hasPolicy"]
    asked: list[str] = []
    while len(asked) < count:
        _wait_while_it_goes_on(pair, until=batch, patience_s=patience_s)
        begun = range(min(batch, count - len(asked)))
        asked += [pair.consumer.contracts.request(pair.provider.identity.did, dataset=PRODUCT, offer=offer) for _ in begun]
        time.sleep(chance.uniform(*ALIVE_S))
        pair.kill(*chance.choice(victims))
    return asked


def come_to_rest(pair: Pair, *, patience_s: float = REST_S) -> None:
    """Wait until nothing is to be sent any more and every negotiation has ended on both sides, or nothing has happened for a while."""
    _wait_while_it_goes_on(pair, until=0, patience_s=patience_s)


def faults(pair: Pair, asked: list[str]) -> list[str]:
    """Everything that is not as it must be, in words; none where no message was lost or doubled and both sides agree."""
    ours = {one.id: one for one in pair.consumer.contracts.negotiations()}
    theirs = {one.peer_pid: one for one in pair.provider.contracts.negotiations()}
    found = [f"{name}: {what}" for name, node in pair.nodes.items() for what in _waiting(node)]
    if sorted(ours) != sorted(asked):
        found.append(f"consumer: expected {len(asked)} negotiations, got {len(ours)}")
    if set(theirs) != set(ours) or len(theirs) != len(pair.provider.contracts.negotiations()):
        found.append(f"provider: expected the consumer's {len(ours)} negotiations, got {len(theirs)} of them")
    logs = {name: _by_negotiation(node) for name, node in pair.nodes.items()}
    messages = {name: _received(node) for name, node in pair.nodes.items()}
    for pid, one in ours.items():
        other = theirs.get(pid)
        pids = {"consumer": pid, "provider": "" if other is None else other.id}
        if other is None or (one.state, one.agreement_id) != (other.state, other.agreement_id) or one.state is not State.FINALIZED:
            found.append(f"{pid}: expected FINALIZED on both sides, got {one.state} and {other.state if other else 'nothing'}")
        for name, expected in (("consumer", CONSUMED), ("provider", PROVIDED)):
            kinds = logs[name].get(pids[name], []) + logs[name].get(str(one.agreement_id), [])
            if Counter(kinds) != Counter(expected):
                found.append(f"{pid}: expected the {name}'s log to hold each step once, got {kinds}")
        came = (messages["consumer"].get(pids["consumer"]), messages["provider"].get(pids["provider"]))
        if came != (Counter(Agree=1, Finalize=1), Counter(Request=1, Verify=1)):
            found.append(f"{pid}: expected each message to be taken once, got {came}")
    return found + _reconciled(pair, len(asked))


def _waiting(node: Node) -> list[str]:
    with node.database.read() as tx:
        rows = tx.execute(select(tasks.c.kind, tasks.c.state, tasks.c.last_error).where(tasks.c.state != TaskState.DONE)).all()
    unfinished = [f"a task {row.kind} is {row.state}: {row.last_error}" for row in rows]
    return unfinished + [f"{one.id} waits in {one.state}" for one in node.contracts.negotiations() if not one.state.final]


def _wait_while_it_goes_on(pair: Pair, *, until: int, patience_s: float) -> None:
    """Wait until at most so many negotiations are unfinished on each side, and tasks undone, as long as that changes now and then."""
    seen: list[int] = []
    last = time.monotonic() + patience_s
    while max(now := [count for node in pair.nodes.values() for count in _unfinished(node)]) > until and time.monotonic() < last:
        if now != seen:
            seen, last = now, time.monotonic() + patience_s
        time.sleep(0.2)


def _unfinished(node: Node) -> tuple[int, int]:
    """How many negotiations have not ended, and how many tasks are not done."""
    ended = [state for state in State if state.final]
    with node.database.read() as tx:
        open_ones = select(func.count()).select_from(negotiations).where(negotiations.c.state.not_in(ended))
        undone = select(func.count()).select_from(tasks).where(tasks.c.state == TaskState.PENDING)
        return int(tx.execute(open_ones).scalar_one()), int(tx.execute(undone).scalar_one())


def _by_negotiation(node: Node) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in node.evidence.entries(0, node.evidence.size()):
        if entry.kind.startswith(("negotiation.", "agreement.")):
            found.setdefault(entry.subject, []).append(entry.kind)
    return found


def _received(node: Node) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    with node.database.read() as tx:
        for row in tx.execute(select(received.c.negotiation, received.c.kind)):
            found.setdefault(row.negotiation, Counter())[row.kind] += 1
    return found


def _reconciled(pair: Pair, count: int) -> list[str]:
    """What the two published logs, verified whole, do not say alike."""
    for node in pair.nodes.values():
        node.evidence.publish()
    result = reconcile(pair.consumer.folder / LOG, pair.provider.folder / LOG)
    if result.difference is not None:
        return [result.difference.text().en]
    return [] if result.contracts == count else [f"expected both logs to hold {count} contracts alike, got {result.contracts}"]


def _answers(node: Node) -> bool:
    line = http.client.HTTPConnection("127.0.0.1", node.settings.serve.port, timeout=1)
    try:
        line.request("GET", "/health")
        return line.getresponse().status == 200
    except OSError:
        return False
    finally:
        line.close()


def _ended(process: Process) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            pipe.close()
