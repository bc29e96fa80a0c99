"""Which tracks of different sensors are one vehicle: near, alike and long enough together, and never two tracks of one sensor at once."""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from chengshu.methods.sightings import Floats, Ints, Sightings

TICK_MS = 100
ACCELERATION_MPS2 = 2.0
"""How far a vehicle may leave constant velocity; sets the filter's process noise and how the error of a prediction grows."""
SPEED_SIGMA_MPS = 0.5
FORGET_S = 2.0


@dataclass(frozen=True, slots=True)
class Ticks:
    """States of all sources on one tick grid, sorted by tick; all arrays [n].

    ``track`` and ``sensor`` are unique over all sources, ``source`` is a place in SOURCES. Metres, degrees, m/s, ``variance`` in m².
    ``measured``: this tick is the first at or after a sample; the others are carried on from one.
    """

    tick: Ints
    source: Ints
    track: Ints
    sensor: Ints
    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    variance: Floats
    measured: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.bool_] | Ints) -> "Ticks":
        """Return the chosen rows, in the order given."""
        return Ticks(
            self.tick[chosen], self.source[chosen], self.track[chosen], self.sensor[chosen], self.x[chosen], self.y[chosen],
            self.heading[chosen], self.speed[chosen], self.variance[chosen], self.measured[chosen],
        )  # fmt: skip # the ten columns


@dataclass(frozen=True, slots=True)
class AssociationParameters:
    """When two tracks are one vehicle: median distance within ``gate_sigmas`` of both errors (at least ``least_gate_m``), moving alike.

    ``least_ticks`` together (10 Hz ticks), and inside the gate for ``least_share`` of the time that both are there.
    """

    gate_sigmas: float = 3.0
    least_gate_m: float = 1.5
    most_gate_m: float = 15.0
    least_ticks: int = 5
    least_share: float = 0.7
    stride: int = 2


def on_ticks(sources: list[Sightings], coast_ms: list[int], *, first_sources: list[int]) -> Ticks:
    """Return every source's tracks filtered and carried to the 10 Hz grid, using only what was known up to each tick.

    A constant-velocity Kalman filter per track (position and measured velocity); between and after samples the state is predicted for at
    most ``coast_ms`` of its source, with an error that grows by half an acceleration of 2 m/s² times the age squared.
    """
    parts: list[Ticks] = []
    track0 = sensor0 = 0
    for source, coast, place in zip(sources, coast_ms, first_sources, strict=True):
        if len(source) == 0:
            continue
        radians = np.radians(source.heading)
        row, tick, state = _filtered(
            source.t_ms,
            source.track,
            source.x,
            source.y,
            source.speed * np.sin(radians),
            source.speed * np.cos(radians),
            source.sigma,
            coast,
        )
        moving = state[:, 3] > 0.5
        course = np.where(moving, np.degrees(np.arctan2(state[:, 4], state[:, 5])) % 360, np.nan)
        parts.append(
            Ticks(
                tick, np.full(len(tick), place), source.track[row] + track0, source.sensor[row] + sensor0, state[:, 0], state[:, 1],
                _held(course, source.track[row], source.heading[row]), state[:, 3], state[:, 2],
                np.append(True, np.diff(row) != 0),
            )
        )  # fmt: skip # the ten columns
        track0 += int(source.track.max()) + 1
        sensor0 += int(source.sensor.max()) + 1
    if not parts:
        empty = np.zeros(0)
        none = np.zeros(0, np.int64)
        return Ticks(none, none, none, none, empty, empty, empty, empty, empty, np.zeros(0, np.bool_))
    whole = [np.concatenate([getattr(part, name) for part in parts]) for name in Ticks.__slots__]
    order = np.argsort(whole[0], kind="stable")
    return Ticks(*(column[order] for column in whole))


def associate(ticks: Ticks, parameters: AssociationParameters, *, fine_sigma_m: float) -> Ints:
    """Return for every row the number of its vehicle (int64 [rows], dense): union-find over pairs of tracks, nearest first.

    A union that would put two tracks of one sensor at one time into one vehicle is refused. A coarse track (error above ``fine_sigma_m``)
    never ties two precise ones together, as it cannot tell neighbours apart: it is lent, row by row, to the precise vehicle it goes with,
    and is a vehicle of its own at other times.
    """
    size = int(ticks.track.max(initial=-1)) + 1
    first, last, sensor = np.full(size, np.iinfo(np.int64).max), np.full(size, -1, np.int64), np.zeros(size, np.int64)
    variance = np.full(size, np.inf)
    np.minimum.at(first, ticks.track, ticks.tick)
    np.maximum.at(last, ticks.track, ticks.tick)
    np.minimum.at(variance, ticks.track, ticks.variance)
    sensor[ticks.track] = ticks.sensor
    fine = variance <= fine_sigma_m**2
    pairs = _candidate_pairs(ticks, first, last, parameters)
    alike = fine[pairs[:, 0]] == fine[pairs[:, 1]]
    spans = [{int(sensor[t]): [(int(first[t]), int(last[t]))]} for t in range(size)]
    root = _united(pairs[alike], spans)
    owner = root[ticks.track]
    _lend(ticks, owner, root, pairs[~alike], fine)
    return np.asarray(np.unique(owner, return_inverse=True)[1], dtype=np.int64) if size else owner


