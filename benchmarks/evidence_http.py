"""The log over HTTP beside Tessera's POSIX driver: same disk, same machine, same load from the same client, in turns.

    python benchmarks/evidence_http.py [--seconds 15] [--writers 512]

Tessera (https://github.com/transparency-dev/tessera) is the C2SP tiles log in Go; its conformance server and its load generator "hammer"
are installed into a temporary folder by ``go install`` (about 100 MB of modules). The hammer's writers drive both: each posts a new leaf
of 200 bytes or more to ``/add`` and waits for the index. What is counted is what both sides promise: entries under the signed checkpoint,
between the first and the last one of the time measured. Tessera stands as its conformance server sets it: batches of 256 or one second, a
checkpoint a second; it keeps the leaf alone. Ours keeps the leaf inside an entry with kind, subject and time, about 100 bytes more.

Ours has two doors, neither of which a node has: "asgi" is a bare ASGI application under uvicorn, "bare" is httptools' parser on uvloop and
nothing else (left out where the two are not installed). Both hand what has come in meanwhile to one transaction and answer when that is
durable. Tessera's door is Go's own HTTP server.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import uvicorn

from chengshu.api.work import Publisher
from chengshu.evidence.checkpoint import VerifierKey
from chengshu.evidence.service import Evidence
from chengshu.evidence.verify import verify_log
from chengshu.kernel.clock import system_clock
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.database import Database, metadata
from chengshu.kernel.databases.sqlite import SQLite
from chengshu.kernel.errors import ChengshuError

VERSION = "v1.0.4"
POSIX = f"github.com/transparency-dev/tessera/cmd/conformance/posix@{VERSION}"
HAMMER = f"github.com/transparency-dev/tessera/internal/hammer@{VERSION}"
OURS, THEIRS = "bench.example/log", "tessera.example/log"
WARM_S = 3.0
ROUNDS = 3
FAST = all(find_spec(name) for name in ("uvloop", "httptools"))

Event = MutableMapping[str, Any]
Answer = Callable[[int], None]


class Rate(NamedTuple):
    """Entries a second under the signed checkpoint, and the server's CPU microseconds for each."""

    per_s: float
    cpu_us: float


def signed_size(checkpoint: Path) -> int:
    """The size that a checkpoint file signs; 0 where there is none (C2SP tlog-checkpoint, second line)."""
    try:
        return int(checkpoint.read_bytes().split(b"\n", 2)[1])
    except (FileNotFoundError, IndexError):
        return 0


class Gathering:
    """Hands what came in meanwhile to one transaction, and answers each with its index once that is durable."""

    def __init__(self, database: Database, evidence: Evidence) -> None:
        self._database = database
        self._evidence = evidence
        self._waiting: list[tuple[bytes, Answer]] = []
        self._some = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def put(self, leaf: bytes, answer: Answer) -> None:
        """Take a leaf; ``answer`` is called in the event loop that this is called in."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            threading.Thread(target=self._append, daemon=True).start()
        self._waiting.append((leaf, answer))
        self._some.set()

    def _append(self) -> None:
        assert self._loop is not None  # noqa: S101  # set before this thread is started
        while self._some.wait():
            self._some.clear()
            waiting, self._waiting = self._waiting, []
            with self._database.write() as tx:
                indices = self._evidence.append_many(tx, (("use.metered", "urn:leaf", {"leaf": leaf.decode()}) for leaf, _ in waiting))
            self._loop.call_soon_threadsafe(_answer, [(answer, index) for index, (_, answer) in zip(indices, waiting, strict=True)])


def _answer(placed: list[tuple[Answer, int]]) -> None:
    for answer, index in placed:
        answer(index)


class AsgiDoor:
    """``POST /add`` as an ASGI application: the body becomes an entry, the answer is its index."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

    async def __call__(self, _scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]) -> None:
        """Answer one request."""
        parts = []
        more = True
        while more:
            event = await receive()
            parts.append(event["body"])
            more = event.get("more_body", False)
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._gathering.put(b"".join(parts), place.set_result)
        body = str(await place).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})


class BareDoor(asyncio.Protocol):
    """``POST /add`` on httptools' parser and nothing else: what the log does with as little HTTP around it as Python can have."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self._parts: list[bytes] = []
        self._parser = import_module("httptools").HttpRequestParser(self)
        self._transport: Any = None  # uvloop's own transports are of no class of asyncio's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse; the methods below are called by it."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Take a whole request in."""
        self._gathering.put(b"".join(self._parts), self._write)
        self._parts.clear()

    def _write(self, index: int) -> None:
        body = str(index)
        self._transport.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())


