"""What only a server can do to a node: be away, come back, refuse, fall silent in the middle of a commit."""

import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from chengshu.cli import verbs
from chengshu.config import DATABASE_URL, FILE_NAME
from chengshu.kernel.clock import system_clock
from chengshu.kernel.database import Database
from chengshu.kernel.databases import postgresql
from chengshu.kernel.databases.chosen import database_of
from chengshu.kernel.databases.ports import UnknownEnd
from chengshu.kernel.databases.postgresql import PostgreSQL
from chengshu.kernel.databases.postgresql_place import password_for, place_of, without_password
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.tasks import tasks as all_tasks
from chengshu.kernel.worker import Worker
from chengshu.node import DATABASE_PASSWORD, KEYS, open_node
from databases import GUARDED, Cluster, cluster

PASSWORD = "it-is:a@secret"
ENCODED = "it-is%3Aa%40secret"
catalogue = MetaData()
things = Table("things", catalogue, Column("n", Integer, primary_key=True))


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that flushes to the disk, as an operator's does."""
    with cluster(settings=("max_connections=50",)) as server:
        _say(server, f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'", "CREATE ROLE stranger LOGIN")
        yield server


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATABASE_URL, raising=False)
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def database(server: Cluster, tmp_path: Path) -> Iterator[Database]:
    database = at(server.url, f"t{abs(hash(tmp_path))}")
    database.create()
    catalogue.create_all(database.engine)
    yield database
    database.close()


def at(url: str, schema: str) -> Database:
    return Database(PostgreSQL(place_of(url, schema=schema)))


def _say(server: Cluster, *statements: str) -> None:
    database = at(server.url, "public")
    with database.write() as tx:
        for statement in statements:
            tx.exec_driver_sql(statement)
    database.close()


def add(database: Database, n: int) -> None:
    with database.write() as tx:
        tx.execute(insert(things).values(n=n))


def kept(database: Database) -> list[int]:
    with database.read() as tx:
        return list(tx.execute(select(things.c.n).order_by(things.c.n)).scalars())


