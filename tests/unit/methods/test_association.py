import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.methods.association import AssociationParameters, Ticks, associate


def ticks(*tracks: tuple[int, int, int, float, float]) -> Ticks:
    """Return standing tracks: sensor, first tick, ticks, x, sigma; numbered in the order given."""
    rows = [
        (tick, sensor, number, x, sigma) for number, (sensor, first, n, x, sigma) in enumerate(tracks) for tick in range(first, first + n)
    ]
    rows.sort(key=lambda row: row[0])
    tick, sensor, track, x, sigma = (np.asarray(column) for column in zip(*rows, strict=True))
    zero = np.zeros(len(rows))
    return Ticks(tick, sensor, track, sensor, x.astype(float), zero, zero, zero, sigma.astype(float) ** 2, zero == 0)


def owners(given_ticks: Ticks) -> dict[int, set[int]]:
    owner = associate(given_ticks, AssociationParameters(), fine_sigma_m=1.0)
    return {int(track): set(owner[given_ticks.track == track].tolist()) for track in np.unique(given_ticks.track)}


def test_two_near_tracks_of_two_sensors_are_one_vehicle_and_far_ones_are_two() -> None:
    near = owners(ticks((0, 0, 20, 0.0, 0.3), (1, 0, 20, 0.5, 0.3)))
    far = owners(ticks((0, 0, 20, 0.0, 0.3), (1, 0, 20, 4.0, 0.3)))
    assert near[0] == near[1]
    assert far[0] != far[1]


def test_tracks_that_were_together_too_shortly_stay_apart() -> None:
    found = owners(ticks((0, 0, 20, 0.0, 0.3), (1, 17, 20, 0.2, 0.3)))
    assert found[0] != found[1]


def test_a_coarse_track_is_lent_to_precise_ones_and_never_ties_them_together() -> None:
    found = owners(ticks((0, 0, 20, 0.0, 0.3), (0, 20, 20, 6.0, 0.3), (1, 0, 60, 3.0, 5.0)))
    assert found[0] != found[1]
    assert found[2] == found[0] | found[1] | (found[2] - found[0] - found[1])
    assert len(found[2]) == 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 40), st.floats(0, 6), st.sampled_from([0.1, 0.4, 3.0, 5.0])),
        min_size=1,
        max_size=9,
    )
)
def test_no_vehicle_is_ever_held_twice_by_one_sensor_at_one_moment(tracks: list[tuple[int, int, int, float, float]]) -> None:
    given_ticks = ticks(*tracks)
    owner = associate(given_ticks, AssociationParameters(), fine_sigma_m=1.0)
    held = list(zip(owner.tolist(), given_ticks.sensor.tolist(), given_ticks.tick.tolist(), strict=True))
    assert len(held) == len(set(held))
