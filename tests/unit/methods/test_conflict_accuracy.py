"""The promises made about agreement with SUMO's SSM device, on both networks, with the path known (offline) and with the path predicted.

The floors of "path known" are the aims where they are met. Those of "path predicted", and of merging precision on the sample, lie two
points or one case below what was reached: they are no aims, but what may not get worse unnoticed.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from chengshu.methods.conflicts import ConflictParameters, detect_conflicts, grade, tracks_of
from chengshu.methods.recording import Recording, read_recording

TESTS = Path(__file__).parents[2]
FOLDERS = {
    "sample": TESTS.parent / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data" / "recording",
    "second": TESTS / "data" / "second_network",
}
Graded = Callable[[str, str], pa.Table]
KEYS = (("following", "ttc"), ("merging", "ttc"), ("crossing", "ttc"), ("all", "pet"), ("all", "drac"))
FLOORS = {
    ("sample", "known"): ((0.98, 0.90), (0.90, 0.86), (0.90, 0.90), (0.95, 0.90), (0.93, 0.90)),
    ("second", "known"): ((0.98, 0.90), (0.90, 0.90), (0.90, 0.90), (0.95, 0.90), (0.95, 0.90)),
    ("sample", "predicted"): ((0.98, 0.94), (0.67, 0.51), (0.78, 0.54), (0.94, 0.96), (0.76, 0.57)),
    ("second", "predicted"): ((0.98, 0.94), (0.80, 0.60), (0.46, 0.41), (0.95, 0.95), (0.80, 0.55)),
}
"""Least recall and precision by network and variant, in the order of KEYS."""


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {name: read_recording(folder) for name, folder in FOLDERS.items()}


@pytest.fixture(scope="module")
def graded(recordings: dict[str, Recording]) -> Graded:
    found: dict[tuple[str, str], pa.Table] = {}

    def grades(network: str, variant: str) -> pa.Table:
        if (network, variant) not in found:
            recording = recordings[network]
            tracks = tracks_of(recording.tracks, vehicles=recording.vehicles)
            parameters = ConflictParameters(lookahead="driven" if variant == "known" else "predicted")
            conflicts = detect_conflicts(tracks, lanes=recording.lanes, foes=recording.foes, parameters=parameters)
            found[network, variant] = grade(conflicts, recording.truth)
        return found[network, variant]

    return grades


def value(table: pa.Table, encounter: str, measure: str, column: str) -> float:
    (row,) = [row for row in table.to_pylist() if (row["encounter"], row["measure"]) == (encounter, measure)]
    return float(row[column])


@pytest.mark.parametrize("key", KEYS, ids="-".join)
@pytest.mark.parametrize(("network", "variant"), FLOORS)
def test_conflicts_are_found_as_well_as_is_said(graded: Graded, network: str, variant: str, key: tuple[str, str]) -> None:
    recall, precision = FLOORS[network, variant][KEYS.index(key)]
    table = graded(network, variant)
    assert value(table, *key, "recall") >= recall
    assert value(table, *key, "precision") >= precision


@pytest.mark.parametrize("network", FOLDERS)
def test_following_conflicts_and_post_encroachments_are_timed(graded: Graded, network: str) -> None:
    assert value(graded(network, "known"), "following", "ttc", "error_p90") <= 0.05
    assert value(graded(network, "known"), "all", "pet", "error_p90") <= 0.30


def test_a_prediction_is_worse_than_hindsight_where_paths_cross(graded: Graded) -> None:
    # If this ever fails, the two variants are no longer two.
    for network in FOLDERS:
        known, predicted = (value(graded(network, variant), "crossing", "ttc", "recall") for variant in ("known", "predicted"))
        assert predicted < known


@pytest.mark.parametrize("network", FOLDERS)
def test_tracks_without_lanes_and_maps_without_foes_do_nearly_as_well(recordings: dict[str, Recording], network: str) -> None:
    recording = recordings[network]
    tracks = tracks_of(recording.tracks, vehicles=recording.vehicles).drop_columns(["lane", "pos_m"])
    table = grade(detect_conflicts(tracks, lanes=recording.lanes, foes=None), recording.truth)
    assert value(table, "following", "ttc", "recall") >= 0.98
    assert value(table, "crossing", "ttc", "recall") >= 0.90
    assert value(table, "all", "pet", "recall") >= 0.95
