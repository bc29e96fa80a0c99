"""The map as markup: roads, permitted zones and conflict hot-spots on one plane, simplified until it is small."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from chengshu.kernel.text import Text
from chengshu.methods.projection import LocalFrame
from chengshu.scenario.report.charts import drawing
from chengshu.scenario.report.markup import NOTHING, Markup, element, joined, points
from chengshu.scenario.report.reading import Row, counted, real, text_of, whole

WIDTH = 1000.0
TALLEST = 860.0
TOLERANCE_PX = 0.35
"""Lanes are simplified (Douglas and Peucker, 1973) until no point moves by more than this."""

LETTER_PX, CHARACTER_PX, LINE_PX = 15.0, 30.0, 36.0
"""What a name takes on the paper at the larger of the style's two sizes, which narrow screens get: 30 pixels."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Spot:
    """A hot-spot on the plane: the centre of its cell in metres, and how many conflicts it holds."""

    x: float
    y: float
    n: int


@dataclass(frozen=True, slots=True)
class Zone:
    """A permitted zone on the plane, in metres."""

    name: Text
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where metres come to lie on the paper: x grows to the right, y downwards, north is up."""

    left: float
    top: float
    scale: float
    width: float
    height: float

    def place(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places in pixels, [n, 2], of metres [n, 2]."""
        return np.column_stack([(xy[:, 0] - self.left) * self.scale, (self.top - xy[:, 1]) * self.scale])


def sheet_over(bounds: Bounds) -> Sheet:
    """Return the sheet that shows ``bounds`` (west, south, east, north in metres) with a margin, no taller than TALLEST."""
    west, south, east, north = bounds
    wide, high = max(east - west, 50.0) * 1.06, max(north - south, 50.0) * 1.06
    scale = min(WIDTH / wide, TALLEST / high)
    width, height = WIDTH, max(high * scale, 0.42 * WIDTH)
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    return Sheet(middle_x - width / scale / 2, middle_y + height / scale / 2, scale, width, height)


def spots_of(found: Iterable[Row], frame: LocalFrame | None) -> list[Spot]:
    """Return the hot-spots that can be placed; none without a frame."""
    known = [row for row in found if real(row.get("lat")) is not None and real(row.get("lon")) is not None and whole(row.get("n")) > 0]
    if frame is None or not known:
        return []
    x, y = frame.from_wgs84(np.array([float(row["lat"]) for row in known]), np.array([float(row["lon"]) for row in known]))
    return [Spot(float(east), float(north), whole(row["n"])) for east, north, row in zip(x, y, known, strict=True)]


def zones_of(collection: Mapping[str, Any] | None, frame: LocalFrame | None) -> list[Zone]:
    """Return the zones of a GeoJSON FeatureCollection (WGS84); features that are no area are left out, they cannot be drawn as one."""
    if frame is None or not collection:
        return []
    zones = []
    for feature in collection.get("features") or []:
        geometry = feature.get("geometry") or {}
        if geometry.get("type") in {"Polygon", "MultiPolygon"}:
            properties = feature.get("properties") or {}
            name = properties.get("label") or properties.get("name") or feature.get("id")
            zones.append(Zone(_named(name), _projected(geometry, frame)))
    return zones


def network_map(lanes: pa.Table | None, zones: Sequence[Zone], spots: Sequence[Spot], *, label_id: str) -> Markup | None:
    """Return the map as one SVG, or None where there is nothing to draw."""
    lines, widths = _lines(lanes)
    bounds = _bounds(lines, zones, spots)
    if bounds is None:
        return None
    sheet = sheet_over(bounds)
    most = max((spot.n for spot in spots), default=1)
    marks = [
        element("rect", {"class": "ground", "width": points(sheet.width), "height": points(sheet.height)}),
        joined([_zone_area(zone, sheet) for zone in zones]),
        joined(_roads(lines, widths, sheet)),
        joined([_zone_edge(zone, sheet) for zone in zones]),
        joined([_spot(spot, most, sheet) for spot in sorted(spots, key=lambda spot: -spot.n)]),
        joined(_zone_names(zones, sheet)),
        _scale_bar(sheet),
        _north(sheet),
    ]
    return drawing(label_id, sheet.width, sheet.height, *marks, css="map")


def radius(n: int, most: int) -> float:
    """Return a circle's radius in pixels: its area grows with the count."""
    return max(4.0, 26.0 * math.sqrt(n / max(most, 1)))


