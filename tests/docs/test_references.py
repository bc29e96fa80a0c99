"""What the documents say exists, and what exists is in the documents: links, keys, rules, kinds, commands, figures."""

import doctest
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from chengshu import plugins
from chengshu.anchor.contract import MAKER
from chengshu.api.room import room_router
from chengshu.catalog.odcs import read_contract
from chengshu.cli import verbs
from chengshu.cli.main import app
from chengshu.config import (
    AnchorSection,
    CatalogSection,
    CleanroomSection,
    ContractSection,
    DatabaseSection,
    FlightSection,
    IdentitySection,
    NodeSection,
    OutgoingSection,
    PolicySection,
    ServeSection,
    Settings,
    SpaceSection,
    WitnessSection,
)
from chengshu.evidence.model import KINDS
from chengshu.live.model import GROUNDS, PermitState, Verb
from chengshu.methods.perception.parameters import TERMS, ViewParameters
from chengshu.methods.pilot.permit import ITEMS
from chengshu.methods.pilot.rules import RULES
from chengshu.node import open_node
from chengshu.policy.duties import DutyAction, DutyState
from chengshu.policy.terms import BROADER, CS, ODRL, Action, Joint, Operand
from chengshu.scenario.model import find, load

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
PACK = find(plugins.pack_roots(), "transport/av_pilot")
DOCUMENTS = [*READMES, ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md", PACK / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\bchengshu ((?:[a-z]+ ?){1,2})")


