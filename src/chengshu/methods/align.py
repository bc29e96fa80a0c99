"""Whose clock is off, and by how much: the shift in time under which two parties' views of the same moving vehicles coincide.

The cross-correlation of co-observed tracks: for every trial shift, how many positions of one party fall on a position of the other that
moves alike; then a refinement along the direction of travel. Which of two clocks is right cannot be known from two; the largest
group of clocks that agree within the budget is believed, and a tie goes to the party named first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from chengshu.methods.sightings import Floats, Ints, Sightings

Verdict = Literal["kept", "corrected", "quarantined", "not measured"]
TICK_MS = 100
SAME_POINT_M2 = 0.25
"""Two good sensors put their point half a metre apart on one vehicle's front."""


@dataclass(frozen=True, slots=True)
class AlignParameters:
    """Limits of the clock check, in ms and m/s: ``budget_ms`` of agreement, ``refuse_ms`` beyond which a party is not used (or the time in
    which its vehicles drive one standard error of its positions, where that is more).

    Offsets below ``correct_ms`` are left alone: sensors differ by that much in where on a vehicle they put their point.
    """

    budget_ms: float = 100.0
    refuse_ms: float = 200.0
    correct_ms: float = 20.0
    search_ms: int = 3000
    least_speed_mps: float = 3.0
    least_tracks: int = 3
    samples: int = 2000
    slices: int = 4
    least_overlap: float = 0.5
    """Two parties tell of one time when this share of the shorter span lies in the other one; local time stamped as UTC is hours off."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """One party's clock: add ``offset_ms`` to its times to get the consensus time.

    ``error_ms`` is two standard errors of the offset, ``residual_ms`` how far single parts of the time stray from it beyond their error
    (a jumping clock). ``position_error_m`` is the 1-sigma error of the party's positions (per axis) that the distances between all parties
    speak for, whatever it declares; NaN when nobody saw the same vehicles. ``tracks``: the moving vehicles that this rests on.
    """

    party: str
    offset_ms: float
    error_ms: float
    residual_ms: float
    position_error_m: float
    tracks: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Shift:
    """The time to add to one view so that it falls on another, its two-sigma error, its straying, the distance left, and tracks used."""

    offset_ms: float
    error_ms: float
    residual_ms: float
    distance_m: float
    tracks: int


NO_SHIFT = Shift(0.0, np.inf, 0.0, np.nan, 0)


def align(parties: Mapping[str, Sequence[Sightings]], parameters: AlignParameters | None = None) -> dict[str, Alignment]:
    """Return every party's clock offset against the consensus of the parties, in the order given.

    "kept": within its error (or ``correct_ms``) of zero; "corrected": off by no more than ``refuse_ms``; "quarantined": off by more, its
    offset itself strays by more, or it tells of another time altogether than most parties do (its offset is then the distance of the
    middles of the two spans); "not measured": fewer than ``least_tracks`` moving vehicles seen with others (used as declared).
    """
    chosen = parameters or AlignParameters()
    views = {party: _grid(list(sources), chosen) for party, sources in parties.items() if any(len(source) for source in sources)}
    shifts: dict[tuple[str, str], Shift] = {}
    for first, second in combinations(views, 2):
        shift = estimate_shift(views[first], views[second], chosen)
        shifts[first, second] = shift
        shifts[second, first] = Shift(-shift.offset_ms, shift.error_ms, shift.residual_ms, shift.distance_m, shift.tracks)
    errors = _position_errors(views, shifts)
    shared = _shared_time(views, chosen)
    reference = max(shared, key=lambda party: _agreeing(party, views, shifts, chosen), default="")
    return {
        party: _elsewhere(party, views, reference)
        if party in views and party not in shared
        else _judged(party, reference, shifts, _granted(views.get(party), chosen), position_error_m=errors.get(party, np.nan))
        for party in parties
    }


def alignment_table(alignments: Mapping[str, Alignment]) -> pa.Table:
    """Return the clocks as a table: party, offset_ms, error_ms, residual_ms, position_error_m, tracks, verdict."""
    rows = list(alignments.values())
    return pa.table(
        {
            "party": pa.array([row.party for row in rows], pa.string()),
            "offset_ms": pa.array([row.offset_ms for row in rows], pa.float64()),
            "error_ms": pa.array([row.error_ms if np.isfinite(row.error_ms) else None for row in rows], pa.float64()),
            "residual_ms": pa.array([row.residual_ms for row in rows], pa.float64()),
            "position_error_m": pa.array([None if np.isnan(row.position_error_m) else row.position_error_m for row in rows], pa.float64()),
            "tracks": pa.array([row.tracks for row in rows], pa.int64()),
            "verdict": pa.array([row.verdict for row in rows], pa.string()),
        }
    )


@dataclass(frozen=True, slots=True)
class View:
    """One party's moving positions on the tick grid, sorted by tick: int64 ticks and tracks, metres, m/s east and north, sigma in m."""

    tick: Ints
    track: Ints
    x: Floats
    y: Floats
    ve: Floats
    vn: Floats
    sigma: float

    @property
    def sigma_ms(self) -> float:
        """The time in which the party's vehicles drive one standard error of its positions, in ms: its clock cannot be told closer."""
        return 1000 * self.sigma / float(np.median(np.hypot(self.ve, self.vn))) if len(self.tick) else 0.0


