"""Every command: what its help shows, what it prints for a program, how it leaves; and one journey through most of them."""

import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from chengshu.cli.main import app
from chengshu.settlement.model import RULE

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
START_S = 300.0
SECRET = "7331.25"  # a cell of the product, which no message may show
RAW = "SELECT speed FROM road.counts"
MEAN = "SELECT COUNT(*) AS n, AVG(speed) AS speed FROM road.counts"


@dataclass(frozen=True)
class Ran:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        return json.loads(self.out)


def run(*words: str) -> Ran:
    """Run one command in this process."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return Ran(result.exit_code, result.stdout, result.stderr)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below ``command`` that has none below itself."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
        return
    for name, one in sorted(below.items()):
        yield from leaves(one, (*path, name))


COMMANDS = dict(leaves(typer.main.get_command(app)))
GROUPS = sorted({path[:length] for path in COMMANDS for length in range(len(path))})


# --- every command


def test_there_are_the_commands_that_the_tour_names() -> None:
    named = {("demo",), ("serve",), ("doctor",), ("query",), ("node", "init"), ("product", "publish"), ("contract", "request")}
    named |= {("evidence", "verify"), ("pack", "run"), ("pack", "check")}
    assert named <= COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_says_what_it_does_and_shows_examples_of_itself(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")
    assert shown.code == 0
    assert f"chengshu {' '.join(path)}" in shown.out.partition("Examples:")[2]
    help_text = COMMANDS[path].help
    assert help_text is not None
    assert help_text.strip()[0].isupper()


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: " ".join(path) or "chengshu")
def test_the_help_of_a_group_lists_what_is_in_it(path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")
    assert shown.code == 0
    assert all(command[len(path)] in shown.out for command in COMMANDS if command[: len(path)] == path)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_can_be_read_by_a_program_and_speaks_both_languages(path: tuple[str, ...]) -> None:
    options = {name for parameter in COMMANDS[path].params for name in parameter.opts}
    assert {"--json", "--lang"} <= options


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_argument_and_option_of_a_command_is_explained(path: tuple[str, ...]) -> None:
    assert [
        parameter.name for parameter in COMMANDS[path].params if not (getattr(parameter, "help", None) or parameter.name == "help")
    ] == []


NEEDS_A_NODE = sorted(path for path, one in COMMANDS.items() if any("--node" in parameter.opts for parameter in one.params))


_WORDS = {"step": "submit", "level": "core"}


def _words_for(path: tuple[str, ...], file: Path) -> list[str]:
    """Something for each argument and each option that has to be there, so that the command gets as far as its node."""
    words = ["SELECT 1"] if path == ("query",) else []
    for parameter in COMMANDS[path].params:
        if parameter.required:
            given = str(file) if parameter.name in {"file", "card"} else _WORDS.get(str(parameter.name), "1")
            words += [given] if parameter.param_type_name == "argument" else [parameter.opts[0], given]
    return words


@pytest.mark.parametrize("path", NEEDS_A_NODE, ids=" ".join)
def test_a_command_without_its_node_leaves_with_one_and_says_what_to_do(path: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text("{}", encoding="utf-8")
    words = [*path, *_words_for(path, file), "--node", str(tmp_path / "none")]
    program = run(*words, "--json", "--lang", "zh")
    assert program.code == 1
    if path == ("doctor",):  # what is wrong is the doctor's result
        assert program.value[0]["what_to_do"].startswith("请用 chengshu node init")
        return
    error = program.value["error"]
    assert (error["kind"], error["code"]) == ("NotFound", "node.absent")
    assert error["hint"].startswith("请用 chengshu node init")
    person = run(*words, "--lang", "en")
    assert person.code == 1
    assert person.err.startswith("error [node.absent]: expected a node in")
    assert "what to do: Create one with 'chengshu node init" in person.err


# --- one journey


@dataclass(frozen=True)
class Journey:
    """Three organisations' folders, served, and what was printed on the way."""

    folder: Path
    cards: dict[str, dict[str, Any]]
    published: dict[str, Any]
    agreement: dict[str, Any]

    def on(self, node: str, *words: str) -> Ran:
        """Run a command on one of the nodes, for a program."""
        return run(*words, "--node", str(self.folder / node), "--json")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(folder: Path, stack: ExitStack) -> None:
    words = [sys.executable, "-m", "chengshu", "serve", "--node", str(folder), "--while-input-open"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    stack.callback(process.wait, START_S)
    stack.callback(process.stdin.close)


def _await(address: str) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            httpx.get(address, timeout=1, trust_env=False)
        except httpx.HTTPError:
            assert time.monotonic() < until, "expected the node to serve"
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("journey")
    cards = {}
    for handle, title, extra in (("road", "Road operator", []), ("firm", "Firm", []), ("room", "Room", ["--clean-room"])):
        words = ["--handle", handle, "--name", title, "--name-zh", f"{title}（测试）", "--port", str(_free_port()), *extra]
        born = run("node", "init", folder / handle, *words, "--json")
        assert born.code == 0
        shown = run("node", "show", "--node", folder / handle, "--json")
        (folder / f"{handle}.card.json").write_text(shown.out, encoding="utf-8")
        cards[handle] = shown.value
        assert born.value == {"folder": str(folder / handle), **shown.value}
    with ExitStack() as stack:
        for handle in cards:
            for other in cards.keys() - {handle}:
                assert run("peer", "add", folder / f"{other}.card.json", "--node", folder / handle, "--json").code == 0
            _serve(folder / handle, stack)
        for card in cards.values():
            _await(card["address"].replace("/2025-1", "/health"))
        rows = [{"vehicle": f"v{one:02d}", "speed": float(SECRET) if one == 7 else 10.0 + one} for one in range(40)]
        pq.write_table(pa.Table.from_pylist(rows), folder / "counts.parquet")
        published = run("product", "publish", folder / "counts.parquet", "--purpose", "study", "--node", folder / "road", "--json")
        assert published.code == 0, published.out
        agreed = run("contract", "request", "Road operator", "counts", "--node", folder / "firm", "--json")
        assert agreed.code == 0, agreed.out
        yield Journey(folder, cards, published.value, agreed.value)
    gc.collect()  # here, where the warnings about the commands' forgotten connections are expected


def test_the_journey_ends_in_an_answer(journey: Journey) -> None:
    assert (journey.published["product"], journey.published["rows"]) == ("counts", 40)
    assert journey.agreement["state"] == "FINALIZED"
    answer = journey.on("firm", "query", MEAN, "--purpose", "study")
    assert answer.code == 0, answer.out
    assert answer.value["state"] == "RELEASED"
    assert answer.value["tables"]["answer"][0]["n"] == 40
    assert answer.value["receipt"]["receipt"]["job"] == answer.value["job"]
    jobs = journey.on("firm", "job", "list").value
    assert answer.value["job"] in [job["id"] for job in jobs]
    assert journey.on("firm", "job", "show", answer.value["job"]).value["tables"] == answer.value["tables"]
    proved = run("evidence", "verify", journey.folder / "road", "--product", "counts", "--job", answer.value["job"], "--json")
    if proved.code:  # the newest entries reach the files within two seconds, or now
        assert journey.on("road", "evidence", "publish").code == 0
        proved = run("evidence", "verify", journey.folder / "road", "--product", "counts", "--job", answer.value["job"], "--json")
    assert (proved.code, proved.value["ok"]) == (0, True)


def test_everything_that_lists_lists_what_is_there(journey: Journey) -> None:
    assert [one["product"] for one in journey.on("road", "product", "list").value] == ["counts"]
    assert [one["name_en"] for one in journey.on("firm", "peer", "list").value if one["id"] != journey.cards["firm"]["id"]] != []
    for side in ("road", "firm"):
        assert [one["product"] for one in journey.on(side, "contract", "list").value] == ["counts"]
    shown = journey.on("firm", "contract", "show", journey.agreement["negotiation"]).value
    assert (shown["state"], shown["agreement"]) == ("FINALIZED", journey.agreement["agreement"])
    assert journey.on("room", "statement", "list").value == []
    kinds = [one["kind"] for one in journey.on("road", "evidence", "list", "--last", "100").value]
    assert {"node.started", "product.published", "agreement.signed"} <= set(kinds)


def test_lists_are_shown_to_people_in_their_language(journey: Journey) -> None:
    words = ["evidence", "list", "--node", journey.folder / "road", "--json", "--lang"]
    english, chinese = ({one["kind"]: one["title"] for one in run(*words, language).value} for language in ("en", "zh"))
    assert (english["agreement.signed"], chinese["agreement.signed"]) == ("Agreement signed", "协议签署")
    assert run(*words[:-2], "--lang", "zh").out.startswith("entry")


def test_the_doctor_finds_a_served_node_well(journey: Journey) -> None:
    found = journey.on("firm", "doctor")
    assert [one["about"] for one in found.value if not one["ok"]] == []
    assert found.code == 0
    assert {"key", "disk", "serve", "journal", "log"} <= {one["about"] for one in found.value}


def test_the_log_verifies_with_its_key_and_not_with_anothers(journey: Journey) -> None:
    assert journey.on("road", "evidence", "publish").code == 0
    with_key = run("evidence", "verify", journey.folder / "road", "--vkey", journey.cards["road"]["vkey"], "--json")
    assert (with_key.code, with_key.value["ok"], with_key.value["key_source"]) == (0, True, "trusted")
    with_another = run("evidence", "verify", journey.folder / "road", "--vkey", journey.cards["firm"]["vkey"], "--json")
    assert (with_another.code, with_another.value["error"]["kind"]) == (1, "Tampered")


def test_evidence_is_handed_over_and_checked_from_its_files(journey: Journey, tmp_path: Path) -> None:
    key = ["--vkey", journey.cards["road"]["vkey"], "--json"]
    made = journey.on("road", "evidence", "export", "--case", "counts", "--out", tmp_path / "case.zip", "--whole-log")
    assert made.code == 0, made.out
    checked = run("evidence", "verify", tmp_path / "case.zip", *key)
    assert (checked.code, checked.value["what"], checked.value["whole_log"]) == (0, "evidence-pack", True)
    assert len(checked.value["entries"]) == made.value["entries"]
    taken = journey.on("road", "evidence", "export", "--case", "counts", "--out", tmp_path / "case.zip")
    assert (taken.code, taken.value["error"]["code"]) == (1, "evidence.file-exists")
    absent = journey.on("road", "evidence", "export", "--case", "nothing", "--out", tmp_path / "none.zip")
    assert (absent.code, absent.value["error"]["code"]) == (1, "evidence.no-such-case")
    job = journey.on("firm", "query", MEAN, "--purpose", "study").value["job"]
    receipt = journey.on("road", "evidence", "receipt", "counts", job, "--out", tmp_path / "use.cose")
    assert (receipt.code, receipt.value["about"]) == (0, f"counts {job}"), receipt.out
    assert run("evidence", "verify", tmp_path / "use.cose", *key).value["what"] == "proof-of-use"
    found = run("evidence", "fsck", journey.folder / "road", *key)
    assert (found.code, found.value["problems"]) == (0, [])
    assert run("evidence", "verifier", tmp_path / "verify.pyz", "--json").value["digest"].startswith("sha256:")
    assert run("evidence", "verify", tmp_path / "case.zip", "--product", "counts").code == 1


# --- leaving


@pytest.mark.parametrize(
    ("language", "word", "passes"), [("en", "refused [raw-rows]:", "what would pass: "), ("zh", "拒绝 [raw-rows]:", "可行做法: ")]
)
def test_a_refusal_leaves_with_three_and_says_what_would_pass(journey: Journey, language: str, word: str, passes: str) -> None:
    words = ["query", RAW, "--purpose", "study", "--node", str(journey.folder / "firm"), "--lang", language]
    person, program = run(*words), run(*words, "--json")
    assert (person.code, program.code) == (3, 3)
    assert person.err.startswith(word)
    assert program.value["refused"]["would_pass"] in person.err.partition(passes)[2]
    assert program.value["refused"]["rule"] == "raw-rows"
    assert any("\u4e00" <= letter <= "\u9fff" for letter in program.value["refused"]["would_pass"]) == (language == "zh")


LEAVING = {
    "no such product": (["contract", "request", "Road operator", "absent"], "firm"),
    "no such party": (["contract", "request", "Nobody", "counts"], "firm"),
    "no such job": (["job", "show", "urn:uuid:absent"], "firm"),
    "no such negotiation": (["contract", "show", "urn:uuid:absent"], "firm"),
    "no such product to withdraw": (["product", "withdraw", "absent"], "road"),
    "no question": (["query", ""], "firm"),
    "no such party in a question": (["query", "SELECT COUNT(*) FROM nobody.counts"], "firm"),
    "no such own product": (["query", "SELECT COUNT(*) FROM road.absent"], "road"),
    "no file for parquet": (["query", "SELECT COUNT(*) FROM road.counts", "--output", "parquet"], "firm"),
    "no slash": (["job", "run", "small.method", "--purpose", "study", "--input", "counts"], "firm"),
    "no object": (["job", "run", "small.method", "--purpose", "study", "--input", "road/counts", "--parameters", "[]"], "firm"),
    "no card": (["peer", "add", "absent.json"], "firm"),
    "no file": (["product", "publish", "absent.parquet", "--purpose", "study"], "road"),
    "no released job": (["statement", "make", "urn:uuid:absent"], "room"),
    "no permit": (["permit", "show", "absent"], "road"),
    "no step": (["permit", "move", "leap", "absent", "--rule", "R01", "--evidence", "sha256:0", "--reason", "x"], "road"),
}


@pytest.mark.parametrize("case", LEAVING)
def test_an_error_leaves_with_one_and_a_hint_in_both_languages(journey: Journey, case: str) -> None:
    words, node = LEAVING[case]
    hints = []
    for language in ("en", "zh"):
        ran = run(*words, "--node", journey.folder / node, "--lang", language, "--json")
        assert ran.code == 1, ran.out
        error = ran.value["error"]
        assert "expected" in error["message"]
        assert "got" in error["message"]
        hints.append(error["hint"])
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in hints[0])
    assert any("\u4e00" <= letter <= "\u9fff" for letter in hints[1])


