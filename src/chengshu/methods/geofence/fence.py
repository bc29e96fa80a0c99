"""Zones compiled once and asked millions of times: exact cover, signed distance, and a three-way answer under uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.geofence.orientation import orientation
from chengshu.methods.geofence.raster import Floats, Ints, Masks, Raster, grid_over, rasterise

MAX_ZONES = 64
MAX_CELLS = 1 << 24
CELL_M = 10.0


class Side(IntEnum):
    """Where a point with an uncertain position lies with respect to one zone."""

    OUTSIDE = 0
    UNCERTAIN = 1
    INSIDE = 2


@dataclass(frozen=True, slots=True)
class Geofence:
    """At most 64 zones, compiled; bit z of a mask is zone ``zone_ids[z]``.

    The border belongs to the zone: ``covering`` answers what OGC ``covers``/``intersects`` answer for a point, exactly, for
    the doubles given (every sign is decided by an exact orientation test, see :mod:`.orientation`). Holes are outside,
    their rims are not. Points beyond the raster are tested against the zones' edges: slower, just as right.
    """

    zone_ids: tuple[str, ...]
    edges: Floats
    zone_start: Ints
    zone_bounds: Floats
    raster: Raster

    def covering(self, x_m: Floats, y_m: Floats) -> Masks:
        """Return one bit mask a point: which zones cover it. NaN and infinite coordinates lie in no zone."""
        raster, grid = self.raster, self.raster.grid
        return _covering(
            self.edges,
            self.zone_start,
            self.zone_bounds,
            raster.tiles,
            raster.cells,
            raster.sure,
            raster.border,
            raster.row_start,
            raster.row_edges,
            grid.x0,
            grid.y0,
            1.0 / grid.cell_m,
            grid.nx,
            grid.ny,
            _flat(x_m),
            _flat(y_m),
        )

    def signed_distance_m(self, x_m: Floats, y_m: Floats) -> Floats:
        """Return metres to each zone's border, shape (points, zones): positive inside, negative outside, 0 on the border."""
        inside = self._unpacked(self.covering(x_m, y_m))
        far = np.full(len(_flat(x_m)), np.inf)
        distance = self._distance(_flat(x_m), _flat(y_m), far)
        return np.where(inside, distance, -distance)

    def classify(self, x_m: Floats, y_m: Floats, sigma_m: Floats, *, k: float = 2.0) -> NDArray[np.int8]:
        """Return a :class:`Side` for each (point, zone): UNCERTAIN where the border is nearer than ``k``·sigma.

        A sigma that is missing (NaN) or no standard deviation (negative, infinite), or a coordinate that is not finite, makes
        the point UNCERTAIN for every zone. With sigma 0 the answer is that of :meth:`covering`.
        """
        x, y, sigma = _flat(x_m), _flat(y_m), _flat(sigma_m)
        known = np.isfinite(x) & np.isfinite(y) & np.isfinite(sigma) & (sigma >= 0.0)
        reach = np.where(known, k * sigma, 0.0)
        side = np.where(self._unpacked(self.covering(x, y)), np.int8(Side.INSIDE), np.int8(Side.OUTSIDE))
        near = self._distance(x, y, reach) < reach[:, None]
        side[near | ~known[:, None]] = Side.UNCERTAIN
        return side

    def _unpacked(self, masks: Masks) -> NDArray[np.bool_]:
        bits = np.arange(len(self.zone_ids), dtype=np.uint64)
        return ((masks[:, None] >> bits) & np.uint64(1)).astype(np.bool_)

    def _distance(self, x: Floats, y: Floats, reach: Floats) -> Floats:
        raster, grid = self.raster, self.raster.grid
        per_m = 1.0 / grid.cell_m
        return _distances(
            self.edges, self.zone_start, self.zone_bounds, raster.row_start, raster.row_edges, grid.y0, per_m, grid.ny, x, y, reach
        )


