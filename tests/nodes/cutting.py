"""A line between two nodes that breaks: whatever goes through it is cut after so many bytes of the answer."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

PIECE = 16_384


class CuttingLine:
    """Listens where a node is known to be, and hands on to where it is; ``allowance`` is how much of the answers a connection carries."""

    def __init__(self, listener: socket.socket, to_port: int, allowance: Callable[[], int]) -> None:
        self._listener = listener
        self._to_port = to_port
        self._allowance = allowance
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.cuts = 0
        self.carried = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._listener.listen(64)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(timeout=10)

    def hang_up(self) -> None:
        """End every connection there is."""
        with self._lock:
            while self._open:
                _hang_up(self._open.pop())

    def _run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to_port))
            with self._lock:
                self._open += [near, far]
            for run in (self._asked, self._answered):
                threading.Thread(target=run, args=(near, far), daemon=True).start()

    def _asked(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := near.recv(PIECE):
                far.sendall(piece)
        _hang_up(far)

    def _answered(self, near: socket.socket, far: socket.socket) -> None:
        left = self._allowance()
        with suppress(OSError):
            while piece := far.recv(PIECE):
                near.sendall(piece[:left])
                self.carried += min(left, len(piece))
                left -= len(piece)
                if left < 0:
                    self.cuts += 1
                    break
        _hang_up(near)
        _hang_up(far)


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
