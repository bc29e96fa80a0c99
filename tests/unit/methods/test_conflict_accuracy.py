"""The promises made about agreement with SUMO's SSM device, kept on a recording that was not used to choose anything."""

from pathlib import Path

import pyarrow as pa
import pytest

from chengshu.methods.conflicts import detect_conflicts, grade, tracks_of
from chengshu.methods.recording import Recording, read_recording

SECOND = Path(__file__).parents[2] / "data" / "second_network"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return read_recording(SECOND)


@pytest.fixture(scope="module")
def known_lanes(recording: Recording) -> pa.Table:
    tracks = tracks_of(recording.tracks, vehicles=recording.vehicles)
    return grade(detect_conflicts(tracks, lanes=recording.lanes, foes=recording.foes), recording.truth)


@pytest.fixture(scope="module")
def matched_lanes(recording: Recording) -> pa.Table:
    tracks = tracks_of(recording.tracks, vehicles=recording.vehicles).drop_columns(["lane", "pos_m"])
    return grade(detect_conflicts(tracks, lanes=recording.lanes, foes=None), recording.truth)


def value(table: pa.Table, encounter: str, measure: str, column: str) -> float:
    (row,) = [row for row in table.to_pylist() if (row["encounter"], row["measure"]) == (encounter, measure)]
    return float(row[column])


def test_following_conflicts_are_found_and_timed(known_lanes: pa.Table) -> None:
    assert value(known_lanes, "following", "ttc", "recall") >= 0.98
    assert value(known_lanes, "following", "ttc", "precision") >= 0.90
    assert value(known_lanes, "following", "ttc", "error_p90") <= 0.05


def test_crossing_conflicts_are_found(known_lanes: pa.Table) -> None:
    assert value(known_lanes, "crossing", "ttc", "recall") >= 0.90
    assert value(known_lanes, "crossing", "ttc", "precision") >= 0.90


def test_post_encroachments_are_found_and_timed(known_lanes: pa.Table) -> None:
    assert value(known_lanes, "all", "pet", "recall") >= 0.95
    assert value(known_lanes, "all", "pet", "precision") >= 0.90
    assert value(known_lanes, "all", "pet", "error_p90") <= 0.30


def test_tracks_without_lanes_and_maps_without_foes_do_nearly_as_well(matched_lanes: pa.Table) -> None:
    assert value(matched_lanes, "following", "ttc", "recall") >= 0.98
    assert value(matched_lanes, "crossing", "ttc", "recall") >= 0.90
    assert value(matched_lanes, "all", "pet", "recall") >= 0.95
