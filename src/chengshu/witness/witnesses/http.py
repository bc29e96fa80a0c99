"""Witnesses over HTTP (C2SP tlog-witness): bounded in time and size, called as the outgoing policy allows."""

import time
from urllib.parse import quote

import httpx

from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import Denied, Invalid, Unavailable
from chengshu.kernel.outgoing import Outgoing, bounded
from chengshu.kernel.text import Text
from chengshu.witness.ports import Reply

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 320 * 1024


class HttpWitnesses:
    """Asks witnesses by their URL; a new connection for each call, so that a dead one is nobody else's."""

    def __init__(self, outgoing: Outgoing, *, timeout_s: float = TIMEOUT_S) -> None:
        self._outgoing = outgoing
        self._timeout_s = timeout_s

    def submit(self, url: str, body: bytes) -> Reply:
        """Send a submission and return the witness's reply; raise Unavailable when none comes in time."""
        return self._call("POST", url.rstrip("/") + "/add-checkpoint", body)

    def last(self, url: str, origin: str) -> bytes | None:
        """Return the note of ``origin`` that the witness cosigned last, None where it has none; raise Unavailable when it is silent."""
        reply = self._call("GET", f"{url.rstrip('/')}/checkpoints/{quote(origin)}", None)
        if reply.status == httpx.codes.NOT_FOUND:
            return None
        if reply.status != httpx.codes.OK:
            raise _silent(f"status {reply.status}")
        return reply.text.encode()

    def _call(self, method: str, url: str, body: bytes | None) -> Reply:
        try:
            with (
                self._outgoing.client(timeout_s=self._timeout_s, patience_s=2 * self._timeout_s, accept="*/*") as client,
                client.stream(method, url, content=body) as response,
            ):
                data = bounded(response, limit=MAX_ANSWER_BYTES, until=time.monotonic() + 2 * self._timeout_s)
                return Reply(response.status_code, data.decode())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _silent(silence_of(error)) from error
        except (Invalid, Denied) as error:
            raise _silent(error.message) from error


def _silent(got: str) -> Unavailable:
    return Unavailable(
        "witness.unreachable",
        f"expected the witness to answer, got {got}",
        hint=Text(
            "Ask its operator whether its node is being served; it is asked again by itself.",
            "请询问其运营方节点是否运行；系统会自动重试。",
        ),
    )