def size_key(spots: Sequence[Spot]) -> Markup:
    """Return the legend of the circles' sizes, at the map's own scale: the smallest, a middle and the largest count."""
    counts = sorted({spot.n for spot in spots})
    if not counts:
        return NOTHING
    marks = []
    for place, n in enumerate(sorted({counts[0], counts[len(counts) // 2], counts[-1]})):
        left = 30.0 + 300.0 * place
        marks.append(element("circle", {"class": "spot", "cx": points(left), "cy": 32, "r": points(radius(n, counts[-1]))}))
        words = Text(f"{n:,} in the cell", f"本格 {n:,} 起")
        marks.append(element("text", {"class": "scale-name", "x": points(left + 38), "y": 37}, words))
    # Hidden from screen readers, which get the counts from the table below the map.
    return element("svg", {"class": "map sizes", "viewBox": f"0 0 {points(WIDTH)} 64", "aria-hidden": "true"}, *marks)


def _named(name: object) -> Text:
    english, between, chinese = str(name).partition(" · ")
    # Permits of this house name a zone once, as "English · Chinese"; any other name stands as it is.
    return Text(english, chinese) if isinstance(name, str) and between and english and chinese else text_of(name)


def _projected(geometry: Mapping[str, Any], frame: LocalFrame) -> shapely.Geometry:
    def onto_the_plane(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(frame.from_wgs84(lon_lat[:, 1], lon_lat[:, 0]))

    return shapely.transform(shapely.geometry.shape(dict(geometry)), onto_the_plane)


def _lines(lanes: pa.Table | None) -> tuple[NDArray[Any], NDArray[np.float64]]:
    if lanes is None or lanes.num_rows == 0:
        return np.array([], dtype=object), np.array([])
    xs, ys = (lanes[name].combine_chunks() for name in ("xs", "ys"))
    long_enough = np.array([len(line) >= 2 for line in xs.to_pylist()], dtype=bool)
    kept = pa.array(long_enough)
    xs, ys = xs.filter(kept), ys.filter(kept)
    lengths = np.array([len(line) for line in xs.to_pylist()], dtype=np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    xy = np.column_stack([np.asarray(xs.flatten(), dtype=np.float64), np.asarray(ys.flatten(), dtype=np.float64)])
    widths = np.asarray(lanes["width_m"], dtype=np.float64)[long_enough] if "width_m" in lanes.column_names else np.full(len(lengths), 3.2)
    return shapely.linestrings(xy, indices=owner), widths


def _bounds(lines: NDArray[Any], zones: Sequence[Zone], spots: Sequence[Spot]) -> Bounds | None:
    # The roads decide what is shown; zones may reach far beyond them and are cut at the paper's edge.
    shapes: list[Any] = list(lines) or [zone.shape for zone in zones] + [shapely.Point(spot.x, spot.y) for spot in spots]
    if not shapes:
        return None
    west, south, east, north = shapely.total_bounds(np.array(shapes, dtype=object))
    return float(west), float(south), float(east), float(north)


def _roads(lines: NDArray[Any], widths: NDArray[np.float64], sheet: Sheet) -> list[Markup]:
    if len(lines) == 0:
        return []
    simple = shapely.simplify(lines, TOLERANCE_PX / sheet.scale, preserve_topology=False)
    strokes = np.maximum(1.0, np.round(2 * widths * sheet.scale) / 2)
    paths = []
    for stroke in np.unique(strokes):
        data = "".join(_path(shapely.get_coordinates(line), sheet, close=False) for line in simple[strokes == stroke])
        paths.append(element("path", {"class": "road", "stroke-width": points(float(stroke)), "d": data}))
    return paths


def _path(xy: NDArray[np.float64], sheet: Sheet, *, close: bool) -> str:
    placed = [f"{points(x)} {points(y)}" for x, y in sheet.place(xy).tolist()]
    fresh = [spot for spot, before in zip(placed, [None, *placed], strict=False) if spot != before]
    return f"M{'L'.join(fresh)}{'Z' if close else ''}" if len(fresh) > 1 else ""


def _rings(shape: shapely.Geometry, sheet: Sheet) -> str:
    simple = shapely.simplify(shape, TOLERANCE_PX / sheet.scale)
    polygons = [polygon for polygon in shapely.get_parts(simple) if not polygon.is_empty]
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    return "".join(_path(shapely.get_coordinates(ring), sheet, close=True) for ring in rings)


def _zone_area(zone: Zone, sheet: Sheet) -> Markup:
    return element("path", {"class": "zone", "fill-rule": "evenodd", "d": _rings(zone.shape, sheet)})


def _zone_edge(zone: Zone, sheet: Sheet) -> Markup:
    return element("path", {"class": "zone-edge", "d": _rings(zone.shape, sheet)})


def _zone_names(zones: Sequence[Zone], sheet: Sheet) -> list[Markup]:
    """The names, each at its zone's north-western corner, or as far below it as keeps it clear of the names above."""
    placed: list[tuple[float, float, float]] = []
    marks = []
    for zone in sorted(zones, key=lambda zone: (-float(shapely.bounds(zone.shape)[3]), zone.name.en)):
        west, _, _, north = shapely.bounds(zone.shape)
        x, y = sheet.place(np.array([[west, north]], dtype=np.float64))[0]
        room = max(LETTER_PX * len(zone.name.en), CHARACTER_PX * len(zone.name.zh))
        x, y = max(min(x + 8, sheet.width - room), 12.0), max(y + 22, 26.0)
        while any(abs(y - other) < LINE_PX and x < right and left < x + room for left, right, other in placed):
            y += LINE_PX
        y = min(y, sheet.height - 60)
        placed.append((x, x + room, y))
        marks.append(element("text", {"class": "zone-name", "x": points(x), "y": points(y)}, zone.name))
    return marks


def _spot(spot: Spot, most: int, sheet: Sheet) -> Markup:
    x, y = sheet.place(np.array([[spot.x, spot.y]], dtype=np.float64))[0]
    tip = element("title", {}, f"{counted(spot.n)} · 冲突 / conflicts")
    return element("circle", {"class": "spot", "cx": points(x), "cy": points(y), "r": points(radius(spot.n, most))}, tip)


def _scale_bar(sheet: Sheet) -> Markup:
    metres = max((step for step in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000) if step * sheet.scale <= 0.22 * WIDTH), default=10)
    length, y = metres * sheet.scale, sheet.height - 22
    words = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    line = element("path", {"class": "scale", "d": f"M20 {points(y - 6)}v6h{points(length)}v-6"})
    return joined([line, element("text", {"class": "scale-name", "x": 20, "y": points(y - 12)}, words)])


def _north(sheet: Sheet) -> Markup:
    x = sheet.width - 30
    arrow = element("path", {"class": "north", "d": f"M{points(x)} 16l7 20l-7 -5l-7 5z"})
    return joined([arrow, element("text", {"class": "scale-name", "x": points(x), "y": 54, "text-anchor": "middle"}, "N")])