def _united(pairs: NDArray[np.int64], spans: list[dict[int, list[tuple[int, int]]]]) -> Ints:
    """Return each track's group after joining ``pairs`` in order, except where a sensor would hold two of a group at once."""
    parent = list(range(len(spans)))
    for one, two in pairs:
        a, b = _root(parent, int(one)), _root(parent, int(two))
        if a != b and not _collide(spans[a], spans[b]):
            small, large = (a, b) if len(spans[a]) < len(spans[b]) else (b, a)
            parent[small] = large
            for device, held in spans[small].items():
                spans[large].setdefault(device, []).extend(held)
            spans[small] = {}
    return np.asarray([_root(parent, track) for track in range(len(spans))], dtype=np.int64)


def _lend(ticks: Ticks, owner: Ints, root: Ints, pairs: NDArray[np.int64], fine: NDArray[np.bool_]) -> None:
    """Give coarse rows to the precise vehicle of their pair at the ticks at which that is there, each sensor's place once."""
    order = np.lexsort((ticks.tick, owner))
    begin = np.searchsorted(owner[order], np.arange(len(root) + 1))
    own = owner.copy()
    taken: dict[tuple[int, int], set[int]] = {}
    for one, two in pairs:
        coarse, precise = (int(root[two]), int(root[one])) if fine[one] else (int(root[one]), int(root[two]))
        rows = order[begin[coarse] : begin[coarse + 1]]
        there = order[begin[precise] : begin[precise + 1]]
        rows = rows[(own[rows] == coarse) & np.isin(ticks.tick[rows], ticks.tick[there])]
        for row in rows:
            key = precise, int(ticks.sensor[row])
            if key not in taken:
                taken[key] = set(ticks.tick[there][ticks.sensor[there] == key[1]].tolist())
            if int(ticks.tick[row]) not in taken[key]:
                taken[key].add(int(ticks.tick[row]))
                own[row] = precise
    owner[:] = own


