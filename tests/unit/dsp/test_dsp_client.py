"""The client against a real socket that answers whatever a test says."""

import gzip
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chengshu.dsp.client import DspPeers
from chengshu.dsp.messages.shapes import CONTEXT, MAX_BYTES
from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.model import did_key
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.clock import system_clock
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Unavailable
from chengshu.kernel.ids import new_id
from databases import database_at

PEER = did_key(MemorySigner.generate().public_key)


class Server(ThreadingHTTPServer):
    """Answers every request with ``status``, ``headers`` and ``body``, and remembers what came."""

    status = 200
    headers: dict[str, str]
    body = b"{}"
    trickle_s = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.headers = {}
        self.came: list[tuple[str, str, dict[str, str]]] = []


class Answering(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.came.append((self.command, self.path, dict(self.headers)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self._write()

    def _write(self) -> None:
        try:
            if not self.server.trickle_s:
                self.wfile.write(self.server.body)
                return
            for byte in self.server.body:
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.trickle_s)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client hung up, as it should where an answer is too large or too slow

    do_GET = do_POST = _answer  # noqa: N815 -- the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server gives it
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def peers(tmp_path: Path, server: Server) -> Iterator[DspPeers]:
    database = database_at(tmp_path / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", tmp_path / "log", system_clock)
    identity = Identity(database, signer=signer, address="http://127.0.0.1:1/2025-1", evidence=evidence, clock=system_clock)
    identity.add(PEER, name_en="Peer", name_zh="对方", address=f"http://127.0.0.1:{server.server_port}/dsp")
    credentials = TokenCredentials(identity, digests=Digests(INTERNATIONAL), clock=system_clock, new_id=new_id)
    made = DspPeers(identity, credentials=credentials, timeout_s=0.5)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("status", "path", "kind"),
    [
        (500, "/negotiations/request", Unavailable),
        (503, "/negotiations/request", Unavailable),
        (429, "/negotiations/request", Unavailable),
        (404, "/negotiations/x/events", Unavailable),
        (404, "/catalog/request", NotFound),
        (401, "/negotiations/request", Denied),
        (403, "/negotiations/request", Denied),
        (409, "/negotiations/request", Conflict),
        (400, "/negotiations/request", Invalid),
        (302, "/negotiations/request", Invalid),
        (101, "/negotiations/request", ChengshuError),
    ],
)
def test_every_status_has_its_kind_of_error(peers: DspPeers, server: Server, status: int, path: str, kind: type[ChengshuError]) -> None:
    server.status = status
    server.body = b'{"@type": "ContractNegotiationError", "code": "their.code", "reason": ["their \\u001b[31m reason"]}'
    with pytest.raises(kind) as caught:
        peers.post(PEER, path, {})
    if status > 101:
        assert caught.value.facts == {"status": status, "peer_code": "their.code", "peer_type": "ContractNegotiationError"}
        assert "their [31m reason" in caught.value.message


def test_a_get_of_something_absent_is_not_found(peers: DspPeers, server: Server) -> None:
    server.status = 404
    with pytest.raises(NotFound):
        peers.get(PEER, "/negotiations/x")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"reason": {}}', b'{"code": 5, "reason": [5]}', b"\xff"])
def test_an_error_without_a_typed_body_is_still_an_error(peers: DspPeers, server: Server, body: bytes) -> None:
    server.status, server.body = 400, body
    with pytest.raises(Invalid) as caught:
        peers.post(PEER, "/negotiations/request", {})
    assert caught.value.facts["peer_code"] == "no code"


def test_redirects_are_not_followed(peers: DspPeers, server: Server) -> None:
    server.status, server.headers = 307, {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}
    with pytest.raises(Invalid):
        peers.post(PEER, "/x", {})
    assert [path for _, path, _ in server.came] == ["/dsp/x"]


def test_an_answer_above_the_limit_is_refused(peers: DspPeers, server: Server) -> None:
    server.body = b" " * (MAX_BYTES + 1)
    with pytest.raises(Invalid) as caught:
        peers.post(PEER, "/x", {})
    assert caught.value.code == "peer.answer"


def test_a_compressed_answer_is_refused_unread(peers: DspPeers, server: Server) -> None:
    server.body, server.headers = gzip.compress(b"{}" + b" " * 10_000_000), {"Content-Encoding": "gzip"}
    with pytest.raises(Invalid) as caught:
        peers.post(PEER, "/x", {})
    assert caught.value.code == "peer.answer"


def test_an_answer_that_trickles_is_given_up(peers: DspPeers, server: Server) -> None:
    server.body, server.trickle_s = b" " * 40, 0.05
    with pytest.raises(Unavailable):
        peers.post(PEER, "/x", {})


@pytest.mark.parametrize("body", [b"[]", b"not json", b'{"a": NaN}'])
def test_an_answer_that_is_no_json_object_is_refused(peers: DspPeers, server: Server, body: bytes) -> None:
    server.body = body
    with pytest.raises(Invalid):
        peers.post(PEER, "/x", {})


@pytest.mark.parametrize(("status", "body"), [(200, b""), (201, b""), (204, b""), (202, b" \n")])
def test_an_empty_answer_is_no_answer(peers: DspPeers, server: Server, status: int, body: bytes) -> None:
    server.status, server.body = status, body
    assert peers.post(PEER, "/x", {}) is None


def test_a_missing_content_type_does_not_matter(peers: DspPeers, server: Server) -> None:
    server.body = b'{"a": 1}'
    assert peers.post(PEER, "/x", {}) == {"a": 1}


def test_ids_go_over_the_wire_percent_encoded_and_signed_as_sent(peers: DspPeers, server: Server) -> None:
    peers.get(PEER, "/negotiations/urn%3Aa%2Fb%3D")
    ((method, path, headers),) = server.came
    assert (method, path) == ("GET", "/dsp/negotiations/urn%3Aa%2Fb%3D")
    assert headers["Authorization"].startswith("Bearer ")
    assert headers["Accept-Encoding"] == "identity"


def test_a_party_that_is_not_listed_is_never_called(peers: DspPeers, server: Server) -> None:
    with pytest.raises(NotFound):
        peers.post("did:key:z6Mkother", "/x", {})
    assert server.came == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://169.254.169.254/", "https://127.0.0.1/x"])
def test_an_address_that_is_not_the_partys_is_never_called(peers: DspPeers, url: str) -> None:
    with pytest.raises(Denied):
        peers.post(PEER, url, {})


SERVICE = {"@id": "urn:s", "@type": "DataService", "endpointURL": "https://peer.example/dsp"}
CATALOG = canonical({"@context": [CONTEXT], "@id": "urn:c", "@type": "Catalog", "participantId": PEER, "service": [SERVICE]})


@pytest.mark.parametrize("elsewhere", ["https://evil.example/catalog", "/room/inputs", "//evil.example/dsp/catalog/request"])
def test_a_link_that_leads_away_from_the_party_is_not_followed(peers: DspPeers, server: Server, elsewhere: str) -> None:
    server.headers, server.body = {"Link": f'<{elsewhere}>; rel="next"'}, CATALOG
    pages = peers.catalog_pages(PEER)
    next(pages)
    with pytest.raises(Denied):
        next(pages)
    assert len(server.came) == 1


@pytest.mark.parametrize("again", ["/dsp/catalog/request?limit=1", "?limit=1"])
def test_links_that_go_in_a_circle_are_not_followed_for_ever(peers: DspPeers, server: Server, again: str) -> None:
    server.headers, server.body = {"Link": f'<{again}>; rel="next"'}, CATALOG
    with pytest.raises(Invalid, match="not read yet"):
        list(peers.catalog_pages(PEER))
    assert [path for _, path, _ in server.came] == ["/dsp/catalog/request", "/dsp/catalog/request?limit=1"]
