"""A flat plane of metres around one place, and GeoJSON areas brought onto it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians, sin, sqrt
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from chengshu.kernel.text import Text
from chengshu.methods.pilot.reading import Node, invalid, kind_of

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
Note = tuple[str, str]

_A = 6_378_137.0  # WGS 84 (NIMA TR 8350.2); CGCS2000 differs from it by 0.1 mm at most
_E2 = 0.006_694_379_990_14
_SWAPPED = Text("GeoJSON wants longitude first, then latitude (RFC 7946 3.1.1).", "GeoJSON 坐标须先经度、后纬度（RFC 7946 3.1.1）。")


@dataclass(frozen=True, slots=True)
class Plane:
    """Metres east and north of (lat, lon), equirectangular on the WGS 84 ellipsoid at that latitude.

    The map is affine in longitude and latitude, so GeoJSON's straight edges (RFC 7946 3.1.1) stay straight and, rounding
    aside, cover decisions are the same in degrees and in metres. Scale error grows
    with the distance north: 0.2 % at 15 km and 40° latitude.
    """

    lat: float
    lon: float

    @property
    def _scale(self) -> tuple[float, float]:
        phi = radians(self.lat)
        w = 1.0 - _E2 * sin(phi) ** 2
        return radians(1.0) * _A / sqrt(w) * cos(phi), radians(1.0) * _A * (1.0 - _E2) / (w * sqrt(w))

    def to_plane(self, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        """Return metres (east, north) of degrees."""
        east, north = self._scale
        return (lon - self.lon) * east, (lat - self.lat) * north

    def flat(self, geometry: shapely.Geometry) -> shapely.Geometry:
        """Return a (lon, lat) geometry in metres."""

        def moved(degrees: Floats) -> Floats:
            return np.column_stack(self.to_plane(degrees[:, 1], degrees[:, 0]))

        return shapely.transform(geometry, moved)


def centre_of(bounds: Bounds) -> Plane:
    """Return the plane at the middle of (west, south, east, north) degrees."""
    west, south, east, north = bounds
    return Plane((south + north) / 2.0, (west + east) / 2.0)


def bounds_of(value: object, path: str) -> Bounds:
    """Read a GeoJSON bounding box: west, south, east, north in degrees."""
    numbers = _numbers(value, path)
    if len(numbers) != 4:
        raise invalid(path, "west, south, east, north", f"{len(numbers)} numbers")
    west, south, east, north = numbers
    if not (-180.0 <= west < east <= 180.0 and -90.0 <= south < north <= 90.0):
        raise invalid(path, "west < east within ±180 and south < north within ±90", "numbers out of that order or range", hint=_SWAPPED)
    return west, south, east, north


def area_of(node: Node, bounds: Bounds) -> tuple[shapely.Geometry, tuple[Note, ...]]:
    """Read a GeoJSON Polygon or MultiPolygon (RFC 7946) into (lon, lat), wound as RFC 7946 3.1.6 asks, and note what was turned.

    Raises Invalid for an unclosed ring, rings that cross, and coordinates outside ``bounds`` or swapped.
    """
    kind = node.word("type", {"Polygon", "MultiPolygon"})
    lists = [(node.get("coordinates"), node.at("coordinates"))] if kind == "Polygon" else node.items("coordinates", least=1)
    notes: list[Note] = []
    polygons = [_polygon(value, path, bounds, notes) for value, path in lists]
    shape = polygons[0] if kind == "Polygon" else shapely.MultiPolygon(polygons)
    if not shape.is_valid:
        reason = shapely.is_valid_reason(shape).split("[")[0].lower()
        raise invalid(
            node.at("coordinates"),
            "rings that neither cross nor overlap",
            reason,
            code="permit.invalid-polygon",
            hint=Text("Correct the drawing so that its lines do not cross.", "请修正边界，使其线段互不相交。"),
        )
    return shape, tuple(notes)


def line_or_area_of(node: Node, bounds: Bounds) -> tuple[shapely.Geometry, tuple[Note, ...]]:
    """Read a GeoJSON LineString, MultiLineString, Polygon or MultiPolygon into (lon, lat)."""
    kind = node.word("type", {"LineString", "MultiLineString", "Polygon", "MultiPolygon"})
    if kind in {"Polygon", "MultiPolygon"}:
        return area_of(node, bounds)
    lists = [(node.get("coordinates"), node.at("coordinates"))] if kind == "LineString" else node.items("coordinates", least=1)
    lines = [_positions(value, path, bounds, least=2) for value, path in lists]
    return shapely.MultiLineString(lines), ()


def position_of(value: object, path: str, bounds: Bounds) -> tuple[float, float]:
    """Read one GeoJSON position (longitude, latitude, optional height) that lies in ``bounds``."""
    numbers = _numbers(value, path)
    if len(numbers) not in {2, 3}:
        raise invalid(path, "longitude and latitude", f"{len(numbers)} numbers")
    lon, lat = numbers[:2]
    if _within(lon, lat, bounds):
        return lon, lat
    if _within(lat, lon, bounds):
        raise invalid(
            path, "longitude, then latitude", "latitude first (swapped, it lies in the bbox)", code="permit.swapped", hint=_SWAPPED
        )
    got = "a position outside it" if abs(lat) <= 90.0 and abs(lon) <= 180.0 else "numbers that are no longitude and latitude"
    raise invalid(path, "a position within the document's bbox", got, code="permit.out-of-bbox", hint=_SWAPPED)


def _within(lon: float, lat: float, bounds: Bounds) -> bool:
    return bounds[0] <= lon <= bounds[2] and bounds[1] <= lat <= bounds[3]


def _polygon(value: object, path: str, bounds: Bounds, notes: list[Note]) -> shapely.Polygon:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise invalid(path, "a list of rings", "an empty list" if value == [] else kind_of(value))
    rings = []
    for i, ring in enumerate(value):
        where = f"{path}[{i}]"
        positions = _positions(ring, where, bounds, least=4)
        if positions[0] != positions[-1]:
            raise invalid(where, "a ring whose last position is its first", "an open ring", code="permit.open-ring")
        should_turn_left = i == 0
        if shapely.LinearRing(positions).is_ccw != should_turn_left:
            positions.reverse()
            notes.append((where, "ring turned round: outer rings run counter-clockwise, holes clockwise (RFC 7946 3.1.6)"))
        rings.append(positions)
    return shapely.Polygon(rings[0], rings[1:])


def _positions(value: object, path: str, bounds: Bounds, *, least: int) -> list[tuple[float, float]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise invalid(path, "a list of positions", kind_of(value))
    if len(value) < least:
        raise invalid(path, f"at least {least} positions", f"{len(value)}")
    return [position_of(position, f"{path}[{i}]", bounds) for i, position in enumerate(value)]


def _numbers(value: object, path: str) -> list[float]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise invalid(path, "a list of numbers", kind_of(value))
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int | float) or not np.isfinite(item):
            raise invalid(path, "finite numbers only", kind_of(item))
    return [float(item) for item in value]


def features_of(node: Node, read: Callable[[Node, Mapping[str, Any]], Any]) -> list[Any]:
    """Read a FeatureCollection: ``read(feature, properties)`` for each, with only the keys RFC 7946 gives."""
    node.only({"type", "features"})
    node.word("type", {"FeatureCollection"})
    found = []
    for feature in node.nodes("features", least=1):
        feature.only({"type", "id", "properties", "geometry"})
        feature.word("type", {"Feature"})
        found.append(read(feature, feature.value.get("properties") or {}))
    return found