def estimate_shift(view: View, other: View, parameters: AlignParameters) -> Shift:
    """Return the time to add to ``view`` so that it falls on ``other``; :data:`NO_SHIFT` when they share too few moving vehicles."""
    if len(view.tick) == 0 or len(other.tick) == 0:
        return NO_SHIFT
    if len(np.unique(view.tick)) > len(np.unique(other.tick)):
        # The sparser view is laid over the denser one.
        back = estimate_shift(other, view, parameters)
        return Shift(-back.offset_ms, back.error_ms, back.residual_ms, back.distance_m, back.tracks)
    edges = np.linspace(view.tick[0], view.tick[-1] + 1, parameters.slices + 1)
    parts = [_part(view, other, (int(low), int(high)), parameters) for low, high in pairwise(edges)]
    known = [part for part in parts if part.tracks >= parameters.least_tracks]
    if not known:
        return NO_SHIFT
    # The median part, not the mean: one part in which the clock jumped must not drag the others along.
    offset = _weighted_median([part.offset_ms for part in known], [part.tracks for part in known])
    near = [part for part in known if abs(part.offset_ms - offset) <= part.error_ms + parameters.budget_ms]
    error = float(1 / np.sqrt(sum(1 / max(part.error_ms, 1.0) ** 2 for part in near))) if near else np.inf
    mean = (
        float(np.average([part.offset_ms for part in near], weights=[1 / max(part.error_ms, 1.0) ** 2 for part in near]))
        if near
        else offset
    )
    # Four standard errors before a part counts as strayed: with several parts and few vehicles in each, two would cry wolf.
    residual = max(max(0.0, abs(part.offset_ms - mean) - 2 * part.error_ms) for part in known)
    distance = float(np.median([part.distance_m for part in known]))
    return Shift(mean, error, residual, distance, sum(part.tracks for part in known))


def _grid(sources: list[Sightings], parameters: AlignParameters) -> View:
    """Return the moving positions of one party's sources, each carried along its own velocity to the nearest tick."""
    columns: list[list[NDArray[np.generic]]] = [[], [], [], [], [], []]
    first = 0
    for source in sources:
        moving = source.rows(source.speed >= parameters.least_speed_mps)
        tick = np.round(moving.t_ms / TICK_MS).astype(np.int64)
        east = moving.speed * np.sin(np.radians(moving.heading))
        north = moving.speed * np.cos(np.radians(moving.heading))
        carry = (tick * TICK_MS - moving.t_ms) / 1000
        for column, values in zip(
            columns, (tick, moving.track + first, moving.x + east * carry, moving.y + north * carry, east, north), strict=True
        ):
            column.append(values)
        first += int(source.track.max(initial=-1)) + 1
    tick, track, x, y, east, north = (np.concatenate(column) for column in columns)
    order = np.argsort(tick, kind="stable")
    sigma = float(np.median(np.concatenate([source.sigma for source in sources])))
    return View(
        tick[order].astype(np.int64), track[order].astype(np.int64), x[order].astype(float), y[order].astype(float),
        east[order].astype(float), north[order].astype(float), sigma,
    )  # fmt: skip # six columns of one grid


