from collections.abc import Callable
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.methods.shapley import Coalition, find_copies, proven_copies, shapley, shapley_sampled, shapley_with_copies

PLAYERS = ("a", "b", "c", "d")
Game = dict[Coalition, Fraction]
fractions = st.fractions(min_value=-5, max_value=5, max_denominator=20)


def coalitions(players: tuple[str, ...]) -> list[Coalition]:
    return [frozenset(members) for size in range(len(players) + 1) for members in combinations(players, size)]


@st.composite
def games(draw: Callable[[st.SearchStrategy[Fraction]], Fraction], players: tuple[str, ...] = PLAYERS) -> Game:
    return {members: draw(fractions) if members else Fraction(0) for members in coalitions(players)}


@settings(max_examples=30)
@given(games())
def test_the_shares_add_up_to_the_value_of_all(game: Game) -> None:
    assert sum(shapley(game, PLAYERS).values()) == game[frozenset(PLAYERS)]


@settings(max_examples=30)
@given(games())
def test_players_that_bring_the_same_get_the_same(game: Game) -> None:
    swap = {"a": "b", "b": "a"}
    even = {members: (game[members] + game[frozenset(swap.get(m, m) for m in members)]) / 2 for members in game}
    shares = shapley(even, PLAYERS)
    assert shares["a"] == shares["b"]


@settings(max_examples=30)
@given(games(("a", "b", "c")))
def test_a_player_that_brings_nothing_gets_nothing(game: Game) -> None:
    wider = {members: game[members - {"d"}] for members in coalitions(PLAYERS)}
    shares = shapley(wider, PLAYERS)
    assert shares["d"] == 0
    assert {player: shares[player] for player in "abc"} == shapley(game, ("a", "b", "c"))


@settings(max_examples=30)
@given(games(), games())
def test_the_shares_of_two_games_add_up_to_those_of_their_sum(one: Game, two: Game) -> None:
    both = shapley({members: one[members] + two[members] for members in one}, PLAYERS)
    first, second = shapley(one, PLAYERS), shapley(two, PLAYERS)
    assert both == {player: first[player] + second[player] for player in PLAYERS}


@settings(max_examples=30)
@given(games(("a", "b", "c")), st.integers(min_value=1, max_value=3))
def test_copying_a_source_leaves_the_total_of_the_source_and_its_copies_where_it_was(game: Game, copies: int) -> None:
    group = frozenset({"a", *(f"copy{index}" for index in range(copies))})
    players = tuple(sorted({"b", "c"} | group))
    copied = {members: game[(members - group) | ({"a"} if members & group else set())] for members in coalitions(players)}
    shares = shapley_with_copies(copied, players, same=[group])
    before = shapley(game, ("a", "b", "c"))
    assert sum(shares[player] for player in group) == before["a"]
    assert {player: shares[player] for player in "bc"} == {player: before[player] for player in "bc"}


def test_the_plain_value_would_pay_a_copied_source_more_and_copies_are_found() -> None:
    def value(members: Coalition) -> Fraction:
        return Fraction(int("b" in members and bool(members & {"a", "copy"})))

    players = ("a", "b", "copy")
    game = {members: value(members) for members in coalitions(players)}
    plain = shapley(game, players)
    assert plain["a"] + plain["copy"] == Fraction(1, 3)
    assert find_copies(game, players) == (frozenset({"a", "copy"}),)
    glove = {members: Fraction(int(bool(members & {"a", "copy"}) or "b" in members)) for members in coalitions(players)}
    assert sum(shapley(glove, players)[name] for name in ("a", "copy")) == Fraction(2, 3)
    assert find_copies(glove, players) == (frozenset(players),)
    # Copying one of two substitutes raises the pair's plain total from 1/2 to 2/3; as one group of two it stays at 1/2.
    shared = shapley_with_copies(glove, players, same=[frozenset({"a", "copy"})])
    assert shared == {"a": Fraction(1, 4), "copy": Fraction(1, 4), "b": Fraction(1, 2)}


def test_a_copy_in_value_counts_as_one_only_with_data_in_common() -> None:
    players = ("a", "b", "copy")
    glove = {members: Fraction(int(bool(members))) for members in coalitions(players)}
    assert proven_copies(glove, players, sharing=[]) == ()
    assert proven_copies(glove, players, sharing=[frozenset({"a", "copy"})]) == (frozenset({"a", "copy"}),)
    assert proven_copies(glove, players, sharing=[frozenset({"a", "copy"}), frozenset({"copy", "b"})]) == (frozenset(players),)


def test_data_in_common_without_the_same_value_makes_no_copy() -> None:
    game = {members: Fraction(len(members)) for members in coalitions(PLAYERS)}
    assert proven_copies(game, PLAYERS, sharing=[frozenset(PLAYERS)]) == ()


def test_calling_different_sources_copies_is_refused() -> None:
    game = {members: Fraction(len(members)) for members in coalitions(PLAYERS)}
    with pytest.raises(Invalid, match="members that differ"):
        shapley_with_copies(game, PLAYERS, same=[frozenset({"a", "b"})])
    with pytest.raises(Invalid, match="disjoint groups"):
        shapley_with_copies(game, PLAYERS, same=[frozenset({"a", "z"})])


def test_a_missing_coalition_and_too_many_players_are_refused() -> None:
    with pytest.raises(Invalid, match="every coalition"):
        shapley({frozenset({"a"}): Fraction(1)}, ("a", "b"))
    with pytest.raises(Invalid, match="at most 12 players"):
        shapley({}, [f"p{index}" for index in range(13)])


def test_sampled_values_hold_the_exact_ones_in_their_interval_and_add_up_exactly() -> None:
    weights = {f"p{index:02}": Fraction(index, 7) for index in range(14)}

    def value(members: Coalition) -> Fraction:
        total = sum((weights[member] for member in members), Fraction(0))
        return min(total, Fraction(8))

    shares = shapley_sampled(value, weights, permutations=400, seed=3)
    assert sum(share.value for share in shares.values()) == value(frozenset(weights))
    assert shares == shapley_sampled(value, weights, permutations=400, seed=3)
    # Additive up to 8: by symmetry of the weights no share is further from proportional than the cap allows.
    assert all(share.low <= share.value <= share.high for share in shares.values())
    assert shares["p00"].value == 0
    assert shares["p13"].value > shares["p05"].value


def test_sampling_agrees_with_the_exact_value_on_a_small_game() -> None:
    game = {members: Fraction(len(members) ** 2 + ("a" in members)) for members in coalitions(PLAYERS)}
    exact, sampled = shapley(game, PLAYERS), shapley_sampled(lambda members: game[members], PLAYERS, permutations=2000, seed=1)
    assert all(sampled[p].low - 1e-9 <= exact[p] <= sampled[p].high + 1e-9 for p in PLAYERS)


def test_fewer_than_two_pairs_of_permutations_are_refused() -> None:
    with pytest.raises(Invalid, match="at least 4"):
        shapley_sampled(lambda _: Fraction(0), PLAYERS, permutations=2, seed=1)
