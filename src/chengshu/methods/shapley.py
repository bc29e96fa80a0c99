"""Who brought what: Shapley shares of a coalition game, exact to the fraction, and safe against copied data.

Shapley (1953), "A value for n-person games"; permutation sampling after Castro, Gómez and Tejada (2009). Two identical sources raise their
joint share under the plain value, so whoever copies a data set would be paid twice; the guard treats copies as one player (replication
robustness: Agarwal, Dahleh and Sarkar, 2019; Han et al., 2022).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import combinations
from math import factorial, sqrt

import numpy as np

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

Coalition = frozenset[str]
EXACT_PLAYERS = 12


@dataclass(frozen=True, slots=True)
class SampledShare:
    """A sampled Shapley value with its 95 % interval; the values of one sample add up to v(N) exactly."""

    value: Fraction
    low: float
    high: float


def shapley(values: Mapping[Coalition, Fraction], players: Collection[str]) -> dict[str, Fraction]:
    """Return every player's exact Shapley value; the values add up to v(N) − v(∅) exactly.

    ``values`` holds v(S) for every S ⊆ players (the empty coalition may be left out and counts 0). Raises Invalid above
    :data:`EXACT_PLAYERS` players and when a coalition is missing.
    """
    ordered = sorted(players)
    if len(ordered) > EXACT_PLAYERS:
        raise Invalid(
            "shapley.too-many-players",
            f"expected at most {EXACT_PLAYERS} players for exact values, got {len(ordered)}",
            hint=Text("Sample permutations instead (shapley_sampled).", "请改用排列抽样（shapley_sampled）。"),
        )
    total = factorial(len(ordered))
    shares = dict.fromkeys(ordered, Fraction(0))
    for player in ordered:
        others = [other for other in ordered if other != player]
        for size in range(len(others) + 1):
            weight = Fraction(factorial(size) * factorial(len(others) - size), total)
            gain = Fraction(0)
            for members in combinations(others, size):
                without = frozenset(members)
                gain += _value(values, without | {player}) - _value(values, without)
            shares[player] += weight * gain
    return shares


def shapley_sampled(
    value: Callable[[Coalition], Fraction], players: Collection[str], *, permutations: int, seed: int
) -> dict[str, SampledShare]:
    """Return Shapley values estimated from random orders, each with a 95 % normal interval; the sample is a function of ``seed``.

    Every order is used forwards and backwards (antithetic pairs); each coalition is valued once. Raises Invalid for fewer than two pairs.
    """
    if permutations < 4:
        raise Invalid(
            "shapley.too-few-permutations",
            f"expected at least 4 permutations, got {permutations}",
            hint=Text("Ask for a few hundred permutations.", "请使用数百个排列。"),
        )
    ordered = sorted(players)
    cached = cache(value)
    generator = np.random.default_rng(seed)
    pairs: dict[str, list[Fraction]] = {player: [] for player in ordered}
    for _ in range(permutations // 2):
        order = [ordered[index] for index in generator.permutation(len(ordered))]
        forward, backward = _marginals(cached, order), _marginals(cached, order[::-1])
        for player in ordered:
            pairs[player].append((forward[player] + backward[player]) / 2)
    return {player: _with_interval(gains) for player, gains in pairs.items()}


def find_copies(values: Mapping[Coalition, Fraction], players: Collection[str]) -> tuple[Coalition, ...]:
    """Return the groups of players that are copies in value: each adds the same to every coalition, and a second one adds nothing.

    Only groups of two and more are returned. Being a copy in value is weaker than holding the same rows: two honest parties that saw
    exactly the same things are found too (see :func:`proven_copies`).
    """
    groups: list[set[str]] = []
    for player in sorted(players):
        home = next((group for group in groups if _are_copies(values, (min(group), player), players)), None)
        if home is None:
            groups.append({player})
        else:
            home.add(player)
    return tuple(frozenset(group) for group in groups if len(group) > 1)


def proven_copies(values: Mapping[Coalition, Fraction], players: Collection[str], *, sharing: Sequence[Coalition]) -> tuple[Coalition, ...]:
    """Return the groups of copies in value (:func:`find_copies`) that also hold data in common, as ``sharing`` tells.

    Value alone cannot tell a copy from an honest source that sees the very same things; who holds the same rows can. ``sharing``: sets of
    players that hold one and the same content; they may overlap. Returned groups have two and more members.
    """
    groups: list[Coalition] = []
    for group in find_copies(values, players):
        left = [frozenset({player}) for player in sorted(group)]
        for same in sharing:
            joined = [part for part in left if part & same]
            left = [part for part in left if not part & same] + ([frozenset[str]().union(*joined)] if joined else [])
        groups += [part for part in left if len(part) > 1]
    return tuple(sorted(groups, key=min))


def shapley_with_copies(
    values: Mapping[Coalition, Fraction], players: Collection[str], *, same: Sequence[Coalition]
) -> dict[str, Fraction]:
    """Return exact Shapley values of the game in which each group of copies is one player, shared equally inside the group.

    The total is still v(N) − v(∅), and copying a source leaves the sum paid to the source and its copies where it was. Raises Invalid
    when a group names a stranger, two groups overlap, or the members of a group are not copies in value.
    """
    _check_groups(values, players, same)
    speaker = {member: min(group) for group in same for member in group}
    speakers = sorted({speaker.get(player, player) for player in players})
    shares = shapley(
        {frozenset(s): _value(values, frozenset(s)) for n in range(len(speakers) + 1) for s in combinations(speakers, n)}, speakers
    )
    sizes = {min(group): len(group) for group in same}
    return {player: shares[speaker.get(player, player)] / sizes.get(speaker.get(player, player), 1) for player in sorted(players)}


def _value(values: Mapping[Coalition, Fraction], members: Coalition) -> Fraction:
    if members in values:
        return values[members]
    if not members:
        return Fraction(0)
    raise Invalid(
        "shapley.coalition-missing",
        f"expected a value for every coalition, got none for one of {len(members)} players",
        hint=Text("Value all 2^n coalitions before sharing.", "请先计算全部 2^n 个联盟的价值。"),
    )


def _marginals(value: Callable[[Coalition], Fraction], order: Sequence[str]) -> dict[str, Fraction]:
    gains: dict[str, Fraction] = {}
    members: Coalition = frozenset()
    before = value(members)
    for player in order:
        members |= {player}
        after = value(members)
        gains[player] = after - before
        before = after
    return gains


def _with_interval(gains: Sequence[Fraction]) -> SampledShare:
    mean = sum(gains, Fraction(0)) / len(gains)
    spread = float(np.std([float(gain) for gain in gains], ddof=1))
    half = 1.96 * spread / sqrt(len(gains))
    return SampledShare(mean, float(mean) - half, float(mean) + half)


def _are_copies(values: Mapping[Coalition, Fraction], pair: tuple[str, str], players: Collection[str]) -> bool:
    first, second = pair
    others = sorted(set(players) - {first, second})
    for size in range(len(others) + 1):
        for members in combinations(others, size):
            rest = frozenset(members)
            one = _value(values, rest | {first})
            if one != _value(values, rest | {second}) or one != _value(values, rest | {first, second}):
                return False
    return True


def _check_groups(values: Mapping[Coalition, Fraction], players: Collection[str], same: Sequence[Coalition]) -> None:
    named = [member for group in same for member in group]
    if len(named) != len(set(named)) or not set(named) <= set(players):
        raise Invalid(
            "shapley.groups-overlap",
            f"expected disjoint groups of known players, got {len(same)} groups naming {len(named)} members",
            hint=Text("Name each player in at most one group.", "每个参与方最多属于一个组。"),
        )
    for group in same:
        first = min(group)
        if not all(_are_copies(values, (first, other), players) for other in group - {first}):
            raise Invalid(
                "shapley.not-copies",
                "expected members of a group to add the same to every coalition, got members that differ",
                hint=Text("Group only sources with identical data (proven_copies).", "仅可将数据完全相同的来源归为一组。"),
            )