def _part(view: View, other: View, span: tuple[int, int], parameters: AlignParameters) -> Shift:
    low, high = np.searchsorted(view.tick, span)
    rows = np.arange(low, high)
    if len(rows) > parameters.samples:
        rows = rows[np.linspace(0, len(rows) - 1, parameters.samples).astype(np.int64)]
    if len(rows) == 0:
        return NO_SHIFT
    reach = parameters.search_ms // TICK_MS
    first_tick = int(other.tick[0])
    start = np.searchsorted(other.tick, np.arange(first_tick, other.tick[-1] + 2))
    radius = max(3.0, 2.0 * float(np.hypot(view.sigma, other.sigma)))
    sample = (view.tick[rows] - first_tick, view.x[rows], view.y[rows], view.ve[rows], view.vn[rows])
    field = (other.x, other.y, other.ve, other.vn)
    scores = _scores(sample, field, start, reach, radius)
    best = int(np.argmax(scores)) - reach
    matched = _matched(sample, field, start, best, radius)
    hit = matched >= 0
    if not hit.any():
        return NO_SHIFT
    rows, matched = rows[hit], matched[hit]
    dx, dy = other.x[matched] - view.x[rows], other.y[matched] - view.y[rows]
    ahead_ms = 1000 * (dx * view.ve[rows] + dy * view.vn[rows]) / (view.ve[rows] ** 2 + view.vn[rows] ** 2)
    # One vehicle's position error is the same second after second: a vehicle counts once, however often it was seen.
    medians = _median_by(view.track[rows], ahead_ms)
    offset = best * TICK_MS - float(np.median(medians))
    spread = 1.4826 * float(np.median(np.abs(medians - np.median(medians))))
    error = 2 * 1.2533 * max(spread, 5.0) / np.sqrt(len(medians))
    along = (offset - best * TICK_MS) / 1000
    distance = np.median(np.hypot(dx + view.ve[rows] * along, dy + view.vn[rows] * along))
    return Shift(offset, error, 0.0, float(distance), len(medians))


def _median_by(group: Ints, values: Floats) -> Floats:
    order = np.lexsort((values, group))
    _, start, count = np.unique(group[order], return_index=True, return_counts=True)
    return np.asarray(values[order][start + count // 2], dtype=np.float64)


def _weighted_median(values: list[float], weights: list[int]) -> float:
    order = np.argsort(values)
    reached = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(reached, reached[-1] / 2)])


def _granted(view: View | None, parameters: AlignParameters) -> AlignParameters:
    """The limits for one party: positions metres off are metres of driving off in time, and cannot put a party out."""
    return parameters if view is None else replace(parameters, refuse_ms=max(parameters.refuse_ms, view.sigma_ms))


def _shared_time(views: Mapping[str, View], parameters: AlignParameters) -> list[str]:
    """The largest group of parties that tell of one time, in the order given; of two as large, the one of the party named first."""
    spans = {party: (int(view.tick[0]), int(view.tick[-1]) + 1) for party, view in views.items() if len(view.tick)}

    def together(first: str, second: str) -> bool:
        (a, b), (c, d) = spans[first], spans[second]
        return min(b, d) - max(a, c) >= parameters.least_overlap * min(b - a, d - c)

    groups = [[party for party in views if party not in spans or party == first or together(first, party)] for first in spans]
    return max(groups, key=len, default=list(views))


def _elsewhere(party: str, views: Mapping[str, View], reference: str) -> Alignment:
    middles = {name: (int(views[name].tick[0]) + int(views[name].tick[-1])) / 2 for name in (party, reference)}
    offset_ms = (middles[reference] - middles[party]) * TICK_MS
    return Alignment(party, offset_ms, np.inf, 0.0, np.nan, len(np.unique(views[party].track)), "quarantined")


def _agreeing(party: str, views: Mapping[str, View], shifts: Mapping[tuple[str, str], Shift], parameters: AlignParameters) -> int:
    return sum(
        shifts[party, other].tracks > 0 and abs(shifts[party, other].offset_ms) <= parameters.budget_ms + shifts[party, other].error_ms
        for other in views
        if other != party
    )


def _position_errors(views: Mapping[str, View], shifts: Mapping[tuple[str, str], Shift]) -> dict[str, float]:
    """Return each party's own 1-sigma error per axis from the distances of all pairs.

    A pair's distances tell the sum of two variances; three and more parties tell them apart ("three-cornered hat", Gray and Allan, 1974).
    If one party's excess clearly explains every pair, it alone carries it; else what exceeds the declared errors is laid on all concerned.
    """
    pairs = [pair for pair in combinations(views, 2) if shifts[pair].tracks]
    parties = sorted({party for pair in pairs for party in pair})
    declared = np.asarray([views[a].sigma ** 2 + views[b].sigma ** 2 for a, b in pairs])
    # The median of a two-dimensional normal distance is 1.1774 sigma (Rayleigh); its square strays by 1.6 / sqrt(n) of itself.
    excess = np.asarray([(shifts[pair].distance_m / 1.1774) ** 2 for pair in pairs]) - declared
    spread = declared * 1.6 / np.sqrt([shifts[pair].tracks for pair in pairs]) + SAME_POINT_M2
    extra = dict.fromkeys(parties, 0.0)
    enough = 4.0 * len(pairs)  # two standard deviations a pair
    if pairs and float(((excess / spread) ** 2).sum()) > enough:
        alone = sorted((_laid_on([party], pairs, excess, spread) for party in parties), key=lambda fit: fit[0])
        clear = alone[0][0] <= enough and (len(alone) < 2 or alone[1][0] - alone[0][0] >= 4.0)
        extra |= alone[0][1] if clear else _laid_on(parties, pairs, excess, spread)[1]
    return {party: float(np.sqrt(views[party].sigma ** 2 + more)) for party, more in extra.items()}


