from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pyarrow as pa
from crossing_world import STARTED_MS, WAVE, WAVE_MS, crossing

from chengshu.methods.hazards import CoalitionValues, HazardParameters, coalition_values, find_hazards, truth_products
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.recording import Recording

# In this world the only automated vehicle, 0, is screened from vehicle 2 by the corner until both are in the middle.
WORLD = crossing(4, wave=(WAVE[0], replace(WAVE[1], kind="car"), *WAVE[2:]))
FRAME = frame_of(WORLD)
VIEW = ViewParameters(seed=2, rsu_share=1.0, rsu_range_m=120.0, fleet_share=0.0, platform_share=1.0, ghosts_per_hour=0.0)
PRODUCTS = observe(WORLD, VIEW)
CAR, ROAD, FLEET, PLATFORM = "car_maker", "road_operator", "fleet_operator", "navigation_platform"


def valued(
    products: dict[str, pa.Table] = PRODUCTS, world: Recording = WORLD, parameters: HazardParameters | None = None
) -> CoalitionValues:
    truth = truth_products(world.tracks, world.vehicles, world.truth, started_ms=STARTED_MS)
    return coalition_values(products, truth["hazard_truth"], truth["truth_tracks"], frame=FRAME, parameters=parameters)


def value(values: CoalitionValues, *members: str) -> Fraction:
    return values.values[frozenset(members)]


def test_the_corner_hides_the_foe_from_the_vehicle_and_the_mast_sees_both() -> None:
    values = valued()
    assert value(values, CAR) == 0
    assert value(values, ROAD) == 1
    assert value(values) == 0


def test_the_automated_vehicle_and_the_platform_see_together_what_neither_sees_alone() -> None:
    values = valued()
    assert value(values, PLATFORM) == 0
    assert value(values, CAR, PLATFORM) == 1


def test_what_a_coalition_sees_is_the_union_of_what_its_members_see_moment_by_moment() -> None:
    # True by construction, so it is no evidence that fusing works: only that the union is taken.
    values = valued(observe(WORLD, replace(VIEW, seed=9, rsu_range_m=45.0, platform_share=0.5)))
    for small, large in combinations(sorted(values.seen, key=len), 2):
        if small <= large:
            assert (values.seen[small] <= values.seen[large]).all()


def test_all_sixteen_coalitions_have_exact_values_that_agree_with_what_they_saw() -> None:
    values = valued()
    assert len(values.values) == 16
    assert all(values.values[members] == Fraction(int(found.sum()), 4) for members, found in values.seen.items())
    main = {row["coalition"]: row["seen"] for row in values.by_lead.to_pylist() if row["lead_ms"] == 2000 and row["encounter"] == "all"}
    assert main == {"+".join(sorted(members)): int(found.sum()) for members, found in values.seen.items()}


def test_a_longer_lead_is_never_easier() -> None:
    values = valued(observe(WORLD, replace(VIEW, rsu_range_m=25.0)))
    seen = {row["lead_ms"]: row["seen"] for row in values.by_lead.to_pylist() if row["coalition"] == ROAD and row["encounter"] == "all"}
    assert seen[1000] >= seen[2000] >= seen[3000]
    assert seen[1000] > seen[3000]


def test_what_arrives_too_late_was_not_seen_in_time() -> None:
    late = {
        **PRODUCTS,
        "rsu_objects": PRODUCTS["rsu_objects"].replace_schema_metadata({b"latency_ms": b"12000", b"period_ms": b"100"}),
    }
    assert value(valued(late), ROAD) == 0


def rows_where(table: pa.Table, keep: np.ndarray) -> pa.Table:
    return table.filter(pa.array(keep))


def test_a_break_longer_than_a_second_before_the_hazard_loses_it_and_a_shorter_one_does_not() -> None:
    table = PRODUCTS["rsu_objects"]
    age = STARTED_MS + 18_500 - table["t_ms"].to_numpy()
    for length, seen in ((900, 1), (1600, 0)):
        gap = (age > 200) & (age <= 200 + length)
        values = valued({**PRODUCTS, "rsu_objects": rows_where(table, ~gap)}, parameters=HazardParameters())
        assert int(values.seen[frozenset({ROAD})][0]) == seen
        assert values.seen[frozenset({ROAD})][1:].all()


