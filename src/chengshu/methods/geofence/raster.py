"""The scan-line raster: for each cell, which zones cover it wholly and which have a border in it."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Masks = NDArray[np.uint64]
TILE = 16
"""Cells along a tile's side."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells lie: cell (row, column) spans ``cell_m`` metres from (x0 + column·cell, y0 + row·cell)."""

    x0: float
    y0: float
    cell_m: float
    nx: int
    ny: int
    slack_m: float
    """Borders are widened by this much when cells are marked, so that no rounding of a cell index can matter."""


@dataclass(frozen=True, slots=True)
class Raster:
    """Codes into ``sure`` and ``border`` masks by tiles of 16 × 16 cells, and each zone's edges by grid row (CSR, ``zone·ny + row``).

    ``tiles`` holds a tile's code where its cells agree (most do, and then nothing else is read from memory), else −1 − the
    number of its block in ``cells``.
    """

    grid: Grid
    tiles: NDArray[np.int32]
    cells: NDArray[Any]
    sure: Masks
    border: Masks
    row_start: Ints
    row_edges: NDArray[np.int32]


def grid_over(bounds: tuple[float, float, float, float], *, cell_m: float, max_cells: int) -> Grid:
    """Return a grid over (min x, min y, max x, max y) with a cell to spare; cells double until there are at most ``max_cells``."""
    min_x, min_y, max_x, max_y = bounds
    while True:
        nx = ceil((max_x - min_x) / cell_m) + 2
        ny = ceil((max_y - min_y) / cell_m) + 2
        if nx * ny <= max_cells:
            break
        cell_m *= 2.0
    reach = max(abs(min_x), abs(min_y), abs(max_x), abs(max_y))
    return Grid(min_x - cell_m, min_y - cell_m, cell_m, nx, ny, slack_m=1e-6 * cell_m + 1e-12 * reach)


def rasterise(edges: Floats, zone_start: Ints, *, grid: Grid) -> Raster:
    """Return the raster of zones whose edges (x1, y1, x2, y2) are ``edges[zone_start[z]:zone_start[z + 1]]``.

    Scan-line fill, one row of cells at a time: memory is one code a cell, time is linear in cells plus edge-row crossings.
    Edges that lie beyond the grid still count for the rows they share with it.
    """
    row_start, row_edges = _edges_by_row(edges, zone_start, grid.y0, grid.cell_m, grid.ny, grid.slack_m)
    sure, border, length = _runs(edges, row_start, row_edges, grid.x0, grid.y0, grid.cell_m, grid.nx, grid.ny, grid.slack_m)
    order = np.lexsort((border, sure))
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (np.diff(sure[order]) != 0) | (np.diff(border[order]) != 0)
    codes = np.empty(len(order), dtype=np.int32)
    codes[order] = np.cumsum(is_new) - 1
    kept = order[is_new]
    tiles, cells = _tiled(np.repeat(codes, length).reshape(grid.ny, grid.nx))
    if len(kept) <= 1 << 16:
        return Raster(grid, tiles, cells.astype(np.uint16), sure[kept], border[kept], row_start, row_edges)
    return Raster(grid, tiles, cells, sure[kept], border[kept], row_start, row_edges)


