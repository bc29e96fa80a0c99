"""The house's rules that import-linter cannot see."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
FILES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.rglob("*.py"))
BESIDE = {"packs/test_plan.py"}  # compares a golden file with the plan where that is there
ROOMS = [
    "evidence",
    "identity",
    "policy",
    "catalog",
    "contract",
    "transfer",
    "cleanroom",
    "live",
    "settlement",
    "scenario",
    "witness",
    "anchor",
]
FORBIDDEN_WORDS = {"utils", "helpers", "common", "base", "manager", "processor", "handler", "impl", "abstract", "info"}
ASYNC_ALLOWED = ("chengshu/api/", "chengshu/cli/", "chengshu/console/", "chengshu/dsp/routes", "chengshu/live/feeds/")


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_file_is_longer_than_five_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_async_lives_only_in_doors_and_feeds(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    assert found == [] or _name(path).startswith(ASYNC_ALLOWED)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_the_same_files(room: str) -> None:
    names = {path.name for path in (SOURCE / "chengshu" / room).iterdir()}
    assert {"__init__.py", "model.py"} <= names


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_rooms_store_is_imported_only_by_its_own_room(path: Path) -> None:
    room = _name(path).split("/")[1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("chengshu."):
            parts = node.module.split(".")
            names = [*parts, *(alias.name for alias in node.names)]
            if "store" in names[2:4]:
                assert parts[1] == room or _name(path).startswith("chengshu/migrations")


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_file_is_called_by_a_word_that_says_nothing(path: Path) -> None:
    assert not FORBIDDEN_WORDS & set(path.stem.split("_"))


def test_nothing_in_the_source_needs_a_folder_outside_the_project() -> None:
    outside = ["..", "shared"]
    found = [_name(path) for path in FILES if "/".join(outside) in path.read_text(encoding="utf-8")]
    assert found == []


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_no_test_is_longer_than_five_hundred_lines_or_needs_a_folder_outside_the_project(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    place = path.relative_to(Path(__file__).parent)
    above = [int(number) for number in re.findall(r"parents\[(\d+)\]", text)]
    outside = [number for number in above if number > len(place.parts)]  # parents[0] is the file's folder, the last is the project's
    outside += re.findall(r"[\"'](/(?:work|home|root|srv|mnt|Users)\b)", text)
    assert outside == [] or place.as_posix() in BESIDE


def test_every_change_note_is_of_a_kind_that_the_change_log_knows() -> None:
    notes = [path for path in (SOURCE.parent / "changes").iterdir() if path.name != ".gitkeep"]
    wrong = [
        path.name for path in notes if not re.fullmatch(r"[a-z0-9-]+\.(added|changed|fixed)\.md", path.name) or not path.read_text().strip()
    ]
    assert wrong == []
