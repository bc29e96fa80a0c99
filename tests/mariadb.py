"""A MariaDB server of the tests' own: made of Debian's programs in a temporary folder, not the system's, and gone with this process."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pymysql

ADMIN = "admin"
IN_A_HURRY = ("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--sql-mode=", "--max-allowed-packet=64M")
"""Settings of a server that no test needs after its machine has crashed, and that takes what an old application writes."""


class Server:
    """A server reached over loopback; started and killed at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            shutil.chown(folder, "mysql", "mysql")
        options = ("--no-defaults", f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal", "--skip-test-db")
        done = subprocess.run([*self._as_its_user(), _program("mariadb-install-db"), *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, *options: str) -> None:
        """Start, and return once it answers."""
        own = (
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={self.folder / 'pid'}",
        )
        command = [*self._as_its_user(), _program("mariadbd"), *own, *IN_A_HURRY, *options]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        last = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "server.log").read_text(errors="replace")
            assert time.monotonic() < last, "expected MariaDB to answer"
            time.sleep(0.05)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def run(self, *statements: str) -> None:
        """Run statements as the server's own administrator."""
        own = pymysql.connect(user="root", unix_socket=str(self.folder / "socket"), charset="utf8mb4", ssl_disabled=True, autocommit=True)
        with closing(own) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:  # the driver would leave its own open where nobody answers
            if probe.connect_ex(str(self.folder / "socket")) != 0:
                return False
        self.run("SELECT 1")
        return True

    @staticmethod
    def _as_its_user() -> list[str]:
        """The words before a command that ends it with this process, as a user who may run a server."""
        return [
            "setpriv",
            "--pdeathsig",
            "KILL",
            *(["--reuid", "mysql", "--regid", "mysql", "--clear-groups"] if os.geteuid() == 0 else []),
        ]


@contextmanager
def server(*options: str) -> Iterator[Server]:
    """A running server with a user ``admin`` that may do anything, and nothing left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="chengshu-mariadb-"))
    try:
        made = Server(folder)
        made.start(*options)
        made.run(f"CREATE USER {ADMIN}@'%'", f"GRANT ALL ON *.* TO {ADMIN}@'%'")
        try:
            yield made
        finally:
            made.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    where = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert where is not None, f"expected MariaDB's {name}, got none: apt-get install mariadb-server"
    return where
