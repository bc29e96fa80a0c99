"""The warden: a small process of its own that starts one sealed method, answers what it asks, stops it, and says how it ended.

A process between the node and the method: a node that is busy would keep the method waiting at every file that it imports, and what
watches over a method should hold nothing worth having. It imports nothing but the standard library and this folder.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from chengshu.cleanroom.cell import compiled, inside, linux
from chengshu.cleanroom.cell.judging import Judge, Tried
from chengshu.cleanroom.cell.order import Layer, Order, Sealing, framed, unframed
from chengshu.cleanroom.cell.reach import Reach

MOST_RESULT_BYTES = 256 * 1024 * 1024
_PIECE = 1 << 20
_SPACES = (
    (Layer.NETWORK, linux.NEW_NETWORK),
    (Layer.PROCESSES, linux.NEW_PROCESSES),
    (Layer.MEMORY, linux.NEW_MEMORY | linux.NEW_NAMES),
)


def main() -> None:
    """Read an order from the standard input, run it, and write how it ended to the standard output."""
    linux.end_with_parent()
    order = Order.parse(sys.stdin.buffer.read())
    layers = _apart()
    ours, theirs = socket.socketpair()
    results, into = os.pipe()
    process = os.fork()
    if process == 0:
        ours.close()
        inside.live(order, control=theirs, into=into)
    theirs.close()
    os.close(into)
    for file in order.inputs.values():
        os.close(file)
    watch = _Watch(order, process=process, control=ours, results=results, layers=layers)
    watch.keep()
    inside.write_all(sys.stdout.fileno(), watch.verdict())


def _apart() -> list[Layer]:
    """Leave network, processes and memory of this machine's for new, empty ones; return what the kernel let us leave.

    First as any user may, in a user namespace; where that is forbidden, as root may without one.
    """
    every = sum(one for _, one in _SPACES)
    for more, layers in ((linux.NEW_USER, [Layer.USER]), (0, [])):
        try:
            linux.unshare(every | more)
        except OSError:
            continue
        return [*layers, *(layer for layer, _ in _SPACES)]
    return []


@dataclass
class _Watch:
    """What is known of one method while it lives."""

    order: Order
    process: int
    control: socket.socket
    results: int
    layers: list[Layer]
    missing: str = ""
    memory: int = -1
    judge: Judge | None = None
    tried: Tried | None = None
    late: bool = False
    result: bytearray = field(default_factory=bytearray)

    def keep(self) -> None:
        """Answer and listen until the process has ended; end it when it tried something, took too long or said too much."""
        until = time.monotonic() + self.order.limits.time_s
        with suppress(OSError):
            self.memory = os.open(f"/proc/{self.process}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self.control.send(inside.GO if self.memory >= 0 else inside.GO_UNWATCHED)
        ended, poll = os.pidfd_open(self.process), select.poll()
        for file in (ended, self.control.fileno(), self.results):
            poll.register(file, select.POLLIN)
        alive = True
        while alive:
            ready = {file for file, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000)}
            self.late = self.late or time.monotonic() >= until
            alive = ended not in ready
            self._take(ready, poll)
            if self.tried or self.late or len(self.result) > MOST_RESULT_BYTES:
                os.kill(self.process, signal.SIGKILL)
                alive = False
        while not self.tried and self._read():
            pass

    def verdict(self) -> bytes:
        """Wait for the process's end and say how it was."""
        _, status, usage = os.wait4(self.process, 0)
        if self.missing and self.order.sealing is Sealing.REQUIRED:
            return self._said(end="refused", rule="method-seal", call="", missing=self.missing)
        if self.tried is not None:
            return self._said(end="refused", rule=self.tried.rule, call=self.tried.call)
        if self.late or (os.WIFSIGNALED(status) and usage.ru_utime + usage.ru_stime >= self.order.limits.cpu_s - 0.5):
            return self._said(end="refused", rule="method-time", call="")
        return self._passed()

    def _passed(self) -> bytes:
        """Of what the process itself says, nothing passes but its tables, the codes that it declares, and that memory was short."""
        try:
            header, rest = unframed(bytes(self.result))
        except ValueError:
            return self._said(end="crashed")
        match header:
            case {"end": "memory"}:
                return self._said(end="refused", rule="method-memory", call="")
            case {"end": "failed", "code": code}:
                return self._said(end="failed", code=code if code in self.order.codes else "")
            case {"end": "tables", "sizes": sizes} if len(self.result) <= MOST_RESULT_BYTES:
                return framed({"end": "tables", "sizes": sizes, "layers": self.layers}, bytes(rest))
        return self._said(end="crashed")

    def _take(self, ready: Iterable[int], poll: "select.poll") -> None:
        listener = None if self.judge is None else self.judge.listener
        for file in ready:
            if file == self.control.fileno():
                poll.unregister(file)
                self._begin(poll)
            elif file == listener and self.judge is not None:
                self.tried = self.tried or self.judge.answer()
            elif file == self.results and not self._read():
                poll.unregister(file)

    def _begin(self, poll: "select.poll") -> None:
        """Take what the process says of its walls and, with it, the file on which its calls arrive."""
        said, files, _, _ = socket.recv_fds(self.control, 4096, 1)
        if not said:
            return
        told = json.loads(said)
        self.layers, self.missing = [*self.layers, *(Layer(one) for one in told["layers"])], told["missing"]
        for listener in files:
            reach = Reach(hidden=self.order.hidden, caches=compiled.places())
            self.judge = Judge(listener, process=self.process, memory=self.memory, reach=reach)
            poll.register(listener, select.POLLIN)

    def _read(self) -> bool:
        piece = os.read(self.results, _PIECE)
        self.result += piece
        return bool(piece)

    def _said(self, **header: Any) -> bytes:
        return framed(header | {"layers": self.layers})
