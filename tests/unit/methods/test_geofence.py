"""The geofence says what shapely says, everywhere, and is in doubt where the position is."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from chengshu.kernel.errors import Invalid
from chengshu.methods.geofence import MAX_ZONES, Geofence, Side, build_geofence
from chengshu.methods.geofence.orientation import orientation

Floats = NDArray[np.float64]


def star(centre: tuple[float, float], *, corners: int, radius: float, seed: int) -> BaseGeometry:
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0.0, 2.0 * np.pi, corners))
    reach = radius * rng.uniform(0.3, 1.0, corners)
    return shapely.make_valid(shapely.Polygon(np.column_stack((reach * np.cos(angle), reach * np.sin(angle))) + centre), method="structure")


def shapelys_masks(zones: dict[str, BaseGeometry], x: Floats, y: Floats) -> NDArray[np.uint64]:
    masks = np.zeros(len(x), dtype=np.uint64)
    points = shapely.points(x, y)
    shapely.prepare(list(zones.values()))
    for bit, zone in enumerate(zones.values()):
        masks |= shapely.covers(zone, points).astype(np.uint64) << np.uint64(bit)
    return masks


def disagreements(zones: dict[str, BaseGeometry], fence: Geofence, x: Floats, y: Floats) -> int:
    return int((fence.covering(x, y) != shapelys_masks(zones, x, y)).sum())


def points_on_borders(zones: dict[str, BaseGeometry], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Every corner, points computed along every edge (on it but for rounding), and their neighbours by one rounding step."""
    corners = np.concatenate([shapely.get_coordinates(zone) for zone in zones.values()])
    along = corners[:-1] + (corners[1:] - corners[:-1]) * rng.uniform(0.0, 1.0, (len(corners) - 1, 1))
    middle = (corners[:-1] + corners[1:]) / 2.0
    every = np.concatenate((corners, along, middle))
    return np.concatenate((every[:, 0], np.nextafter(every[:, 0], np.inf))), np.concatenate((every[:, 1], every[:, 1]))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    corners=st.integers(3, 60),
    radius=st.floats(1.0, 2000.0),
    offset=st.sampled_from([0.0, -350_000.0, 4_400_000.0]),
)
def test_no_point_is_judged_differently_from_shapely(seed: int, corners: int, radius: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-1000.0, 1000.0, (3, 2)) + offset
    zones = {f"z{i}": star((c[0], c[1]), corners=corners, radius=radius, seed=seed + i) for i, c in enumerate(centres)}
    zones = {name: zone for name, zone in zones.items() if zone.area > 0.0}
    fence = build_geofence(zones)
    x, y = rng.uniform(-1500.0, 1500.0, (2, 4000)) + offset
    assert disagreements(zones, fence, x, y) == 0
    assert disagreements(zones, fence, *points_on_borders(zones, rng)) == 0


def test_a_hundred_thousand_points_over_sixty_four_zones_agree_with_shapely() -> None:
    rng = np.random.default_rng(7)
    zones = {f"z{i:02d}": star((c[0], c[1]), corners=40, radius=900.0, seed=i) for i, c in enumerate(rng.uniform(0.0, 6000.0, (64, 2)))}
    fence = build_geofence(zones)
    x, y = rng.uniform(-500.0, 6500.0, (2, 100_000))
    assert disagreements(zones, fence, x, y) == 0
    assert disagreements(zones, fence, *points_on_borders(zones, rng)) == 0


def test_integer_corners_with_points_on_every_edge_agree_with_shapely() -> None:
    rng = np.random.default_rng(3)
    square_with_hole = shapely.Polygon(shapely.box(0, 0, 40, 40).exterior.coords, [shapely.box(10, 10, 30, 30).exterior.coords])
    zones: dict[str, BaseGeometry] = {"frame": square_with_hole, "triangle": shapely.Polygon([(5, 5), (45, 15), (15, 45)])}
    fence = build_geofence(zones)
    x, y = rng.integers(-2, 48, (2, 20_000)).astype(np.float64)
    assert disagreements(zones, fence, x, y) == 0


def test_the_border_belongs_to_the_zone_and_so_does_a_holes_rim() -> None:
    ring = shapely.Polygon(shapely.box(0, 0, 90, 90).exterior.coords, [shapely.box(30, 30, 60, 60).exterior.coords])
    fence = build_geofence({"ring": ring})
    x = np.array([0.0, 90.0, 45.0, 30.0, 45.0, 90.1])
    y = np.array([0.0, 45.0, 30.0, 60.0, 45.0, 45.0])
    assert fence.covering(x, y).tolist() == [1, 1, 1, 1, 0, 0]


def test_a_polygon_that_leaves_the_raster_on_every_side_is_right_inside_and_beyond_it() -> None:
    rng = np.random.default_rng(11)
    zones: dict[str, BaseGeometry] = {
        "west": shapely.box(-500.0, 100.0, 120.0, 300.0),
        "north-east": star((1000.0, 1000.0), corners=25, radius=700.0, seed=1),
        "over-all": shapely.box(-2000.0, -2000.0, 3000.0, 3000.0),
        "beyond": shapely.box(2000.0, 2000.0, 2500.0, 2500.0),
        "south": shapely.Polygon([(400.0, 200.0), (300.0, -900.0), (500.0, -900.0)]),
    }
    fence = build_geofence(zones, bounds=(0.0, 0.0, 1000.0, 1000.0))
    x, y = rng.uniform(-2500.0, 3500.0, (2, 60_000))
    assert disagreements(zones, fence, x, y) == 0
    near_x, near_y = rng.uniform(-30.0, 1030.0, (2, 40_000))
    assert disagreements(zones, fence, near_x, near_y) == 0


