"""A node and a real Eclipse EDC connector: each reads the other's catalog, negotiates with it and gets its data, again and again alike."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pyarrow as pa
import pytest
from small_deliveries import state
from small_space import counts, hang_up, kinds, publish
from small_space import until as wait_until
from tests.conformance.backend import Backend
from tests.conformance.edc_connector import PROTOCOL, Edc, lacking, until
from tests.conformance.iam_mock import MockCredentials

from chengshu.contract.model import State as Negotiated
from chengshu.identity.model import Scheme
from chengshu.node import Node
from chengshu.policy.model import CountLimit, Form, OutputForm, Policy, Purpose, Recipient, TimeWindow
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space
from chengshu.transfer.flow.model import PULL, PUSH, Extent
from chengshu.transfer.process.model import State, Wanted

RUNS = int(os.environ.get("CHENGSHU_EDC_RUNS", "20"))
NAME = "edc-connector"
"""A participant id that is no prefix of its JSON-LD contexts: EDC takes the id "edc" for its namespace."""

ASSET = "urn:asset:roads=1"
"""An id that goes into paths; not with a slash, which EDC's web server refuses there even encoded (400, ambiguous)."""

CONTENT = b"road,vehicles\nring,20\ngate,20\n"
OFFER = to_odrl(Policy((CountLimit(1000), OutputForm(Form.ROWS), Recipient(frozenset({NAME, "another"}))), ()))
THEIRS = to_odrl(
    Policy((CountLimit(1000), Purpose(frozenset({"traffic-study", "research"})), TimeWindow(None, datetime(2999, 1, 1, tzinfo=UTC))), ())
)

Sides = tuple[Node, Edc, Backend]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    reason = lacking()
    if reason is not None and "CI" in os.environ:
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("sides")
    with Space(folder) as space, Backend(CONTENT) as backend, Edc(folder / "edc", NAME) as edc:
        node = space.add("road", plug=MockCredentials)
        publish(node, "counts", policy=OFFER)
        node.identity.add(NAME, name_en="Connector", name_zh="连接器", address=edc.address, scheme=Scheme.STATIC)
        edc.offer(ASSET, source=backend.source, policy=THEIRS)
        yield node, edc, backend
    node.moving.close()
    hang_up(node)


@pytest.mark.parametrize("run", range(RUNS))
def test_edc_reads_our_catalog_agrees_with_us_and_pulls_through_our_data_plane(sides: Sides, run: int) -> None:
    node, edc, backend = sides
    agreement = _agreed_by_edc(node, edc)
    asked = edc.transfer(node.identity.did, node.identity.address, agreement=agreement, kind=PULL, events=backend.events)
    theirs = until(lambda: edc.transferred(asked), "STARTED")
    ours = theirs["correlationId"]
    assert (node.moving.processes.process(ours).peer_pid, state(node, ours)) == (asked, State.STARTED)
    reference = backend.next_event("TransferProcessStarted", asked)["dataAddress"]["properties"]
    pulled = _get(reference)
    assert pa.ipc.open_stream(pulled.content).read_all().equals(counts())
    until(lambda: edc.transferred(asked), "COMPLETED", "DEPROVISIONED")
    wait_until(lambda: state(node, ours) is State.COMPLETED)
    assert _get(reference).status_code == 404
    assert kinds(node, ours) == ["delivery.requested", "delivery.started", "delivery.completed"]


@pytest.mark.parametrize("run", range(RUNS))
def test_we_read_edcs_catalog_agree_with_it_and_its_data_plane_pushes_to_us(sides: Sides, run: int) -> None:
    node, edc, _ = sides
    asked = node.moving.processes.request(Wanted(_agreed_by_us(node, edc), PUSH, None, Extent.FINITE))
    wait_until(lambda: state(node, asked).final)
    ours = node.moving.processes.process(asked)
    assert (ours.state, ours.reasons) == (State.COMPLETED, ())
    assert node.moving.receptions.received(asked).read_bytes() == CONTENT
    theirs = until(lambda: edc.transferred(str(ours.peer_pid)), "COMPLETED", "DEPROVISIONED")
    assert (theirs["correlationId"], theirs["type"]) == (asked, "PROVIDER")