DYING = """
import os, signal, sys
from chengshu.kernel.clock import system_clock
from chengshu.kernel.database import Database
from chengshu.kernel.databases.postgresql import PostgreSQL
from chengshu.kernel.databases.postgresql_place import place_of
with Database(PostgreSQL(place_of(sys.argv[1], schema=sys.argv[2]))).write() as tx:
    tx.exec_driver_sql("INSERT INTO things VALUES (66)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_in_the_middle_of_a_write_leaves_nothing_and_holds_nobody_up(database: Database, server: Cluster) -> None:
    schema = database.backend.place.schema  # type: ignore[attr-defined]  # PostgreSQL's backend has a place
    died = subprocess.run([sys.executable, "-c", DYING, server.url, schema], check=False)
    assert died.returncode == -9
    add(database, 1)
    assert kept(database) == [1]


def test_a_server_that_was_restarted_is_used_again_and_one_that_is_away_is_unavailable(database: Database, server: Cluster) -> None:
    add(database, 1)
    assert kept(database) == [1]
    server.stop("immediate")
    for act in (lambda: add(database, 2), lambda: kept(database)):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.code == "database.unavailable"
        assert "server runs" in caught.value.hint.en
    server.start()
    add(database, 3)
    assert kept(database) == [1, 3]
    server.stop()
    server.start()
    assert kept(database) == [1, 3]
    add(database, 4)
    assert kept(database) == [1, 3, 4]


def test_a_server_that_goes_in_the_middle_of_an_act_undoes_it(database: Database, server: Cluster) -> None:
    with pytest.raises(Unavailable), database.write() as tx:
        tx.execute(insert(things).values(n=1))
        server.stop("immediate")
        server.start()
        tx.execute(insert(things).values(n=2))
    assert kept(database) == []
    with pytest.raises(Unavailable), database.read() as tx:
        server.stop("immediate")
        server.start()
        tx.execute(select(things)).all()
    add(database, 3)
    assert kept(database) == [3]


def test_a_task_that_ran_while_the_server_went_is_run_again_as_soon_as_it_is_back(database: Database, server: Cluster) -> None:
    with database.write() as tx:
        all_tasks.create(tx)
        Tasks(system_clock).defer(tx, "ring", {"n": 1}, lane="a", waits_for="nobody")
    ran: list[int] = []

    def ring(payload: Mapping[str, Any]) -> None:
        ran.append(payload["n"])
        if len(ran) == 1:
            server.stop("immediate")

    worker = Worker(database, clock=system_clock, handlers={"ring": ring}, on_failed={}, given_up=lambda *_: None)
    for _ in range(2):  # the second time there is nothing to be had, not even leave to try
        with pytest.raises(Unavailable):
            worker.run_due()
    server.start()
    assert worker.run_due() == 1
    assert ran == [1, 1]
    assert worker.run_due() == 0


class Wire:
    """A way to the server that can be cut: before the next COMMIT gets through, or before its answer comes back.

    ``stays_cut`` says that nobody gets through after that either, until it is mended.
    """

    def __init__(self, server: Cluster) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cut = ""
        self.stays_cut = False
        self._broken = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def mend(self) -> None:
        self.stays_cut = self._broken = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._broken:
                    near.close()
                else:
                    threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", self._server.port))
        silent = threading.Event()
        back = threading.Thread(target=_back, args=(far, near, silent), daemon=True)
        back.start()
        with near, far, suppress(OSError):
            while data := near.recv(65536):
                cut = ""
                if b"COMMIT\0" in data:
                    cut, self.cut = self.cut, ""
                    self._broken = bool(cut) and self.stays_cut
                if cut == "before":
                    break
                if cut == "after":
                    silent.set()
                far.sendall(data)
                if cut == "after":
                    back.join()
                    break
            for end in (far, near):
                end.shutdown(socket.SHUT_RDWR)


def _back(far: socket.socket, near: socket.socket, silent: threading.Event) -> None:
    with suppress(OSError):
        while (data := far.recv(65536)) and not silent.is_set():
            near.sendall(data)


@pytest.mark.parametrize(("cut", "is_kept"), [("after", True), ("before", False)])
def test_a_commit_whose_answer_is_lost_is_asked_for(database: Database, server: Cluster, cut: str, *, is_kept: bool) -> None:
    wire = Wire(server)
    schema = database.backend.place.schema  # type: ignore[attr-defined]  # PostgreSQL's backend has a place
    through = at(server.url_of("postgres", port=wire.port), schema)
    add(through, 1)
    wire.cut = cut
    with nullcontext() if is_kept else pytest.raises(Unavailable):
        add(through, 2)
    assert kept(database) == ([1, 2] if is_kept else [1])
    add(through, 3)
    through.close()
    wire.close()


@pytest.mark.parametrize(
    ("cut", "expected"), [("after", {"deferred": [1, 2], "let go on": [1, 2]}), ("before", {"deferred": [], "let go on": [1, 1, 2]})]
)
@pytest.mark.parametrize("when", ["deferred", "let go on"])
def test_a_task_that_was_leased_in_a_commit_of_which_nobody_knows_the_end_runs_once_as_soon_as_the_server_is_back(
    database: Database, server: Cluster, monkeypatch: pytest.MonkeyPatch, cut: str, expected: Mapping[str, list[int]], when: str
) -> None:
    monkeypatch.setattr(postgresql, "BUSY_TIMEOUT_S", 0.5)
    wire = Wire(server)
    through = at(server.url_of("postgres", port=wire.port), database.backend.place.schema)  # type: ignore[attr-defined]  # as above
    with database.write() as tx:
        all_tasks.create(tx)
    tasks, ran = Tasks(system_clock), list[int]()

    def ring(payload: Mapping[str, Any]) -> None:
        ran.append(payload["n"])
        if when == "let go on" and ran == [1]:
            break_off()

    def break_off() -> None:
        wire.stays_cut, wire.cut = True, cut

    worker = Worker(through, clock=system_clock, handlers={"ring": ring}, on_failed={}, given_up=lambda *_: None, desk=tasks.desk)
    worker.open()
    assert worker.run_due() == 0  # so that what is deferred from here on is leased and laid at once
    if when == "deferred":
        break_off()
    heard = tasks.desk.rung
    with pytest.raises(UnknownEnd):
        defer_two(through, tasks)
        worker.run_laid()
    assert tasks.desk.rung > heard  # whoever waits is woken
    with pytest.raises(Unavailable):
        worker.run_due()
    wire.mend()
    worker.run_due()
    assert ran == expected[when]
    assert undone(database) == []
    through.close()
    wire.close()


def defer_two(database: Database, tasks: Tasks) -> None:
    with database.write() as tx:
        for n in (1, 2):
            tasks.defer(tx, "ring", {"n": n}, lane="a", waits_for="nobody")


def undone(database: Database) -> list[int]:
    with database.read() as tx:
        return [one.seq for one in Tasks(system_clock).waiting(tx)]


def test_an_act_that_goes_on_after_a_statement_of_it_failed_is_undone_alone(database: Database) -> None:
    add(database, 1)
    with pytest.raises(Conflict) as caught, database.write() as tx, suppress(Exception):
        tx.execute(insert(things).values(n=1))
    assert caught.value.code == "database.broken-act"
    add(database, 2)
    assert kept(database) == [1, 2]


def test_a_server_that_would_answer_before_its_disk_does_is_told_to_wait(server: Cluster) -> None:
    _say(server, "ALTER ROLE stranger SET synchronous_commit = off")
    with at(server.url_of("stranger"), "public").read() as tx:
        assert tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_wrong_password_is_told_without_showing_it(server: Cluster) -> None:
    for login in (f"{GUARDED}:{ENCODED}x", GUARDED):
        with pytest.raises(Unavailable) as caught:
            at(server.url_of(login), "own").create()
        assert caught.value.code == "database.login"
        assert PASSWORD not in f"{caught.value.message} {caught.value.hint.en} {caught.value.facts} {caught.value.__cause__!r}"
        assert "keys/database.password" in caught.value.hint.en


def test_a_user_who_may_not_make_a_schema_is_told_what_to_ask_for(server: Cluster) -> None:
    with pytest.raises(Denied) as caught:
        at(server.url_of("stranger"), "own").create()
    assert caught.value.code == "database.rights"
    assert "CREATE SCHEMA" in caught.value.hint.en
    _say(server, "CREATE SCHEMA own AUTHORIZATION stranger")
    database = at(server.url_of("stranger"), "own")
    database.create()
    catalogue.create_all(database.engine)
    add(database, 1)
    database.close()


def test_a_database_that_is_not_there_is_told_apart_from_a_server_that_is_not(server: Cluster) -> None:
    with pytest.raises(NotFound) as caught:
        at(server.url_of("postgres", database="nowhere"), "own").create()
    assert caught.value.code == "database.absent"


def test_a_server_without_tls_is_refused_where_tls_was_asked_for(server: Cluster) -> None:
    with pytest.raises(Unavailable) as caught:
        at(server.url + "?sslmode=require", "own").create()
    assert "without TLS" in caught.value.message


def test_a_text_that_no_column_holds_is_invalid(database: Database) -> None:
    words = Table("words", MetaData(), Column("n", Integer))
    with pytest.raises(Invalid) as caught, database.write() as tx:
        tx.execute(insert(things).values(n=2**40))
    assert caught.value.code == "database.value"
    assert words.name == "words"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hush@h/d",
        "postgresql+pg8000://u:hush@h",
        "postgresql+pg8000://:hush@h/d",
        "postgresql+pg8000://u:hush@h:x/d",
        "postgresql+pg8000://u:hush@h/d?sslmode=perhaps",
        "postgresql+pg8000://u:hush@h/d?colour=red",
        "postgresql+pg8000://u:hush@h/d?schema=pg_own",
        "postgresql+pg8000://u:hush@h/d?schema=a%22b",
        "u:hush",
        "",
    ],
)
def test_a_url_that_names_no_place_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        place_of(url, schema="own")
    assert caught.value.code == "database.url"
    assert "hush" not in caught.value.message


def test_a_url_and_its_password_are_parted() -> None:
    assert without_password(f"postgresql+pg8000://u:{ENCODED}@h/d?schema=a") == ("postgresql+pg8000://u@h/d?schema=a", PASSWORD)
    assert without_password("postgresql+pg8000://u@h/d") == ("postgresql+pg8000://u@h/d", None)
    place = place_of(f"postgresql+pg8000://u:{ENCODED}@h/d", schema="a")
    assert (place.password, place.tls, place_of("postgresql://u@localhost/d", schema="a").tls) == (PASSWORD, "verify-full", "disable")
    assert PASSWORD not in f"{place} {place!r}"


def test_the_password_is_taken_from_the_first_place_that_has_one(tmp_path: Path) -> None:
    place = place_of("postgresql+pg8000://u@h:5433/d", schema="a")
    pgpass, secret = tmp_path / "pgpass", tmp_path / "secret"
    pgpass.write_text("# a comment\nh:5432:d:u:wrong port\nh:5433:*:u:from\\:the\\\\file\n", encoding="utf-8")
    environment = {"PGPASSFILE": str(pgpass)}
    assert password_for(place, secret_file=secret, environment=environment) is None
    pgpass.chmod(0o600)
    assert password_for(place, secret_file=secret, environment=environment) == "from:the\\file"
    environment["PGPASSWORD"] = "from the environment"
    assert password_for(place, secret_file=secret, environment=environment) == "from the environment"
    secret.write_text("from the secret file\n", encoding="utf-8")
    assert password_for(place, secret_file=secret, environment=environment) == "from the secret file"
    assert password_for(replace(place, password="own"), secret_file=secret, environment=environment) == "own"


def test_a_node_is_made_and_opened_with_the_password_in_a_secret_file_and_nowhere_else(server: Cluster, tmp_path: Path) -> None:
    _say(server, f"GRANT CREATE ON DATABASE postgres TO {GUARDED}")
    folder = tmp_path / "node"
    verbs.init(folder, verbs.Birth("road", "Road", "道路", port=1, database=server.url_of(f"{GUARDED}:{ENCODED}")))
    secret = folder / KEYS / DATABASE_PASSWORD
    assert secret.read_text(encoding="utf-8") == PASSWORD
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    text = (folder / FILE_NAME).read_text(encoding="utf-8")
    assert "guarded@127.0.0.1" in text
    assert ENCODED not in text
    assert not (folder / "node.db").exists()
    node = open_node(folder)
    assert node.evidence.size() == 2
    assert "schema node_road_" in node.database.name


def test_a_node_whose_database_cannot_be_made_leaves_nothing_behind(server: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "node"
    birth = verbs.Birth("road", "Road", "道路", port=1, database=server.url_of("stranger"))
    with pytest.raises(Denied):
        verbs.init(folder, birth)
    assert not folder.exists()
    verbs.init(folder, replace(birth, database=server.url))


def test_a_node_does_not_begin_anew_where_its_database_is_gone_or_is_another_nodes(server: Cluster, tmp_path: Path) -> None:
    birth = verbs.Birth("road", "Road", "道路", port=1, database=server.url + "?schema=of_one")
    verbs.init(tmp_path / "one", birth)
    with pytest.raises(Conflict) as taken:
        verbs.init(tmp_path / "other", birth)
    assert taken.value.code == "database.taken"
    _say(server, "DROP SCHEMA of_one CASCADE", "CREATE SCHEMA of_one")
    with pytest.raises(NotFound) as gone:
        open_node(tmp_path / "one")
    assert gone.value.code == "database.empty"


def test_a_settings_file_with_a_password_is_refused(server: Cluster, tmp_path: Path) -> None:
    verbs.init(tmp_path / "node", verbs.Birth("road", "Road", "道路", port=1, database=server.url))
    path = tmp_path / "node" / FILE_NAME
    path.write_text(path.read_text(encoding="utf-8").replace("postgres@", "postgres:hush@"), encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        open_node(tmp_path / "node")
    assert "hush" not in caught.value.message
    assert "keys/database.password" in caught.value.message


def test_a_schema_that_is_dropped_under_a_node_is_told(database: Database, server: Cluster) -> None:
    add(database, 1)
    _say(server, f'DROP SCHEMA "{database.backend.place.schema}" CASCADE')  # type: ignore[attr-defined]  # PostgreSQL's backend has a place
    for act in (lambda: add(database, 2), lambda: kept(database)):
        with pytest.raises(ChengshuError) as caught:
            act()
        assert (caught.value.kind, caught.value.code) == ("Unavailable", "database.replaced")


def test_two_nodes_of_one_handle_share_a_database_without_meeting(server: Cluster, tmp_path: Path) -> None:
    names = set()
    for owner in ("road did:key:one", "road did:key:two"):
        database = database_of(server.url, file=tmp_path / "node.db", secret_file=tmp_path / "none", owner=owner)
        names.add(database.name)
    assert len(names) == 2
