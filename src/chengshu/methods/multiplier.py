"""What fusing was worth: the miss rate of the best single party over the miss rate of all together, with an interval.

A ratio of two small counts is unstable, so it never travels without its number of cases, its interval and the party it is measured against.
Intervals: paired percentile bootstrap (Efron and Tibshirani, 1993), by case or by cluster. No misses left: exact binomial bound for zero
events, the "rule of three" (Hanley and Lippman-Hand, 1983). This compares what could be *seen*; it is not a warning rate. What
all see is the union of what each saw, so the ratio of misses is never below 1, by construction.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

Status = Literal["measured", "undefined", "not measured"]
Seen = NDArray[np.bool_]
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Multiplier:
    """A ratio (dimensionless, 1 = no gain) against ``baseline``, with its interval and the number of cases.

    ``measured``: value, low, high; ``high`` is None when the upper end is unbounded. ``undefined``: the fused side missed nothing, so there
    is no ratio; ``low`` is then a lower bound (None when the baseline missed nothing either). ``not measured``: no case or no baseline.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    baseline: str
    status: Status
    method: str
    baseline_missed: int = 0
    fused_missed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the multiplier as JSON-ready values."""
        return asdict(self)


def not_measured(reason: str) -> Multiplier:
    """Return the multiplier of a task for which there is nothing to compare; ``reason`` becomes its method."""
    return Multiplier(None, None, None, 0, "", "not measured", reason)


def best_single(singles: Mapping[str, Seen]) -> str:
    """Return the party that saw the most; ties go to the name that sorts first. Raises Invalid when there is none."""
    if not singles:
        raise Invalid(
            "multiplier.no-baseline",
            "expected at least one single party, got none",
            hint=Text("Measure each party alone first.", "请先分别测量每一方。"),
        )
    return min(singles, key=lambda party: (-int(np.count_nonzero(singles[party])), party))


def miss_rate_multiplier(
    seen_best: Seen | None,
    seen_fused: Seen,
    *,
    baseline: str,
    seed: int,
    clusters: NDArray[np.int64] | None = None,
    resamples: int = RESAMPLES,
) -> Multiplier:
    """Return miss(best single) / miss(fused) over the same hazards, with a 95 % percentile bootstrap interval.

    ``seen_*`` bool [n], row i = hazard i; hazards are resampled in pairs, or whole ``clusters`` (int [n], e.g. the simulation run) when
    hazards inside one are not independent. Resamples in which nobody missed anything have no ratio and are left out. ``seen_best`` None
    means that there is no baseline: "not measured". Raises Invalid when the lengths differ.
    """
    if seen_best is None:
        return not_measured("no single party was measured")
    if len(seen_best) != len(seen_fused) or (clusters is not None and len(clusters) != len(seen_fused)):
        raise Invalid(
            "multiplier.lengths-differ",
            f"expected one entry a hazard on both sides, got {len(seen_best)} and {len(seen_fused)}",
            hint=Text("Compare the same hazards in the same order.", "请以相同顺序比较同一批险情。"),
        )
    if len(seen_fused) == 0:
        return not_measured("no hazard occurred")
    missed_best, missed_fused = int(np.count_nonzero(~seen_best)), int(np.count_nonzero(~seen_fused))
    if missed_fused == 0:
        return _bounded(missed_best, len(seen_fused), baseline)
    groups = np.arange(len(seen_fused)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    low, high = _interval(seen_best, seen_fused, groups, np.random.default_rng(seed), resamples)
    how = "paired percentile bootstrap over hazards" if clusters is None else "paired percentile bootstrap over clusters"
    return Multiplier(
        value=missed_best / missed_fused,
        low=low,
        high=high,
        n=len(seen_fused),
        baseline=baseline,
        status="measured",
        method=f"{how}, {resamples} resamples, 95 %",
        baseline_missed=missed_best,
        fused_missed=missed_fused,
    )


def error_multiplier(
    errors_best: NDArray[np.float64], errors_fused: NDArray[np.float64], *, baseline: str, seed: int, resamples: int = RESAMPLES
) -> Multiplier:
    """Return mean |error| of the best single over the fused one, on the same cases, with a paired bootstrap interval (float [n] each)."""
    n = len(errors_fused)
    if n == 0 or len(errors_best) != n:
        return not_measured("no case that both sides can answer")
    best, fused = np.abs(errors_best), np.abs(errors_fused)
    if not fused.any():
        return Multiplier(None, None, None, n, baseline, "undefined", "the fused side made no error")
    draws = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = best[draws].sum(axis=1) / fused[draws].sum(axis=1)
    low, high = _percentiles(ratios)
    return Multiplier(
        float(best.sum() / fused.sum()), low, high, n, baseline, "measured", f"paired percentile bootstrap, {resamples} resamples, 95 %"
    )


def zero_miss_bound(n: int) -> float:
    """Return the 95 % upper bound of a rate of which none of ``n`` independent cases occurred: 1 − 0.05^(1/n), about 3/n."""
    return float(1 - (1 - CONFIDENCE) ** (1 / n))


def _bounded(missed_best: int, n: int, baseline: str) -> Multiplier:
    low = missed_best / n / zero_miss_bound(n) if missed_best else None
    method = "no fused miss: baseline's miss rate over the 95 % rule-of-three bound of the fused one"
    return Multiplier(None, low, None, n, baseline, "undefined", method, baseline_missed=missed_best)


def _interval(
    seen_best: Seen, seen_fused: Seen, groups: NDArray[np.int64], generator: np.random.Generator, resamples: int
) -> tuple[float | None, float | None]:
    missed_best = np.bincount(groups, weights=~seen_best)
    missed_fused = np.bincount(groups, weights=~seen_fused)
    size = len(missed_best)
    draws = generator.integers(0, size, size=(resamples, size))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = missed_best[draws].sum(axis=1) / missed_fused[draws].sum(axis=1)
    return _percentiles(ratios)


def _percentiles(ratios: NDArray[np.float64]) -> tuple[float | None, float | None]:
    known = ratios[~np.isnan(ratios)]
    if len(known) == 0:
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail], method="inverted_cdf")
    return float(low) if np.isfinite(low) else None, float(high) if np.isfinite(high) else None