def test_edc_suspends_resumes_and_ends_a_transfer_of_ours(sides: Sides) -> None:
    node, edc, backend = sides
    agreement = _agreed_by_edc(node, edc)
    asked = edc.transfer(node.identity.did, node.identity.address, agreement=agreement, kind=PULL, events=backend.events)
    ours = until(lambda: edc.transferred(asked), "STARTED")["correlationId"]
    first = backend.next_event("TransferProcessStarted", asked)["dataAddress"]["properties"]
    edc.steer_transfer(asked, "suspend")
    until(lambda: edc.transferred(asked), "SUSPENDED")
    wait_until(lambda: state(node, ours) is State.SUSPENDED)
    assert _get(first).status_code == 404
    edc.steer_transfer(asked, "resume")
    until(lambda: edc.transferred(asked), "STARTED")
    second = backend.next_event("TransferProcessStarted", asked)["dataAddress"]["properties"]
    assert second["authorization"] != first["authorization"]
    edc.steer_transfer(asked, "terminate")
    until(lambda: edc.transferred(asked), "TERMINATED", "DEPROVISIONED")
    wait_until(lambda: state(node, ours) is State.TERMINATED)
    assert _get(second).status_code == 404


def test_edc_has_no_endpoint_to_pull_from_and_says_so(sides: Sides) -> None:
    node, edc, _ = sides
    asked = node.moving.processes.request(Wanted(_agreed_by_us(node, edc), PULL, None, Extent.FINITE))
    wait_until(lambda: state(node, asked).final)
    process = node.moving.processes.process(asked)
    assert process.state is State.TERMINATED
    assert "No Endpoint generator function registered" in process.reasons[0]


def test_edc_speaks_the_version_that_we_speak(sides: Sides) -> None:
    _, edc, _ = sides
    assert PROTOCOL.endswith(":2025-1")
    root = edc.address.removesuffix("/2025-1")
    versions = httpx.get(f"{root}/.well-known/dspace-version", trust_env=False).json()["protocolVersions"]
    assert "2025-1" in [one["version"] for one in versions]


def _agreed_by_edc(node: Node, edc: Edc) -> str:
    """EDC asks us; return its id of the agreement once it is in force on both sides."""
    me = node.identity
    (dataset,) = edc.catalog(me.did, me.address)["dataset"]
    (offer,) = dataset["hasPolicy"]
    asked = edc.negotiate(me.did, me.address, offer, asset=dataset["@id"])
    theirs = until(lambda: edc.negotiation(asked), "FINALIZED")
    ours = node.contracts.negotiation(theirs["correlationId"])
    assert (ours.peer_pid, ours.state) == (asked, Negotiated.FINALIZED)
    agreement = str(theirs["contractAgreementId"])
    assert edc.agreement(agreement)["agreementId"] == ours.agreement_id
    return agreement


def _agreed_by_us(node: Node, edc: Edc) -> str:
    """We ask EDC; return the agreement's id once it is in force on both sides."""
    (listed,) = node.peers.catalog(NAME)["dataset"]
    dataset = node.peers.dataset(NAME, listed["@id"])
    (offer,) = dataset["hasPolicy"]
    asked = node.contracts.request(NAME, dataset=ASSET, offer=offer)
    wait_until(lambda: node.contracts.negotiation(asked).state.final)
    ours = node.contracts.negotiation(asked)
    assert (ours.state, ours.reasons) == (Negotiated.FINALIZED, ())
    theirs = until(lambda: edc.negotiation(str(ours.peer_pid)), "FINALIZED")
    assert edc.agreement(theirs["contractAgreementId"])["agreementId"] == ours.agreement_id
    return str(ours.agreement_id)


def _get(reference: dict[str, str]) -> httpx.Response:
    """Pull as a program does that was given EDC's reference to the data."""
    return httpx.get(reference["endpoint"], headers={"Authorization": reference["authorization"]}, trust_env=False)