def build_geofence(
    zones: Mapping[str, shapely.Geometry], *, cell_m: float = CELL_M, bounds: tuple[float, float, float, float] | None = None
) -> Geofence:
    """Compile zones (polygons or multipolygons in metres of one plane) in the order given.

    ``bounds`` limits the raster (not the answer) to an area; cells are doubled until there are at most ``MAX_CELLS``. Raises
    Invalid for no zone, more than 64 zones, another kind of geometry, an empty one, or one that crosses itself.
    """
    if not 1 <= len(zones) <= MAX_ZONES:
        raise Invalid(
            "geofence.zone-count",
            f"expected 1 to {MAX_ZONES} zones, got {len(zones)}",
            hint=Text(
                "Merge zones that mean the same into a multipolygon, or use two geofences.", "请把含义相同的区域合并，或分成两个围栏。"
            ),
        )
    parts = [_edges_of(zone_id, geometry) for zone_id, geometry in zones.items()]
    zone_start = np.concatenate(([0], np.cumsum([len(part) for part in parts]))).astype(np.int64)
    edges = np.ascontiguousarray(np.concatenate(parts))
    zone_bounds = shapely.bounds(np.array(list(zones.values()), dtype=object))
    whole = (*zone_bounds[:, :2].min(axis=0).tolist(), *zone_bounds[:, 2:].max(axis=0).tolist())
    raster = rasterise(edges, zone_start, grid=grid_over(bounds or whole, cell_m=cell_m, max_cells=MAX_CELLS))
    return Geofence(tuple(zones), edges, zone_start, np.ascontiguousarray(zone_bounds), raster)


def _edges_of(zone_id: str, geometry: shapely.Geometry) -> Floats:
    """All edges of all rings: for a valid polygon the even-odd rule over shells and holes together is its inside."""
    if geometry.geom_type not in {"Polygon", "MultiPolygon"} or geometry.is_empty:
        got = "an empty geometry" if geometry.is_empty else f"a {geometry.geom_type}"
        raise Invalid(
            "geofence.not-a-polygon",
            f"zone {zone_id}: expected a polygon or multipolygon with an area, got {got}",
            hint=Text("Give each zone as a closed area; widen lines into areas first.", "区域必须是闭合的面；线请先加宽成面。"),
        )
    if not geometry.is_valid:
        raise Invalid(
            "geofence.invalid-polygon",
            f"zone {zone_id}: expected rings that neither cross nor overlap, got {shapely.is_valid_reason(geometry).split('[')[0]}",
            hint=Text("Correct the drawing so that its lines do not cross.", "请修正边界，使其线段互不相交。"),
        )
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(geometry))]
    return np.concatenate([np.hstack((ring[:-1], ring[1:])) for ring in rings])


def _flat(values: Floats) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float64).reshape(-1)


@njit(cache=True)
def _covering(  # noqa: PLR0913, PLR0917 - a compiled kernel takes plain arrays and numbers
    edges: Floats,
    zone_start: Ints,
    zone_bounds: Floats,
    tiles: NDArray[np.int32],
    cells: NDArray[Any],
    sure: Masks,
    border: Masks,
    row_start: Ints,
    row_edges: NDArray[np.int32],
    x0: float,
    y0: float,
    per_m: float,
    nx: int,
    ny: int,
    x: Floats,
    y: Floats,
) -> Masks:
    masks = np.empty(len(x), dtype=np.uint64)
    across = (nx + 15) >> 4  # tiles are 16 × 16 cells; shifts, because floor division tests signs
    for i in range(len(x)):
        column = (x[i] - x0) * per_m
        row = (y[i] - y0) * per_m
        if 0.0 <= column < nx and 0.0 <= row < ny:
            r, c = int(row), int(column)
            code = tiles[(r >> 4) * across + (c >> 4)]
            if code < 0:
                code = np.int32(cells[((-1 - code) << 8) + ((r & 15) << 4) + (c & 15)])
            masks[i] = sure[code]
            if border[code]:
                masks[i] |= _exactly(edges, row_start, row_edges, border[code], r, ny, x[i], y[i])
        else:
            masks[i] = _beyond_raster(edges, zone_start, zone_bounds, x[i], y[i])
    return masks


