"""What stands behind a connector in a test: a source that its data plane reads, and a place where it posts what happens."""

import json
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Backend:
    """Serves bytes below ``source`` and keeps every event that is posted to ``events``."""

    def __init__(self, content: bytes) -> None:
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answering(content, self._events))
        self._thread = threading.Thread(target=self._server.serve_forever)
        url = f"http://127.0.0.1:{self._server.server_port}"
        self.source, self.events = f"{url}/source", f"{url}/events"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_event(self, kind: str, transfer: str, *, wait_s: float = 30.0) -> dict[str, Any]:
        """Return what is told in the next event of that kind about a transfer; earlier and other events are passed over."""
        while True:
            event = self._events.get(timeout=wait_s)
            payload: dict[str, Any] = event["payload"]
            if (event["type"], payload["transferProcessId"]) == (kind, transfer):
                return payload


def _answering(content: bytes, events: "queue.Queue[dict[str, Any]]") -> type[BaseHTTPRequestHandler]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:  # the name that the library calls
            events.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: Any) -> None:
            pass  # nothing of it belongs into the test's output

    return Answering
