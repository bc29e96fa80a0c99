"""The published schemas judge what the nodes send: they find what is wrong, and whole negotiations and transfers are in order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from published_schemas import UNPUBLISHED, check, seen, validator, watch, wrong
from small_deliveries import Pair, raised_pair

from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.kernel.errors import ChengshuError
from chengshu.transfer.flow.model import PUSH, Extent
from chengshu.transfer.process.model import State

PIDS = {"consumerPid": "urn:1", "providerPid": "urn:2"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with raised_pair(tmp_path_factory.mktemp("judged")) as pair:
        for node in (pair.provider, pair.consumer):
            watch(node.peers._client)
        yield pair


@pytest.mark.parametrize(
    "document",
    [
        {"@type": "ContractNegotiationTerminationMessage", **PIDS},
        {"@context": [CONTEXT], "@type": "ContractNegotiationEventMessage", **PIDS, "eventType": "ACCEPTED "},
        {"@context": [CONTEXT], "@type": "Catalog", "@id": "urn:c", "participantId": "urn:p", "dataset": []},
        {"@context": [CONTEXT], "@type": "TransferProcess", "consumerPid": "urn:1", "state": "STARTED"},
        {"@context": [CONTEXT], "@type": "TransferError", "consumerPid": "urn:1"},
        {"@context": CONTEXT, "@type": "TransferCompletionMessage", **PIDS},
    ],
    ids=lambda document: document["@type"],
)
def test_the_schemas_find_what_is_wrong(document: dict[str, Any]) -> None:
    before = len(wrong)
    check(document, of="a test")
    found, wrong[before:] = wrong[before:], []
    assert found != []


@pytest.mark.usefixtures("as_published")
def test_everything_that_two_nodes_say_to_one_another_is_as_the_schemas_have_it(pair: Pair) -> None:
    consumer, provider = pair.consumer, pair.provider
    pair.offer("judged", *())
    pid, _ = pair.started("rows", extent=Extent.NON_FINITE)
    consumer.moving.processes.suspend(pid, reason="a pause")
    pair.settled(pid, State.SUSPENDED)
    consumer.moving.processes.start(pid)
    pair.settled(pid, State.STARTED)
    provider.moving.processes.terminate(str(consumer.moving.processes.process(pid).peer_pid), reason="enough")
    pair.settled(pid, State.TERMINATED)
    pushed = pair.request("rows", format_name=PUSH)
    pair.settled(pushed, State.COMPLETED)
    refused = pair.request("room_only")
    pair.settled(refused, State.TERMINATED)
    list(consumer.peers.catalog_pages(provider.identity.did))
    consumer.peers.dataset(provider.identity.did, "rows")
    for path, message in (("/catalog/request", {}), ("/negotiations/request", {}), ("/transfers/request", {})):
        with pytest.raises(ChengshuError):
            consumer.peers.post(provider.identity.did, path, message)
    assert {
        "Catalog",
        "Dataset",
        "CatalogRequestMessage",
        "CatalogError",
        "ContractRequestMessage",
        "ContractAgreementMessage",
    } <= seen.keys()
    assert {"ContractNegotiation", "ContractAgreementVerificationMessage", "ContractNegotiationEventMessage"} <= seen.keys()
    assert {"ContractNegotiationError", "TransferRequestMessage", "TransferStartMessage", "TransferProcess", "TransferError"} <= seen.keys()
    assert {"TransferSuspensionMessage", "TransferTerminationMessage", "TransferCompletionMessage"} <= seen.keys()


def test_every_schema_of_the_kit_is_used(pair: Pair) -> None:
    folder = Path(__file__).parents[1] / "data" / "dsp" / "schemas"
    kinds = {"".join(word.title() for word in path.stem.removesuffix("-schema").split("-")) for path in folder.rglob("*.json")}
    assert all(validator(kind) is not None for kind in kinds | UNPUBLISHED.keys())
    assert pair.agreements