def text(name: str) -> str:
    """Return one document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "least"), [("SECURITY.md", 40), ("ARCHITECTURE.md", 5)])
def test_every_place_in_the_code_that_is_named_is_there(name: str, least: int) -> None:
    named = re.findall(r"`([a-z_]+/[a-z_]+[a-z_/]*(?:\.py)?)`", text(name))
    assert len(named) >= least
    assert [one for one in named if not any((root / one).exists() for root in (ROOT, ROOT / "src" / "chengshu"))] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    links = [link.partition("#")[0] for link in LINK.findall(document.read_text(encoding="utf-8"))]
    missing = [link for link in links if link and "://" not in link and not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_a_readme_is_short_enough_to_enjoy(name: str) -> None:
    assert len(text(name).splitlines()) <= 180


@pytest.mark.parametrize("picture", ["pilot.png", "pilot.zh.png"])
def test_a_picture_is_light_enough_to_load(picture: str) -> None:
    assert 10_000 < (ROOT / "docs" / "pictures" / picture).stat().st_size <= 400_000


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_is_named_exists(document: Path) -> None:
    named = {tuple(words.split()) for words in COMMAND.findall(document.read_text(encoding="utf-8"))}
    nouns = {command[0] for command in commands() if len(command) == 2}
    asked = {words[:2] if words[0] in nouns else words[:1] for words in named}
    assert asked - commands() == set()


def test_every_command_and_option_of_the_tour_exists() -> None:
    lines = [line for line in text("README.md").splitlines() if line.startswith("chengshu ")]
    for line in lines:
        words = shlex.split(line.rstrip("\\"))[1:]
        command = tuple(words[:2]) if tuple(words[:2]) in commands() else tuple(words[:1])
        options = {word for word in words if word.startswith("--")}
        assert options - options_of(command) == set(), line


def test_every_command_is_in_the_node_reference() -> None:
    reference = re.findall(r"`(?:chengshu )?([a-z]+(?: [a-z]+)?)`", text("docs/reference/node.md"))
    assert commands() - {tuple(words.split()) for words in reference} == set()


def test_every_setting_is_in_the_node_reference_with_its_default() -> None:
    keys = text("docs/reference/node.md").partition("## chengshu.toml")[2].partition("\n## ")[0]
    reference = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| `?([^|`]+?)`? \|", keys, re.MULTILINE))
    assert reference == {f"{section}.{key}": default for section, key, default in settings()}


def test_every_kind_of_entry_is_in_the_evidence_reference_and_no_other() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| ([^|]+) \| ([^|]+) \|$", text("docs/reference/evidence.md"), re.MULTILINE)
    assert {kind: (en, zh) for kind, en, zh in rows} == {kind: (title.en, title.zh) for kind, title in KINDS.items()}


def test_every_operand_is_in_the_policy_reference_in_the_order_of_evaluation_with_its_operators() -> None:
    reference = text("docs/reference/policy.md")
    rows = re.findall(r"^\| `([a-z-]+)` \| `((?:odrl|cs):[A-Za-z]+)` \| [^|]+ \| ([^|]+) \|", reference, re.MULTILINE)
    found = [(name, iri.replace("odrl:", ODRL).replace("cs:", CS), set(re.findall(r"`([A-Za-z]+)`", listed))) for name, iri, listed in rows]
    assert found == [(one.value, one.iri, {operator.value for operator in one.operators}) for one in Operand]
    assert f"`{ODRL}`" in reference
    assert f"`{CS}`" in reference


def test_every_action_joint_duty_and_code_is_in_the_policy_reference() -> None:
    reference = text("docs/reference/policy.md")
    words = [*Action, *Joint, *DutyAction, *DutyState, *BROADER]
    assert [word for word in words if f"`{word}`" not in reference] == []


def test_every_key_of_the_pilots_manifest_is_in_the_pack_reference_and_no_other_is_required() -> None:
    reference = text("docs/reference/pack.md")
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", reference.partition("## pack.toml")[2], re.MULTILINE)
    named = {key: "optional" in kind for keys, kind in rows for key in re.findall(r"`([^`]+)`", keys)}
    used = set(keys_of(tomllib.loads((PACK / "pack.toml").read_text(encoding="utf-8"))))
    assert used - named.keys() == set()
    assert {key for key, is_optional in named.items() if not is_optional} - used == set()


def test_a_manifest_without_a_key_that_the_reference_calls_required_is_refused(tmp_path: Path) -> None:
    manifest = (PACK / "pack.toml").read_text(encoding="utf-8")
    for key in ("id", "version", "clauses", "licences"):
        (tmp_path / "pack.toml").write_text(re.sub(rf"(?m)^{key} = (\[[^\]]*\]|.*)\n", "", manifest, count=1), encoding="utf-8")
        with pytest.raises(Exception, match=f"expected the key '{key}'"):
            load(tmp_path)


def test_every_key_of_the_pilots_permit_is_in_the_permit_reference() -> None:
    reference = text("docs/reference/permit.md")
    permit = json.loads((PACK / "data" / "permit.json").read_text(encoding="utf-8"))
    words = [*permit, *ITEMS, *permit["windows"][1], *permit["speed"], *permit["odd"], *permit["telemetry"], *permit["valid"]]
    assert [word for word in words if not re.search(rf'[`"]{word}(\[\])?[`"]', reference)] == []


def test_every_step_state_and_ground_of_a_permit_is_in_the_permit_reference() -> None:
    reference = text("docs/reference/permit.md")
    steps = [verb.value for verb in Verb if verb is not Verb.RESTRICT]
    assert [word for word in steps if f"`{word}`" not in reference] == []
    assert [state.value for state in PermitState if state.value not in reference] == []
    assert [ground for ground in GROUNDS if not ground.startswith("R") and f"`{ground}`" not in reference] == []


def test_every_pilot_rule_is_named_in_the_packs_readme() -> None:
    readme = (PACK / "README.md").read_text(encoding="utf-8")
    assert [rule.rule_id for rule in RULES if f"{rule.rule_id} " not in readme] == []


def test_every_table_that_a_method_lets_out_is_named_in_the_packs_readme() -> None:
    leaves = (PACK / "README.md").read_text(encoding="utf-8").partition("## What leaves")[2].partition("## Method")[0]
    tables = [table for job in load(PACK).jobs for table in plugins.method(job.method).outputs]
    assert [table for table in tables if f"`{table}`" not in leaves] == []


def test_the_room_reference_lists_the_messages_that_a_room_takes(tmp_path: Path) -> None:
    listed = re.findall(r"^\| `(/room/[a-z/]+)` \|", text("docs/reference/room.md"), re.MULTILINE)
    verbs.init(tmp_path / "room", verbs.Birth("room", "Room", "净室", clean_room=True))
    assert sorted(listed) == sorted(route.path for route in room_router(open_node(tmp_path / "room")).routes)  # type: ignore[attr-defined]  # all of them are paths


def test_the_how_to_names_every_column_of_every_product() -> None:
    rows = dict(re.findall(r"^\| `([a-z_0-9]+)` \| [a-z ]+ \| [^|]+ \| ([^|]+) \|$", text("docs/how-to/your-own-data.md"), re.MULTILINE))
    parts = {part.id: part for part in load(PACK).products}
    assert set(rows) == set(parts) - {"hazard_truth", "conflict_truth", "truth_tracks"}
    for name, cell in rows.items():
        contract = read_contract(parts[name].contract)
        expected = [column.name for column in contract.columns] if contract.kind.value == "table" else []
        assert [column for column in expected if f"`{column}`" not in cell] == [], name


def test_the_worked_example_of_the_multiplier_is_what_the_functions_compute() -> None:
    path = ROOT / "docs" / "explanation" / "multiplier.md"
    example = doctest.DocTestParser().get_doctest(path.read_text(encoding="utf-8"), {}, path.name, str(path), 0)
    outcome = doctest.DocTestRunner(verbose=False).run(example)
    assert outcome.attempted > 10
    assert outcome.failed == 0


def test_the_packs_readme_tells_the_views_assumptions_as_they_are() -> None:
    readme = (PACK / "README.md").read_text(encoding="utf-8")
    view = ViewParameters(seed=0)
    told = (f"{view.range_m:g} m", f"{view.rsu_range_m:g} m", f"{view.fleet_share:.0%}".replace("%", " %"), f"{view.detect_p:g}")
    assert [words for words in told if words not in readme] == []
    assert {name: terms.sigma_m for name, terms in TERMS.items()} == {
        "av_state": 0.1,
        "av_objects": 0.3,
        "rsu_objects": 0.4,
        "fleet_gnss": 3.0,
        "probe_gnss": 5.0,
    }


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_readmes_figures_are_those_of_the_benchmarks_results(readme: Path) -> None:
    words = readme.read_text(encoding="utf-8")
    conflicts, geofence, replay, multiplier, log = (result(name) for name in ("conflicts", "geofence", "replay", "multiplier", "evidence"))
    dsp = result("dsp")
    pools = [one for one in multiplier["pooled"] if one["coverage"] == 0.5]
    assert {one["network"] for one in pools} == {"all", "berlin-adlershof", "braunschweig"}
    figures = [
        *(f"{pool['value']:.2f}" for pool in pools),
        *(f"{pool['low']:.2f}–{pool['high']:.2f}" for pool in pools),
        f"{conflicts['ratio_ckdtree_numpy']}",
        f"{conflicts['ratio_duckdb_sql']}",
        f"{replay['times_real_time_cpu']}",
        f"{round(replay['traffic_s'] / 60)}",
        f"{geofence['ratio_within']}",
        f"{geofence['ratio_intersects']}",
        f"{log['singles']['per_s']:,}",
        f"{log['singles']['in_signed_checkpoint_ms']['p99']}",
        f"{log['bulk']['per_s']:,}",
        *(f"{mib}" for mib in log["peak_mib_by_entries"].values()),
        f"{log['proofs']['cpu_ms_median']}",
        *(f"{ratio}" for ratio in log["http"]["ratio_to_tessera"].values()),
        *(f"{dsp['ratio_to_edc_tuned'][name]:.2f}" for name in ("negotiations_per_s", "latency_p50", "resident_memory_after")),
        f"{round(dsp['ours']['catalog_page_ms']['100000']['p95'])}",
    ]
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d])", words)] == []


ORDER = (("following", "ttc"), ("merging", "ttc"), ("crossing", "ttc"), ("all", "pet"), ("all", "drac"))


def grades_of(network: str, variant: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the stored grades of one network and variant by encounter and measure."""
    return {(one["encounter"], one["measure"]): one for one in result("ssm_accuracy")["networks"][network]["grades"][variant]}


