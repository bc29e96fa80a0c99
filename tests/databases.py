"""The databases of tests: SQLite's by default, PostgreSQL's where ``CHENGSHU_TEST_DATABASE=postgresql`` says so.

PostgreSQL is a server of this test run's own: made in a temporary folder, gone when the run ends, even where it is killed.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pg8000.dbapi as driver
from sqlalchemy import make_url

from chengshu.config import DATABASE_URL
from chengshu.kernel.database import Database
from chengshu.kernel.databases.postgresql import PostgreSQL
from chengshu.kernel.databases.postgresql_place import place_of
from chengshu.kernel.databases.sqlite import SQLite

CHOICE = "CHENGSHU_TEST_DATABASE"
USER = "postgres"
GUARDED = "guarded"
"""The one user whom a test's server asks for a password."""

IN_A_HURRY = ("fsync=off", "synchronous_commit=on", "full_page_writes=off", "max_connections=500", "shared_buffers=64MB", "jit=off")
"""Settings of a server that no test needs after its machine has crashed."""


def database_at(path: Path) -> Database:
    """The database of a test that names it by a path: that file, or a schema of the path's own."""
    url = os.environ.get(DATABASE_URL)
    if url is None:
        return Database(SQLite(path))
    database = Database(PostgreSQL(place_of(url, schema=f"test_{sha256(str(path.resolve()).encode()).hexdigest()[:24]}")))
    database.create()
    return database


def on_postgresql() -> bool:
    """Say whether this run is PostgreSQL's."""
    return DATABASE_URL in os.environ


@dataclass(frozen=True)
class Certificate:
    """What a server shows of itself, the key to it, and the authority that signed it, each a file."""

    file: Path
    key: Path
    authority: Path


def log_out_the_forgotten(url: str) -> None:
    """End every connection to a server that no act is using: whoever still wants it logs in again, as after a restart."""
    place = make_url(url)
    with closing(driver.connect(user=str(place.username), host=str(place.host), port=place.port, database=place.database)) as connection:
        connection.cursor().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle' AND client_port IS NOT NULL"
        )


class Cluster:
    """A PostgreSQL server in a folder, reached over loopback; started, stopped and killed at will."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = IN_A_HURRY, certificate: Certificate | None = None) -> None:
        self.folder = folder
        self.port = _free_port()
        self._settings = settings
        self._user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")
        way_in = "host" if certificate is None else "hostssl"
        rules = [f"{way_in} all {user} 127.0.0.1/32 {proof}" for user, proof in ((GUARDED, "scram-sha-256"), ("all", "trust"))]
        (folder / "data" / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        if certificate is not None:
            self._take(certificate)

    @property
    def url(self) -> str:
        return self.url_of(USER)

    def url_of(self, login: str, *, database: str = USER, port: int | None = None) -> str:
        return f"postgresql+pg8000://{login}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in (*self._settings, f"port={self.port}", f"unix_socket_directories={self.folder}"))
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "server.log"), "-o", options, "start")

    def _take(self, certificate: Certificate) -> None:
        """Answer with TLS alone from the start on."""
        files = {"ssl_cert_file": certificate.file, "ssl_key_file": certificate.key}
        for setting, source in files.items():
            kept = Path(shutil.copy(source, self.folder / source.name))
            kept.chmod(0o600)
            if self._user is not None:
                os.chown(kept, self._user.pw_uid, self._user.pw_gid)
            self._settings += (f"{setting}={kept}",)
        self._settings += ("ssl=on", "listen_addresses=127.0.0.1")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", how, "stop")

    def _run(self, program: str, *arguments: str) -> None:
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [_binary(program), *arguments],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            **user,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


_LAST_TO_LEAVE = """
import os, pathlib, shutil, signal, sys, time
folder = pathlib.Path(sys.argv[1])
running = folder / "data" / "postmaster.pid"
sys.stdin.read()
if running.exists():
    os.kill(int(running.read_text().split()[0]), signal.SIGQUIT)
    for _ in range(200):
        if not running.exists():
            break
        time.sleep(0.05)
shutil.rmtree(folder, ignore_errors=True)
"""
"""Waits until nobody holds its input open any more, as nobody does once the process that did is gone; then ends the server (SIGQUIT: at
once) and takes its folder away."""


@contextmanager
def cluster(*, certificate: Certificate | None = None, settings: tuple[str, ...] = IN_A_HURRY) -> Iterator[Cluster]:
    """A running server, and nothing left of it afterwards, nor where the process that runs it is killed."""
    folder = Path(tempfile.mkdtemp(prefix="chengshu-postgresql-"))
    command = [sys.executable, "-I", "-S", "-c", _LAST_TO_LEAVE, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):  # leaving closes its input, and waits for it
        server = Cluster(folder, settings=settings, certificate=certificate)
        server.start()
        yield server


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    where = str(found[-1]) if found else shutil.which(name)
    assert where is not None, f"expected PostgreSQL's {name}, got none: apt-get install postgresql"
    return where


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
