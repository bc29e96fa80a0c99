import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chengshu.catalog.model import Box, Column, Crs, DataContract, Kind, LogicalType, Role, Semantic
from chengshu.catalog.odcs import OPERATORS, PHYSICAL, contract_of, document_of, read_contract, write_contract
from chengshu.cleanroom.model import Column as SchemaColumn
from chengshu.cleanroom.schemas import schema_of
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.policy.model import Policy

PACK = Path(__file__).parents[3] / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data"
PRODUCTS = [
    *("av_state", "av_objects", "rsu_objects", "spat", "map_lane", "detector_1min"),
    *("fleet_gnss", "probe_gnss", "link_speed", "hazard_truth", "permit"),
]


@pytest.fixture
def document():
    return yaml.safe_load((PACK / "av_state.yaml").read_text(encoding="utf-8"))


def refused(document):
    with pytest.raises(Invalid) as caught:
        contract_of(document, file="av_state.yaml")
    assert caught.value.facts["file"] == "av_state.yaml"
    return caught.value


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_contract_of_the_pack_reads_and_writes_back_as_itself(product):
    contract = read_contract(PACK / f"{product}.yaml")
    assert contract.table == product
    assert contract.synthetic is not None
    assert contract_of(yaml.safe_load(write_contract(contract)), file="again") == contract


def test_the_contract_says_what_the_file_says():
    contract = read_contract(PACK / "av_state.yaml")
    assert contract.name == Text("Automated vehicles' own state, 10 Hz", "自动驾驶车辆自身状态（10 Hz）")
    assert (contract.crs, contract.heading, contract.time, contract.rate_hz) == (Crs.WGS84, "north-clockwise", "utc-epoch-ms", 10.0)
    assert (contract.privacy_unit, contract.minimum_group, contract.primary_key()) == ("veh_pid", 5, ("veh_pid", "t_ms"))
    speed = contract.column("speed_mps")
    assert (speed.unit, speed.role, speed.semantic, speed.maximum) == ("m/s", Role.MEASURE, Semantic.SPEED, 75.0)
    assert speed.sentinels == (-1.0, 8191.0, 28800.0, -1.797e308)
    assert contract.column("control_mode").allowed == ("manual", "auto", "remote", "tor", "mrm")


def test_a_column_without_a_role_is_hidden(document):
    document["schema"][0]["properties"][8]["customProperties"] = []
    assert contract_of(document, file="f").columns[8].role is Role.HIDDEN


@pytest.mark.parametrize("crs", ["GCJ-02", "BD-09", "gcj-02"])
def test_a_declared_shifted_coordinate_system_is_refused_with_what_to_do(document, crs):
    next(one for one in document["customProperties"] if one["property"] == "x-crs")["value"] = crs
    error = refused(document)
    assert error.code == "contract.crs-shifted"
    assert "WGS84" in error.hint.en


def test_positions_without_a_declared_coordinate_system_are_refused(document):
    document["customProperties"] = [one for one in document["customProperties"] if one["property"] != "x-crs"]
    assert refused(document).facts["path"] == "customProperties.x-crs"


def change(document, path, value):
    *way, last = path
    place = document
    for step in way:
        place = place[step]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "at"),
    [
        (["schema", 0, "properties", 3, "logicalType"], "instant", "schema[0].properties[3].logicalType"),
        (["schema", 0, "properties", 3, "physicalType"], "float64", "schema[0].properties[3].physicalType"),
        (["schema", 0, "properties", 3, "requird"], True, "schema[0].properties[3].requird"),
        (["schema", 0, "properties", 3, "name"], "veh_pid", "schema[0].properties[3].name"),
        (["schema", 0, "properties", 3, "required"], "maybe", "schema[0].properties[3].required"),
        (["schema", 0, "properties", 8, "logicalTypeOptions"], {"minimum": 3, "maximum": 2}, "schema[0].properties[8].logicalTypeOptions"),
        (["schema", 0, "properties", 8, "logicalTypeOptions"], {"minimum": "low"}, "schema[0].properties[8].logicalTypeOptions.minimum"),
        (["schema", 0, "properties", 8, "quality"], [{"metric": "rowCount", "mustBe": 3}], "schema[0].properties[8].quality[0]"),
        (["schema"], [], "schema"),
        (["schema", 0, "properties"], [], "schema[0].properties"),
        (["schema", 0, "physicalType"], "stream", "schema[0].physicalType"),
        (["apiVersion"], "v9.9.9", "apiVersion"),
        (["team"], None, "team.name"),
        (["id"], " ", "id"),
        (["colour"], "red", "colour"),
    ],
)
def test_a_fault_is_named_by_its_path(document, path, value, at):
    change(document, path, value)
    assert refused(document).facts["path"] == at


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-minimum-group", 0),
        ("x-minimum-group", "five"),
        ("x-dominance-percent", 0),
        ("x-dominance-percent", 101),
        ("x-privacy-unit", "nobody"),
        ("x-heading", "east-counter-clockwise"),
        ("x-time", "local"),
        ("x-rate-hz", -1),
        ("x-bbox", [1, 2, 3]),
        ("x-bbox", [10, 50, 5, 55]),
        ("x-synthetic-zh", ""),
    ],
)
def test_a_property_of_ours_with_a_wrong_value_is_named(document, name, value):
    document["customProperties"] = [one for one in document["customProperties"] if one["property"] != name]
    document["customProperties"].append({"property": name, "value": value})
    assert refused(document).facts["path"] == f"customProperties.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-operators", ["between"]),
        ("x-operators", "equal"),
        ("x-aggregates", [["sum"]]),
        ("x-join-partners", []),
        ("x-join-partners", ["road"]),
        ("x-join-partners", "did:key:zroad"),
    ],
)
def test_a_list_of_ours_with_another_word_is_named(document, name, value):
    properties = document["schema"][0]["properties"][0]
    properties["customProperties"] = [*properties.get("customProperties", []), {"property": name, "value": value}]
    assert refused(document).facts["path"].endswith(f"customProperties.{name}")


