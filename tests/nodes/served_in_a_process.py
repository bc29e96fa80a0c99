"""``python served_in_a_process.py NODE [SABOTAGE]`` serves a node as ``chengshu serve`` does, until nobody holds its input open.

With the name of a sabotage its outbox is broken in that way.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from chengshu.api.app import create_app
from chengshu.contract.outbox import Outbox
from chengshu.contract.steps import Steps
from chengshu.kernel.errors import Conflict
from chengshu.kernel.machine import Role
from chengshu.kernel.tasks import TaskState
from chengshu.kernel.worker import Worker
from chengshu.node import open_node

SLOW_COMMIT_S = 0.05
"""A slow disk makes the moment wide in which a message is out and what it says is not kept."""


def _sabotage(name: str) -> None:
    """Break this process's outbox in one of the ways in which outboxes are broken."""
    match name:
        case "done-before-sent":
            run = Worker._run

            def forgetful(self: Any, task: Any) -> None:
                with self._database.write() as tx:
                    self._end(tx, task, TaskState.DONE, error=None)
                with suppress(Conflict):  # what it then did is not its own task any more
                    run(self, task)

            Worker._run = forgetful  # type: ignore[method-assign]  # the defect under test
        case "sent-in-the-transaction":
            outboxes: list[Outbox] = []
            made, post = Outbox.__init__, Steps.post

            def kept(self: Any, *args: Any, **more: Any) -> None:
                made(self, *args, **more)
                outboxes.append(self)

            def eager(self: Any, tx: Any, negotiation: Any, content: Any, *args: Any, **more: Any) -> None:
                post(self, tx, negotiation, content, *args, **more)
                if negotiation.role is Role.PROVIDER:
                    outboxes[-1]._courier.deliver(negotiation, content, None)
                    time.sleep(SLOW_COMMIT_S)

            Outbox.__init__, Steps.post = kept, eager  # type: ignore[method-assign]  # the defect under test
        case _:
            raise SystemExit(f"expected the name of a sabotage, got {name}")


def _serve_here(folder: Path, sabotage: str | None) -> None:
    if sabotage is not None:
        _sabotage(sabotage)
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    node = open_node(folder)
    uvicorn.run(create_app(node), host=node.settings.serve.host, port=node.settings.serve.port, log_level="critical", access_log=False)


if __name__ == "__main__":
    _serve_here(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
