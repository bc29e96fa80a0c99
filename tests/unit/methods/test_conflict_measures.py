import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.methods.conflicts.crossing import crossing_measures, merging_measures
from chengshu.methods.conflicts.measures import (
    arrival_time,
    deceleration_to_arrive_after,
    deceleration_to_avoid,
    modified_time_to_collision,
    post_encroachment_time,
    time_to_collision,
)

positive = st.floats(0.5, 100.0)


def test_time_to_collision_is_gap_over_closing_speed() -> None:
    assert time_to_collision(20.0, 15.0, 5.0) == 2.0


def test_one_who_does_not_close_never_collides() -> None:
    assert time_to_collision(20.0, 5.0, 5.0) == math.inf
    assert deceleration_to_avoid(20.0, 5.0, 5.0) == 0.0


def test_bumpers_that_touch_have_no_time_left() -> None:
    assert time_to_collision(0.0, 5.0, 0.0) == 0.0


@given(gap=positive, follower=positive, leader=positive)
def test_braking_by_drac_takes_exactly_the_gap(gap: float, follower: float, leader: float) -> None:
    closing = follower - leader
    drac = deceleration_to_avoid(gap, follower, leader)
    if closing <= 0.0:
        assert drac == 0.0
    else:
        assert closing**2 / (2.0 * drac) == pytest.approx(gap)


@given(gap=positive, closing=st.integers(-300, 300), accel=st.integers(-50, 50))
def test_modified_time_solves_its_equation_and_is_the_first_root(gap: float, closing: float, accel: float) -> None:
    closing, accel = closing / 10.0, accel / 10.0
    t = modified_time_to_collision(gap, closing, accel)
    if math.isinf(t):
        assert all(closing * s + 0.5 * accel * s * s < gap for s in (0.1, 1.0, 5.0, 20.0))
    else:
        assert closing * t + 0.5 * accel * t * t == pytest.approx(gap, rel=1e-6)
        assert all(closing * s + 0.5 * accel * s * s <= gap * (1 + 1e-9) for s in (0.0, 0.25 * t, 0.5 * t, 0.99 * t))


def test_modified_time_without_acceleration_is_the_plain_one() -> None:
    assert modified_time_to_collision(20.0, 10.0, 0.0) == 2.0


def test_arrival_counts_braking_but_not_speeding_up() -> None:
    assert arrival_time(10.0, 10.0, 0.0) == 1.0
    assert arrival_time(10.0, 10.0, 3.0) == 1.0
    assert arrival_time(7.5, 10.0, -5.0) == 1.0  # 10·1 − ½·5·1²
    assert arrival_time(10.1, 10.0, -5.0) == math.inf  # it stops after 10 m


@given(distance=positive, speed=positive, clear=st.floats(0.5, 10.0))
def test_braking_to_arrive_after_arrives_just_then(distance: float, speed: float, clear: float) -> None:
    braking = deceleration_to_arrive_after(distance, speed, clear)
    assert speed * clear - 0.5 * braking * clear**2 == pytest.approx(distance)


def test_post_encroachment_is_entry_less_exit() -> None:
    assert post_encroachment_time(2.5, 4.0) == 1.5


def test_who_comes_second_has_the_time_to_collision_of_a_crossing() -> None:
    # a: in at 1.91 s, out at 2.59 s; b: in at 2.31 s, while a is still there
    ttc, drac, a_second = crossing_measures(19.1, 6.8, 10.0, 0.0, 23.1, 6.8, 10.0, 0.0)
    assert (ttc, a_second) == (pytest.approx(2.31), False)
    assert drac == pytest.approx(2.0 * (10.0 - 23.1 / 2.59) / 2.59)


def test_a_crossing_is_symmetric() -> None:
    one = crossing_measures(19.1, 6.8, 10.0, -1.0, 23.1, 6.8, 12.0, 0.0)
    two = crossing_measures(23.1, 6.8, 12.0, 0.0, 19.1, 6.8, 10.0, -1.0)
    assert one[:2] == pytest.approx(two[:2])
    assert one[2] is not two[2]


def test_crossing_one_after_the_other_is_no_collision() -> None:
    ttc, drac, _ = crossing_measures(10.0, 6.8, 10.0, 0.0, 40.0, 6.8, 10.0, 0.0)
    assert (ttc, drac) == (math.inf, 0.0)


def test_one_who_brakes_to_stop_before_the_area_does_not_collide() -> None:
    ttc, _, _ = crossing_measures(19.1, 6.8, 10.0, 0.0, 23.1, 6.8, 10.0, -2.5)
    assert ttc == math.inf


def test_a_merging_whose_first_is_still_at_the_joint_counts_it_as_standing() -> None:
    ttc, drac, a_second = merging_measures(30.0, 5.0, 10.0, 32.0, 5.0, 10.0)
    assert (ttc, drac, a_second) == (pytest.approx(3.2), pytest.approx(100.0 / 64.0), False)


def test_a_merging_goes_on_as_following_beyond_the_joint() -> None:
    # the first is out at 2.0 s, when the second is 20 m short of the joint and closes by 10 m/s
    ttc, drac, a_second = merging_measures(60.0, 5.0, 20.0, 5.0, 5.0, 5.0)
    assert (ttc, drac, a_second) == (pytest.approx(2.0 + 20.0 / 15.0), pytest.approx(225.0 / 100.0), True)


def test_one_who_stands_does_not_merge() -> None:
    assert merging_measures(10.0, 5.0, 0.0, 10.0, 5.0, 5.0)[:2] == (math.inf, 0.0)
