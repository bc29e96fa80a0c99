"""The Decentralized Claims Protocol TCK, its tests of a verifier unchanged, against a node: each passes, and for the right reason."""

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from tests.conformance.kits import DCP

from chengshu import config
from chengshu.api.app import create_app
from chengshu.cli import verbs
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.model import Scheme
from chengshu.kernel.errors import ChengshuError, Unidentified
from chengshu.node import Node, open_node

REFUSED_FOR = {
    "presentationResponse_rejectMissingBearerPrefix": "identity.secret-unknown",
    "verifier_04_03_01_presentationResponse_idTokenNoTokenClaim": "identity.dcp-claims",
    "verifier_04_03_03_idTokenExpired": "identity.dcp-expired",
    "verifier_04_03_03_idTokenIncorrectAud": "identity.dcp-audience",
    "verifier_04_03_03_idTokenIncorrectSub": "identity.dcp-claims",
    "verifier_04_03_03_idTokenInvalidIssuerSub": "identity.dcp-audience",
    "verifier_04_03_03_idTokenInvalidSub": "identity.dcp-claims",
    "verifier_04_03_03_idTokenJtiUsedTwice": "identity.dcp-replayed",
    "verifier_04_03_03_idTokenNbfInFuture": "identity.dcp-not-yet-valid",
    "verifier_05_04_02_01_presentationResponse_tooFewCredentials": "identity.dcp-query",
    "verifier_05_04_02_03_presentationResponse_emptyPresentations": "identity.dcp-presentation",
    "verifier_05_04_02_04_presentationResponse_emptyCredentials": "identity.dcp-required",
    "verifier_05_04_03_06_presentationResponse_credentialRevoked": "identity.dcp-status",
    "verifier_05_04_03_06_presentationResponse_notYetValidCredential": "identity.dcp-credential-not-yet-valid",
    "verifier_05_04_03_07_presentationResponse_expiredCredential": "identity.dcp-credential-expired",
    "verifier_05_04_03_presentationResponse_holderNotEqualSubjectId": "identity.dcp-subject",
    "verifier_x_x_presentationResponse_invalidCredentialSchema": "identity.dcp-schema",
}
"""What the node refuses in each of the kit's tests that demand a refusal. The kit's status list is signed by nobody, so it is believed by
nobody: the revoked credential is refused for that. A signed list with the bit set is a test of our own (test_identity_claims.py)."""

ACCEPTED = {"verifier_05_01_presentationResponse_success", "verifier_05_04_02_02_presentationResponse_tooManyCredentials"}
EXPECTED = frozenset(REFUSED_FOR) | ACCEPTED | {"presentationResponse_endpointDiscovery"}


@dataclass(frozen=True)
class Trigger:
    """A node whose credentials are asked by one more endpoint, which takes any body: where the kit begins each test."""

    did: str
    port: int
    kit_port: int
    refused: list[str]

    def settings(self) -> dict[str, str]:
        return {
            "dataspacetck.port": str(self.kit_port),
            "dataspacetck.callback.address": f"http://localhost:{self.kit_port}",
            "dataspacetck.did.verifier": self.did,
            "dataspacetck.vpp.trigger.endpoint": f"http://localhost:{self.port}/trigger",
        }


def of_the_kit(port: int, name: str) -> str:
    return f"did:web:localhost%3A{port}:{name}"


def made_node(folder: Path, did: str, *, port: int, kit_port: int) -> Node:
    verbs.init(folder, verbs.Birth("verifier", "Verifier", "核验方", port=port))
    issuer = config.IssuerSection(did=of_the_kit(kit_port, "issuer"), types=("MembershipCredential",))
    chosen = config.IdentitySection(did=did, issuers=(issuer,), required=("MembershipCredential",))
    config.write(folder, config.load(folder).model_copy(update={"identity": chosen}))
    node = open_node(folder)
    for name in ("holder", "thirdparty"):
        card = {"id": of_the_kit(kit_port, name), "name_en": name, "name_zh": name, "address": f"http://localhost:{kit_port}/2025-1"}
        verbs.add_peer(node, card, scheme=Scheme.DCP)
    return node


@contextmanager
def triggered(folder: Path) -> Iterator[Trigger]:
    listener = socket.create_server(("127.0.0.1", 0))
    with socket.create_server(("127.0.0.1", 0)) as free:
        kit_port = int(free.getsockname()[1])
    port = int(listener.getsockname()[1])
    trigger = Trigger(f"did:web:localhost%3A{port}", port, kit_port, [])
    node = made_node(folder, trigger.did, port=port, kit_port=kit_port)
    app = create_app(node)

    @app.post("/trigger")
    async def verify(request: Request) -> Response:
        asked = SignedRequest("POST", "/trigger", await request.body())
        try:
            await run_in_threadpool(node.credentials.verify, request.headers.get("authorization"), asked)
        except Unidentified as error:
            reason = error.__cause__ if isinstance(error.__cause__, ChengshuError) else error
            trigger.refused.append(reason.code)
            return Response(status_code=404)
        return Response(status_code=200)

    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield trigger
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def test_every_test_of_a_verifier_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    DCP.require()
    begun, log = time.monotonic(), DCP.build / "kit.log"
    with triggered(tmp_path / "node") as trigger:
        outcome = DCP.run(trigger.settings(), log=log)
    with capsys.disabled():
        sys.stderr.write(f"\nDecentralized Claims Protocol TCK {DCP.version}, verifier: {outcome}, {time.monotonic() - begun:.0f} s\n")
    assert outcome.failed == {}
    assert outcome.passed == EXPECTED
    assert outcome.skipped == frozenset()
    assert sorted(trigger.refused) == sorted(REFUSED_FOR.values())


def test_the_kit_has_twenty_tests_of_a_verifier() -> None:
    assert len(EXPECTED) == 20
