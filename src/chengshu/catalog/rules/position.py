"""Rules about where a source says things are: degrees, the declared box, and the road network they should be on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pyarrow as pa
import shapely

from chengshu.catalog.model import Box, Semantic, Severity
from chengshu.catalog.rules.sheet import NO_ROWS, Bools, Hit, Sheet
from chengshu.catalog.rules.tracks import Floats, Ints
from chengshu.kernel.text import Text

FromWgs84 = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Latitudes and longitudes in degrees to metres east and north on the lanes' plane."""

CELL_M = 10.0
REACH_M = 800.0
SHIFT_AT_LEAST_M = 50.0
ON_ROAD_SHARE = 0.6
ALIGNED_SHARE = 0.8
ROAD_SAMPLE = 600
MIN_POINTS = 50
MOVING_MPS = 1.0

LANE_SEARCH_M = 8.0
SAME_WAY_DEG = 45.0
LATERAL_M = 1.25
BIASED_SHARE = 0.3
TRACK_SAMPLE = 150
POINTS_A_TRACK = 40
MIN_TRACKS = 3

_SWAP = Text("Exchange the latitude and longitude columns before publishing.", "请在发布前对调纬度列与经度列。")
_BOX = Text(
    "Check the scale (1e-7 degrees), the coordinate system, and x-bbox in the data contract.",
    "请检查比例（1e-7 度）、坐标系以及数据合同中的 x-bbox。",
)
_SHIFT = Text(
    "Convert the coordinates to WGS84 or CGCS2000: a shift of 100 to 700 m common to all is what GCJ-02 and BD-09 do.",
    "请将坐标转换为 WGS84 或 CGCS2000：全体一致的 100 至 700 米偏移正是 GCJ-02、BD-09 的特征。",
)
_OFF = Text(
    "Check the coordinate system, the scale, and whether the source covers the same area as the map.",
    "请检查坐标系、比例以及数据与地图是否覆盖同一区域。",
)
_BIAS = Text(
    "State the real standard deviation of the positions; with a bias of 5 m, use the source for counts only, not for times to collision.",
    "请如实填写位置标准差；存在 5 米偏差时，该数据只宜用于计数，不宜用于碰撞时间。",
)


def degrees(sheet: Sheet) -> Iterator[Hit] | None:
    """Yield positions that are no latitude and longitude, that are outside the declared box, or that were exchanged."""
    lat, lon = sheet.degrees(Semantic.LATITUDE), sheet.degrees(Semantic.LONGITUDE)
    if lat is None or lon is None:
        return None
    return _judge_degrees(sheet, lat, lon)


def _judge_degrees(sheet: Sheet, lat: Floats, lon: Floats) -> Iterator[Hit]:
    box = sheet.contract.bbox or Box(-180.0, -90.0, 180.0, 90.0)
    outside = _outside(box, lat, lon)
    if not outside.any():
        return
    column = _position_column(sheet)
    expected = "a position in the declared box" if sheet.contract.bbox else "a latitude of -90 to 90 and a longitude of -180 to 180"
    swapped = outside & ~_outside(box, lon, lat)
    if np.count_nonzero(swapped) > np.count_nonzero(outside) / 2:
        rows = np.flatnonzero(swapped)
        yield Hit(
            "swapped-coordinates", column, Severity.ERROR, rows, expected, "one that fits once latitude and longitude are exchanged", _SWAP
        )
        outside &= ~swapped
    rows = np.flatnonzero(outside)
    if len(rows):
        yield Hit("outside-box", column, Severity.ERROR, rows, expected, "one outside", _BOX)


def _outside(box: Box, lat: Floats, lon: Floats) -> Bools:
    inside = (lat >= box.min_lat) & (lat <= box.max_lat) & (lon >= box.min_lon) & (lon <= box.max_lon)
    return np.asarray(~inside & np.isfinite(lat) & np.isfinite(lon), dtype=np.bool_)


@dataclass(frozen=True, slots=True)
class Roads:
    """Lane centrelines in metres on one plane, and how positions get there."""

    lines: tuple[shapely.LineString, ...]
    from_wgs84: FromWgs84


def roads_of(lanes: pa.Table, from_wgs84: FromWgs84) -> Roads:
    """Return the roads of a lanes table (columns ``xs`` and ``ys``, lists of metres)."""
    pairs = zip(lanes.column("xs").to_pylist(), lanes.column("ys").to_pylist(), strict=True)
    lines = tuple(shapely.LineString(np.column_stack([xs, ys])) for xs, ys in pairs if len(xs) > 1)
    return Roads(tuple(line for line in lines if line.length > 0), from_wgs84)  # junctions hold lanes of one repeated point