@njit(cache=True)
def _exactly(
    edges: Floats, row_start: Ints, row_edges: NDArray[np.int32], doubtful: np.uint64, row: int, ny: int, x: float, y: float
) -> np.uint64:
    """The zones of ``doubtful`` that cover the point: only edges of its row can cross the ray to its right."""
    mask = np.uint64(0)
    z = 0
    while doubtful:
        if doubtful & np.uint64(1):
            inside = False
            for k in range(row_start[z * ny + row], row_start[z * ny + row + 1]):
                e = row_edges[k]
                met = _meet(edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], x, y)
                if met == 2:
                    inside = True
                    break
                inside ^= met == 1
            if inside:
                mask |= np.uint64(1) << np.uint64(z)
        doubtful >>= np.uint64(1)
        z += 1
    return mask


@njit(cache=True)
def _beyond_raster(edges: Floats, zone_start: Ints, zone_bounds: Floats, x: float, y: float) -> np.uint64:
    mask = np.uint64(0)
    for z in range(len(zone_start) - 1):
        if zone_bounds[z, 0] <= x <= zone_bounds[z, 2] and zone_bounds[z, 1] <= y <= zone_bounds[z, 3]:
            inside = False
            for e in range(zone_start[z], zone_start[z + 1]):
                met = _meet(edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], x, y)
                if met == 2:
                    inside = True
                    break
                inside ^= met == 1
            if inside:
                mask |= np.uint64(1) << np.uint64(z)
    return mask


@njit(cache=True)
def _meet(x1: float, y1: float, x2: float, y2: float, x: float, y: float) -> int:
    """2 when the point is on the edge, 1 when the edge crosses the ray to the point's right, else 0."""
    if x1 < x and x2 < x:
        return 0
    if (y1 > y) == (y2 > y):
        level = y1 == y and y2 == y and min(x1, x2) <= x <= max(x1, x2)
        corner = (x1 == x and y1 == y) or (x2 == x and y2 == y)
        return 2 if level or corner else 0
    turn = orientation(x1, y1, x2, y2, x, y)
    if turn == 0:
        return 2
    return 1 if (turn > 0) == (y2 > y1) else 0


@njit(cache=True)
def _distances(  # noqa: PLR0913, PLR0917 - a compiled kernel takes plain arrays and numbers
    edges: Floats,
    zone_start: Ints,
    zone_bounds: Floats,
    row_start: Ints,
    row_edges: NDArray[np.int32],
    y0: float,
    per_m: float,
    ny: int,
    x: Floats,
    y: Floats,
    reach: Floats,
) -> Floats:
    """Metres to each zone's border, looked for no further than ``reach`` (infinite where there is none so near)."""
    zones = len(zone_start) - 1
    result = np.full((len(x), zones), np.inf)
    for i in range(len(x)):
        first = (y[i] - reach[i] - y0) * per_m
        last = (y[i] + reach[i] - y0) * per_m
        few_rows = first >= 0.0 and last < ny and last - first < 16.0
        for z in range(zones):
            if not (
                zone_bounds[z, 0] - reach[i] <= x[i] <= zone_bounds[z, 2] + reach[i]
                and zone_bounds[z, 1] - reach[i] <= y[i] <= zone_bounds[z, 3] + reach[i]
            ):
                continue
            best = np.inf
            if few_rows:
                for k in range(row_start[z * ny + int(first)], row_start[z * ny + int(last) + 1]):
                    best = min(best, _square(edges, row_edges[k], x[i], y[i]))
            else:
                for e in range(zone_start[z], zone_start[z + 1]):
                    best = min(best, _square(edges, e, x[i], y[i]))
            result[i, z] = np.sqrt(best)
    return result


@njit(cache=True)
def _square(edges: Floats, e: int, x: float, y: float) -> float:
    """The square of the distance from a point to an edge."""
    dx, dy = edges[e, 2] - edges[e, 0], edges[e, 3] - edges[e, 1]
    px, py = x - edges[e, 0], y - edges[e, 1]
    along = min(max((px * dx + py * dy) / (dx * dx + dy * dy), 0.0), 1.0)
    px -= along * dx
    py -= along * dy
    return float(px * px + py * py)
