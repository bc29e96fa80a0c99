"""A node's profile on the command line: chosen when it is made, shown in both languages, never called certified."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chengshu.cli.main import app
from chengshu.kernel.crypto import SUITES

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end


def made(folder: Path, *options: str) -> list[str]:
    names = ["--handle", "road", "--name", "Road", "--name-zh", "道路", "--port", "8788"]
    return ["node", "init", str(folder), *names, *options]


@pytest.mark.parametrize(("options", "name"), [((), "international"), (("--cryptography", "national"), "national")])
def test_a_node_is_made_with_the_profile_that_was_asked_for(tmp_path: Path, options: tuple[str, ...], name: str) -> None:
    folder = tmp_path / "road"
    assert CliRunner().invoke(app, made(folder, *options)).exit_code == 0
    shown = CliRunner().invoke(app, ["node", "show", "--node", str(folder), "--json"])
    card, title = json.loads(shown.stdout), SUITES[name].title
    assert (card["cryptography"], card["cryptography_en"], card["cryptography_zh"]) == (name, title.en, title.zh)
    assert f'[space]\ncryptography = "{name}"' in (folder / "chengshu.toml").read_text(encoding="utf-8")
    for language, words in (("en", title.en), ("zh", title.zh)):
        assert CliRunner().invoke(app, ["evidence", "publish", "--node", str(folder)]).exit_code == 0
        said = CliRunner().invoke(app, ["evidence", "verify", str(folder), "--lang", language])
        assert said.exit_code == 0
        assert words in said.stdout


def test_another_profile_is_a_wrong_command_line_and_makes_nothing(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, made(tmp_path / "road", "--cryptography", "certified")).exit_code == 2
    assert list(tmp_path.iterdir()) == []
