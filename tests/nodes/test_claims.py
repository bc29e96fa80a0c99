"""Two nodes that believe each other by the Decentralized Claims Protocol alone: each is the other's holder and verifier."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from wallet import MEMBER, Wallet, served_wallet

from chengshu import config, testing
from chengshu.catalog.model import Acceptance
from chengshu.cli import publishing, verbs
from chengshu.cli.publishing import Terms
from chengshu.identity.model import Scheme
from chengshu.kernel.errors import ChengshuError, NotFound
from chengshu.node import Node, open_node


def did_of(node: Node) -> str:
    assert node.claims_key is not None
    return node.claims_key.did


@contextmanager
def served(folder: Path, handle: str, issuer: Wallet) -> Iterator[Node]:
    """A node with a DID of its own, and a fresh credential of the issuer in its folder."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    did = f"did:web:127.0.0.1%3A{port}:{handle}"
    verbs.init(folder / handle, verbs.Birth(handle, handle.capitalize(), f"{handle}（测试）", port=port))
    believed = config.IssuerSection(did=issuer.did("issuer"), types=(MEMBER,))
    chosen = config.IdentitySection(did=did, issuers=(believed,), required=(MEMBER,))
    config.write(folder / handle, config.load(folder / handle).model_copy(update={"identity": chosen}))
    wallet = folder / handle / "credentials"
    wallet.mkdir()
    (wallet / "membership.jwt").write_text(given(issuer, did), encoding="utf-8")
    node = open_node(folder / handle)
    running = testing._served(node, listener)
    try:
        yield node
    finally:
        testing._stop(*running)


def given(issuer: Wallet, did: str, **changes: Any) -> str:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    return issuer.credential(issuanceDate=yesterday, credentialSubject={"id": did}, claims={"sub": did}, **changes)


def introduce(here: Node, there: Node) -> None:
    name = there.settings.node.handle
    card = {"id": did_of(there), "name_en": name, "name_zh": name, "address": there.identity.address}
    verbs.add_peer(here, card, scheme=Scheme.DCP)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Node, Node, Wallet]]:
    with served_wallet("-") as issuer, served(tmp_path, "road", issuer) as road, served(tmp_path, "firm", issuer) as firm:
        introduce(road, firm)
        introduce(firm, road)
        yield road, firm, issuer


def publish(node: Node) -> None:
    file = node.folder / "counts.parquet"
    pq.write_table(pa.Table.from_pylist([{"vehicle": f"v{one}", "speed": 10.0 + one} for one in range(10)]), file)
    policy = publishing.offer_of(Terms(room=node.identity.did, purposes=["study"]))
    publishing.publish(node, file, contract=None, policy=policy, acceptance=Acceptance.CLEAN)


def test_a_node_reads_the_catalog_of_one_that_believes_its_credential(pair: tuple[Node, Node, Wallet]) -> None:
    road, firm, _ = pair
    publish(road)
    assert [one["@id"] for one in firm.peers.catalog(did_of(road))["dataset"]] == ["counts"]
    assert firm.peers.dataset(did_of(road), "counts")["@id"] == "counts"  # each request by a token and a presentation of its own


def test_a_node_without_a_fitting_credential_finds_nothing(pair: tuple[Node, Node, Wallet], caplog: pytest.LogCaptureFixture) -> None:
    road, firm, issuer = pair
    kept = firm.folder / "credentials" / "membership.jwt"
    expired = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    for credential, reason in (
        (None, "identity.dcp-required"),
        (given(issuer, did_of(firm), expirationDate=expired), "identity.dcp-credential-expired"),
        (given(issuer, did_of(road)), "identity.dcp-subject"),
    ):
        kept.unlink(missing_ok=True)
        if credential is not None:
            kept.write_text(credential, encoding="utf-8")
        with caplog.at_level(logging.WARNING), pytest.raises(NotFound) as caught:
            firm.peers.catalog(did_of(road))
        assert caught.value.facts["peer_code"] == "identity.unproved"  # why is for the log of the node that was asked alone
        assert reason in caplog.text
        caplog.clear()


def test_a_wallet_shows_nothing_to_a_stranger_or_for_another_ones_access_token(pair: tuple[Node, Node, Wallet]) -> None:
    road, firm, _ = pair
    assert road.wallet is not None
    assert firm.wallet is not None
    query = {"@context": [], "type": "PresentationQueryMessage", "scope": [f"org.eclipse.dspace.dcp.vc.type:{MEMBER}"]}
    url = firm.settings.serve.address + "/dcp/presentations/query"
    tokens = firm.wallet._tokens
    road_tokens = road.wallet._tokens
    for access in (
        firm.wallet.access_for("did:web:other.example"),
        road.wallet.access_for(did_of(road)),
        tokens.issue(did_of(firm), {}),
        "x",
    ):
        header = f"Bearer {road_tokens.issue(did_of(firm), {'token': access})}"
        answer = httpx.post(url, json=query, headers={"Authorization": header}, trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (401, "identity.unproved")
    header = f"Bearer {road_tokens.issue(did_of(firm), {'token': firm.wallet.access_for(did_of(road))})}"
    shown = httpx.post(url, json=query, headers={"Authorization": header}, trust_env=False)
    assert (shown.status_code, shown.json()["type"]) == (200, "PresentationResponseMessage")
    again = httpx.post(url, json=query, headers={"Authorization": header}, trust_env=False)
    assert again.status_code == 401
    for bad in ({}, {**query, "type": "Other"}, {**query, "scope": ["x"]}, {**query, "scope": [5]}, {**query, "scope": []}):
        header = f"Bearer {road_tokens.issue(did_of(firm), {'token': firm.wallet.access_for(did_of(road))})}"
        refused = httpx.post(url, json=bad, headers={"Authorization": header}, trust_env=False)
        assert (refused.status_code, refused.json()["code"]) == (400, "identity.dcp-message")


def test_the_document_of_a_nodes_did_is_where_its_method_says(pair: tuple[Node, Node, Wallet]) -> None:
    road, _, _ = pair
    document = httpx.get(f"{road.settings.serve.address}/road/did.json", trust_env=False).json()
    assert document["id"] == did_of(road)
    assert document["capabilityInvocation"] == [f"{did_of(road)}#dcp"]
    assert document["service"][0]["serviceEndpoint"] == road.settings.serve.address + "/dcp"


def test_a_node_without_a_did_of_its_own_has_neither_document_nor_wallet(tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    verbs.init(tmp_path / "plain", verbs.Birth("plain", "Plain", "普通", port=int(listener.getsockname()[1])))
    node = open_node(tmp_path / "plain")
    running = testing._served(node, listener)
    try:
        address = node.settings.serve.address
        assert httpx.get(f"{address}/.well-known/did.json", trust_env=False).status_code == 404
        assert httpx.post(f"{address}/dcp/presentations/query", json={}, trust_env=False).status_code == 404
        with pytest.raises(ChengshuError):
            node.credentials.verify("Bearer e30.e30.e30", None)  # type: ignore[arg-type]  # refused before the request is looked at
    finally:
        testing._stop(*running)
