"""A junction drawn by hand, and vehicles that drive over it at constant speeds.

Lanes: 0 from the west, 1 from the south, 2 to the east, 3 to the north; inside the junction 4 west to east, 5 south to north, 6 south to
east. Lanes 4 and 5 cross at right angles at the origin, 10 m into both; 4 and 6 run into lane 2 at (10, 0).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import atan2, degrees, hypot

import pyarrow as pa

LENGTH_M, WIDTH_M = 5.0, 1.8
FROM_WEST, FROM_SOUTH, TO_EAST, TO_NORTH, WEST_EAST, SOUTH_NORTH, SOUTH_EAST = range(7)

_SHAPES = {
    FROM_WEST: ("w", [(-200.0, 0.0), (-10.0, 0.0)], [WEST_EAST]),
    FROM_SOUTH: ("s", [(0.0, -200.0), (0.0, -10.0)], [SOUTH_NORTH, SOUTH_EAST]),
    TO_EAST: ("e", [(10.0, 0.0), (200.0, 0.0)], []),
    TO_NORTH: ("n", [(0.0, 10.0), (0.0, 200.0)], []),
    WEST_EAST: (":j_0", [(-10.0, 0.0), (10.0, 0.0)], [TO_EAST]),
    SOUTH_NORTH: (":j_1", [(0.0, -10.0), (0.0, 10.0)], [TO_NORTH]),
    SOUTH_EAST: (":j_2", [(0.0, -10.0), (3.0, -3.0), (10.0, 0.0)], [TO_EAST]),
}
LANE_SCHEMA = pa.schema(
    [
        ("lane", pa.int32()),
        ("lane_id", pa.string()),
        ("edge_id", pa.string()),
        ("is_internal", pa.bool_()),
        ("junction_id", pa.string()),
        ("speed_limit_mps", pa.float64()),
        ("width_m", pa.float64()),
        ("length_m", pa.float64()),
        ("xs", pa.list_(pa.float64())),
        ("ys", pa.list_(pa.float64())),
        ("next", pa.list_(pa.int32())),
    ]
)
TRACK_SCHEMA = pa.schema(
    [
        ("t_ms", pa.int64()),
        ("track", pa.int64()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
        ("heading_deg", pa.float64()),
        ("speed_mps", pa.float64()),
        ("len_m", pa.float64()),
        ("wid_m", pa.float64()),
        ("lane", pa.int32()),
        ("pos_m", pa.float64()),
    ]
)


def lanes() -> pa.Table:
    """The junction's lanes as the detector takes them."""
    rows = [
        {
            "lane": lane,
            "lane_id": f"{edge}_0",
            "edge_id": edge,
            "is_internal": edge.startswith(":"),
            "junction_id": "j",
            "speed_limit_mps": 13.89,
            "width_m": 3.2,
            "length_m": _length(points),
            "xs": [x for x, _ in points],
            "ys": [y for _, y in points],
            "next": after,
        }
        for lane, (edge, points, after) in _SHAPES.items()
    ]
    return pa.Table.from_pylist(rows, schema=LANE_SCHEMA)


def drive(track: int, way: Sequence[int], *, start_m: float, speed_mps: float, ticks: int, first_ms: int = 0) -> list[dict[str, float]]:
    """Rows at 10 Hz of a vehicle whose front starts ``start_m`` into the way and keeps its speed; it ends where the way does."""
    rows = []
    for tick in range(ticks):
        lane, along = _on(way, start_m + speed_mps * tick / 10.0)
        if lane < 0:
            break
        x, y, heading = _at(lane, along)
        rows.append(
            {
                "t_ms": first_ms + 100 * tick,
                "track": track,
                "x_m": x,
                "y_m": y,
                "heading_deg": heading,
                "speed_mps": speed_mps,
                "len_m": LENGTH_M,
                "wid_m": WIDTH_M,
                "lane": lane,
                "pos_m": along,
            }
        )
    return rows


def tracks(*drives: list[dict[str, float]]) -> pa.Table:
    """One table of several vehicles' rows."""
    return pa.Table.from_pylist([row for rows in drives for row in rows], schema=TRACK_SCHEMA)


def length_of(lane: int) -> float:
    """Metres along a lane."""
    return _length(_SHAPES[lane][1])


def _length(points: Sequence[tuple[float, float]]) -> float:
    return sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points))


def _on(way: Sequence[int], along: float) -> tuple[int, float]:
    for lane in way:
        if along < length_of(lane):
            return lane, along
        along -= length_of(lane)
    return -1, 0.0


def _at(lane: int, along: float) -> tuple[float, float, float]:
    points = _SHAPES[lane][1]
    for (ax, ay), (bx, by) in pairwise(points):
        step = hypot(bx - ax, by - ay)
        if along <= step:
            part = along / step
            return ax + part * (bx - ax), ay + part * (by - ay), degrees(atan2(bx - ax, by - ay)) % 360.0
        along -= step
    raise AssertionError("beyond the lane")
