"""An S3-compatible store of the tests' own: moto's server in a process of its own, gone with this one."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from pyarrow import fs

from certificates import Papers

BUCKET = "products"


class Store:
    """A store on loopback; killed at will."""

    def __init__(self, *, papers: Papers | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._papers = papers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self._papers else ''}://localhost:{self.port}"

    def start(self) -> None:
        """Start an empty store with its bucket, and return once it answers."""
        tls = ["-c", str(self._papers.certificate), "-k", str(self._papers.key)] if self._papers else []
        command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port), *tls]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        last = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, "expected the store to start"
            assert time.monotonic() < last, "expected the store to answer"
            time.sleep(0.05)
        self.client().create_dir(BUCKET)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self) -> fs.S3FileSystem:
        """A client that may write."""
        return fs.S3FileSystem(
            access_key="owner",
            secret_key="owner",
            region="us-east-1",
            scheme="https" if self._papers else "http",
            endpoint_override=f"localhost:{self.port}",
            allow_bucket_creation=True,
            tls_ca_file_path=str(self._papers.authority) if self._papers else None,
        )

    def put(self, key: str, file: Path) -> None:
        with self.client().open_output_stream(f"{BUCKET}/{key}") as stream:
            stream.write(file.read_bytes())

    def check_keys(self) -> None:
        """From now on refuse whoever signs with keys that the store does not know, which are all (moto, "IAM-like Access Control")."""
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content=b"0").raise_for_status()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def store(*, papers: Papers | None = None) -> Iterator[Store]:
    """A running store, and nothing left of it afterwards."""
    made = Store(papers=papers)
    made.start()
    try:
        yield made
    finally:
        made.kill()
