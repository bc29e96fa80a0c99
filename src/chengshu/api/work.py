"""The threads of a serving node: they run due tasks, publish the log, gather cosignatures, compare, anchor and watch over what runs."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from chengshu.cleanroom.service import RUN_TASK
from chengshu.evidence.service import Evidence
from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.memory import give_back_now, keep_until_given_back
from chengshu.kernel.tasks import LEASE
from chengshu.node import Node
from chengshu.transfer.flow.service import PUSH_TASK

LOOK_S = 0.25
"""So often a serving node looks for work that another process deferred: a command, say. What this process defers wakes it at once."""

LONGEST_SLEEP_S = 30.0
RENEW_S = LEASE.total_seconds() / 5
PRUNE_S = 3600.0
ASK_S = 0.5
COMPARE_S = 60.0
ANCHOR_S = 30.0
THREADS = 4
HEAVY_THREADS = 2
"""So many threads take what lasts or needs much memory; the others never do, so that messages always have some."""

GIVE_BACK_S = 5.0
PUSH_S = 1.0
HEAVY = frozenset({PUSH_TASK, RUN_TASK})
"""Kinds of task that last as long as their receiver pleases, or that compute."""

STOP_S = 2.0
SOON_S = 0.05
"""So long the publisher lets entries gather at least while the log grows; one flush then serves them all."""

REST = 10
"""So many times as long as publishing took the publisher lets entries gather: on a busy machine it takes no more than a tenth of a core."""

CALM_S = 0.4
"""So often the publisher looks at a log that does not grow: an entry is published within a second even where it is the first."""

TROUBLED_S = 2.0
"""So long the publisher waits after an error."""


class Workers:
    """Runs the node's tasks in a few threads, so that a long job does not hold up the messages; publishes the log, gives memory back."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stopping = threading.Event()
        publisher = Publisher(node.evidence, stopping=self._stopping, trouble=node.trouble)
        kinds = [frozenset[str]() if number < HEAVY_THREADS else HEAVY for number in range(THREADS)]
        self._threads = [
            threading.Thread(target=self._work, args=(left,), name=f"worker-{number}", daemon=True) for number, left in enumerate(kinds)
        ]
        self._threads.append(threading.Thread(target=self._look, name="look", daemon=True))
        self._threads.append(threading.Thread(target=self._keep_tasks, name="leases", daemon=True))
        self._threads.append(threading.Thread(target=self._push, name="pushes", daemon=True))
        self._threads.append(threading.Thread(target=publisher.run, name="publisher", daemon=True))
        self._threads.append(threading.Thread(target=self._gather, name="cosignatures", daemon=True))
        self._threads.append(threading.Thread(target=self._compare, name="gossip", daemon=True))
        self._threads.append(threading.Thread(target=self._give_back, name="memory", daemon=True))
        self._threads.append(threading.Thread(target=self._anchor, name="anchors", daemon=True))
        self._threads.append(threading.Thread(target=self._monitor, name="policy-monitor", daemon=True))

    def start(self) -> None:
        """Take back what a dead process held, then start."""
        self._node.worker.recover()
        self._node.worker.open(not_taken=HEAVY)
        self._node.room.recover()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask every thread to end after what it does now, and wait a little for them; a long job is left to be run again."""
        self._stopping.set()
        self._node.worker.desk.ring()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))
        self._node.worker.close()

    def _work(self, leave_out: frozenset[str]) -> None:
        """Run what lies on the desk and what is due; sleep until the next is, somebody rings, or something is laid.

        Nobody looks into the database for what lies on the desk: there is something to find only once it is due, or the bell was rung.
        """
        worker, looked, until = self._node.worker, -1, 0.0
        while not self._stopping.is_set():
            heard = worker.desk.rung
            try:
                worker.run_laid()
                if heard != looked or time.monotonic() >= until:
                    looked, until = heard, time.monotonic() + TROUBLED_S
                    worker.run_due(leave_out=leave_out)
                    left = worker.until_due(leave_out=leave_out)
                    until = time.monotonic() + (LONGEST_SLEEP_S if left is None else min(left.total_seconds(), LONGEST_SLEEP_S))
            except ChengshuError as error:
                self._node.trouble(error)
                looked, until = heard, time.monotonic() + TROUBLED_S  # then what this left is found again
            worker.desk.wait(heard, timeout_s=max(until - time.monotonic(), 0.0))

    def _look(self) -> None:
        """Ring when there is something to do that another process deferred."""
        worker = self._node.worker
        while not self._stopping.wait(LOOK_S):
            try:
                if worker.until_due() == timedelta():
                    worker.desk.ring()
            except ChengshuError as error:
                self._node.trouble(error)
                self._stopping.wait(TROUBLED_S)

    def _keep_tasks(self) -> None:
        """Renew the leases of what runs, and now and then remove what was done long ago."""
        pruned = -PRUNE_S
        while not self._stopping.is_set():
            try:
                if time.monotonic() - pruned >= PRUNE_S:
                    self._node.worker.prune()
                    pruned = time.monotonic()
                self._node.worker.renew()
            except ChengshuError as error:
                self._node.trouble(error)
            self._stopping.wait(RENEW_S)

    def _push(self) -> None:
        """Send products to whoever has them pushed for as long as it lasts, as soon as there is another version."""
        while not self._stopping.wait(PUSH_S):
            try:
                self._node.moving.deliveries.push_changed()
            except ChengshuError as error:
                self._node.trouble(error)

    def _give_back(self) -> None:
        keep_until_given_back()
        while not self._stopping.wait(GIVE_BACK_S):
            give_back_now()

    def _gather(self) -> None:
        """Ask the witnesses for cosignatures; each is waited for in a thread of its own, so that none delays another or the log."""
        while not self._stopping.wait(ASK_S):
            try:
                self._node.cosignatures.ask_due(self._node.trouble)
            except ChengshuError as error:
                self._node.trouble(error)

    def _compare(self) -> None:
        """Hold what this node and other witnesses were shown against one another."""
        while not self._stopping.wait(COMPARE_S):
            try:
                if self._node.settings.witness.enabled or self._node.quorum_policy() is not None:
                    self._node.gossip.compare()
            except ChengshuError as error:
                self._node.trouble(error)

    def _monitor(self) -> None:
        """Stop whatever runs and is not allowed any more."""
        wait_s = SOON_S
        while not self._stopping.wait(wait_s):
            try:
                wait_s = self._node.monitor.step()
            except ChengshuError as error:
                self._node.trouble(error)
                wait_s = CALM_S

    def _anchor(self) -> None:
        """See now and then whether the log is to be anchored again, or others' catalogs to be fetched; both are done by tasks."""
        while not self._stopping.wait(ANCHOR_S):
            try:
                self._node.anchors.anchor_due()
                self._node.federation.refresh_due()
            except ChengshuError as error:
                self._node.trouble(error)


class Publisher:
    """Publishes a log soon after something was appended to it, by this process or another, and only looks now and then while nothing is."""

    def __init__(self, evidence: Evidence, *, stopping: threading.Event, trouble: Callable[[ChengshuError], None]) -> None:
        self._evidence = evidence
        self._stopping = stopping
        self._trouble = trouble
        self._published: int | None = None

    def run(self) -> None:
        """Publish until told to stop."""
        wait_s = SOON_S
        while not self._stopping.wait(wait_s):
            wait_s = self.step(wait_s)

    def step(self, waited_s: float) -> float:
        """Publish if the log has grown since; return how long to wait before the next look."""
        try:
            if self._evidence.size() == self._published:
                return min(2 * waited_s, CALM_S)
            began = time.monotonic()
            self._published = self._evidence.publish().size
        except ChengshuError as error:
            self._trouble(error)
            return TROUBLED_S
        return min(max(SOON_S, REST * (time.monotonic() - began)), CALM_S)
