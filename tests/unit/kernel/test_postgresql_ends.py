"""The PostgreSQL servers of tests end with whoever started them, killed or not."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from databases import cluster

HOLDER = """
import os, signal, sys
from databases import cluster
with cluster() as server:
    print(server.folder, server.port, flush=True)
    sys.stdin.read()
"""


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _is_gone(folder: Path, port: int) -> bool:
    last = time.monotonic() + 60.0
    while folder.exists() or _listens(port):
        if time.monotonic() > last:
            return False
        time.sleep(0.05)
    return True


def test_a_server_is_gone_with_its_folder_once_it_is_left() -> None:
    with cluster() as server:
        assert _listens(server.port)
    assert not server.folder.exists()
    assert not _listens(server.port)


def test_a_server_that_was_stopped_leaves_no_folder_either() -> None:
    with cluster() as server:
        server.stop()
    assert not server.folder.exists()


@pytest.mark.parametrize("whole_group", [False, True], ids=["the process", "its whole group"])
def test_a_server_ends_with_a_process_that_is_killed(*, whole_group: bool) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    with holder:
        assert holder.stdout is not None
        folder, port = holder.stdout.readline().split()
        assert _listens(int(port))
        (os.killpg if whole_group else os.kill)(holder.pid, signal.SIGKILL)
        holder.wait()
    assert _is_gone(Path(folder), int(port))
