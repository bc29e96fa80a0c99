import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.errors import Invalid
from chengshu.methods.projection import LocalFrame

BERLIN = LocalFrame("+proj=utm +zone=33 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", -398790.46, -5809246.45)


def test_the_corners_of_the_network_are_where_its_maker_says() -> None:
    # convBoundary and origBoundary of SUMO's Berlin network; the two corners of a turned rectangle agree to some ten metres only.
    lat, lon = BERLIN.to_wgs84(np.array([0.0, 2628.33]), np.array([0.0, 3333.57]))
    assert np.abs(lat - [52.424406, 52.454757]).max() < 0.01
    assert np.abs(lon - [13.508, 13.546]).max() < 0.01


def test_one_hundred_metres_north_are_one_hundred_metres_of_latitude() -> None:
    lat, _ = BERLIN.to_wgs84(np.array([1000.0, 1000.0]), np.array([500.0, 600.0]))
    assert (lat[1] - lat[0]) * 111_280.0 == pytest.approx(100.0, abs=0.2)


@given(st.floats(-20_000, 20_000), st.floats(-20_000, 20_000))
def test_going_to_wgs84_and_back_does_not_move_a_point(x: float, y: float) -> None:
    back_x, back_y = BERLIN.from_wgs84(*BERLIN.to_wgs84(np.array([x]), np.array([y])))
    assert np.hypot(back_x[0] - x, back_y[0] - y) < 1e-3


def test_offsets_shift_the_plane() -> None:
    shifted = LocalFrame(BERLIN.proj, BERLIN.offset_x + 50.0, BERLIN.offset_y - 20.0)
    lat, lon = BERLIN.to_wgs84(np.array([1000.0]), np.array([500.0]))
    x, y = shifted.from_wgs84(lat, lon)
    assert (round(float(x[0]), 3), round(float(y[0]), 3)) == (1050.0, 480.0)


@pytest.mark.parametrize("proj", ["+proj=nonsense", "EPSG:4326", ""])
def test_a_projection_that_is_not_onto_a_plane_is_invalid(proj: str) -> None:
    with pytest.raises(Invalid):
        LocalFrame(proj, 0.0, 0.0)
