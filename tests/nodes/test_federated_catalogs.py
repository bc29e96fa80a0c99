"""An operator's node shows other parties' catalogs inside its own, with their age, to whom they are open; anyone can read them on."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_space import PURPOSE, contract_for, hang_up, publish, until
from typer.testing import CliRunner

from chengshu import config
from chengshu.catalog.odcs import document_of
from chengshu.cli import publishing
from chengshu.cli.main import app
from chengshu.dsp.messages.catalog import FETCHED_AT
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.node import Node, open_node
from chengshu.testing import Space

OPEN = publishing.Terms("did:key:z6MkroomroomroomRoom", [PURPOSE])
CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld"]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    with Space(tmp_path_factory.mktemp("federation")) as space:
        for name in ("road", "operator", "firm"):
            space.add(name)
        road, operator, firm = space.nodes.values()
        source = Path(shutil.copy(publish(road, "draft", policy=publishing.offer_of(OPEN)).path, road.folder / "counts.parquet"))
        named = replace(contract_for("counts", owner="road"), id="urn:road/counts=1:a")
        road.catalog.publish(document_of(named), source=source, policy=publishing.offer_of(OPEN))
        road.catalog.withdraw("draft")
        publish(road, "for_firm", policy=publishing.offer_of(publishing.Terms(operator.identity.did, [PURPOSE], [firm.identity.did])))
        for number in range(7):
            publish(operator, f"own{number}", policy=publishing.offer_of(OPEN))
        yield space
    hang_up(*space.nodes.values())


@pytest.fixture(scope="module")
def operator(space: Space) -> Node:
    """The operator's node, told to federate the road operator's catalog, which it has fetched."""
    folder = space.nodes["operator"].folder
    settings = config.load(folder)
    config.write(folder, settings.model_copy(update={"catalog": config.CatalogSection(federate=("road",))}))
    space.stop("operator")
    space.start("operator")
    node = open_node(folder)
    assert node.federation.refresh_due() in {0, 1}  # the served node may have been first
    until(lambda: [one.fetched_at is not None for one in node.federation.known()] == [True])
    return node


def ask(asker: Node, holder: Node, query: str = "", **members: Any) -> httpx.Response:
    body = json.dumps({"@context": CONTEXT, "@type": "CatalogRequestMessage", **members}).encode()
    signed = SignedRequest("POST", f"/2025-1/catalog/request{query}", body)
    headers = {"Authorization": asker.credentials.issue(holder.identity.did, signed)}
    return httpx.post(f"{holder.identity.address}/catalog/request{query}", content=body, headers=headers, trust_env=False)


def test_anothers_catalog_is_shown_inside_with_its_age_and_read_on_by_the_client(space: Space, operator: Node) -> None:
    firm, road = space.nodes["firm"], space.nodes["road"]
    pages = list(firm.peers.catalog_pages(operator.identity.did))
    (inner,) = [one for page in pages for one in page.get("catalog", [])]
    assert (inner["@type"], inner["participantId"]) == ("Catalog", road.identity.did)
    assert inner[FETCHED_AT].endswith("Z")
    assert inner["service"][0]["endpointURL"] == road.identity.address
    assert [one["@id"] for one in inner["dataset"]] == ["urn:road/counts=1:a"]
    assert inner["dataset"] == [one for one in road_datasets(firm, road) if one["@id"] == "urn:road/counts=1:a"]


def road_datasets(asker: Node, road: Node) -> list[dict[str, Any]]:
    return [one for page in asker.peers.catalog_pages(road.identity.did) for one in page.get("dataset", [])]


def test_what_is_not_offered_to_the_operator_is_not_passed_on(space: Space, operator: Node) -> None:
    firm, road = space.nodes["firm"], space.nodes["road"]
    assert "for_firm" in {one["@id"] for one in road_datasets(firm, road)}
    shown = [one for page in firm.peers.catalog_pages(operator.identity.did) for one in page.get("catalog", [])]
    assert "for_firm" not in {dataset["@id"] for one in shown for dataset in one["dataset"]}


def test_pages_lead_through_this_nodes_own_and_then_through_the_others(space: Space, operator: Node) -> None:
    firm = space.nodes["firm"]
    seen: list[str] = []
    query = "?limit=3"
    while True:
        answer = ask(firm, operator, query)
        page = answer.json()
        seen += [one["@id"] for one in page.get("dataset", [])]
        seen += [one["@id"] for inner in page.get("catalog", []) for one in inner["dataset"]]
        link = answer.links.get("next")
        if link is None:
            break
        query = link["url"].removeprefix(f"{operator.identity.address}/catalog/request")
    assert seen == [*(f"own{number}" for number in range(7)), "urn:road/counts=1:a"]
    assert "previous" in answer.links


def test_a_link_is_followed_by_get_as_well_and_by_its_asker_alone(space: Space, operator: Node) -> None:
    firm, road = space.nodes["firm"], space.nodes["road"]
    url = ask(firm, operator, "?limit=3").links["next"]["url"]
    path = url.removeprefix(operator.identity.address)
    assert [one["@id"] for one in (firm.peers.get(operator.identity.did, path) or {})["dataset"]] == ["own3", "own4", "own5"]
    with pytest.raises(Invalid, match="linked to"):
        road.peers.get(operator.identity.did, path)
    other = ask(firm, operator, path.removeprefix("/catalog/request"), filter=[{"keyword": "other"}])
    assert (other.status_code, other.json()["code"]) == (400, "catalog.page")


def test_a_filter_reaches_into_the_catalogs_inside(space: Space, operator: Node) -> None:
    firm, road = space.nodes["firm"], space.nodes["road"]
    (page,) = firm.peers.catalog_pages(operator.identity.did, wanted=[{"property": {"@id": "urn:road/counts=1:a"}}])
    assert "dataset" not in page
    assert page["catalog"][0]["participantId"] == road.identity.did
    (nothing,) = firm.peers.catalog_pages(operator.identity.did, wanted=[{"format": "AmazonS3-PUSH"}])
    assert {"dataset", "catalog"} & nothing.keys() == set()


def test_an_answer_is_compressed_where_that_is_asked_for(space: Space, operator: Node) -> None:
    firm = space.nodes["firm"]
    packed = ask(firm, operator)
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert packed.json() == next(firm.peers.catalog_pages(operator.identity.did))


def test_an_id_with_signs_of_its_own_is_found_by_it(space: Space) -> None:
    firm, road = space.nodes["firm"], space.nodes["road"]
    assert firm.peers.dataset(road.identity.did, "urn:road/counts=1:a")["@id"] == "urn:road/counts=1:a"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
def test_the_command_reads_a_catalog_to_its_end(space: Space, operator: Node) -> None:
    firm = space.nodes["firm"]
    ran = CliRunner().invoke(app, ["catalog", "show", "operator", "--node", str(firm.folder), "--json"])
    assert [one["dataset"] for one in json.loads(ran.stdout)] == [*(f"own{number}" for number in range(7)), "urn:road/counts=1:a"]
    told = CliRunner().invoke(app, ["catalog", "show", "operator", "--keyword", "nothing such", "--node", str(firm.folder), "--json"])
    assert json.loads(told.stdout) == []
    ours = CliRunner().invoke(app, ["catalog", "federated", "--node", str(operator.folder), "--json"])
    (known,) = json.loads(ours.stdout)
    assert (known["party"], known["name"], known["trouble"]) == (space.nodes["road"].identity.did, "Road", None)


def test_a_catalog_that_cannot_be_fetched_is_shown_as_it_was_and_one_no_longer_chosen_not_at_all(space: Space, operator: Node) -> None:
    space.stop("road")
    operator.federation.failed(
        {"party": space.nodes["road"].identity.did}, Invalid("peer.refused", "expected x, got y", hint=Text("Ask.", "请询问。"))
    )
    assert [one.trouble for one in operator.federation.known()] == ["peer.refused: expected x, got y"]
    assert any("catalog" in page for page in space.nodes["firm"].peers.catalog_pages(operator.identity.did))
    settings = config.load(operator.folder)
    config.write(operator.folder, settings.model_copy(update={"catalog": config.CatalogSection()}))
    changed = open_node(operator.folder)
    assert changed.federation.refresh_due() == 0
    assert changed.federation.known() == []
