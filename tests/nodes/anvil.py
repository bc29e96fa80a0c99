"""A real local chain for the tests: anvil, installed by npm from hashed pins into the build folder, one process for each chain."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

PINS = Path(__file__).parents[1] / "data" / "anvil"
FOLDER = Path(__file__).parents[2] / "build" / "anvil"
START_S = 60.0
INSTALL_S = 300.0


def installed() -> Path:
    """Return anvil's program; install it if need be. Where there is no npm the test is skipped, but never on the build machine."""
    if not _programs():
        npm = shutil.which("npm")
        if npm is None and os.environ.get("CI") != "true":
            pytest.skip("there is no npm here to install anvil with: apt-get install nodejs npm")
        assert npm is not None, "expected npm (apt-get install nodejs npm), got none"
        FOLDER.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as folder:
            made = shutil.copytree(PINS, Path(folder) / FOLDER.name)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(made)]
            subprocess.run(command, check=True, timeout=INSTALL_S, stdout=subprocess.DEVNULL)
            with suppress(OSError):  # another worker was first
                made.rename(FOLDER)
    (program,) = _programs()
    return program


@contextmanager
def running(*options: str) -> Iterator[str]:
    """Run a chain of its own on loopback and give its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [str(installed()), "--port", str(port), "--silent", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + START_S
        while not _answers(url):
            assert process.poll() is None, "expected anvil to run, got that it ended"
            assert time.monotonic() < until, "expected anvil to answer"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def rpc(url: str, method: str, *params: object) -> object:
    """Ask a chain's node one thing and return its result."""
    answer = httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}, trust_env=False).json()
    assert "result" in answer, answer
    return answer["result"]


def account(url: str) -> str:
    """Return an account that the chain's node keeps unlocked, with money in it."""
    accounts = rpc(url, "eth_accounts")
    assert isinstance(accounts, list), accounts
    return str(accounts[0])


def _programs() -> list[Path]:
    """The program of this kind of machine, without the wrapper that needs a newer node than some systems have."""
    return list(FOLDER.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))


def _answers(url: str) -> bool:
    try:
        return bool(rpc(url, "eth_chainId"))
    except httpx.HTTPError:
        return False
