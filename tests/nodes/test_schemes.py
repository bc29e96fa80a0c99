"""Nodes and foreign connectors that prove who they are by a shared secret, or by what a plug-in brings."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from chengshu import testing
from chengshu.cli import verbs
from chengshu.cli.main import app
from chengshu.config import Cryptography
from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.keys.shared import Shared
from chengshu.identity.model import Scheme
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.secret_files import put_secret
from chengshu.kernel.text import Text
from chengshu.node import Node, PlugCredentials, open_node

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
CATALOG_REQUEST = {"@context": [CONTEXT], "@type": "CatalogRequestMessage"}
CONNECTOR = {"id": "connector/of=a firm", "name_en": "Connector", "name_zh": "外部连接器", "address": "http://127.0.0.1:9/2025-1"}


def command(*words: object, on: Node) -> Any:
    ran = CliRunner().invoke(app, [*map(str, words), "--node", str(on.folder), "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def published(node: Node, folder: Path) -> None:
    file = folder / "counts.parquet"
    pq.write_table(pa.Table.from_pylist([{"vehicle": f"v{one}", "speed": 10.0 + one} for one in range(10)]), file)
    command("product", "publish", file, "--purpose", "study", "--room", "me", on=node)


@contextmanager
def served(
    folder: Path, handle: str, *, plug: PlugCredentials | None = None, cryptography: Cryptography = "international"
) -> Iterator[Node]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    verbs.init(folder / handle, verbs.Birth(handle, handle.capitalize(), f"{handle}（测试）", port=port, cryptography=cryptography))
    node = open_node(folder / handle) if plug is None else open_node(folder / handle, plug=plug)
    running = testing._served(node, listener)
    try:
        yield node
    finally:
        testing._stop(*running)


def asked(node: Node, header: str | None) -> httpx.Response:
    headers = {} if header is None else {"Authorization": header}
    return httpx.post(node.identity.address + "/catalog/request", json=CATALOG_REQUEST, headers=headers, trust_env=False)


@pytest.mark.parametrize("profile", ["international", "national"])
def test_two_nodes_that_share_a_secret_come_to_a_signed_agreement(tmp_path: Path, profile: Cryptography) -> None:
    with served(tmp_path, "road", cryptography=profile) as road, served(tmp_path, "firm", cryptography=profile) as firm:
        put_secret(tmp_path / "secret", b"one secret of road and firm\n".replace(b" ", b"-"))
        for here, there in ((road, firm), (firm, road)):
            card = tmp_path / f"{there.settings.node.handle}.json"
            card.write_text(json.dumps(verbs.describe(there)), encoding="utf-8")
            (added,) = command("peer", "add", card, "--scheme", "static", "--secret", tmp_path / "secret", on=here)
            assert added["scheme"] == "static"
        published(road, tmp_path)
        agreed = command("contract", "request", "road", "counts", on=firm)
        assert (agreed["state"], agreed["unsigned_by"]) == ("FINALIZED", []), agreed
        shown = {party["id"]: party["scheme"] for party in command("peer", "list", on=firm)}
        assert shown == {firm.identity.did: "token", road.identity.did: "static"}


def test_a_connector_is_known_by_its_secret_and_a_stranger_learns_nothing(tmp_path: Path) -> None:
    with served(tmp_path, "road") as road:
        published(road, tmp_path)
        verbs.add_peer(road, CONNECTOR, scheme=Scheme.STATIC, shared=Shared("what-the-road-sends", "what-the-connector-sends"))
        for header in ("what-the-connector-sends", "Bearer what-the-connector-sends"):
            answer = asked(road, header)
            assert (answer.status_code, [one["@id"] for one in answer.json()["dataset"]]) == (200, ["counts"])
        for header in (None, "what-the-road-sends", "Bearer x", 'Bearer {"clientId": "connector/of=a firm"}'):
            answer = asked(road, header)
            assert (answer.status_code, answer.json()["@type"]) == (404, "CatalogError")


def test_an_agreement_with_a_connector_says_that_it_did_not_sign(tmp_path: Path) -> None:
    with served(tmp_path, "road") as road:
        published(road, tmp_path)
        verbs.add_peer(road, CONNECTOR, scheme=Scheme.STATIC, shared=Shared("what-the-road-sends", "what-the-connector-sends"))
        headers = {"Authorization": "what-the-connector-sends"}
        offer = asked(road, headers["Authorization"]).json()["dataset"][0]["hasPolicy"][0]
        wanted = {"@type": "Offer", "@id": offer["@id"], "target": "counts"}
        request = {"consumerPid": "urn:c", "offer": wanted, "callbackAddress": CONNECTOR["address"]}
        url = road.identity.address + "/negotiations"
        opened = httpx.post(url + "/request", json=message("ContractRequestMessage", **request), headers=headers, trust_env=False)
        assert opened.status_code == 201
        pid = opened.json()["providerPid"]
        verified = message("ContractAgreementVerificationMessage", consumerPid="urn:c", providerPid=pid)
        answer = httpx.post(f"{url}/{pid}/agreement/verification", json=verified, headers=headers, trust_env=False)
        assert answer.status_code == 200, answer.text
        shown = command("contract", "show", pid, on=road)
        assert (shown["state"], shown["unsigned_by"]) == ("FINALIZED", [CONNECTOR["id"]])
        (listed,) = command("contract", "list", on=road)
        assert listed["unsigned_by"] == [CONNECTOR["id"]]


def message(kind: str, **members: Any) -> dict[str, Any]:
    return {"@context": [CONTEXT], "@type": kind, **members}


class RawNames:
    """A scheme of a test's own: the header is the sender's name."""

    def __init__(self, identity: Identity, own: CredentialSource) -> None:
        self.identity = identity
        self.own = own

    def issue(self, audience: str, request: SignedRequest) -> str:
        return self.own.issue(audience, request) if audience.startswith("did:") else f"name {self.identity.did}"

    def verify(self, header: str | None, request: SignedRequest) -> str:
        if header is None or not header.startswith("name "):
            return self.own.verify(header, request)
        if not self.identity.knows(header.removeprefix("name ")):
            raise Unidentified("test.name", "expected a known name, got another", hint=Text("Ask.", "请询问。"))
        return header.removeprefix("name ")


def test_a_plug_in_may_bring_a_scheme_of_its_own(tmp_path: Path) -> None:
    with served(tmp_path, "road", plug=RawNames) as road:
        verbs.add_peer(road, CONNECTOR, scheme=Scheme.STATIC, shared=Shared("what-the-road-sends", "what-the-connector-sends"))
        assert asked(road, f"name {CONNECTOR['id']}").status_code == 200
        assert asked(road, "name somebody").status_code == 404
        assert asked(road, "what-the-connector-sends").status_code == 200
        issued = road.credentials.issue(CONNECTOR["id"], SignedRequest("GET", "/"))
    assert issued == f"name {road.identity.did}"
