"""``chengshu query`` on one node about its own product: every form of output, the plan before it, refusals, in both languages."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import chengshu
from chengshu.catalog.model import Acceptance, Grade
from chengshu.cleanroom.model import Job
from chengshu.cli import verbs
from chengshu.cli.main import app
from chengshu.cli.publishing import Terms, offer_of, publish
from chengshu.client.result import Result
from chengshu.kernel.errors import NotFound
from chengshu.node import open_node

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
MEAN = "SELECT COUNT(*) AS n, AVG(speed) AS speed FROM firm.trips"
RAW = "SELECT speed FROM firm.trips"
ANSWER = [{"n": 40, "speed": 11.5}]


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("query") / "firm"
    verbs.init(folder, verbs.Birth("firm", "A firm", "某公司"))
    file = folder.parent / "trips.parquet"
    pq.write_table(pa.Table.from_pylist([{"vehicle": f"v{one:02d}", "speed": 10.0 + one % 4} for one in range(40)]), file)
    node = open_node(folder)
    publish(node, file, contract=None, policy=offer_of(Terms(node.identity.did, ["study"])), acceptance=Acceptance.CLEAN)
    node.close()
    return folder


def run(*words: object, code: int = 0) -> str:
    ran = CliRunner().invoke(app, [*map(str, words)])
    assert ran.exit_code == code, ran.output
    return ran.stdout


def entries(folder: Path) -> int:
    node = open_node(folder)
    size = node.evidence.size()
    node.close()
    return size


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_answer_is_a_table_with_the_digest_of_what_it_leaked(firm: Path, language: str) -> None:
    told = run("query", MEAN, "--purpose", "study", "--node", firm, "--lang", language)
    assert "state: RELEASED" in told
    assert "leakage: sha256:" in told
    assert "11.5" in told


def test_a_program_gets_answer_receipt_and_statement(firm: Path) -> None:
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    assert told["tables"] == {"answer": ANSWER}
    assert told["statement"]["format"] == "chengshu-leakage-2"
    shown = json.loads(run("job", "show", told["job"], "--node", firm, "--json"))
    assert (shown["receipt"], shown["statement"]) == (told["receipt"], told["statement"])


@pytest.mark.parametrize("form", ["arrow", "csv", "parquet"])
def test_an_answer_goes_into_a_file_in_the_form_that_is_asked(firm: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"answer.{form}"
    told = json.loads(run("query", MEAN, "--purpose", "study", "--output", form, "--to", file, "--node", firm, "--json"))
    assert (told["file"], told["rows"], told["receipt"]["receipt"]["state"]) == (str(file), 1, "RELEASED")
    read = {"arrow": lambda: pa.ipc.open_stream(file.read_bytes()).read_all(), "csv": lambda: pcsv.read_csv(file)}
    table = read.get(form, lambda: pq.read_table(file))()
    assert table.to_pylist() == ANSWER


def test_csv_goes_to_standard_output_alone(firm: Path) -> None:
    assert run("query", MEAN, "--purpose", "study", "--output", "csv", "--node", firm) == '"n","speed"\n40,11.5\n'


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_plan_is_shown_and_nothing_is_written(firm: Path, language: str) -> None:
    before = entries(firm)
    told = run("query", MEAN, "--purpose", "study", "--explain", "--node", firm, "--lang", language)
    assert "placement: local" in told
    assert ("Who learns what" if language == "en" else "谁获知什么") in told
    assert ("A firm" if language == "en" else "某公司") in told
    assert entries(firm) == before


def test_a_program_gets_the_plan_and_the_digest_that_is_signed_afterwards(firm: Path) -> None:
    plan = json.loads(run("query", MEAN, "--purpose", "study", "--explain", "--node", firm, "--json"))
    assert {"plan", "rules_passed", "terms", "leakage", "statement", "other_plans", "dropped_plans"} == plan.keys()
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    assert told["receipt"]["receipt"]["leakage"] == plan["leakage"]


def test_the_plan_and_the_receipt_name_the_engine(firm: Path) -> None:
    plan = json.loads(run("query", MEAN, "--purpose", "study", "--explain", "--node", firm, "--json"))
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    assert (plan["plan"]["engine"], told["receipt"]["receipt"]["engine"]) == ("duckdb", "duckdb")
    shown = run("query", MEAN, "--purpose", "study", "--node", firm)
    assert "engine: duckdb" in shown


def test_an_operator_who_chooses_spark_is_told_what_it_needs(firm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))  # no Java there
    settings = firm / "chengshu.toml"
    before = settings.read_text(encoding="utf-8")
    settings.write_text(
        before.replace('engine = "duckdb"', 'engine = "auto"').replace("spark_from_rows = 100000000", "spark_from_rows = 40")
    )
    plan = json.loads(run("query", MEAN, "--purpose", "study", "--explain", "--node", firm, "--json"))
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    settings.write_text(before, encoding="utf-8")
    assert plan["plan"]["engine"] == "spark from 40 rows or 8192 MiB of input on, otherwise duckdb"
    assert told["state"] == "FAILED"
    assert "default-jre-headless" in told["notes"][0]


@pytest.mark.parametrize("explain", [(), ("--explain",)])
def test_a_refusal_leaves_with_three_and_its_rule(firm: Path, explain: tuple[str, ...]) -> None:
    told = json.loads(run("query", RAW, "--purpose", "study", *explain, "--node", firm, "--json", code=3))
    assert told["refused"]["rule"] == "raw-rows"


def test_a_file_for_a_table_and_parquet_without_one_are_wrong_before_anything_is_asked(firm: Path, tmp_path: Path) -> None:
    before = entries(firm)
    for words in (("--to", tmp_path / "x"), ("--output", "parquet")):
        told = json.loads(run("query", MEAN, "--purpose", "study", *words, "--node", firm, "--json", code=1))
        assert told["error"]["code"] == "query.output"
    assert entries(firm) == before


def test_core_data_are_asked_about_at_home(firm: Path) -> None:
    node = open_node(firm)
    node.catalog.grade("trips", Grade.CORE, reason="positions")
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    assert told["tables"] == {"answer": ANSWER}
    node.catalog.grade("trips", Grade.GENERAL, reason="a test")
    node.close()


def test_the_client_token_is_made_once(firm: Path) -> None:
    first, second = (json.loads(run("node", "token", "--node", firm, "--json")) for _ in range(2))
    assert first == second
    assert (firm / "keys" / "client.token").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_result_is_converted_where_the_library_is_installed_and_says_so_where_it_is_not(firm: Path, library: str) -> None:
    with chengshu.connect(firm) as node:
        result = node.sql(MEAN, purpose="study")
    try:
        __import__(library)
    except ImportError:
        with pytest.raises(NotFound) as caught:
            getattr(result, library)()
        assert (caught.value.code, library in caught.value.message) == ("client.not-installed", True)
    else:
        frame = getattr(result, library)()
        assert list(frame.columns) == ["n", "speed"]
        assert frame.shape == (1, 2)


def test_a_library_that_is_not_there_is_named(firm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polars", None)  # what the interpreter itself puts where an import is barred
    result = Result("j", pa.table({"n": [1]}), {}, {"statement": {}}, ())
    with pytest.raises(NotFound) as caught:
        result.polars()
    assert "pip install polars" in caught.value.hint.en


def test_the_signed_job_of_an_own_question_is_kept_whole(firm: Path) -> None:
    told = json.loads(run("query", MEAN, "--purpose", "study", "--node", firm, "--json"))
    node = open_node(firm)
    known = node.asker.known(told["job"])
    assert known is not None
    assert isinstance(known.job, Job)
    assert known.job.leakage == told["receipt"]["receipt"]["leakage"]
    assert node.asker.cancel(told["job"]).state == "RELEASED"  # it has ended: there is nothing to cancel
    node.close()
