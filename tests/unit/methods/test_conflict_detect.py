from random import Random

import numpy as np
import pyarrow as pa
import pytest
from conflict_world import (
    FROM_SOUTH,
    FROM_WEST,
    LANE_SCHEMA,
    SOUTH_EAST,
    SOUTH_NORTH,
    TO_EAST,
    TO_NORTH,
    WEST_EAST,
    drive,
    lanes,
    length_of,
    tracks,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.methods.conflicts import CONFLICT_SCHEMA, ConflictParameters, detect_conflicts
from chengshu.methods.conflicts.matching import smoothed_by_the_past
from chengshu.methods.conflicts.tables import read_tracks

EAST = (FROM_WEST, WEST_EAST, TO_EAST)
NORTH = (FROM_SOUTH, SOUTH_NORTH, TO_NORTH)
RIGHT = (FROM_SOUTH, SOUTH_EAST, TO_EAST)


def found(table: pa.Table, **choices: object) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = detect_conflicts(
        table,
        lanes=lanes(),
        foes=None,
        parameters=ConflictParameters(**choices),  # type: ignore[arg-type]  # any choice, by its name
    ).to_pylist()
    return rows


def crossing(second_m: float) -> pa.Table:
    """The first's front is 20 m short of the crossing point, the second's ``second_m``, both at 10 m/s."""
    return tracks(
        drive(7, EAST, start_m=200.0 - 20.0, speed_mps=10.0, ticks=80), drive(9, NORTH, start_m=200.0 - second_m, speed_mps=10.0, ticks=80)
    )


def test_a_faster_follower_on_one_lane_is_a_conflict() -> None:
    table = tracks(drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3), drive(2, EAST, start_m=35.0, speed_mps=5.0, ticks=3))
    (row,) = found(table)
    assert (row["track_a"], row["track_b"], row["encounter"]) == (1, 2, "following")
    assert (row["begin_ms"], row["end_ms"]) == (0, 200)
    assert (row["min_ttc_s"], row["min_ttc_ms"]) == (pytest.approx(1.8), 200)  # 18 m left at 10 m/s
    assert (row["max_drac_mps2"], row["max_drac_ms"]) == (pytest.approx(100.0 / 36.0), 200)
    assert (row["x_m"], row["y_m"]) == (pytest.approx(-200.0 + 36.0 - 5.0), pytest.approx(0.0))
    assert (row["pet_s"], row["pet_ms"]) == (None, None)


def test_a_leader_beyond_the_junction_is_followed_along_the_path() -> None:
    ahead = 190.0 + 20.0 + 3.0  # 3 m into the lane to the east, so its rear is still inside the junction
    table = tracks(drive(1, EAST, start_m=180.0, speed_mps=15.0, ticks=2), drive(2, EAST, start_m=ahead + 3.0, speed_mps=2.0, ticks=2))
    (row,) = found(table)
    assert row["encounter"] == "following"
    assert row["min_ttc_s"] == pytest.approx((ahead + 3.0 - 5.0 - 180.0 - 1.3) / 13.0)


def test_an_edge_too_short_to_be_seen_does_not_break_the_path() -> None:
    ends = [0.0, 100.0, 105.0, 106.0, 111.0, 211.0]
    rows = [
        {
            "lane": lane,
            "lane_id": str(lane),
            "edge_id": f"{':' if lane in {1, 3} else ''}{lane}",
            "is_internal": lane in {1, 3},
            "junction_id": f"j{lane}",
            "speed_limit_mps": 20.0,
            "width_m": 3.2,
            "length_m": ends[lane + 1] - ends[lane],
            "xs": [ends[lane], ends[lane + 1]],
            "ys": [0.0, 0.0],
            "next": [lane + 1] if lane < 4 else [],
        }
        for lane in range(5)
    ]
    road = pa.Table.from_pylist(rows, schema=LANE_SCHEMA)

    def straight(track: int, start_m: float, speed_mps: float) -> list[dict[str, float]]:
        template = drive(track, EAST, start_m=0.0, speed_mps=speed_mps, ticks=8)
        places = [start_m + speed_mps * tick / 10.0 for tick in range(8)]
        on = [max(lane for lane in range(5) if ends[lane] <= x) for x in places]
        return [row | {"x_m": x, "lane": lane, "pos_m": x - ends[lane]} for row, x, lane in zip(template, places, on, strict=True)]

    table = tracks(straight(1, 94.5, 20.0), straight(2, 125.0, 5.0))
    assert 2 not in table["lane"].to_pylist()
    (row,) = detect_conflicts(table, lanes=road, foes=None).to_pylist()
    assert (row["encounter"], row["begin_ms"]) == ("following", 0)
    assert row["min_ttc_s"] == pytest.approx((125.0 - 5.0 - 94.5 - 0.7 * 15.0) / 15.0)


def test_lanes_that_do_not_meet_make_no_conflict() -> None:
    table = tracks(drive(1, (TO_EAST,), start_m=1.0, speed_mps=15.0, ticks=5), drive(2, (TO_NORTH,), start_m=1.0, speed_mps=15.0, ticks=5))
    assert found(table) == []