def test_positions_five_metres_off_do_not_count() -> None:
    table = PRODUCTS["rsu_objects"]
    moved = table.set_column(4, "lat_e7", pa.array(table["lat_e7"].to_numpy() + 449))
    values = valued({**PRODUCTS, "rsu_objects": moved})
    assert value(values, ROAD) == 0
    assert {row["reason"] for row in values.aside.to_pylist() if row["source"] == "rsu_objects"} <= {"no-true-vehicle", "outside-the-gate"}


def test_a_clock_two_seconds_off_does_not_count() -> None:
    table = PRODUCTS["rsu_objects"]
    moved = table.set_column(1, "t_ms", pa.array(table["t_ms"].to_numpy() + 2000))
    assert value(valued({**PRODUCTS, "rsu_objects": moved}), ROAD) == 0


def test_false_objects_are_counted_as_tracks_that_move_with_nobody() -> None:
    values = valued(observe(WORLD, replace(VIEW, ghosts_per_hour=400.0)))
    false = {row["source"]: row["false_tracks"] for row in values.false_tracks.to_pylist()}
    assert false["rsu_objects"] > 5
    assert false["av_state"] == 0
    clean = {row["source"]: row["false_tracks"] for row in valued().false_tracks.to_pylist()}
    assert sum(clean.values()) == 0


def test_a_hazard_with_a_vehicle_that_was_not_yet_on_the_road_is_set_aside_and_counted() -> None:
    late = (*WAVE[:2], replace(WAVE[2], y=20.0), *WAVE[3:])
    world = crossing(2, wave=late)
    truth = world.truth.set_column(6, "min_ttc_ms", pa.array([2000, WAVE_MS + 18_500], pa.int32()))
    values = valued(observe(world, VIEW), replace(world, truth=truth))
    aside = {row["reason"]: row["rows"] for row in values.aside.to_pylist() if row["source"] == "hazard_truth"}
    assert aside["road-user-not-yet-recorded"] == 1
    assert values.hazards.tolist() == [1]


def test_only_serious_conflicts_with_an_automated_vehicle_are_hazards() -> None:
    def row(**measures: float | None) -> dict[str, object]:
        empty = {"min_ttc_s": None, "max_drac_mps2": None, "pet_s": None}
        moments = {"min_ttc_ms": 5000, "max_drac_ms": 4000, "pet_ms": 6000}
        return {
            "ego": 0, "foe": 2, "encounter": "crossing", "begin_ms": 1000, "end_ms": 7000, "x_m": 0.0, "y_m": 0.0,
            **empty, **moments, **measures,
        }  # fmt: skip

    rows = [
        row(min_ttc_s=1.4), row(min_ttc_s=1.6), row(min_ttc_s=0.0), row(max_drac_mps2=3.5), row(max_drac_mps2=3.3), row(pet_s=0.0),
        row(pet_s=1.5), row(pet_s=-0.1), {**row(min_ttc_s=0.5), "ego": 3, "foe": 2}, row(min_ttc_s=1.0, max_drac_mps2=9.0),
    ]  # fmt: skip
    truth = pa.Table.from_pylist(rows, schema=WORLD.truth.schema)
    found = find_hazards(truth, WORLD.vehicles, started_ms=100)
    assert found["at_ms"].to_pylist() == [5100, 4100, 6100, 4100]
    assert found["hazard"].to_pylist() == [0, 1, 2, 3]
    assert found["begin_ms"].to_pylist() == [1100] * 4


def test_without_hazards_every_value_is_zero() -> None:
    world = crossing(1, hazards=False)
    values = valued(observe(world, VIEW), world)
    assert set(values.values.values()) == {Fraction(0)}
    assert len(values.everyone) == 0
    assert set(values.singles) == {CAR, ROAD, FLEET, PLATFORM}
