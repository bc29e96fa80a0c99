"""Addresses, secrets and steps of data flows."""

import pytest

from chengshu.kernel.crypto import SUITES, Suite
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.machine import Role
from chengshu.transfer.flow.model import (
    FORMATS,
    LEADS_TO,
    OWN,
    PULL,
    PUSH,
    TRANSITIONS,
    DataFlow,
    Direction,
    Extent,
    FlowState,
    Order,
    Verb,
    address,
    direction_of,
    endpoint_of,
)
from chengshu.transfer.flow.vault import Vault

PROPERTIES = [{"@type": "EndpointProperty", "name": "authorization", "value": "t"}]
ADDRESS = {"@type": "DataAddress", "endpointType": "HTTP", "endpoint": "https://p/data", "endpointProperties": PROPERTIES}


@pytest.mark.parametrize(("role", "name", "gives"), [("PROVIDER", PULL, True), ("PROVIDER", PUSH, False), ("CONSUMER", PUSH, True)])
def test_whoever_is_come_to_gives_the_address(role: str, name: str, gives: bool) -> None:
    order = Order(OWN, "p", Role(role), name, Extent.FINITE, "t", "a", "did:c")
    assert DataFlow("f", order, FlowState.STARTED, 1).gives_address is gives


def test_a_format_says_which_way_it_goes_whatever_it_carries() -> None:
    assert [direction_of(name) for name in (*FORMATS, "http-pull", "https://w3id.org/dspace-sig/profile/http-push")] == [
        Direction.PULL,
        Direction.PUSH,
        Direction.PULL,
        Direction.PUSH,
    ]
    for name in ("", "PULL-x", "HttpData"):
        with pytest.raises(Invalid, match="HttpData-PULL, HttpData-PUSH"):
            direction_of(name)


@pytest.mark.parametrize("direction", Direction)
def test_an_address_that_we_give_is_read_back(direction: Direction) -> None:
    endpoint = endpoint_of(address("https://p/data/f", "secret", direction=direction))
    assert (endpoint.url, endpoint.header) == ("https://p/data/f", "Bearer secret")


def test_an_address_that_we_give_says_all_in_the_properties_that_edc_keeps() -> None:
    pushed = address("https://p/data/f", "secret", direction=Direction.PUSH)
    kept = {one["name"]: one["value"] for one in pushed["endpointProperties"]}
    assert pushed["endpointType"] == "HttpData"
    assert tuple(kept[f"https://w3id.org/edc/v0.0.1/ns/{name}"] for name in ("baseUrl", "authKey", "authCode")) == (
        "https://p/data/f",
        "Authorization",
        "Bearer secret",
    )
    bare = {name: value for name, value in address("https://p/data/f", "s", direction=Direction.PULL).items() if name != "endpoint"}
    assert endpoint_of(bare).url == "https://p/data/f"


@pytest.mark.parametrize("prefix", ["", "https://w3id.org/edc/v0.0.1/ns/"])
def test_the_address_of_an_edc_data_plane_is_read(prefix: str) -> None:
    properties = {"baseUrl": "https://c/sink", "authKey": "Authorization", "authCode": "Basic abc"}
    listed = [{"@type": "EndpointProperty", "name": prefix + name, "value": value} for name, value in properties.items()]
    endpoint = endpoint_of({"@type": "DataAddress", "endpointType": "HttpData", "endpointProperties": listed})
    assert (endpoint.url, endpoint.header) == ("https://c/sink", "Basic abc")


@pytest.mark.parametrize(
    ("authorization", "scheme", "header"),
    [("t", None, "Bearer t"), ("t", "bearer", "Bearer t"), ("Bearer t", "bearer", "Bearer t"), ("t", "apikey", "t"), (None, None, None)],
)
def test_an_authorization_is_sent_as_its_type_says(authorization: str | None, scheme: str | None, header: str | None) -> None:
    properties = [{"name": "authorization", "value": authorization}] * (authorization is not None)
    properties += [{"name": "authType", "value": scheme}] * (scheme is not None)
    assert endpoint_of({**ADDRESS, "endpointProperties": properties}).header == header


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": None},
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": 5},
        {"endpointProperties": [{"name": "authorization", "value": "a\r\nHost: x"}]},
        {"endpointProperties": [{"name": "authorization", "value": 5}]},
        {"endpointProperties": [{"name": "authType", "value": "ü"}]},
        {"endpointProperties": [{"name": "authKey", "value": "X-Api-Key"}, {"name": "authCode", "value": "k"}]},
    ],
)
def test_an_address_that_cannot_be_called_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Invalid, match="dataAddress"):
        endpoint_of(ADDRESS | change)


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_a_token_is_of_one_flow_one_generation_and_one_key(suite: Suite) -> None:
    vault = Vault(suite, suite.new_data_key())
    tokens = {vault.token("f", generation=1), vault.token("f", generation=2), vault.token("g", generation=1)}
    assert len(tokens) == 3
    assert all(len(token) == 43 for token in tokens)
    assert vault.token("f", generation=1) in tokens
    assert Vault(suite, suite.new_data_key()).token("f", generation=1) not in tokens


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_an_address_is_sealed_for_its_flow(suite: Suite) -> None:
    vault = Vault(suite, suite.new_data_key())
    sealed = vault.close(ADDRESS, flow="f")
    assert b"https" not in sealed
    assert vault.open(sealed, flow="f") == ADDRESS
    with pytest.raises(Tampered):
        vault.open(sealed, flow="g")


def test_a_verb_leads_to_one_state_and_nothing_follows_an_end() -> None:
    assert all(LEADS_TO[verb] is state for (_, verb), state in TRANSITIONS.items() if verb is not Verb.READY)
    assert LEADS_TO.keys() == set(Verb) - {Verb.READY}
    assert {before for before, _ in TRANSITIONS} == set(FlowState) - {FlowState.COMPLETED, FlowState.TERMINATED}