def test_no_message_shows_a_cell(journey: Journey, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("vehicle,speed\nv01,1.5\nv02,geheim-7331\n", encoding="utf-8")
    pa_csv.write_csv(pq.read_table(journey.folder / "counts.parquet"), tmp_path / "good.csv")
    questions = [
        RAW,
        "SELECT speed + 1 FROM road.counts",
        "SELECT AVG(speed) FROM road.counts WHERE vehicle = 'v07'",
        "SELECT MAX(speed) FROM road.counts",
    ]
    ran = [run("query", one, "--purpose", "study", "--node", journey.folder / "firm") for one in questions]
    assert [one.code for one in ran] == [3, 3, 3, 3]
    contract = tmp_path / "contract.yaml"
    shown = run("product", "publish", tmp_path / "good.csv", "--purpose", "study", "--node", journey.folder / "road", "--json")
    assert shown.code == 0
    contract.write_text(CONTRACT, encoding="utf-8")
    refused = run("product", "publish", bad, "--contract", contract, "--purpose", "study", "--node", journey.folder / "road")
    assert refused.code == 1
    assert "bad.csv, row 2, column speed: expected float64, got text" in refused.err
    for one in [*ran, shown, refused]:
        assert SECRET not in one.out + one.err
        assert "geheim" not in one.out + one.err


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: bad
version: 1.0.0
name: Speeds
status: active
team: {name: road}
description: {purpose: speeds}
servers: [{server: source, type: custom, encoding: utf-8, delimiter: ','}]
schema:
- name: bad
  logicalType: object
  physicalType: table
  properties:
  - {name: vehicle, logicalType: string, physicalType: string}
  - {name: speed, logicalType: number, physicalType: float64}
customProperties:
- {property: x-title-zh, value: 速度}
"""


def test_a_folder_that_holds_a_node_is_not_made_one_again(journey: Journey) -> None:
    again = run("node", "init", journey.folder / "road", "--handle", "road", "--name", "Road", "--name-zh", "道路", "--json")
    assert (again.code, again.value["error"]["code"]) == (1, "node.exists")


@pytest.mark.parametrize("handle", ["Road", "road-operator", "", "1road", "r" * 64])
def test_a_handle_that_no_question_could_name_is_refused(tmp_path: Path, handle: str) -> None:
    ran = run("node", "init", tmp_path / "node", "--handle", handle, "--name", "Road", "--name-zh", "道路", "--json")
    assert (ran.code, ran.value["error"]["kind"]) == (1, "Invalid")
    assert not (tmp_path / "node" / "chengshu.toml").exists()


def test_a_statement_that_does_not_follow_leaves_with_one(tmp_path: Path) -> None:
    file = tmp_path / "statement.json"
    statement = {
        "format": "chengshu-statement-1",
        "statement": "s",
        "job": "j",
        "payer": "p",
        "price_fen": 100,
        "rule": {"en": RULE.en, "zh": RULE.zh},
        "coalitions": [{"members": [], "seen": 0, "n": 10}, {"members": ["a"], "seen": 5, "n": 10}],
        "same_data": [],
        "shares": {"a": "1/2"},
        "payments_fen": {"a": 100},
        "computed_at": "2026-01-01T00:00:00.000Z",
    }
    file.write_text(json.dumps(statement), encoding="utf-8")
    right = run("statement", "verify", file, "--json")
    assert (right.code, right.value) == (0, [{"statement": "s", "differences": []}])
    file.write_text(json.dumps({**statement, "payments_fen": {"a": 99}}), encoding="utf-8")
    wrong = run("statement", "verify", file, "--json")
    assert (wrong.code, len(wrong.value[0]["differences"])) == (1, 1)
    file.write_text("not json", encoding="utf-8")
    assert run("statement", "verify", file, "--json").value["error"]["code"] == "statement.file"


def test_the_version_is_printed() -> None:
    assert run("--version").out.startswith("chengshu 0.")


def test_an_unknown_pack_is_named_with_those_there_are() -> None:
    ran = run("pack", "check", "transport/none", "--json")
    assert ran.code == 1
    assert "transport/av_pilot" in ran.value["error"]["message"]
    assert [one["pack"] for one in run("pack", "list", "--json").value] == ["transport/av_pilot"]


def test_a_binding_that_is_none_is_refused_before_anything_starts(tmp_path: Path) -> None:
    ran = run("pack", "run", "transport/av_pilot", "--bind", "av_state", "--folder", tmp_path / "run", "--json")
    assert (ran.code, ran.value["error"]["code"]) == (1, "pack.binding")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words", [("--product", "p"), ("--job", "j"), ("--product", "", "--job", "j"), ("--product", "p", "--job", "")])
def test_half_a_use_is_never_called_proved(journey: Journey, words: tuple[str, ...]) -> None:
    ran = run("evidence", "verify", journey.folder / "road", *words, "--json")
    assert (ran.code, ran.value["error"]["code"]) == (1, "evidence.use")