def _laid_on(parties: list[str], pairs: list[tuple[str, str]], excess: Floats, spread: Floats) -> tuple[float, dict[str, float]]:
    """Return how badly extra variances (at least 0) of ``parties`` alone fit the pairs' excess (chi squared), and the variances."""
    free = list(parties)
    while free:
        design = np.asarray([[float(party in pair) for party in free] for pair in pairs])
        solution = np.linalg.lstsq(design / spread[:, None], excess / spread, rcond=None)[0]
        if (solution >= 0).all():
            missed = (design @ solution - excess) / spread
            return float((missed**2).sum()), dict(zip(free, solution.tolist(), strict=True))
        # A variance cannot be negative: who comes out most so is taken at its word, and the rest is shared anew.
        free.pop(int(np.argmin(solution)))
    return float(((excess / spread) ** 2).sum()), {}


def _judged(
    party: str,
    reference: str,
    shifts: Mapping[tuple[str, str], Shift],
    parameters: AlignParameters,
    *,
    position_error_m: float,
) -> Alignment:
    met = [shift.tracks for (first, _), shift in shifts.items() if first == party and shift.tracks]
    if party == reference and met:
        return Alignment(party, 0.0, 0.0, 0.0, position_error_m, max(met), "kept")
    shift = shifts.get((party, reference), NO_SHIFT)
    if shift.tracks == 0:
        return Alignment(party, 0.0, np.inf, 0.0, position_error_m, 0, "not measured")
    beyond = abs(shift.offset_ms) - shift.error_ms
    verdict: Verdict = "kept" if beyond <= 0 or abs(shift.offset_ms) < parameters.correct_ms else "corrected"
    if beyond > parameters.refuse_ms or shift.residual_ms > parameters.refuse_ms:
        verdict = "quarantined"
    return Alignment(party, shift.offset_ms, shift.error_ms, shift.residual_ms, position_error_m, shift.tracks, verdict)


@njit(cache=True)
def _alike(px, py, ve, vn, x, y, ue, un, radius):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    # Squared distance of two states that move alike within ``radius``; -1 when they do not.
    d2 = (x - px) ** 2 + (y - py) ** 2
    if d2 > 9 * radius * radius or (ve - ue) ** 2 + (vn - un) ** 2 > 9.0:
        return -1.0
    return d2


@njit(cache=True)
def _scores(sample, field, start, reach, radius):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    tick, px, py, ve, vn = sample
    x, y, ue, un = field
    scores = np.zeros(2 * reach + 1)
    for shift in range(-reach, reach + 1):
        for i in range(len(tick)):
            t = tick[i] + shift
            if t < 0 or t >= len(start) - 1:
                continue
            best = -1.0
            for j in range(start[t], start[t + 1]):
                d2 = _alike(px[i], py[i], ve[i], vn[i], x[j], y[j], ue[j], un[j], radius)
                if d2 >= 0 and (best < 0 or d2 < best):
                    best = d2
            if best >= 0:
                scores[shift + reach] += np.exp(-best / (2 * radius * radius))
    return scores


@njit(cache=True)
def _matched(sample, field, start, shift, radius):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    tick, px, py, ve, vn = sample
    x, y, ue, un = field
    matched = np.full(len(tick), -1, np.int64)
    for i in range(len(tick)):
        t = tick[i] + shift
        if t < 0 or t >= len(start) - 1:
            continue
        best = -1.0
        for j in range(start[t], start[t + 1]):
            d2 = _alike(px[i], py[i], ve[i], vn[i], x[j], y[j], ue[j], un[j], radius)
            if d2 >= 0 and (best < 0 or d2 < best):
                best = d2
                matched[i] = j
    return matched