def _first_column(document, *told):
    properties = document["schema"][0]["properties"][0]
    others = [one for one in properties.get("customProperties", []) if one["property"] != "x-role"]
    properties["customProperties"] = [*others, *({"property": name, "value": value} for name, value in told)]


def test_the_partners_of_a_key_are_read_written_and_published(document):
    partners = ["did:key:zroad", "did:key:zfleet"]
    _first_column(document, ("x-role", "key"), ("x-join-partners", partners))
    contract = contract_of(document, file="f")
    assert contract.columns[0].partners == tuple(partners)
    assert contract_of(document_of(contract), file="f") == contract
    published = schema_of(contract, handle="road", policy=Policy(())).columns[0]
    assert published.partners == frozenset(partners)
    assert SchemaColumn.parse(published.as_document()) == published


def test_partners_of_what_is_no_key_are_refused(document):
    _first_column(document, ("x-role", "group"), ("x-join-partners", ["did:key:zroad"]))
    assert refused(document).facts["path"].endswith("x-join-partners")


def test_a_misspelt_property_of_ours_is_refused_and_a_foreign_one_is_let_be(document):
    foreign = copy.deepcopy(document)
    foreign["customProperties"].append({"property": "costCentre", "value": 7})
    assert contract_of(foreign, file="f") == contract_of(document, file="f")
    document["customProperties"].append({"property": "x-minimum-groop", "value": 7})
    assert refused(document).facts["path"].endswith("].property")


def test_quality_rules_of_the_standard_are_understood(document):
    rules = [
        {"metric": "nullValues", "mustBe": 0},
        {"metric": "duplicateValues", "mustBe": 0},
        {"type": "text", "description": "checked by hand"},
    ]
    document["schema"][0]["properties"][12] = {"name": "sw_version", "logicalType": "string", "quality": rules}
    column = contract_of(document, file="f").columns[12]
    assert (column.required, column.unique) == (True, True)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid, match=r"broken.yaml at \$"):
        read_contract(path)


names = st.text("abcdefghij_", min_size=1, max_size=8)
words = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
finite = st.floats(-1e6, 1e6)


@st.composite
def columns(draw):
    physical = draw(st.sampled_from(sorted(PHYSICAL)))
    low, high = sorted((draw(finite), draw(finite)))
    return Column(
        draw(names),
        PHYSICAL[physical],
        physical,
        unit=draw(st.none() | words),
        required=draw(st.booleans()),
        unique=draw(st.booleans()),
        primary_key=draw(st.booleans()),
        minimum=draw(st.none() | st.just(low)),
        maximum=draw(st.none() | st.just(high)),
        allowed=tuple(draw(st.lists(words, max_size=3))),
        sentinels=tuple(draw(st.lists(finite, max_size=3))),
        role=draw(st.sampled_from(Role)),
        aggregates=tuple(draw(st.lists(st.sampled_from(["count", "sum", "avg"]), max_size=2))),
        operators=tuple(draw(st.lists(st.sampled_from(OPERATORS), max_size=2))),
    )


@given(st.lists(columns(), min_size=1, max_size=4, unique_by=lambda column: column.name), words, st.sampled_from([None, Box(1, 2, 3, 4)]))
def test_any_contract_survives_the_standards_form(columns, word, bbox):
    contract = DataContract(
        word,
        "1",
        "t",
        Text(word, word),
        word,
        word,
        tuple(columns),
        privacy_unit=columns[0].name,
        minimum_group=3,
        dominance_percent=10,
        bbox=bbox,
        rate_hz=2.5,
    )
    assert contract_of(document_of(contract), file="f") == contract
    assert contract_of(yaml.safe_load(write_contract(contract)), file="f") == contract


def test_a_document_contract_has_the_one_column_document():
    contract = read_contract(PACK / "permit.yaml")
    assert (contract.kind, [column.name for column in contract.columns]) == (Kind.DOCUMENT, ["document"])
    document = document_of(contract)
    document["schema"][0]["properties"][0]["name"] = "text"
    assert refused(document).facts["path"] == "schema[0].properties"


def test_logical_types_without_a_physical_type_get_the_widest():
    document = document_of(DataContract("i", "1", "t", Text("n", "n"), "o", "", (Column("a", LogicalType.INTEGER, "int64"),)))
    del document["schema"][0]["properties"][0]["physicalType"]
    assert contract_of(document, file="f").columns[0].physical_type == "int64"
