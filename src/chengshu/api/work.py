"""The threads of a serving node: they run due tasks and publish the log."""

import threading
import time

from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.memory import give_back_now
from chengshu.node import Node

IDLE_S = 0.1
PUBLISH_S = 2.0
THREADS = 2
GIVE_BACK_S = 5.0
STOP_S = 2.0


class Workers:
    """Runs the node's tasks in a few threads, so that a long job does not hold up the messages; publishes the log, gives memory back."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"worker-{number}", daemon=True) for number in range(THREADS)]
        self._threads.append(threading.Thread(target=self._publish, name="publisher", daemon=True))
        self._threads.append(threading.Thread(target=self._give_back, name="memory", daemon=True))

    def start(self) -> None:
        """Take back what a dead process held, then start."""
        self._node.worker.recover()
        self._node.room.recover()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask every thread to end after what it does now, and wait a little for them; a long job is left to be run again."""
        self._stopping.set()
        until = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while not self._stopping.wait(IDLE_S):
            try:
                self._node.worker.run_due()
            except ChengshuError as error:
                self._node.trouble(error)

    def _give_back(self) -> None:
        while not self._stopping.wait(GIVE_BACK_S):
            give_back_now()

    def _publish(self) -> None:
        while not self._stopping.wait(PUBLISH_S):
            try:
                self._node.evidence.publish()
            except ChengshuError as error:
                self._node.trouble(error)
