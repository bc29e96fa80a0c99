"""A pack's manifest: whatever is missing, unknown or contradictory in it is named."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.scenario.model import MANIFEST, find, load

ROOT = Path(__file__).parents[3] / "src" / "chengshu_packs"
PILOT = ROOT / "transport" / "av_pilot"


def toml(value: Any) -> str:
    """A value as TOML writes it; tables inline."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + ", ".join(toml(one) for one in value) + "]"
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def spoilt(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A pack with the pilot's manifest after ``change``, and nothing else."""
    document = tomllib.loads((PILOT / MANIFEST).read_text(encoding="utf-8"))
    change(document)
    (folder / MANIFEST).write_text("\n".join(f"{key} = {toml(value)}" for key, value in document.items()), encoding="utf-8")
    return folder


def test_the_pilots_manifest_is_read_whole(tmp_path: Path) -> None:
    pack, copy = load(PILOT), load(spoilt(tmp_path, lambda _document: None))
    assert (pack.id, pack.room.id, pack.settlement.job) == ("transport/av_pilot", "space_operator", "hazards")
    assert [part.id for part in copy.products] == [part.id for part in pack.products]
    assert (copy.jobs, copy.roles, copy.title, copy.settlement) == (pack.jobs, pack.roles, pack.title, pack.settlement)
    assert (copy.queries, [query.refused_for is None for query in pack.queries].count(True)) == ((), 4)


def test_every_contract_that_a_job_or_a_question_needs_is_asked_for_and_none_on_ones_own() -> None:
    pack = load(PILOT)
    owner = {part.id: part.owner for part in pack.products}
    assert all(owner[product] != asker for asker, product in pack.contracts())
    needed = {(job.asked_by, product) for job in pack.jobs for product in job.products if owner[product] != job.asked_by}
    assert needed <= set(pack.contracts())


MISSING = (
    "id",
    "version",
    "clauses",
    "licences",
    "title",
    "summary",
    "label",
    "roles",
    "products",
    "jobs",
    "queries",
    "source",
    "settlement",
)


@pytest.mark.parametrize("key", MISSING)
def test_a_key_that_is_missing_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(Invalid) as caught:
        load(spoilt(tmp_path, lambda document: document.pop(key)))
    assert caught.value.message == f"{MANIFEST}: expected the key '{key}', got none"


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "an id in capitals": (lambda d: d.update(id="Transport/Pilot"), "id: expected sector/pack"),
    "an owner that is no role": (lambda d: d["products"][0].update(owner="nobody"), "product av_state: unknown owner nobody"),
    "an asker that is no role": (lambda d: d["jobs"][0].update(asked_by="nobody"), "job hazards: unknown role nobody"),
    "a product that is none": (lambda d: d["jobs"][0]["products"].append("gold"), "job hazards: unknown product gold"),
    "no clean room": (lambda d: d["roles"][-1].pop("clean_room"), "exactly one with clean_room"),
    "two clean rooms": (lambda d: d["roles"][0].update(clean_room=True), "exactly one with clean_room"),
    "a settlement of no job": (lambda d: d["settlement"].update(job="gold"), "settlement: expected a job"),
    "a payer that is no role": (lambda d: d["settlement"].update(payer="nobody"), "settlement: expected a job and a payer"),
    "a payer that does not ask": (lambda d: d["settlement"].update(payer="regulator"), "settlement.payer: expected the role that asks"),
    "a title in one language": (lambda d: d["title"].pop("zh"), "expected the key 'zh'"),
    "an empty title": (lambda d: d["title"].update(zh=""), "both languages"),
    "a product without a contract": (lambda d: d["products"][0].pop("contract"), "expected the key 'contract'"),
    "a price that is no number": (lambda d: d["settlement"].update(price_fen="much"), "expected the documented shape"),
    "roles that are no tables": (lambda d: d.update(roles=["car_maker"]), "expected the documented shape"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_does_not_fit_is_named(tmp_path: Path, fault: str) -> None:
    change, named = FAULTS[fault]
    with pytest.raises(Invalid) as caught:
        load(spoilt(tmp_path, change))
    assert caught.value.code == "pack.invalid"
    assert caught.value.message.startswith(f"{MANIFEST}: ")
    assert named in caught.value.message
    assert caught.value.hint.zh != caught.value.hint.en


MORE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a key that is not known": (lambda d: d.update(colour="red"), "colour"),
    "a misspelt key of a product": (lambda d: d["products"][0].update(documnet="x"), "documnet"),
    "a permit that is no product": (lambda d: d.update(permit="gold"), "gold"),
    "two roles of one id": (lambda d: d["roles"].append(d["roles"][0]), "role car_maker: expected every id once"),
    "two products of one id": (lambda d: d["products"].append(d["products"][0]), "product av_state: expected every id once"),
    "two jobs of one id": (lambda d: d["jobs"].append(d["jobs"][0]), "job hazards: expected every id once"),
    "a map that is no product": (lambda d: d["map"].update(product="gold"), "gold"),
    "a negative price": (lambda d: d["settlement"].update(price_fen=-1), "price_fen"),
    "a price in parts of a fen": (lambda d: d["settlement"].update(price_fen=1.5), "price_fen"),
    "a path that leaves the pack": (lambda d: d["products"][0].update(contract="../../secret.yaml"), "secret.yaml"),
    "a recording outside the pack": (lambda d: d["source"].update(recording="/etc"), "/etc"),
}


@pytest.mark.parametrize("fault", MORE)
def test_a_part_that_contradicts_another_or_is_not_known_is_named(tmp_path: Path, fault: str) -> None:
    change, named = MORE[fault]
    with pytest.raises(Invalid) as caught:
        load(spoilt(tmp_path, change))
    assert caught.value.code == "pack.invalid"
    assert named in caught.value.message


def test_questions_that_nobody_asks_are_named(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "one.sql").write_text("SELECT COUNT(*) FROM car_maker.av_state", encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        load(spoilt(tmp_path, lambda document: document["queries"].update(asked_by="nobody")))
    assert "queries: unknown role nobody" in caught.value.message


def test_a_question_that_must_be_refused_says_for_which_reason(tmp_path: Path) -> None:
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / "rows.sql").write_text("SELECT 1\n", encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        load(spoilt(tmp_path, lambda _document: None))
    assert "refused/rows.sql: the first line must be '-- reason: rule-name'" in caught.value.message


@pytest.mark.parametrize("text", ["id = ", "\x00", None], ids=["cut short", "no text", "not there"])
def test_a_manifest_that_cannot_be_read_is_said_to_be_one(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        load(tmp_path)
    assert caught.value.message.startswith(f"{MANIFEST}: expected a readable {MANIFEST}, got: ")


def test_a_manifest_that_is_not_utf_8_is_said_to_be_unreadable(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes('id = "größe/x"'.encode("cp1252"))
    with pytest.raises(Invalid) as caught:
        load(tmp_path)
    assert "readable" in caught.value.message


def test_a_pack_is_found_by_its_id_or_by_its_folder_and_otherwise_those_there_are_are_named(tmp_path: Path) -> None:
    assert find([ROOT], "transport/av_pilot") == PILOT
    assert find([], str(PILOT)) == PILOT
    with pytest.raises(NotFound) as caught:
        find([tmp_path, ROOT], "transport/none")
    assert "transport/av_pilot" in caught.value.message
    with pytest.raises(NotFound) as caught:
        find([tmp_path], "transport/none")
    assert "none is installed" in caught.value.message
