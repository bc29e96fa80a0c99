import numpy as np
import pytest

from chengshu.kernel.errors import Invalid
from chengshu.methods.multiplier import best_single, error_multiplier, miss_rate_multiplier, not_measured, zero_miss_bound


def seen(hits: int, misses: int) -> np.ndarray:
    return np.asarray([True] * hits + [False] * misses)


def test_the_ratio_is_misses_of_the_best_single_over_misses_of_all() -> None:
    best, fused = seen(80, 20), seen(95, 5)
    result = miss_rate_multiplier(best, fused, baseline="car_maker", seed=1)
    assert (result.value, result.n, result.baseline, result.status) == (4.0, 100, "car_maker", "measured")
    assert (result.baseline_missed, result.fused_missed) == (20, 5)
    assert result.low is not None
    assert 1.0 < result.low < 4.0
    assert result.high is None or result.high > 4.0
    assert result == miss_rate_multiplier(best, fused, baseline="car_maker", seed=1)


def test_the_interval_is_wider_when_hazards_of_one_run_stand_or_fall_together() -> None:
    best = np.tile(np.repeat([True, False], [8, 2]), 20)
    fused = np.repeat(np.arange(20) % 4 != 0, 10) | best
    runs = np.repeat(np.arange(20), 10)
    alone = miss_rate_multiplier(best, fused, baseline="a", seed=1)
    together = miss_rate_multiplier(best, fused, baseline="a", seed=1, clusters=runs)
    assert together.value == alone.value == 4.0
    assert together.high is None or alone.high is None or together.high > alone.high


def test_equal_sides_give_exactly_one() -> None:
    result = miss_rate_multiplier(seen(5, 5), seen(5, 5), baseline="a", seed=1)
    assert (result.value, result.low, result.high) == (1.0, 1.0, 1.0)


def test_a_perfect_fused_side_is_undefined_with_a_lower_bound_that_is_said_to_be_one() -> None:
    result = miss_rate_multiplier(seen(70, 30), seen(100, 0), baseline="a", seed=1)
    assert (result.status, result.value, result.high) == ("undefined", None, None)
    assert result.low == pytest.approx(0.3 / (1 - 0.05**0.01))
    assert "rule-of-three" in result.method


def test_two_perfect_sides_are_undefined_without_any_bound() -> None:
    result = miss_rate_multiplier(seen(10, 0), seen(10, 0), baseline="a", seed=1)
    assert (result.status, result.value, result.low, result.high) == ("undefined", None, None, None)


def test_without_a_baseline_or_without_hazards_nothing_was_measured() -> None:
    assert miss_rate_multiplier(None, seen(3, 1), baseline="", seed=1).status == "not measured"
    assert miss_rate_multiplier(seen(0, 0), seen(0, 0), baseline="a", seed=1).status == "not measured"
    assert not_measured("no case").as_dict()["value"] is None


def test_the_bound_for_no_event_is_about_three_over_n() -> None:
    assert zero_miss_bound(1000) == pytest.approx(3 / 1000, rel=0.01)


def test_the_interval_covers_a_known_ratio_nearly_always() -> None:
    generator = np.random.default_rng(7)
    covered = 0
    for trial in range(100):
        draw = generator.random(300)
        best, fused = draw > 0.3, draw > 0.1
        result = miss_rate_multiplier(best, fused, baseline="a", seed=trial, resamples=400)
        covered += result.low is not None and result.low <= 3.0 and (result.high is None or result.high >= 3.0)
    assert covered >= 88


def test_the_best_single_party_is_the_one_that_saw_most_and_names_break_ties() -> None:
    assert best_single({"b": seen(3, 1), "a": seen(2, 2)}) == "b"
    assert best_single({"b": seen(3, 1), "a": seen(3, 1)}) == "a"
    with pytest.raises(Invalid, match="at least one"):
        best_single({})


def test_sides_of_different_length_are_refused() -> None:
    with pytest.raises(Invalid, match="one entry a hazard"):
        miss_rate_multiplier(seen(3, 1), seen(3, 2), baseline="a", seed=1)


def test_an_error_ratio_near_one_is_reported_as_such() -> None:
    errors = np.random.default_rng(1).normal(0, 20, 200)
    result = error_multiplier(errors, errors * 0.99, baseline="platform", seed=1)
    assert result.value == pytest.approx(1 / 0.99)
    assert error_multiplier(np.zeros(0), np.zeros(0), baseline="a", seed=1).status == "not measured"
    assert error_multiplier(np.ones(3), np.zeros(3), baseline="a", seed=1).status == "undefined"
