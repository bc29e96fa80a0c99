from dataclasses import replace

import pyarrow as pa
from crossing_world import STARTED_MS, WAVE, WAVE_MS, crossing

from chengshu.methods.conflicts import ConflictParameters
from chengshu.methods.hazards import truth_products
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.warn import WarningParameters, warn

# The first automated vehicle of each wave closes in on a slower truck: 21 m between them, 3 m/s faster, so 2 s are left after 5 s.
WORLD = crossing(2, wave=(*WAVE[:3], replace(WAVE[3], speed=7.0), *WAVE[4:]))


def graded(hazards: pa.Table, conflicts: pa.Table | None = None) -> dict[str, dict[str, object]]:
    truth = truth_products(WORLD.tracks, WORLD.vehicles, WORLD.truth, started_ms=STARTED_MS)
    table = warn(
        observe(WORLD, ViewParameters(seed=1, rsu_share=1.0)),
        hazards,
        truth["truth_tracks"],
        frame=frame_of(WORLD),
        lanes=WORLD.lanes,
        foes=None,
        conflicts=conflicts,
        parameters=WarningParameters(detector=ConflictParameters(ttc_s=3.0, min_ticks=3, smooth_s=1.0)),
    )
    return {row["view"]: row for row in table.to_pylist() if row["encounter"] == "all"}


def closing_in(at_ms: int) -> pa.Table:
    hazards = truth_products(WORLD.tracks, WORLD.vehicles, WORLD.truth, started_ms=STARTED_MS)["hazard_truth"]
    start = [STARTED_MS + wave * WAVE_MS for wave in range(hazards.num_rows)]
    for name, values in (
        ("foe", pa.array([6 * wave + 3 for wave in range(hazards.num_rows)], pa.int32())),
        ("begin_ms", pa.array([moment + at_ms - 500 for moment in start], pa.int64())),
        ("end_ms", pa.array([moment + at_ms + 500 for moment in start], pa.int64())),
        ("at_ms", pa.array([moment + at_ms for moment in start], pa.int64())),
    ):
        hazards = hazards.set_column(hazards.schema.get_field_index(name), name, values)
    return hazards


def test_every_party_and_all_together_are_graded_against_the_same_hazards() -> None:
    rows = graded(closing_in(6_000))
    assert set(rows) == {"car_maker", "road_operator", "fleet_operator", "navigation_platform", "all"}
    assert {row["hazards"] for row in rows.values()} == {2}
    assert rows["fleet_operator"]["warnings"] == 0
    assert rows["fleet_operator"]["precision"] is None


def test_closing_in_on_a_truck_is_warned_of_by_those_who_see_both_and_only_then() -> None:
    rows = graded(closing_in(6_000))
    assert (rows["all"]["warned"], rows["all"]["in_time"], rows["car_maker"]["warned"]) == (2, 2, 2)
    assert rows["navigation_platform"]["warned"] == 0
    assert graded(closing_in(25_000))["all"]["warned"] == 0


def test_a_warning_of_a_milder_real_conflict_is_true_where_all_conflicts_are_given() -> None:
    nothing = closing_in(6_000).slice(0, 0)
    assert graded(nothing)["all"]["true_warnings"] == 0
    assert graded(nothing, conflicts=closing_in(6_000))["all"]["true_warnings"] > 0