def _candidate_pairs(ticks: Ticks, first: Ints, last: Ints, parameters: AssociationParameters) -> NDArray[np.int64]:
    """Return pairs of tracks that may be one vehicle (int64 [k, 2]), the closest in units of their errors first."""
    thin = ticks.rows(ticks.tick % parameters.stride == 0)
    if len(thin.tick) == 0:
        return np.zeros((0, 2), np.int64)
    start = np.append(np.flatnonzero(np.diff(thin.tick, prepend=thin.tick[0] - 1)), len(thin.tick))
    gates = (parameters.gate_sigmas, parameters.least_gate_m, parameters.most_gate_m)
    track, cost = _near(start, thin.track, thin.sensor, thin.x, thin.y, thin.heading, thin.speed, thin.variance, gates)
    if len(cost) == 0:
        return np.zeros((0, 2), np.int64)
    key = track[:, 0] * (int(ticks.track.max()) + 1) + track[:, 1]
    order = np.lexsort((cost, key))
    _, at, together = np.unique(key[order], return_index=True, return_counts=True)
    median = cost[order][at + together // 2]
    pair = track[order][at]
    both = np.minimum(last[pair[:, 0]], last[pair[:, 1]]) - np.maximum(first[pair[:, 0]], first[pair[:, 1]]) + 1
    enough = (together * parameters.stride >= parameters.least_ticks) & (together * parameters.stride >= parameters.least_share * both)
    kept = np.flatnonzero(enough)
    return np.asarray(pair[kept[np.lexsort((-together[kept], median[kept]))]], dtype=np.int64)


def _held(course: Floats, track: Ints, reported: Floats) -> Floats:
    """Return the course, held at its last moving value while a vehicle stands; the reported heading where it has not moved yet."""
    at = np.where(np.isnan(course), -1, np.arange(len(course)))
    begin = np.flatnonzero(np.diff(track, prepend=track[0] - 1))
    owner = np.repeat(begin, np.diff(np.append(begin, len(track))))
    last = np.maximum.accumulate(at)
    return np.asarray(np.where(last >= owner, course[np.maximum(last, 0)], reported), dtype=np.float64)


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _collide(one: dict[int, list[tuple[int, int]]], two: dict[int, list[tuple[int, int]]]) -> bool:
    return any(
        begin <= other_end and other_begin <= end
        for device in one.keys() & two.keys()
        for begin, end in one[device]
        for other_begin, other_end in two[device]
    )


@njit(cache=True)
def _until(i, t_ms, track, coast_ms):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    # The last moment for which sample i speaks: its coasting time, or just before the track's next sample.
    until = t_ms[i] + coast_ms
    if i + 1 < len(t_ms) and track[i + 1] == track[i]:
        until = min(until, t_ms[i + 1] - 1)
    return until


@njit(cache=True)
def _stepped(state, cov, age, seen, r):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    # One Kalman step, both axes alike: state x, y, vx, vy; covariance of (position, velocity); seen the measured state.
    px, py, vx, vy = state[0] + state[2] * age, state[1] + state[3] * age, state[2], state[3]
    q = ACCELERATION_MPS2**2
    ppp = cov[0] + 2 * age * cov[1] + age * age * cov[2] + q * age**4 / 4
    ppv, pvv = cov[1] + age * cov[2] + q * age**3 / 2, cov[2] + q * age * age
    gain, gain_v = ppp / (ppp + r), ppv / (ppp + r)
    ex, ey = seen[0] - px, seen[1] - py
    px, py, vx, vy = px + gain * ex, py + gain * ey, vx + gain_v * ex, vy + gain_v * ey
    ppp, ppv, pvv = (1 - gain) * ppp, (1 - gain) * ppv, pvv - gain_v * ppv
    gain, gain_v = ppv / (pvv + SPEED_SIGMA_MPS**2), pvv / (pvv + SPEED_SIGMA_MPS**2)
    ex, ey = seen[2] - vx, seen[3] - vy
    px, py, vx, vy = px + gain * ex, py + gain * ey, vx + gain_v * ex, vy + gain_v * ey
    return (px, py, vx, vy), (ppp - gain * ppv, (1 - gain_v) * ppv, (1 - gain_v) * pvv)


@njit(cache=True)
def _filtered(t_ms, track, x, y, ve, vn, sigma, coast_ms):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    total = 0
    for i in range(len(t_ms)):
        total += max(0, _until(i, t_ms, track, coast_ms) // 100 - (t_ms[i] + 99) // 100 + 1)
    row, tick, out = np.empty(total, np.int64), np.empty(total, np.int64), np.empty((total, 6))
    state, cov = (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    total = 0
    for i in range(len(t_ms)):
        r = sigma[i] * sigma[i]
        age = (t_ms[i] - t_ms[i - 1]) / 1000 if i > 0 else 0.0
        seen = (x[i], y[i], ve[i], vn[i])
        if i == 0 or track[i] != track[i - 1] or age > FORGET_S:
            state, cov = seen, (r, 0.0, SPEED_SIGMA_MPS**2)
        else:
            state, cov = _stepped(state, cov, age, seen, r)
        for k in range((t_ms[i] + 99) // 100, _until(i, t_ms, track, coast_ms) // 100 + 1):
            ahead = (k * 100 - t_ms[i]) / 1000
            row[total], tick[total] = i, k
            out[total, 0], out[total, 1] = state[0] + state[2] * ahead, state[1] + state[3] * ahead
            # The declared error holds a constant part that no filter removes: the variance never falls below it.
            out[total, 2] = r + (ACCELERATION_MPS2 / 2 * ahead * ahead) ** 2
            out[total, 3], out[total, 4], out[total, 5] = np.sqrt(state[2] ** 2 + state[3] ** 2), state[2], state[3]
            total += 1
    return row, tick, out


@njit(cache=True)
def _near(start, track, sensor, x, y, heading, speed, variance, gates):  # type: ignore[no-untyped-def] # compiled by numba, which infers the types
    sigmas, least, most = gates
    size = 1024
    pairs, cost = np.empty((size, 2), np.int64), np.empty(size)
    found = 0
    for tick in range(len(start) - 1):
        for i in range(start[tick], start[tick + 1]):
            for j in range(i + 1, start[tick + 1]):
                if sensor[i] == sensor[j]:
                    continue
                gate = min(most, max(least, sigmas * np.sqrt(variance[i] + variance[j])))
                d2 = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
                if d2 > gate * gate or abs(speed[i] - speed[j]) > 4.0:
                    continue
                if speed[i] > 2.0 and speed[j] > 2.0 and np.cos(np.radians(heading[i] - heading[j])) < 0.7:
                    continue
                if found == size:
                    size *= 2
                    wider, longer = np.empty((size, 2), np.int64), np.empty(size)
                    wider[:found], longer[:found] = pairs, cost
                    pairs, cost = wider, longer
                pairs[found, 0], pairs[found, 1] = min(track[i], track[j]), max(track[i], track[j])
                cost[found] = np.sqrt(d2) / gate
                found += 1
    return pairs[:found], cost[:found]
