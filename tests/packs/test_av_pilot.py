"""The pilot's pack: well made by its own judge, and each party's data only what that party would really hold."""

import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from pilot_files import Sample

from chengshu import plugins
from chengshu.catalog.odcs import read_contract
from chengshu.methods.recording import read_recording
from chengshu.scenario.check import check

PSEUDONYMS = {
    "av_state": ("veh_pid", "trip_pid"),
    "av_objects": ("obj_id",),
    "rsu_objects": ("ptc_id",),
    "fleet_gnss": ("veh_pid",),
    "probe_gnss": ("veh_pid",),
}
FOR_GRADING = {"hazard_truth", "conflict_truth", "truth_tracks"}


@pytest.fixture(scope="module")
def verdicts(sample: Sample) -> dict[str, Any]:
    return {one.about: one for one in check(sample.pack.root, observe=plugins.source)}


def test_every_verdict_about_the_pack_holds(verdicts: dict[str, Any]) -> None:
    assert {about: one.found.en for about, one in verdicts.items() if not one.holds} == {}


def test_every_part_of_the_pack_was_looked_at(verdicts: dict[str, Any], sample: Sample) -> None:
    about = " ".join(verdicts)
    assert "manifest" in verdicts
    for query in sample.pack.queries:
        assert query.id in about
    for product in sample.pack.products:
        assert product.id in about


def test_the_recording_is_small_long_and_holds_the_share_of_automated_vehicles_that_is_told(sample: Sample) -> None:
    folder = sample.pack.source.recording
    whole = read_recording(folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 8_000_000
    t_ms = pc.min_max(whole.tracks["t_ms"]).as_py()
    assert t_ms["max"] - t_ms["min"] >= 15 * 60_000
    kinds = whole.vehicles["kind"].to_pylist()
    assert f"({kinds.count('av') / len(kinds):.0%} of vehicles)".replace("%", " %") in (sample.pack.root / "README.md").read_text(
        encoding="utf-8"
    )
    assert 0.12 <= kinds.count("av") / len(kinds) <= 0.18


def test_a_pack_with_another_answer_or_another_reason_does_not_hold(sample: Sample, tmp_path: Path) -> None:
    root = shutil.copytree(sample.pack.root, tmp_path / "pack", ignore=shutil.ignore_patterns("recording"))
    shutil.copytree(sample.recording, root / "data" / "recording")  # a short one: the golden answers are those of the whole
    refused = root / "refused" / "every_row.sql"
    refused.write_text(refused.read_text(encoding="utf-8").replace("-- reason: raw-rows", "-- reason: star"), encoding="utf-8")
    (root / "README.md").write_text("# nothing\n", encoding="utf-8")
    wrong = {one.about for one in check(root, observe=plugins.source) if not one.holds}
    assert any("every_row" in about for about in wrong)
    assert any("traffic_by_road" in about for about in wrong)
    assert any("README" in about for about in wrong)


BROKEN = ("policy.json", "answers", "README.md", "queries", "refused", "data", "pack.toml")
GARBAGE = {"missing": None, "no text": b"\xff\xfe\x00garbage", "no object": b"[1, 2]", "empty": b""}


BREAKS = [(part, garbage) for part in BROKEN for garbage in GARBAGE if garbage != "missing" or part not in {"queries", "refused"}]


@pytest.mark.parametrize(("part", "garbage"), BREAKS)  # a pack with fewer questions is another pack, and nothing is wrong with it
def test_a_broken_part_of_a_pack_is_a_verdict_and_never_a_traceback(sample: Sample, tmp_path: Path, part: str, garbage: str) -> None:
    root = shutil.copytree(sample.pack.root, tmp_path / "pack", ignore=shutil.ignore_patterns("recording"))
    shutil.copytree(sample.recording, root / "data" / "recording")
    files = [path for path in sorted([root / part, *(root / part).glob("*")]) if path.is_file()]
    for file in files:
        content = GARBAGE[garbage]
        file.unlink() if content is None else file.write_bytes(content)
    assert files != []
    found = check(root, observe=lambda _name: lambda _recording, _parameters: sample.products)
    assert [one for one in found if not one.holds] != []


def test_no_id_is_shared_between_two_sources(sample: Sample) -> None:
    ids = {
        (product, name): {str(one) for one in sample.products[product][name].unique().to_pylist()}
        for product, names in PSEUDONYMS.items()
        for name in names
    }
    shared = {
        (one, other): ids[one] & ids[other]
        for one, other in combinations(ids, 2)
        if one[0] != other[0] and not (one[1].endswith("_id") or other[1].endswith("_id"))  # a sensor numbers its objects from one
    }
    assert {pair for pair, both in shared.items() if both} == set()
    assert all(ids.values())


def test_no_pseudonym_is_the_name_that_a_vehicle_has_in_the_recording(sample: Sample) -> None:
    recording = read_recording(sample.recording)
    names = {str(one) for one in recording.vehicles["veh_id"].to_pylist()} | {str(one) for one in recording.vehicles["veh"].to_pylist()}
    for product in ("av_state", "fleet_gnss", "probe_gnss"):
        assert not names & set(sample.products[product]["veh_pid"].unique().to_pylist()), product


def test_the_same_parameters_give_the_same_products_and_another_seed_gives_others(sample: Sample) -> None:
    observe = plugins.source(sample.pack.source.method)
    again = observe(sample.recording, sample.pack.source.parameters)
    assert {name for name, table in sample.products.items() if not table.equals(again[name])} == set()
    other = observe(sample.recording, {**sample.pack.source.parameters, "seed": 1})
    assert not set(other["av_state"]["veh_pid"].to_pylist()) & set(sample.products["av_state"]["veh_pid"].to_pylist())


def test_every_product_has_exactly_the_columns_of_its_contract(sample: Sample) -> None:
    for part in sample.pack.products:
        if part.id in sample.products:
            promised = {column.name for column in read_contract(part.contract).columns}
            assert set(sample.products[part.id].column_names) == promised, part.id


def test_only_automated_vehicles_state_themselves_and_the_fleet_and_the_platform_hold_a_share_of_the_rest(sample: Sample) -> None:
    recording = read_recording(sample.recording)
    kinds = dict(zip(recording.vehicles["veh"].to_pylist(), recording.vehicles["kind"].to_pylist(), strict=True))
    there = [kinds[one] for one in recording.tracks["veh"].unique().to_pylist()]
    counted = {name: pc.count_distinct(sample.products[name]["veh_pid"]).as_py() for name in ("av_state", "fleet_gnss", "probe_gnss")}
    assert counted["av_state"] == there.count("av")
    assert 0 < counted["fleet_gnss"] < counted["probe_gnss"] < len(there) - there.count("av")


def test_the_truth_belongs_to_the_space_operator_alone_and_is_offered_for_methods_alone(sample: Sample) -> None:
    owners = {part.id: part.owner for part in sample.pack.products}
    assert {name: owners[name] for name in FOR_GRADING} == dict.fromkeys(FOR_GRADING, "space_operator")
    for query in sample.pack.queries:
        if query.refused_for is None:
            assert not FOR_GRADING & set(sample.pack.named_products(query.sql))


def test_speeds_of_roads_are_told_only_where_five_vehicles_or_more_drove(sample: Sample) -> None:
    assert pc.min(sample.products["link_speed"]["n_probes"]).as_py() >= 5


def test_no_detector_tells_a_speed_of_minus_one_where_nobody_drove(sample: Sample) -> None:
    speeds = sample.products["detector_1min"]["speed_mps"]
    assert pc.min(speeds).as_py() >= 0
    assert speeds.null_count > 0
