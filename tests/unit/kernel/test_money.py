"""Money is whole fen and its parts add up."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.money import Fen, split_by_largest_remainder, yuan

WEIGHTS = st.dictionaries(st.text(min_size=1, max_size=4), st.fractions(min_value=0, max_value=100), min_size=1, max_size=8)


@given(total=st.integers(0, 10**12), weights=WEIGHTS.filter(lambda weights: any(weights.values())))
def test_parts_sum_to_the_whole_and_are_within_a_fen_of_their_exact_share(total: int, weights: dict[str, Fraction]) -> None:
    parts = split_by_largest_remainder(Fen(total), weights)
    whole = sum(weights.values())
    assert sum(parts.values()) == total
    assert all(abs(parts[name] - total * weight / whole) < 1 for name, weight in weights.items())


def test_the_odd_fen_goes_to_the_largest_remainder_and_ties_go_by_name() -> None:
    assert split_by_largest_remainder(Fen(100), {"b": Fraction(1), "a": Fraction(1), "c": Fraction(1)}) == {"a": 34, "b": 33, "c": 33}
    assert split_by_largest_remainder(Fen(10), {"a": Fraction(55, 100), "b": Fraction(45, 100)}) == {"a": 6, "b": 4}


@pytest.mark.parametrize(("total", "weights"), [(-1, {"a": Fraction(1)}), (1, {"a": Fraction(-1)}), (1, {"a": Fraction(0)}), (1, {})])
def test_a_split_that_has_no_meaning_is_refused(total: int, weights: dict[str, Fraction]) -> None:
    with pytest.raises(ValueError, match="expected"):
        split_by_largest_remainder(Fen(total), weights)


@pytest.mark.parametrize(("fen", "text"), [(0, "¥0.00"), (5, "¥0.05"), (123405, "¥1,234.05"), (-123405, "-¥1,234.05")])
def test_an_amount_reads_as_yuan(fen: int, text: str) -> None:
    assert yuan(Fen(fen)) == text