def test_two_whose_ways_cross_at_one_time_collide_as_seen_by_the_second() -> None:
    (row,) = found(crossing(24.0))
    assert (row["track_a"], row["track_b"], row["encounter"]) == (9, 7, "crossing")
    assert (row["begin_ms"], row["end_ms"]) == (0, 2300)
    assert (row["min_ttc_s"], row["min_ttc_ms"]) == (pytest.approx(0.01), 2300)  # 23.1 m to the entry, 23 m driven
    assert (row["x_m"], row["y_m"]) == (0.0, 0.0)
    assert row["pet_s"] is None


def test_the_second_who_comes_just_after_the_first_has_left_leaves_a_post_encroachment_time() -> None:
    (row,) = found(crossing(40.9))  # in after 40 m; the first is out after 19.1 + 1.8 + 5 m
    assert (row["track_a"], row["track_b"], row["encounter"]) == (9, 7, "crossing")
    assert (row["pet_s"], row["pet_ms"]) == (pytest.approx(1.41), 4000)
    assert (row["min_ttc_s"], row["max_drac_mps2"]) == (None, None)


def test_a_second_who_comes_late_makes_no_conflict() -> None:
    assert found(crossing(55.0)) == []


def test_two_who_run_into_one_lane_merge() -> None:
    joint = 190.0 + length_of(SOUTH_EAST)
    table = tracks(
        drive(1, EAST, start_m=210.0 - 30.0, speed_mps=10.0, ticks=60), drive(2, RIGHT, start_m=joint - 32.0, speed_mps=10.0, ticks=60)
    )
    rows = [row for row in found(table, drac_mps2=1000.0) if row["begin_ms"] < 3000]
    assert [row["encounter"] for row in rows] == ["merging"]
    assert (rows[0]["track_a"], rows[0]["begin_ms"]) == (2, 200)
    assert (rows[0]["min_ttc_s"], rows[0]["min_ttc_ms"]) == (pytest.approx(0.3), 2900)
    assert (rows[0]["x_m"], rows[0]["y_m"]) == (10.0, 0.0)


def test_the_way_driven_later_decides_which_conflict_is_seen_now() -> None:
    west = drive(1, EAST, start_m=170.0, speed_mps=10.0, ticks=60)
    turning = drive(2, RIGHT, start_m=170.0, speed_mps=10.0, ticks=60)
    driven = found(tracks(west, turning))
    assert driven[0]["encounter"] == "merging"
    predicted = found(tracks(west, turning), lookahead="predicted")
    assert predicted[0]["encounter"] == "crossing"  # straight on is assumed until it turns


def test_conflicts_of_a_pair_that_lie_apart_in_time_are_two() -> None:
    slow = drive(2, EAST, start_m=35.0, speed_mps=0.0, ticks=100)
    once = drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3)
    again = drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3, first_ms=8000)
    assert [(row["begin_ms"], row["end_ms"]) for row in found(tracks(slow, once, again))] == [(0, 200), (8000, 8200)]
    assert len(found(tracks(slow, once, again), extra_time_s=10.0)) == 1


def test_a_conflict_must_show_in_as_many_ticks_as_asked() -> None:
    table = tracks(drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3), drive(2, EAST, start_m=35.0, speed_mps=5.0, ticks=3))
    assert len(found(table, min_ticks=3)) == 1
    assert found(table, min_ticks=4) == []


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(random: Random) -> None:
    table = crossing(24.0)
    order = list(range(table.num_rows))
    random.shuffle(order)
    assert found(table.take(order)) == found(table)


@pytest.mark.parametrize("second_m", [24.0, 40.9])
def test_tracks_without_lanes_are_matched_to_the_same_conflicts(second_m: float) -> None:
    table = crossing(second_m)
    known, matched = found(table), found(table.drop_columns(["lane", "pos_m"]))
    assert len(known) == 1
    assert [list(row) for row in matched] == [list(row) for row in known]
    for name, value in known[0].items():
        assert matched[0][name] == (pytest.approx(value) if isinstance(value, float) else value)


def test_noise_of_half_a_metre_does_not_hide_a_crossing() -> None:
    table = crossing(40.9).drop_columns(["lane", "pos_m"])
    rng = np.random.default_rng(11)
    for name, sigma in (("x_m", 0.5), ("y_m", 0.5), ("speed_mps", 0.3)):
        noisy = table[name].to_numpy() + rng.normal(0.0, sigma, table.num_rows)
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(noisy))
    (row,) = [row for row in found(table, smooth_s=1.0, min_ticks=5) if row["pet_s"] is not None]
    assert row["pet_s"] == pytest.approx(1.41, abs=0.2)


def test_a_vehicle_off_the_map_takes_no_part() -> None:
    away = [row | {"y_m": row["y_m"] + 50.0} for row in drive(2, EAST, start_m=35.0, speed_mps=5.0, ticks=3)]
    table = tracks(drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3), away).drop_columns(["lane", "pos_m"])
    assert found(table) == []


