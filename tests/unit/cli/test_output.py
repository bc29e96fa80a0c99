"""How results are shown to a person: as plain text, whole, in their language, whatever anybody called themselves."""

import pytest

from chengshu.cli.output import Output
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Language, Text

ENGLISH = Output("en", as_json=False)
ODD = ["Firm [/b]", "[/x]", "[bold]Evil[/bold] [link=https://example.org]here[/link]", "set another port under [serve]", "[red]"]
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


@pytest.mark.parametrize("name", ODD)
def test_what_looks_like_markup_is_shown_as_it_was_written(capsys: pytest.CaptureFixture[str], name: str) -> None:
    ENGLISH.show([{"party": name, "rows": 3}])
    ENGLISH.show([{name: 1}])
    ENGLISH.show({name: name})
    ENGLISH.show(name, title=Text(name, name))
    shown = capsys.readouterr().out
    assert shown.count(name) == 6


@pytest.mark.parametrize("name", ODD)
def test_errors_and_refusals_show_it_as_it_was_written_too(capsys: pytest.CaptureFixture[str], name: str) -> None:
    ENGLISH.fail(Invalid("a.code", f"expected no {name}, got it", hint=Text(name, name)))
    ENGLISH.refuse(Refused("a-rule", f"expected no {name}, got it", Text(name, name)))
    assert capsys.readouterr().err.count(name) == 4


def test_a_name_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    ENGLISH.show([{"party": "Firm\x1b[2J\x07\x9b1m"}])
    ENGLISH.show({"party": "Firm\x1b[2J\r"})
    shown = capsys.readouterr().out
    assert "Firm\N{REPLACEMENT CHARACTER}[2J" in shown
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(shown)


def test_an_id_is_shown_whole_however_narrow_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row = {"id": DID, "handle": "road", "name_en": "Road operator", "address": "http://127.0.0.1:8701/2025-1", "roles": ["clean-room"]}
    ENGLISH.show([row, {**row, "roles": []}])
    shown = capsys.readouterr().out
    assert shown.count(f"id: {DID}\n") == 2
    assert "roles: clean-room\n" in shown
    assert shown.endswith("roles: —\n")


@pytest.mark.parametrize(("language", "words"), [("en", ("ready", "yes", "no")), ("zh", ("就绪", "是", "否"))])
def test_headings_and_yes_and_no_are_in_the_readers_language(
    capsys: pytest.CaptureFixture[str], language: Language, words: tuple[str, ...]
) -> None:
    Output(language, as_json=False).show([{"ok": True}, {"ok": False}], headings={"ok": Text("ready", "就绪")})
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in shown if line.strip("─━")] == list(words)