def test_the_packs_accuracy_table_is_that_of_the_benchmarks_result() -> None:
    readme = (PACK / "README.md").read_text(encoding="utf-8").replace("**", "")
    labels = {
        "sample": ("this sample, true tracks", "this sample, noise"),
        "second": ("second network, true tracks", "second network, the same noise"),
    }
    rows = [
        (f"{'this sample, the same noise' if label == 'this sample, noise' and path == 'path predicted' else label}", path, network, noise)
        for network, pair in labels.items()
        for label, noise in zip(pair, ("", ", noisy"), strict=True)
        for path in ("path known", "path predicted")
    ]
    for label, path, network, noise in rows:
        (line,) = [line for line in readme.splitlines() if line.startswith(f"| {label}") and path in line]
        grades = grades_of(network, path + noise)
        cells = [f"{short(grades[key]['recall'])} / {short(grades[key]['precision'])}" for key in ORDER]
        assert [cell.strip() for cell in line.split("|")[2:-1]] == cells


def test_the_packs_limits_are_those_of_the_benchmarks_result() -> None:
    readme = (PACK / "README.md").read_text(encoding="utf-8").partition("## Known limits")[2]
    limits = result("limits")
    conflicts, eta, ghosts = limits["conflicts"], limits["arrival_times"], limits["ghosts"]
    told = [
        f"({conflicts['crossing_missed']} of 80",
        f"{conflicts['crossing_missed_paths_apart_m'][0]} m apart",
        f"{eta['fused_s']} s mean error fused against {eta['best_single_s']} s",
        f"({eta['ratio']:.2f})",
        f"{ghosts['without']['warnings']} warnings into {ghosts['with']['warnings']}",
        f"precision {short(ghosts['without']['precision'])} becomes {short(ghosts['with']['precision'])}",
    ]
    assert [words for words in told if words not in readme] == []
    assert conflicts["merging_not_listed_of_pairs_the_device_never_names"] == conflicts["merging_not_listed"]