def test_no_tracks_make_no_conflicts() -> None:
    result = detect_conflicts(tracks(), lanes=lanes(), foes=None)
    assert (result.num_rows, result.schema) == (0, CONFLICT_SCHEMA)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("x_m", float("nan"), "conflicts.value-range"),
        ("x_m", float("inf"), "conflicts.value-range"),
        ("speed_mps", -1.0, "conflicts.value-range"),
        ("speed_mps", 8191.0, "conflicts.value-range"),
        ("heading_deg", 28800.0, "conflicts.value-range"),
        ("wid_m", -1.797e308, "conflicts.value-range"),
        ("len_m", None, "conflicts.null"),
        ("lane", 7, "conflicts.value-range"),
    ],
)
def test_a_value_that_cannot_be_is_named_by_column_and_row_but_not_told(column: str, value: object, code: str) -> None:
    rows = drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3)
    rows[1] = rows[1] | {column: value}  # type: ignore[dict-item]  # a value that cannot be
    with pytest.raises(Invalid) as caught:
        found(tracks(rows))
    assert (caught.value.code, caught.value.facts) == (code, {"column": column, "row": 1})
    assert str(value) not in caught.value.message


def test_a_missing_column_is_named() -> None:
    with pytest.raises(Invalid, match="expected tracks with a column wid_m, got none"):
        found(crossing(24.0).drop_columns(["wid_m"]))


def test_text_in_place_of_numbers_is_refused() -> None:
    table = crossing(24.0)
    with pytest.raises(Invalid, match="expected numbers in column x_m, got string"):
        found(table.set_column(table.schema.get_field_index("x_m"), "x_m", pa.array(["here"] * table.num_rows)))


def test_a_track_twice_at_one_time_is_refused() -> None:
    rows = drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=3)
    with pytest.raises(Invalid) as caught:
        found(tracks(rows, rows[1:2]))
    assert (caught.value.code, caught.value.facts) == ("conflicts.track-twice", {"column": "track", "row": 3})


@pytest.mark.parametrize("choice", [{"ttc_s": 0.0}, {"range_m": -1.0}, {"min_ticks": 0}, {"smooth_s": -1.0}, {"lookahead": "guessed"}])
def test_parameters_that_make_no_sense_are_refused(choice: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ConflictParameters(**choice)  # type: ignore[arg-type]  # choices that make no sense


def later(rows: list[dict[str, object]], start_ms: int) -> list[dict[str, object]]:
    return [{**row, "t_ms": int(str(row["t_ms"])) + start_ms} for row in rows]


def named_by_prediction(*, turned_before: int, turned_after: int) -> set[object]:
    """Name the encounter of one from the west and one from the south that has not shown its way; others turned right there."""
    pair = [drive(50, NORTH, start_m=150.0, speed_mps=10.0, ticks=36), drive(51, EAST, start_m=153.0, speed_mps=10.0, ticks=36)]
    turns = [drive(number, RIGHT, start_m=150.0, speed_mps=10.0, ticks=90) for number in range(turned_before + turned_after)]
    at = [10_000 * number + (0 if number < turned_before else 200_000) for number in range(len(turns))]
    table = tracks(*(later(rows, 100_000) for rows in pair), *(later(rows, start) for rows, start in zip(turns, at, strict=True)))
    return {row["encounter"] for row in found(table, lookahead="predicted") if {row["track_a"], row["track_b"]} == {50, 51}}


def test_a_predicted_way_is_straight_on_until_others_have_shown_another() -> None:
    assert named_by_prediction(turned_before=0, turned_after=0) == {"crossing"}
    assert named_by_prediction(turned_before=0, turned_after=8) == {"crossing"}  # what others do later is not known yet
    assert named_by_prediction(turned_before=8, turned_after=0) == {"merging"}


def test_as_a_live_run_a_conflict_begins_when_it_is_confirmed() -> None:
    table = tracks(drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=9), drive(2, EAST, start_m=35.0, speed_mps=5.0, ticks=9))
    begins = [found(table, min_ticks=3, past_only=past)[0]["begin_ms"] for past in (False, True)]
    assert begins == [0, 200]


def test_smoothed_by_the_past_a_steady_drive_stays_where_it_is_and_nothing_later_changes_it() -> None:
    table = tracks(drive(1, EAST, start_m=10.0, speed_mps=15.0, ticks=40))
    rng = np.random.default_rng(3)
    noisy = table.set_column(
        table.schema.get_field_index("x_m"), "x_m", pa.array(table["x_m"].to_numpy() + rng.normal(0.0, 0.3, table.num_rows))
    )
    steady, whole, part = (
        smoothed_by_the_past(read_tracks(rows, lane_count=7, max_gap_s=1.0), width_s=1.0) for rows in (table, noisy, noisy.slice(0, 20))
    )
    assert np.allclose(steady.x, table["x_m"].to_numpy())
    assert np.std(whole.x[10:] - table["x_m"].to_numpy()[10:]) < 0.2
    assert np.allclose(whole.x[:20], part.x)
