"""The noise as it is drawn, audited by statistics whose chance of a false alarm is below one in a hundred million.

A whole run draws vectors, whose entries are independent samples. Against: a wrong scale, a wrong distribution, a wrong sensitivity.
Reference: Canonne, Kamath & Steinke, "The Discrete Gaussian for Differential Privacy" (2020); Ding et al., "Detecting Violations of
Differential Privacy" (CCS 2018) for the bound on epsilon by counting an event under neighbours.
"""

import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chengshu.privacy import noise

SAMPLES = 40_000
FALSE_ALARM = 1e-9
DELTA = 1e-3


def drawn(value: int, *, sensitivity_squared: int, rho: Fraction) -> list[int]:
    return noise.noisy([value] * SAMPLES, sensitivity_squared=sensitivity_squared, rho=rho)


def chi_square(samples: list[int], sigma: float) -> float:
    """The p-value of samples against the discrete Gaussian of that scale around nought; what is rare is counted together."""
    reach = math.ceil(12 * sigma)
    weights = {value: math.exp(-(value**2) / (2 * sigma**2)) for value in range(-reach, reach + 1)}
    total = sum(weights.values())
    expected = {value: SAMPLES * weight / total for value, weight in weights.items()}
    common = [value for value, count in expected.items() if count >= 20]
    found = Counter(samples)
    observed = [found[value] for value in common]
    hoped = [expected[value] for value in common]
    observed.append(SAMPLES - sum(observed))
    hoped.append(SAMPLES - sum(hoped))
    return float(stats.chisquare(observed, hoped).pvalue)


@pytest.mark.parametrize(("sensitivity_squared", "rho"), [(1, Fraction(1, 2)), (4, Fraction(1, 20)), (3, Fraction(1, 3))])
def test_noise_is_the_discrete_gaussian_of_its_scale(sensitivity_squared: int, rho: Fraction) -> None:
    samples = drawn(0, sensitivity_squared=sensitivity_squared, rho=rho)
    sigma = math.sqrt(sensitivity_squared / (2 * rho))
    assert chi_square(samples, sigma) > FALSE_ALARM
    assert chi_square(samples, sigma * 0.93) < FALSE_ALARM  # a scale that is a little too small would be found


def least_epsilon(under: list[int], beside: list[int]) -> float:
    """What epsilon is at least, at :data:`DELTA`, by how often values beyond a threshold come under neighbours (Clopper & Pearson)."""
    best = 0.0
    for threshold in sorted(set(beside)):
        hits, misses = sum(value >= threshold for value in beside), sum(value >= threshold for value in under)
        if hits == 0:
            continue
        low = stats.beta.ppf(FALSE_ALARM, hits, SAMPLES - hits + 1)
        high = stats.beta.ppf(1 - FALSE_ALARM, misses + 1, SAMPLES - misses)
        if low > DELTA:
            best = max(best, math.log((low - DELTA) / high))
    return best


def test_neighbours_are_told_apart_no_better_than_is_charged_and_a_wrong_sensitivity_would_be_found() -> None:
    rho, sensitivity = Fraction(1, 50), 5
    claimed = noise.epsilon(rho, at_delta=Fraction(DELTA))
    right = [drawn(value, sensitivity_squared=sensitivity**2, rho=rho) for value in (0, sensitivity)]
    wrong = [drawn(value, sensitivity_squared=1, rho=rho) for value in (0, sensitivity)]
    assert least_epsilon(*right) <= claimed
    assert least_epsilon(*wrong) > claimed


def test_a_group_of_one_is_practically_never_seen_and_a_large_one_always() -> None:
    rho, delta = Fraction(1, 4), Fraction(1, 10**9)
    seen = noise.noisy_keys([1] * SAMPLES, most_keys=1, rho=rho, delta=delta, least=0)
    assert seen == {}  # false alarm: 40,000 times one in 10⁹
    few = noise.noisy_keys([1] * SAMPLES, most_keys=1, rho=rho, delta=Fraction(1, 10), least=0)
    assert few != {}  # with a delta of a tenth some are
    large = noise.noisy_keys([500] * 100, most_keys=1, rho=rho, delta=delta, least=0)
    assert len(large) == 100
    assert noise.noisy_keys([500] * 100, most_keys=1, rho=rho, delta=delta, least=600) == {}


@settings(max_examples=60)
@given(st.integers(1, 10**13), st.integers(1, 10**12), st.integers(1, 7))
def test_what_the_library_proves_is_never_more_than_is_charged(sensitivity: int, units: int, parts: int) -> None:
    rho = Fraction(units, 10**9) / parts
    if rho > 1000:
        return
    assert len(noise.noisy([0, 1], sensitivity_squared=sensitivity**2, rho=rho)) == 2  # it asks the library's own map, or raises


def test_values_beyond_what_is_exact_are_held_at_the_edge() -> None:
    (value,) = noise.noisy([2**70], sensitivity_squared=1, rho=Fraction(1000))
    assert abs(value - noise.LARGEST) < 10