def _tiled(codes: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Split the cells' codes into tiles: one code where a tile is all alike, a block of 256 where it is not."""
    ny, nx = codes.shape
    padded = np.pad(codes, ((0, -ny % TILE), (0, -nx % TILE)), mode="edge")
    blocks = padded.reshape(len(padded) // TILE, TILE, -1, TILE).swapaxes(1, 2).reshape(-1, TILE * TILE)
    tiles = blocks[:, 0].copy()
    mixed = np.flatnonzero((blocks != tiles[:, None]).any(axis=1))
    tiles[mixed] = -1 - np.arange(len(mixed), dtype=np.int32)
    return tiles, blocks[mixed].reshape(-1)


@njit(cache=True)
def _row_span(edges: Floats, e: int, y0: float, cell: float, ny: int, slack: float) -> tuple[int, int]:
    """The rows [first, last] that edge ``e`` touches, cut to the grid (empty when last < first)."""
    low = (min(edges[e, 1], edges[e, 3]) - slack - y0) / cell
    high = (max(edges[e, 1], edges[e, 3]) + slack - y0) / cell
    # Clamp as floats, before the cast: a negative index that wraps is how a polygon off the grid's side goes wrong.
    return int(np.floor(min(max(low, 0.0), float(ny)))), int(np.floor(min(max(high, -1.0), float(ny - 1))))


@njit(cache=True)
def _edges_by_row(edges: Floats, zone_start: Ints, y0: float, cell: float, ny: int, slack: float) -> tuple[Ints, NDArray[np.int32]]:
    zones = len(zone_start) - 1
    row_start = np.zeros(zones * ny + 1, dtype=np.int64)
    for z in range(zones):
        for e in range(zone_start[z], zone_start[z + 1]):
            first, last = _row_span(edges, e, y0, cell, ny, slack)
            for row in range(first, last + 1):
                row_start[z * ny + row + 1] += 1
    row_start = np.cumsum(row_start)
    at = row_start[:-1].copy()
    row_edges = np.empty(row_start[-1], dtype=np.int32)
    for z in range(zones):
        for e in range(zone_start[z], zone_start[z + 1]):
            first, last = _row_span(edges, e, y0, cell, ny, slack)
            for row in range(first, last + 1):
                row_edges[at[z * ny + row]] = e
                at[z * ny + row] += 1
    return row_start, row_edges


@njit(cache=True)
def _runs(
    edges: Floats, row_start: Ints, row_edges: NDArray[np.int32], x0: float, y0: float, cell: float, nx: int, ny: int, slack: float
) -> tuple[Masks, Masks, Ints]:
    """Rows of cells as runs of equal masks: first counted, then written."""
    zones = (len(row_start) - 1) // ny
    sure = np.zeros(nx, dtype=np.uint64)
    border = np.zeros(nx, dtype=np.uint64)
    longest = 1
    for k in range(len(row_start) - 1):
        longest = max(longest, row_start[k + 1] - row_start[k])
    crossings = np.empty(longest)
    n = 0
    for row in range(ny):
        _fill_row(edges, row_start, row_edges, crossings, sure, border, row, zones, x0, y0, cell, ny, slack)
        n += 1
        for c in range(1, nx):
            n += sure[c] != sure[c - 1] or border[c] != border[c - 1]
    run_sure = np.empty(n, dtype=np.uint64)
    run_border = np.empty(n, dtype=np.uint64)
    length = np.empty(n, dtype=np.int64)
    n = -1
    for row in range(ny):
        _fill_row(edges, row_start, row_edges, crossings, sure, border, row, zones, x0, y0, cell, ny, slack)
        for c in range(nx):
            if c == 0 or sure[c] != sure[c - 1] or border[c] != border[c - 1]:
                n += 1
                run_sure[n] = sure[c]
                run_border[n] = border[c]
                length[n] = 0
            length[n] += 1
    return run_sure, run_border, length


@njit(cache=True)
def _fill_row(  # noqa: PLR0913, PLR0917 - a compiled kernel takes plain numbers, not the Grid
    edges: Floats,
    row_start: Ints,
    row_edges: NDArray[np.int32],
    crossings: Floats,
    sure: Masks,
    border: Masks,
    row: int,
    zones: int,
    x0: float,
    y0: float,
    cell: float,
    ny: int,
    slack: float,
) -> None:
    sure[:] = np.uint64(0)
    border[:] = np.uint64(0)
    for z in range(zones):
        start = row_start[z * ny + row]
        stop = row_start[z * ny + row + 1]
        if start == stop:
            continue  # a bounded zone without an edge in this row does not reach it
        bit = np.uint64(1) << np.uint64(z)
        _mark_border(edges, row_edges[start:stop], border, bit, row, x0, y0, cell, slack)
        n = _cross(edges, row_edges[start:stop], crossings, y0 + (row + 0.5) * cell)
        inside = crossings[:n]
        inside.sort()
        for k in range(0, n - 1, 2):
            _fill_between(sure, border, bit, (inside[k] - x0) / cell, (inside[k + 1] - x0) / cell)


@njit(cache=True)
def _mark_border(
    edges: Floats, chosen: NDArray[np.int32], border: Masks, bit: np.uint64, row: int, x0: float, y0: float, cell: float, slack: float
) -> None:
    """Set ``bit`` in every cell of the row that a widened edge touches."""
    low = y0 + row * cell - slack
    high = y0 + (row + 1) * cell + slack
    for e in chosen:
        x1, y1, x2, y2 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        left, right = min(x1, x2), max(x1, x2)
        if y1 != y2:
            xa = x1 + (x2 - x1) * min(max((low - y1) / (y2 - y1), 0.0), 1.0)
            xb = x1 + (x2 - x1) * min(max((high - y1) / (y2 - y1), 0.0), 1.0)
            left, right = max(left, min(xa, xb)), min(right, max(xa, xb))
        first = int(np.floor(min(max((left - slack - x0) / cell, 0.0), float(len(border)))))
        last = int(np.floor(min(max((right + slack - x0) / cell, -1.0), float(len(border) - 1))))
        for c in range(first, last + 1):
            border[c] |= bit


@njit(cache=True)
def _cross(edges: Floats, chosen: NDArray[np.int32], crossings: Floats, y: float) -> int:
    """Write where the edges cross the line at ``y`` (lower end in, upper end out) and return how many do."""
    n = 0
    for e in chosen:
        y1, y2 = edges[e, 1], edges[e, 3]
        if (y1 > y) != (y2 > y):
            crossings[n] = edges[e, 0] + (edges[e, 2] - edges[e, 0]) * ((y - y1) / (y2 - y1))
            n += 1
    return n


@njit(cache=True)
def _fill_between(sure: Masks, border: Masks, bit: np.uint64, left: float, right: float) -> None:
    """Set ``bit`` in the cells whose centre lies between two crossings, except where the zone's border passes."""
    first = int(np.ceil(min(max(left - 0.5, 0.0), float(len(sure)))))
    last = int(np.floor(min(max(right - 0.5, -1.0), float(len(sure) - 1))))
    for c in range(first, last + 1):
        if not border[c] & bit:
            sure[c] |= bit
