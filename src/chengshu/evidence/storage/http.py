"""A log's published files as another node serves them (C2SP tlog-tiles): read with bounds on time and size, nothing written."""

from typing import Self

import httpx

from chengshu.evidence.tiles import TileName
from chengshu.kernel.connections import silence_of
from chengshu.kernel.errors import Invalid, NotFound, Unavailable
from chengshu.kernel.text import Text

TIMEOUT_S = 5.0
MAX_FILE_BYTES = 256 * (65_535 + 2)
"""The largest entry bundle that there can be."""


class HttpTiles:
    """The files of one log below ``prefix``; no redirects, no proxies from the environment. Use it as a context manager."""

    def __init__(self, prefix: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.prefix = prefix.rstrip("/")
        if not self.prefix.startswith(("http://", "https://")):
            raise Invalid(
                "evidence.log-url",
                "expected the URL of a log such as https://host/log, got another kind of text",
                hint=Text("Give the node's address followed by /log.", "请填写节点地址加 /log。"),
            )
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=False)

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
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_FILE_BYTES:
                        raise self._silent(f"more than {MAX_FILE_BYTES} bytes for {path}")
                return bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._silent(silence_of(error)) from error

    def tile(self, name: TileName) -> tuple[str, bytes]:
        """Return the path and bytes of a tile, or of the full one that took a partial one's place; raise NotFound when both are gone."""
        for candidate in (name, name.full):
            data = self.read(candidate.path)
            if data is not None:
                return candidate.path, data
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
