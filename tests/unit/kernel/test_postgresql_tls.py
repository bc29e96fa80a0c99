"""A node and its PostgreSQL server over TLS: whom the node trusts, and that nothing goes out in the clear unasked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chengshu.cli import verbs
from chengshu.cli.doctor import examine
from chengshu.config import DATABASE_URL, FILE_NAME
from chengshu.kernel.database import Database
from chengshu.kernel.databases.postgresql import PostgreSQL
from chengshu.kernel.databases.postgresql_place import place_of
from chengshu.kernel.errors import Unavailable
from chengshu.node import open_node
from databases import Certificate, Cluster, cluster

NOT_KNOWN_NEAR = "127.1"
"""This machine by a name that does not say so: for a node, a host like any other."""


def _openssl(*words: str, folder: Path) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _authority(folder: Path, name: str) -> Path:
    folder.mkdir()
    own = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *own, folder=folder)
    return folder / "ca.pem"


def _certificate(folder: Path, *, host: str) -> Certificate:
    """A certificate for one host name, by an authority of its own."""
    authority = _authority(folder, "an authority of this test")
    (folder / "host").write_text(f"subjectAltName=DNS:{host}\n", encoding="utf-8")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "asked", "-subj", f"/CN={host}", folder=folder)
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "host", "-out", "server.pem")
    _openssl("x509", "-req", "-in", "asked", *signed, folder=folder)
    return Certificate(folder / "server.pem", folder / "server.key", authority)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return _certificate(tmp_path_factory.mktemp("tls") / "true", host="localhost")


@pytest.fixture(scope="module")
def server(certificate: Certificate) -> Iterator[Cluster]:
    """A server that takes nobody in the clear."""
    with cluster(certificate=certificate) as server:
        yield server


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DATABASE_URL, "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)


def _at(server: Cluster, host: str, **choices: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in choices.items())
    return f"{server.url.replace('127.0.0.1', host)}?{query}"


def _is_encrypted(database: Database) -> bool:
    with database.read() as tx:
        return bool(tx.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar_one())


def _refusal(url: str) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        Database(PostgreSQL(place_of(url, schema="own"))).create()
    return caught.value


def test_a_node_checks_the_certificate_that_its_settings_ask_for_and_works_over_it(
    server: Cluster, certificate: Certificate, tmp_path: Path
) -> None:
    url = _at(server, "localhost", sslmode="verify-full", sslrootcert=certificate.authority)
    folder = tmp_path / "node"
    verbs.init(folder, verbs.Birth("road", "Road", "道路", port=1, database=url))
    assert url in (folder / FILE_NAME).read_text(encoding="utf-8")
    node = open_node(folder)
    assert _is_encrypted(node.database)
    with node.database.write() as tx:
        node.evidence.append(tx, "token.issued", "t", {"n": 1})
    assert node.evidence.size() == 3
    node.database.close()


def test_a_certificate_of_another_authority_is_not_trusted(server: Cluster, tmp_path: Path) -> None:
    other = _authority(tmp_path / "other", "somebody else")
    for chosen in ({"sslrootcert": other}, {}):  # without a file, the system's authorities count, which know nothing of this one
        refused = _refusal(_at(server, "localhost", sslmode="verify-full", **chosen))
        assert refused.code == "database.certificate"
        assert "for that host from an authority that is trusted" in refused.message
        assert "sslrootcert" in refused.hint.en


def test_a_certificate_for_another_host_is_not_trusted(server: Cluster, certificate: Certificate) -> None:
    refused = _refusal(_at(server, "127.0.0.1", sslmode="verify-full", sslrootcert=certificate.authority))
    assert (refused.code, "sslrootcert" in refused.hint.zh) == ("database.certificate", True)


def test_an_authority_file_that_is_not_there_or_holds_no_certificate_is_told(server: Cluster, tmp_path: Path) -> None:
    (tmp_path / "words.pem").write_text("no certificate\n", encoding="utf-8")
    for name in ("nowhere.pem", "words.pem"):
        refused = _refusal(_at(server, "localhost", sslmode="verify-full", sslrootcert=tmp_path / name))
        assert refused.code == "database.certificate"
        assert "the file of sslrootcert" in refused.message


def test_a_certificate_need_not_be_checked_where_the_operator_says_so(server: Cluster) -> None:
    database = Database(PostgreSQL(place_of(_at(server, "127.0.0.1", sslmode="require"), schema="unchecked")))
    database.create()
    assert _is_encrypted(database)
    database.close()


def test_a_server_that_wants_tls_refuses_a_node_without(server: Cluster) -> None:
    assert _refusal(_at(server, "localhost", sslmode="disable")).code == "database.login"


def test_nothing_goes_to_another_host_in_the_clear_unless_the_operator_says_so(certificate: Certificate) -> None:
    with cluster() as plain:
        refused = _refusal(_at(plain, NOT_KNOWN_NEAR, sslrootcert=certificate.authority))
        assert (refused.code, "without TLS" in refused.message) == ("database.unavailable", True)
        chosen = Database(PostgreSQL(place_of(_at(plain, NOT_KNOWN_NEAR, sslmode="disable"), schema="chosen")))
        chosen.create()
        assert not _is_encrypted(chosen)
        chosen.close()


def test_the_doctor_of_a_node_whose_servers_certificate_is_no_longer_trusted_says_so(
    server: Cluster, certificate: Certificate, tmp_path: Path
) -> None:
    authority = tmp_path / "trusted.pem"
    authority.write_bytes(certificate.authority.read_bytes())
    folder = tmp_path / "node"
    url = _at(server, "localhost", schema="doctored", sslmode="verify-full", sslrootcert=authority)
    verbs.init(folder, verbs.Birth("road", "Road", "道路", port=1, database=url))
    authority.write_bytes(_authority(tmp_path / "other", "somebody else").read_bytes())
    assert any("certificate for that host" in one.found.en and one.bad for one in examine(folder))
