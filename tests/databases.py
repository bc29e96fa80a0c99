"""The databases of tests: SQLite's by default, PostgreSQL's where ``CHENGSHU_TEST_DATABASE=postgresql`` says so.

PostgreSQL is a server of this test run's own: made in a temporary folder, gone at its end.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

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


class Cluster:
    """A PostgreSQL server in a folder, reached over loopback; started, stopped and killed at will."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = IN_A_HURRY, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self._settings = settings
        self._user = pwd.getpwnam(USER) if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync")
        (folder / "data" / "pg_hba.conf").write_text(f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")

    @property
    def url(self) -> str:
        return self.url_of(USER)

    def url_of(self, login: str, *, database: str = USER, port: int | None = None) -> str:
        return f"postgresql+pg8000://{login}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in (*self._settings, f"port={self.port}", f"unix_socket_directories={self.folder}"))
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "server.log"), "-o", options, "start")

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


@contextmanager
def cluster(**options: tuple[str, ...]) -> Iterator[Cluster]:
    """A running server, and nothing left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="chengshu-postgresql-"))
    try:
        server = Cluster(folder, **options)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    where = str(found[-1]) if found else shutil.which(name)
    assert where is not None, f"expected PostgreSQL's {name}, got none: apt-get install postgresql"
    return where


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
