"""A node and a real Eclipse EDC connector: each reads the other's catalog, negotiates with it, and gets its data, again and again alike."""

import os
from collections.abc import Iterator

import pytest
from small_space import PURPOSE, hang_up, publish
from tests.conformance.edc_connector import Edc, lacking, until
from tests.conformance.iam_mock import MockCredentials

from chengshu.contract.model import State
from chengshu.identity.model import Scheme
from chengshu.node import Node
from chengshu.policy.model import Form, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

RUNS = int(os.environ.get("CHENGSHU_EDC_RUNS", "20"))
NAME = "edc-connector"
"""A participant id that is no prefix of its JSON-LD contexts: EDC takes the id "edc" for its namespace."""

OFFER = to_odrl(Policy((Purpose(frozenset({PURPOSE, "research"})), OutputForm(Form.ROWS)), ()))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Space(tmp_path_factory.mktemp("space")) as space:
        node = space.add("road", plug=MockCredentials)
        publish(node, "counts", policy=OFFER)
        yield node
        hang_up(node)


@pytest.fixture(scope="module")
def edc(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Iterator[Edc]:
    reason = lacking()
    if reason is not None and "CI" in os.environ:
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    with Edc(tmp_path_factory.mktemp("edc"), NAME) as edc:
        node.identity.add(NAME, name_en="Connector", name_zh="连接器", address=edc.address, scheme=Scheme.STATIC)
        yield edc


@pytest.mark.parametrize("run", range(RUNS))
def test_edc_as_consumer_agrees(edc: Edc, node: Node, run: int) -> None:
    me = node.identity
    (dataset,) = edc.catalog(me.did, me.address)["dataset"]
    (offer,) = dataset["hasPolicy"]
    asked = edc.negotiate(me.did, me.address, offer, asset=dataset["@id"])
    theirs = until(lambda: edc.negotiation(asked), wanted="FINALIZED")
    ours = node.contracts.negotiation(theirs["correlationId"])
    assert (ours.peer_pid, ours.state) == (asked, State.FINALIZED)
    agreement = edc.agreement(theirs["contractAgreementId"])
    assert agreement["agreementId"] == ours.agreement_id