def on_road(sheet: Sheet, roads: Roads) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when most of it is not on the roads; say so when one common shift would put it there."""
    spots = _moving_spots(sheet, roads)
    if spots is None:
        return None
    exchanged = _moving_spots(sheet, roads, Axes.EXCHANGED)
    if exchanged is not None and _share_on_road(roads, *exchanged) >= ON_ROAD_SHARE > _share_on_road(roads, *spots):
        return iter([_swapped(sheet)])
    return _judge_roads(sheet, roads, *spots)


def _share_on_road(roads: Roads, x: Floats, y: Floats) -> float:
    return float((_distance_to_road(roads, x, y) <= CELL_M).mean())


def _swapped(sheet: Sheet) -> Hit:
    expected, got = "positions on the roads of the map", "positions that are on them once latitude and longitude are exchanged"
    return Hit("swapped-coordinates", _position_column(sheet), Severity.ERROR, NO_ROWS, expected, got, _SWAP)


def _judge_roads(sheet: Sheet, roads: Roads, x: Floats, y: Floats) -> Iterator[Hit]:
    near = _distance_to_road(roads, x, y) <= CELL_M
    if near.mean() >= ON_ROAD_SHARE:
        return
    column, expected = _position_column(sheet), f"at least {ON_ROAD_SHARE:.0%} of the moving positions within {CELL_M:g} m of a road"
    moved, share = _best_shift(roads, x, y)
    if share >= ALIGNED_SHARE and moved >= SHIFT_AT_LEAST_M:
        got = f"positions that are all shifted by about {round(moved, -1):.0f} m"
        yield Hit("shifted-coordinates", column, Severity.ERROR, NO_ROWS, expected, got, _SHIFT)
    else:
        yield Hit("off-road", column, Severity.ERROR, NO_ROWS, expected, f"{near.mean():.0%}", _OFF)


class Axes(Enum):
    """Whether the two coordinates are read as they stand, or one in the other's place."""

    AS_GIVEN = (Semantic.LATITUDE, Semantic.LONGITUDE)
    EXCHANGED = (Semantic.LONGITUDE, Semantic.LATITUDE)