def serve(folder: Path, port: int, *, bare: bool) -> None:
    """Serve a new log in ``folder`` until killed; prints its key when it is published for the first time."""
    database = Database(SQLite(folder / "node.db"))
    metadata.create_all(database.engine)
    evidence = Evidence(database, MemorySigner.generate(), OURS, folder / "log", system_clock)
    evidence.publish()
    print(evidence.vkey, flush=True)
    publisher = Publisher(evidence, stopping=threading.Event(), trouble=_trouble)
    threading.Thread(target=publisher.run, daemon=True).start()
    gathering = Gathering(database, evidence)
    if bare:
        with asyncio.Runner(loop_factory=import_module("uvloop").new_event_loop) as runner:
            runner.run(_serve_bare(gathering, port))
    else:
        uvicorn.run(AsgiDoor(gathering), host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")


async def _serve_bare(gathering: Gathering, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: BareDoor(gathering), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def _trouble(error: ChengshuError) -> None:
    raise error


def compare(root: Path, seconds: float, *, writers: int = 512, binaries: Path | None = None) -> dict[str, Any]:
    """Drive both logs in turns; return entries a second of each, or why there is no comparison."""
    go = shutil.which("go") or next((str(path) for path in [Path("/usr/local/go/bin/go")] if path.exists()), None)
    if go is None:
        return {"left_out": "no Go toolchain was found"}
    with ExitStack() as stack:
        tools = binaries or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tessera-")))
        if binaries is None:
            for package in (POSIX, HAMMER):
                built = subprocess.run([go, "install", package], env=os.environ | {"GOBIN": str(tools)}, capture_output=True, check=False)
                if built.returncode:
                    return {"left_out": f"go install {package} did not work"}
        doors = ["asgi", "bare"] if FAST else ["asgi"]
        rates: dict[str, list[Rate]] = {name: [] for name in [*doors, "tessera"]}
        for _ in range(ROUNDS):
            for door in doors:
                rates[door].append(_ours(root, tools, door=door, seconds=seconds, writers=writers))
            rates["tessera"].append(_theirs(root, tools, seconds=seconds, writers=writers))
    medians = {name: sorted(found)[ROUNDS // 2] for name, found in rates.items()}
    return {
        "client": f"Tessera hammer {VERSION}",
        "writers": writers,
        "rounds_per_s": {name: [round(rate.per_s) for rate in found] for name, found in rates.items()},
        "per_s": {name: round(rate.per_s) for name, rate in medians.items()},
        "server_cpu_us_per_entry": {name: round(rate.cpu_us) for name, rate in medians.items()},
        "ratio_to_tessera": {door: round(medians[door].per_s / medians["tessera"].per_s, 2) for door in doors},
        "with_uvloop_and_httptools": FAST,
    }


def _ours(root: Path, tools: Path, *, door: str, seconds: float, writers: int) -> Rate:
    with _temporary(root, "ours-") as folder, _free_port() as port:
        command = [sys.executable, __file__, "--serve", str(folder), "--port", str(port), *(["--bare"] if door == "bare" else [])]
        with _running(command) as server:
            assert server.stdout is not None  # noqa: S101  # it was asked for
            vkey = server.stdout.readline().strip()
            _wait_for(port)
            rate = _driven(tools, folder / "log", server=server.pid, vkey=vkey, port=port, seconds=seconds, writers=writers)
        verify_log(folder / "log", vkey)
        return rate


def _theirs(root: Path, tools: Path, *, seconds: float, writers: int) -> Rate:
    signer = MemorySigner.generate()
    key = VerifierKey(THEIRS, signer.public_key)
    secret = "+".join(["PRIVATE", "KEY", THEIRS, key.key_id.hex(), base64.b64encode(b"\x01" + signer.private_bytes()).decode()])
    with _temporary(root, "theirs-") as folder, _free_port() as port:
        (folder / "key").write_text(secret, encoding="utf-8")
        command = [str(tools / "posix"), f"--storage_dir={folder / 'log'}", f"--listen=127.0.0.1:{port}", f"--private_key={folder / 'key'}"]
        with _running(command) as server:
            _wait_for(port)
            return _driven(tools, folder / "log", server=server.pid, vkey=str(key), port=port, seconds=seconds, writers=writers)


def _driven(tools: Path, log: Path, *, server: int, vkey: str, port: int, seconds: float, writers: int) -> Rate:
    """What the server of that process id does while the hammer writes."""
    cpu = psutil.Process(server)
    checkpoint = log / "checkpoint"
    while not checkpoint.exists():
        time.sleep(0.05)
    command = [str(tools / "hammer"), f"--log_public_key={vkey}", f"--log_url=file://{log}/", f"--write_log_url=http://127.0.0.1:{port}/"]
    command += [f"--num_writers={writers}", "--max_write_ops=100000", "--num_readers_random=0", "--num_readers_full=0"]
    command += ["--dup_chance=0", "--leaf_min_size=200", "--show_ui=false"]
    with _running(command):
        time.sleep(WARM_S)
        seen = [(time.perf_counter(), signed_size(checkpoint), 0.0)]
        until = seen[0][0] + seconds
        while time.perf_counter() < until:
            time.sleep(0.005)
            size = signed_size(checkpoint)
            if size > seen[-1][1]:
                seen.append((time.perf_counter(), size, sum(cpu.cpu_times()[:2])))
    if len(seen) < 3:
        raise SystemExit(f"expected a log that grows, got {len(seen)} checkpoints in {seconds} s")
    (began, first, cpu_first), (ended, last, cpu_last) = seen[1], seen[-1]
    return Rate((last - first) / (ended - began), (cpu_last - cpu_first) / (last - first) * 1e6)


@contextmanager
def _running(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@contextmanager
def _temporary(root: Path, prefix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root) as folder:
        yield Path(folder)


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("expected a server that listens within 20 s, got none")


def main() -> None:
    """Compare, or serve as one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--writers", type=int, default=512)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="on the disk that is to be measured")
    parser.add_argument("--tools", type=Path, help="a folder that holds Tessera's 'posix' and 'hammer' already")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.port, bare=options.bare)
    else:
        print(json.dumps(compare(options.folder, options.seconds, writers=options.writers, binaries=options.tools), indent=2))


if __name__ == "__main__":
    main()