def test_multipolygons_and_overlapping_zones_set_every_bit_that_applies() -> None:
    two = shapely.MultiPolygon([shapely.box(0, 0, 50, 50), shapely.box(100, 0, 150, 50)])
    fence = build_geofence({"two": two, "bridge": shapely.box(40, 10, 110, 20)})
    assert fence.covering(np.array([45.0, 75.0, 105.0, 45.0]), np.array([15.0, 15.0, 15.0, 40.0])).tolist() == [3, 2, 3, 1]


def test_coordinates_that_are_no_numbers_lie_in_no_zone_and_are_uncertain() -> None:
    fence = build_geofence({"box": shapely.box(0, 0, 10, 10)})
    x, y = np.array([np.nan, 5.0, np.inf, -np.inf]), np.array([5.0, np.nan, 5.0, 5.0])
    assert fence.covering(x, y).tolist() == [0, 0, 0, 0]
    assert fence.classify(x, y, np.ones(4)).ravel().tolist() == [Side.UNCERTAIN] * 4


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), sigma=st.floats(0.0, 400.0), clipped=st.booleans())
def test_a_point_is_uncertain_exactly_where_the_border_is_nearer_than_k_sigma(seed: int, sigma: float, clipped: bool) -> None:
    rng = np.random.default_rng(seed)
    zones = {"a": star((0.0, 0.0), corners=30, radius=500.0, seed=seed), "b": shapely.box(100.0, 100.0, 900.0, 300.0)}
    fence = build_geofence(zones, bounds=(-100.0, -100.0, 200.0, 200.0) if clipped else None)
    x, y = rng.uniform(-1000.0, 1000.0, (2, 500))
    side = fence.classify(x, y, np.full(500, sigma), k=2.0)
    signed = fence.signed_distance_m(x, y)
    for bit, zone in enumerate(zones.values()):
        points = shapely.points(x, y)
        distance = shapely.distance(zone.boundary, points)
        inside = shapely.covers(zone, points)
        np.testing.assert_allclose(signed[:, bit], np.where(inside, distance, -distance), atol=1e-9)
        clear = np.abs(distance - 2.0 * sigma) > 1e-9  # within rounding of the limit either answer is right
        expected = np.where(distance < 2.0 * sigma, Side.UNCERTAIN, np.where(inside, Side.INSIDE, Side.OUTSIDE))
        assert side[clear, bit].tolist() == expected[clear].tolist()


def test_a_missing_or_sentinel_sigma_is_doubt_not_precision() -> None:
    fence = build_geofence({"box": shapely.box(0, 0, 100, 100)})
    sigma = np.array([0.0, np.nan, -1.0, np.inf, 5.0])
    sides = fence.classify(np.full(5, 50.0), np.full(5, 50.0), sigma).ravel().tolist()
    assert sides == [Side.INSIDE, Side.UNCERTAIN, Side.UNCERTAIN, Side.UNCERTAIN, Side.INSIDE]


def test_a_large_area_gets_larger_cells_and_the_same_answers() -> None:
    rng = np.random.default_rng(5)
    zones: dict[str, BaseGeometry] = {"a": shapely.box(0, 0, 300_000, 10), "b": star((150_000.0, 200_000.0), corners=9, radius=9e4, seed=2)}
    fence = build_geofence(zones)
    assert fence.raster.grid.cell_m > 10.0
    x, y = rng.uniform(-1000.0, 300_000.0, (2, 20_000))
    assert disagreements(zones, fence, x, y) == 0


def test_the_turn_is_exact_where_plain_arithmetic_is_not() -> None:
    # Kettner et al. 2008, "Classroom examples of robustness problems": points near the diagonal by single rounding steps
    step = 2.0**-53
    signs = [orientation(0.5 + i * step, 0.5 + j * step, 12.0, 12.0, 24.0, 24.0) for i in range(8) for j in range(8)]
    assert signs == [(j > i) - (j < i) for i in range(8) for j in range(8)]


def test_a_self_intersecting_polygon_is_refused_by_name() -> None:
    bow_tie = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    with pytest.raises(Invalid) as left:
        build_geofence({"bow": bow_tie})
    assert left.value.code == "geofence.invalid-polygon"
    assert left.value.message == "zone bow: expected rings that neither cross nor overlap, got Self-intersection"


def test_a_line_an_empty_zone_and_too_many_zones_are_refused() -> None:
    box = shapely.box(0, 0, 1, 1)
    cases: list[tuple[dict[str, BaseGeometry], str]] = [
        ({"line": shapely.LineString([(0, 0), (1, 1)])}, "geofence.not-a-polygon"),
        ({"empty": shapely.Polygon()}, "geofence.not-a-polygon"),
        ({}, "geofence.zone-count"),
        ({f"z{i}": box for i in range(MAX_ZONES + 1)}, "geofence.zone-count"),
    ]
    for zones, code in cases:
        with pytest.raises(Invalid) as left:
            build_geofence(zones)
        assert left.value.code == code


def test_the_sixty_fourth_zone_uses_the_highest_bit() -> None:
    fence = build_geofence({f"z{i}": shapely.box(i * 10, 0, i * 10 + 5, 5) for i in range(MAX_ZONES)})
    assert fence.covering(np.array([632.0]), np.array([2.0])).tolist() == [2**63]
