"""Policies on the command line: in words, judged, and tried out; for a person in both languages and for a program."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from chengshu.cli import verbs
from chengshu.cli.main import app
from chengshu.policy.constraint import Constraint
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Permission, Place, Policy, Prohibition, Purpose, Recipient, Rule
from chengshu.policy.odrl import to_odrl
from chengshu.policy.terms import Operand, Operator

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
FLEET = "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policies") / "road"
    made = verbs.init(folder, verbs.Birth("road", "Road", "路网", clean_room=True))
    card = {"id": FLEET, "handle": "fleet", "name_en": "Fleet", "name_zh": "车队", "address": "https://fleet.example/2025-1"}
    (folder / "fleet.json").write_text(json.dumps(card), encoding="utf-8")
    run(folder, "peer", "add", folder / "fleet.json")
    pq.write_table(pa.Table.from_pylist([{"speed": 1.0 * one} for one in range(40)]), folder / "counts.parquet")
    rules: tuple[Rule, ...] = (
        Purpose(frozenset({"study"})), Recipient(frozenset({FLEET})), Environment(str(made["id"])), Methods(frozenset({"m"})),
        OutputForm(Form.AGGREGATE),
    )  # fmt: skip
    barred = Prohibition((Constraint(Operand.PURPOSE, Operator.IS_A, "commercial"),))
    policy = Policy(rules, alternatives=(Permission((OutputForm(Form.ROWS),)),), prohibitions=(barred,))
    (folder / "terms.json").write_text(json.dumps(to_odrl(policy)), encoding="utf-8")
    run(folder, "product", "publish", folder / "counts.parquet", "--policy", folder / "terms.json")
    return folder


def run(node: Path, *words: object, code: int = 0) -> str:
    ran = CliRunner().invoke(app, [*map(str, words), "--node", str(node)])
    assert ran.exit_code == code, ran.output
    return ran.stdout


def told(node: Path, *words: object) -> Any:
    return json.loads(run(node, *words, "--json"))


def test_a_policy_is_said_in_words_whether_it_is_a_file_or_a_product(node: Path) -> None:
    file, product = told(node, "policy", "explain", node / "terms.json"), told(node, "policy", "explain", "counts")
    assert (file["source"], product["source"], file["rules"]) == ("file", "product", product["rules"])
    lines = {(one["of"], one["en"]) for one in file["rules"]}
    assert ("prohibition-1", "No use where the purpose is a kind of commercial") in lines
    assert ("permission-2", "Single rows may leave") in lines
    assert "仅限用途：study" in run(node, "policy", "explain", "counts", "--lang", "zh")


def test_a_policy_file_needs_no_node(node: Path, tmp_path: Path) -> None:
    assert told(tmp_path, "policy", "explain", node / "terms.json")["source"] == "file"
    assert "node.absent" in run(tmp_path, "policy", "explain", "counts", "--json", code=1)  # a name is a product, and a product is a node's


def test_a_stated_use_is_reported_on_rule_by_rule(node: Path) -> None:
    use = ["--party", "fleet", "--purpose", "study", "--method", "m", "--room", "me"]
    good = told(node, "policy", "explain", "counts", *use)
    assert (good["permitted"], good["refused"]) == (True, None)
    bad = told(node, "policy", "explain", "counts", "--party", "fleet", "--purpose", "advertising", "--rows")
    assert (bad["permitted"], bad["refused"]["rule"]) == (False, "prohibition")
    failed = [one for one in bad["findings"] if not one["satisfied"] and one["of"] == "prohibition-1"]
    assert failed[0]["got"] == "purpose advertising"
    assert "This use would be refused" in run(node, "policy", "explain", "counts", "--rows", "--purpose", "advertising", "--lang", "en")


def test_a_dry_run_lists_every_party_purpose_and_means_with_from_and_until(node: Path) -> None:
    rows = told(node, "policy", "try", "counts", "--at", "2026-06-01T08:00:00+08:00")
    found = {(one["party"], one["means"]): (one["now"], one["from"], one["until"], one["refused_by"]) for one in rows}
    assert found["fleet", "method m"] == (True, "2026-06-01T00:00:00.000Z", None, None)
    assert found["fleet", "delivery"] == (True, "2026-06-01T00:00:00.000Z", None, None)
    assert found["fleet", "query"][:2] == (False, None)
    assert {one["purpose"] for one in told(node, "policy", "try", "counts", "--purpose", "advertising")} == {"advertising"}
    assert all(one["refused_by"] == "prohibition" for one in told(node, "policy", "try", "counts", "--purpose", "advertising"))
    assert "fleet" in run(node, "policy", "try", "counts", "--lang", "en")


def test_wrong_words_are_refused_with_a_hint(node: Path) -> None:
    assert "policy.source" in run(node, "policy", "explain", "nothing", "--json", code=1)
    assert "policy.at" in run(node, "policy", "try", "counts", "--at", "soon", "--json", code=1)
    assert "policy.place" in run(node, "policy", "explain", "counts", "--rows", "--place", "here", "--json", code=1)


def test_where_a_partys_systems_stand_is_the_operators_word(node: Path) -> None:
    area = Constraint(Operand.PLACE, Operator.IS_PART_OF, Place("POLYGON ((106 29, 107 29, 107 30, 106 30, 106 29))"))
    (node / "near.json").write_text(json.dumps(to_odrl(Policy((OutputForm(Form.ROWS), area)))), encoding="utf-8")
    settings = node / "chengshu.toml"
    before = settings.read_text(encoding="utf-8")
    assert told(node, "policy", "explain", node / "near.json", "--rows", "--party", "fleet")["refused"]["rule"] == "place"
    where = f'places = [{{party = "{FLEET}", at = "POINT (106.5 29.5)"}}]'
    settings.write_text(before.replace("places = []", where), encoding="utf-8")
    assert told(node, "policy", "explain", node / "near.json", "--rows", "--party", "fleet")["permitted"] is True
    settings.write_text(before, encoding="utf-8")
