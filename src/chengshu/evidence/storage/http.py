"""A log's published files as another node serves them (C2SP tlog-tiles): read with bounds on time and size, nothing written."""

import time
from typing import NoReturn, Self

import httpx

from chengshu.evidence.tiles import TileName, kept_tile
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.outgoing import Outgoing, bounded
from chengshu.kernel.text import Text

TIMEOUT_S = 5.0
READ_S = 60.0
"""Seconds that one file may take in all."""

BY_HAND = Outgoing(development=True)
"""For logs whose address a person typed: anywhere but link-local addresses."""

MAX_FILE_BYTES = 256 * (65_535 + 2)
"""The largest entry bundle that there can be."""


class HttpTiles:
    """The files of one log below ``prefix``, called as ``outgoing`` allows. Use it as a context manager."""

    def __init__(self, prefix: str, *, outgoing: Outgoing = BY_HAND, timeout_s: float = TIMEOUT_S) -> None:
        self.prefix = prefix.rstrip("/")
        if not self.prefix.startswith(("http://", "https://")):
            raise Invalid(
                "evidence.log-url",
                "expected the URL of a log such as https://host/log, got another kind of text",
                hint=Text("Give the node's address followed by /log.", "请填写节点地址加 /log。"),
            )
        self._client = outgoing.client(timeout_s=timeout_s, patience_s=READ_S, accept="*/*")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, or None where the log has none; raise Unavailable when the log does not answer as one."""
        try:
            with self._client.stream("GET", f"{self.prefix}/{path}") as response:
                if response.status_code == httpx.codes.NOT_FOUND:
                    return None
                if response.status_code != httpx.codes.OK:
                    raise self._silent(f"status {response.status_code} for {path}")
                return bounded(response, limit=MAX_FILE_BYTES, until=time.monotonic() + READ_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(silence_of(error)) from error
        except (Invalid, Denied) as error:
            raise self._silent(f"{error.message} ({path})") from error

    def tile(self, name: TileName) -> tuple[str, bytes]:
        """Return the path and bytes of a tile, or of the full one that took a partial one's place; raise NotFound when both are gone."""
        return kept_tile(self.read, name) or self._none(name)

    def _none(self, name: TileName) -> NoReturn:
        raise NotFound(
            "evidence.remote-file",
            f"{name.path}: expected the log at {self.prefix} to serve this file, got none",
            hint=Text("The log may have grown meanwhile: fetch it again.", "日志可能已增长，请重新获取。"),
            facts={"file": name.path},
        )

    def _silent(self, got: str) -> Unavailable:
        return Unavailable(
            "evidence.log-unreachable",
            f"expected the log at {self.prefix} to answer, got {got}",
            hint=Text("Check the URL, and that the log's node is being served.", "请检查地址，并确认日志所在节点正在运行。"),
        )
