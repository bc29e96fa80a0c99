"""Words of a command line that name nothing usable: one sentence with a code and a hint, and never a traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def told(*words: object) -> tuple[int, dict[str, str], str]:
    """Run a command in a process of its own; return its exit code, the error it told a program, and what else it said."""
    line = [sys.executable, "-m", "chengshu", *map(str, words), "--json"]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False, stdin=subprocess.DEVNULL)
    return ran.returncode, json.loads(ran.stdout)["error"], ran.stderr


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words") / "node"
    named = ["--handle", "road", "--name", "Road", "--name-zh", "道路", "--clean-room"]
    line = [sys.executable, "-m", "chengshu", "node", "init", folder, *named]
    subprocess.run(line, check=True, timeout=600, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("binary") / "binary.sql"
    file.write_bytes(bytes(range(128, 256)) * 40)
    return file


def test_a_question_in_a_file_that_is_not_there(node: Path, tmp_path: Path) -> None:
    code, error, rest = told("query", "--file", tmp_path / "none.sql", "--node", node)
    assert (code, error["code"], rest) == (1, "file.unusable", "")
    assert error["message"] == f"{tmp_path / 'none.sql'}: expected to read or write it, got: No such file or directory"


def test_a_question_in_a_file_that_is_no_text(node: Path, binary: Path) -> None:
    assert told("query", "--file", binary, "--node", node)[::2] == (1, "")
    assert told("query", "--file", binary, "--node", node)[1]["code"] == "file.encoding"


def test_a_sample_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    code, error, rest = told("pack", "sample", "transport/av_pilot", tmp_path / "taken")
    assert (code, error["code"], rest) == (1, "file.unusable", "")
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


NAMED = ("--handle", "a", "--name", "a", "--name-zh", "a")


@pytest.mark.parametrize("words", [("demo", "--folder", "/proc/x"), ("node", "init", "/proc/x", *NAMED)])
def test_a_folder_that_cannot_be_made(words: tuple[str, ...]) -> None:
    code, error, rest = told(*words)
    assert (code, error["code"], rest) == (1, "file.unusable", "")
    assert "/proc/x" in error["message"]


def test_a_table_that_is_no_text(node: Path, tmp_path: Path) -> None:
    file = tmp_path / "bin.csv"
    file.write_bytes(b"a,b\n" + bytes(range(128, 256)) + b",1,2,3\n" + b"\xff\xfe,2\n")
    code, error, rest = told("product", "publish", file, "--purpose", "study", "--node", node)
    assert (code, rest) == (1, "")
    assert error["code"].startswith("source.")


def test_a_language_that_is_not_spoken_here(node: Path) -> None:
    code, error, _ = told("peer", "list", "--node", node, "--lang", "fr")
    assert (code, error["code"]) == (1, "lang.unknown")


def test_other_content_under_the_name_of_parquet(node: Path, tmp_path: Path) -> None:
    file = tmp_path / "g.parquet"
    file.write_text("not at all", encoding="utf-8")
    code, error, _ = told("product", "publish", file, "--purpose", "study", "--node", node)
    assert (code, error["code"]) == (1, "source.unreadable")
    assert error["message"] == "g.parquet: expected a Parquet file, as its name says, got other content"


def test_what_came_is_told_in_words_and_not_by_the_name_of_a_class(node: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("card.json", "contract.yaml", "table.csv")}
    files["card.json"].write_text('{\n"id": nobody', encoding="utf-8")
    files["contract.yaml"].write_text("a: [b", encoding="utf-8")
    files["table.csv"].write_text("a,b\n1,2\n", encoding="utf-8")
    publish = ("product", "publish", files["table.csv"], "--purpose", "study", "--node", node, "--contract")
    got = [
        told("peer", "add", tmp_path / "none.json", "--node", node),
        told("peer", "add", files["card.json"], "--node", node),
        told(*publish, tmp_path / "none.yaml"),
        told(*publish, files["contract.yaml"]),
        told("statement", "verify", files["card.json"]),
    ]
    assert [error["message"].partition(", got ")[2] for _, error, _ in got] == [
        "no such file",
        "text that is not JSON from line 2 on",
        "no such file",
        "content of another form",
        "text that is not JSON from line 2 on",
    ]