def _moving_spots(sheet: Sheet, roads: Roads, axes: Axes = Axes.AS_GIVEN) -> tuple[Floats, Floats] | None:
    """An even sample of positions, of moving things where the source says so, on the roads' plane."""
    lat, lon = (sheet.degrees(axis) for axis in axes.value)
    if lat is None or lon is None or not roads.lines:
        return None
    usable = np.isfinite(lat) & np.isfinite(lon) & (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    speed = sheet.about(Semantic.SPEED)
    if speed is not None:
        usable &= speed > MOVING_MPS
    rows = np.flatnonzero(usable)
    if len(rows) < MIN_POINTS:
        return None
    rows = rows[np.linspace(0, len(rows) - 1, min(ROAD_SAMPLE, len(rows))).astype(np.int64)]
    x, y = roads.from_wgs84(lat[rows], lon[rows])
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def _distance_to_road(roads: Roads, x: Floats, y: Floats) -> Floats:
    tree = shapely.STRtree(roads.lines)
    points = shapely.points(x, y)
    nearest = tree.nearest(points)
    return np.asarray(shapely.distance(points, np.asarray(roads.lines, dtype=object)[nearest]), dtype=np.float64)


def _best_shift(roads: Roads, x: Floats, y: Floats) -> tuple[float, float]:
    """The common shift (metres) that puts most positions on a road cell, and the share it puts there; a raster keeps it quick."""
    reach = int(REACH_M / CELL_M)
    cells, west, south = _raster(roads, margin=2 * reach)
    column, row = ((x - west) // CELL_M).astype(np.int64), ((y - south) // CELL_M).astype(np.int64)
    inside = (column >= reach) & (column < cells.shape[0] - reach) & (row >= reach) & (row < cells.shape[1] - reach)
    column, row = column[inside], row[inside]
    steps = np.arange(-reach, reach + 1)
    best_share, best_moved = 0.0, 0.0
    for east in steps:
        shares = cells[(column + east)[:, None], row[:, None] + steps[None, :]].sum(axis=0) / len(x)
        place = int(np.argmax(shares))
        if shares[place] > best_share:
            best_share, best_moved = float(shares[place]), float(np.hypot(east, steps[place]) * CELL_M)
    return best_moved, best_share


def _raster(roads: Roads, *, margin: int) -> tuple[Bools, float, float]:
    """Cells of 10 m that a lane crosses or that lie beside one, with ``margin`` empty cells around."""
    dense = shapely.get_coordinates(shapely.segmentize(np.asarray(roads.lines, dtype=object), CELL_M / 2))
    west, south = dense.min(axis=0) - margin * CELL_M
    place = ((dense - [west, south]) // CELL_M).astype(np.int64)
    cells = np.zeros(tuple(place.max(axis=0) + margin + 1), dtype=np.bool_)
    for east in (-1, 0, 1):
        for north in (-1, 0, 1):
            cells[place[:, 0] + east, place[:, 1] + north] = True
    return cells, float(west), float(south)


def lane_bias(sheet: Sheet, roads: Roads) -> Iterator[Hit] | None:
    """Yield a fault of the whole source when many vehicles drive beside their lanes by more than their stated precision.

    For each of a sample of tracks, the median distance to the nearest lane that leads the same way. White noise averages out
    over a track; a bias of one receiver does not.
    """
    motion = sheet.motion
    if motion is None or not roads.lines:
        return None
    moving = np.ones(len(motion.track), dtype=np.bool_) if motion.speed is None else motion.speed > MOVING_MPS
    places = _track_sample(motion.track, np.flatnonzero(moving))
    if len(np.unique(motion.track[places])) < MIN_TRACKS:
        return None
    lat, lon = sheet.degrees(Semantic.LATITUDE), sheet.degrees(Semantic.LONGITUDE)
    if lat is None or lon is None:
        return None
    rows = motion.order[places]
    x, y = roads.from_wgs84(lat[rows], lon[rows])
    heading = None if motion.heading is None else motion.heading[places]
    beside = _beside_lane(roads, shapely.points(x, y), heading)
    stated = 0.0 if motion.sigma is None or np.isnan(motion.sigma).all() else float(np.nanmedian(motion.sigma))
    return _judge_bias(sheet, _median_by_track(beside, motion.track[places]), stated)


def _judge_bias(sheet: Sheet, medians: Floats, stated: float) -> Iterator[Hit]:
    limit = max(LATERAL_M, 2 * stated)
    share = float(np.mean(medians > limit))
    if share > BIASED_SHARE:
        expected = f"tracks within {limit:.2f} m of a lane's centre"
        yield Hit("position-bias", _position_column(sheet), Severity.ERROR, NO_ROWS, expected, f"{share:.0%} of them further off", _BIAS)


def _track_sample(track: Ints, places: Ints) -> Ints:
    """Up to 40 places of each of up to 150 tracks, evenly spread."""
    chosen = np.unique(track[places])
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(TRACK_SAMPLE, len(chosen))).astype(np.int64)] if len(chosen) else chosen
    kept: list[Ints] = [NO_ROWS]
    for one in chosen:
        own = places[track[places] == one]
        kept.append(own[np.linspace(0, len(own) - 1, min(POINTS_A_TRACK, len(own))).astype(np.int64)])
    return np.concatenate(kept)


def _beside_lane(roads: Roads, points: np.ndarray[tuple[int], np.dtype[np.object_]], heading: Floats | None) -> Floats:
    """Distance of each point to the nearest lane that leads its way, at most the search radius."""
    lines = np.asarray(roads.lines, dtype=object)
    point, line = shapely.STRtree(lines).query(points, predicate="dwithin", distance=LANE_SEARCH_M)
    distance = shapely.distance(points[point], lines[line])
    if heading is not None:
        along = shapely.line_locate_point(lines[line], points[point])
        ahead = shapely.get_coordinates(shapely.line_interpolate_point(lines[line], along + 1.0))
        behind = shapely.get_coordinates(shapely.line_interpolate_point(lines[line], np.maximum(along - 1.0, 0.0)))
        way = np.degrees(np.arctan2(ahead[:, 0] - behind[:, 0], ahead[:, 1] - behind[:, 1]))
        same_way = np.abs((way - heading[point] + 180.0) % 360.0 - 180.0) < SAME_WAY_DEG
        point, distance = point[same_way], distance[same_way]
    nearest = np.full(len(points), LANE_SEARCH_M)
    np.minimum.at(nearest, point, distance)
    return nearest


def _median_by_track(values: Floats, track: Ints) -> Floats:
    return np.array([np.median(values[track == one]) for one in np.unique(track)])


def _position_column(sheet: Sheet) -> str:
    return "+".join(sheet.contract.about(Semantic.LATITUDE) + sheet.contract.about(Semantic.LONGITUDE))