def test_the_permit_reference_states_the_sigmas_and_what_they_leave_over() -> None:
    words = text("docs/reference/permit.md")
    left = result("limits")["r01"]
    assert f"k = {left['k_sigma']:g}" in words
    assert f"{left['wrong_at_sigmas_inside']['0']:.1%}".replace("%", " %") in words
    assert [rate for at in "12" if (rate := f"{left['wrong_at_sigmas_inside'][at] * 100:.2g} %") not in words] == []


def test_the_packs_multiplier_table_is_that_of_the_benchmarks_result() -> None:
    readme = (PACK / "README.md").read_text(encoding="utf-8")
    for pool in result("multiplier")["pooled"]:
        if pool["network"] == "all":
            cells = [
                f"{pool['coverage']:.0%}".replace("%", " %"),
                short(pool["miss_best"]),
                short(pool["miss_all"]),
                f"{pool['value']:.2f}",
            ]
            cells.append(f"{pool['low']:.2f}–{pool['high']:.2f}")
            row = f"| {' | '.join(cells)} |"
            assert row in readme
        if pool["network"] == "berlin-adlershof":
            assert f"{pool['value']:.2f}" in readme


def short(value: float, decimals: int = 3) -> str:
    """Return a rate as the tables write it: no leading zero."""
    return f"{value:.{decimals}f}".removeprefix("0")


def result(name: str) -> Any:
    """Return one benchmark's stored result."""
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def commands() -> set[tuple[str, ...]]:
    """Return every command as its words: ``('demo',)``, ``('node', 'init')``."""
    root = typer.main.get_command(app)
    found: set[tuple[str, ...]] = set()
    for name, command in root.commands.items():  # type: ignore[attr-defined]  # the root is a group
        below = getattr(command, "commands", None)
        found |= {(name, other) for other in below} if below else {(name,)}
    return found


def options_of(command: tuple[str, ...]) -> set[str]:
    """Return the long options of a command."""
    found: Any = typer.main.get_command(app)
    for word in command:
        found = found.commands[word]
    return {option for parameter in found.params for option in parameter.opts if option.startswith("--")}


def settings() -> Iterator[tuple[str, str, str]]:
    """Yield section, key and default of every setting, as the reference writes them."""
    sections: dict[str, type[BaseModel]] = {
        "node": NodeSection,
        "database": DatabaseSection,
        "space": SpaceSection,
        "serve": ServeSection,
        "flight": FlightSection,
        "outgoing": OutgoingSection,
        "identity": IdentitySection,
        "cleanroom": CleanroomSection,
        "contract": ContractSection,
        "catalog": CatalogSection,
        "policy": PolicySection,
        "witness": WitnessSection,
        "anchor": AnchorSection,
    }
    assert set(sections) == set(Settings.model_fields)
    for section, model in sections.items():
        for key, field in model.model_fields.items():
            yield section, key, "—" if field.is_required() else written(field.default)


def written(default: object) -> str:
    """Return a default as TOML has it; what has none is called none."""
    return "none" if default is None or default == () else str(default).lower() if isinstance(default, bool) else str(default)


def keys_of(manifest: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Yield a manifest's keys as the reference writes them; titles and parameters are one key each."""
    for key, value in manifest.items():
        name = f"{at}{key}"
        match value:
            case [dict(), *_]:
                for one in value:
                    yield from keys_of(one, f"{name}[].")
            case dict() if key in {"title", "summary", "label", "parameters"}:
                yield name
            case dict():
                yield from keys_of(value, f"{name}.")
            case _:
                yield name


def test_the_anchor_reference_gives_the_code_that_makes_the_contract() -> None:
    assert f"    0x{MAKER.hex()}\n" in text("docs/reference/anchor.md")
