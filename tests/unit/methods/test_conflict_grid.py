import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.methods.conflicts import closing_pairs
from chengshu.methods.conflicts.grid import lay_out

vehicle = st.tuples(
    st.floats(0.0, 400.0), st.floats(0.0, 400.0), st.sampled_from([0.0, 5.0, 90.0, 95.0, 270.0]), st.floats(0.0, 30.0), st.floats(3.0, 18.0)
)


def _plain(vehicles: list[tuple[float, float, float, float, float]]) -> set[tuple[int, int]]:
    """Every ordered pair, straight from the definition."""
    found = set()
    for i, (x, y, heading, v, _) in enumerate(vehicles):
        ux, uy = math.sin(math.radians(heading)), math.cos(math.radians(heading))
        for j, (x2, y2, heading2, v2, length) in enumerate(vehicles):
            dx, dy = x2 - x, y2 - y
            same_way = math.cos(math.radians(heading - heading2)) > math.cos(math.radians(30.0))
            gap, closing = dx * ux + dy * uy - length, v - v2
            if i == j or not same_way or dx * dx + dy * dy > 2500.0 or closing <= 0.0 or gap <= 0.0 or abs(dx * uy - dy * ux) > 1.6:
                continue
            if gap < 3.0 * closing or closing**2 > 6.0 * gap:
                found.add((i, j))
    return found


def _ours(vehicles: list[tuple[float, float, float, float, float]]) -> set[tuple[int, int]]:
    x, y, heading, v, length = (np.array(column, dtype=np.float64) for column in zip(*vehicles, strict=True))
    angle = np.radians(heading)
    followers, leaders = closing_pairs(x, y, ux=np.sin(angle), uy=np.cos(angle), v=v, length=length, reach_m=50.0, ttc_s=3.0, drac_mps2=3.0)
    pairs = list(zip(followers.tolist(), leaders.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    return set(pairs)


@settings(max_examples=150, deadline=None)
@given(st.lists(vehicle, min_size=1, max_size=60))
def test_the_grid_finds_what_comparing_every_pair_finds(vehicles: list[tuple[float, float, float, float, float]]) -> None:
    assert _ours(vehicles) == _plain(vehicles)


def test_a_dense_street_has_pairs_to_find() -> None:
    rng = np.random.default_rng(5)
    vehicles = [(rng.uniform(0, 2.0), rng.uniform(0, 400.0), 0.0, rng.uniform(0, 30.0), 5.0) for _ in range(120)]
    found = _ours(vehicles)
    assert len(found) > 100
    assert found == _plain(vehicles)


def test_no_vehicles_make_no_pairs() -> None:
    none = np.zeros(0)
    followers, leaders = closing_pairs(none, none, ux=none, uy=none, v=none, length=none, reach_m=50.0, ttc_s=3.0, drac_mps2=3.0)
    assert (len(followers), len(leaders)) == (0, 0)


def test_the_layout_keeps_every_vehicle_once_and_in_its_cell() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.uniform(-500.0, 500.0, 300), rng.uniform(1000.0, 1600.0, 300)
    order, cell, start, _ = lay_out(x, y, 50.0)
    assert sorted(order.tolist()) == list(range(300))
    assert all(start[c] <= k < start[c + 1] for k, c in enumerate(cell.tolist()))


def test_vehicles_far_apart_do_not_ask_for_endless_cells() -> None:
    _, _, start, _ = lay_out(np.array([0.0, 1e7]), np.array([0.0, 1e7]), 50.0)
    assert len(start) < 10_000
