"""The lane graph: how lanes follow one another, and the connections (chains of internal lanes) that lead across junctions."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_COLUMNS = ("lane", "edge_id", "is_internal", "junction_id", "width_m", "length_m", "xs", "ys", "next")
_LONGEST_CHAIN = 8
"""A connection has one internal lane, or two where vehicles may wait inside the junction; more than this is a loop in the data."""


class LaneGraph(NamedTuple):
    """Lanes and connections as flat arrays (CSR: ``x_start[i]:x_start[i + 1]``); lane numbers are row numbers of the table.

    A named tuple, because compiled loops can take one.
    """

    length: Floats
    width: Floats
    edge: Ints
    internal: Bools
    shape_start: Ints
    shape_x: Floats
    shape_y: Floats
    shape_s: Floats
    """Position of each shape point in the lane's own metres: a lane's declared length may differ from that of its drawing."""
    conn_from: Ints
    conn_to: Ints
    conn_length: Floats
    conn_turn: Floats
    """How far the connection turns, in degrees, 0 for straight on."""
    conn_lane_start: Ints
    conn_lanes: Ints
    from_start: Ints
    """Connections are sorted by origin: those out of lane i are ``from_start[i]`` to ``from_start[i + 1]``."""
    conn_of: Ints
    """The connection an internal lane is part of, −1 for other lanes."""
    conn_offset: Floats
    """How far into its connection an internal lane begins."""
    junction: Ints


def lane_graph(lanes: pa.Table) -> LaneGraph:
    """Return the graph of a ``lanes`` table (columns as in the pilot's ``map_lane`` product).

    Where an internal lane has several successors the first is taken: an internal lane belongs to one movement.
    Raises Invalid if a column is missing, lanes are not numbered by row, or a shape or a successor is not usable.
    """
    _check(lanes)
    length = lanes["length_m"].to_numpy().astype(np.float64)
    internal = np.asarray(lanes["is_internal"].to_numpy(zero_copy_only=False), dtype=np.bool_)
    starts, xs, ys = _shapes(lanes)
    follows = lanes["next"].to_pylist()
    chains = _chains(follows, internal)
    conn_lane_start = np.cumsum([0, *(len(chain) for _, chain, _ in chains)], dtype=np.int64)
    conn_lanes = np.array([lane for _, chain, _ in chains for lane in chain], dtype=np.int64)
    conn_of, conn_offset, conn_length = _placed(conn_lane_start, conn_lanes, length)
    origin = np.array([start for start, _, _ in chains], dtype=np.int64)
    target = np.array([end for _, _, end in chains], dtype=np.int64)
    first, last = _directions(starts, xs, ys)
    turn = np.abs((first[target] - last[origin] + 180.0) % 360.0 - 180.0) if len(chains) else np.zeros(0)
    return LaneGraph(
        length=length,
        width=lanes["width_m"].to_numpy().astype(np.float64),
        edge=_codes(lanes["edge_id"]),
        internal=internal,
        shape_start=starts,
        shape_x=xs,
        shape_y=ys,
        shape_s=_stations(starts, xs, ys, length=length),
        conn_from=origin,
        conn_to=target,
        conn_length=conn_length,
        conn_turn=turn,
        conn_lane_start=conn_lane_start,
        conn_lanes=conn_lanes,
        from_start=np.searchsorted(origin, np.arange(len(length) + 1)).astype(np.int64),
        conn_of=conn_of,
        conn_offset=conn_offset,
        junction=_codes(lanes["junction_id"]),
    )


def _check(lanes: pa.Table) -> None:
    missing = [name for name in _COLUMNS if name not in lanes.column_names]
    if missing:
        raise _bad("lanes.column-missing", f"expected a lanes table with a column {missing[0]}, got none")
    for name in _COLUMNS:
        if lanes[name].null_count:
            row = int(np.argmax(lanes[name].is_null().to_numpy(zero_copy_only=False)))
            raise _bad("lanes.null", f"expected a value in column {name} of lanes, row {row}, got null")
    if not np.array_equal(lanes["lane"].to_numpy(), np.arange(lanes.num_rows)):
        raise _bad("lanes.numbering", "expected column lane of lanes to be the row number, got another numbering")
    points = lanes["xs"].combine_chunks()
    sizes = points.value_lengths().to_numpy(zero_copy_only=False)
    if lanes.num_rows and (
        sizes.min() < 2 or not np.array_equal(sizes, lanes["ys"].combine_chunks().value_lengths().to_numpy(zero_copy_only=False))
    ):
        raise _bad("lanes.shape", "expected at least two points in columns xs and ys of lanes, as many in both, got fewer")
    successors = lanes["next"].combine_chunks().flatten()
    if len(successors) and (successors.null_count or not 0 <= min(successors.to_pylist()) <= max(successors.to_pylist()) < lanes.num_rows):
        raise _bad("lanes.next", "expected column next of lanes to name rows of the table, got a number beyond it")


def _bad(code: str, message: str) -> Invalid:
    return Invalid(f"conflicts.{code}", message, hint=Text("Check the lane map that was given.", "请检查所提供的车道地图。"))


def _codes(column: pa.ChunkedArray) -> Ints:
    indices = column.combine_chunks().dictionary_encode().indices
    return np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int64)


def _shapes(lanes: pa.Table) -> tuple[Ints, Floats, Floats]:
    xs, ys = lanes["xs"].combine_chunks(), lanes["ys"].combine_chunks()
    sizes = xs.value_lengths().to_numpy(zero_copy_only=False)
    starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return (
        starts,
        xs.flatten().to_numpy(zero_copy_only=False).astype(np.float64),
        ys.flatten().to_numpy(zero_copy_only=False).astype(np.float64),
    )


def _stations(starts: Ints, xs: Floats, ys: Floats, *, length: Floats) -> Floats:
    step = np.concatenate(([0.0], np.hypot(np.diff(xs), np.diff(ys))))
    step[starts[:-1]] = 0.0
    along = np.cumsum(step)
    lane = np.repeat(np.arange(len(length)), np.diff(starts))
    along -= along[starts[:-1]][lane]
    drawn = along[starts[1:] - 1]
    result: Floats = along * (length / np.maximum(drawn, 1e-9))[lane]
    return result


def _directions(starts: Ints, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
    """Return the directions (degrees) in which each lane begins and ends."""
    a, b = starts[:-1], starts[1:] - 1
    first = np.degrees(np.arctan2(ys[a + 1] - ys[a], xs[a + 1] - xs[a]))
    last = np.degrees(np.arctan2(ys[b] - ys[b - 1], xs[b] - xs[b - 1]))
    return first, last


def _chains(follows: list[list[int]], internal: Bools) -> list[tuple[int, list[int], int]]:
    """Return (origin, internal lanes, target) for each way out of a lane that is not internal, by origin."""
    chains: list[tuple[int, list[int], int]] = []
    for origin in np.flatnonzero(~internal):
        for successor in follows[origin]:
            chain: list[int] = []
            lane = successor
            while internal[lane] and follows[lane] and len(chain) < _LONGEST_CHAIN:
                chain.append(lane)
                lane = follows[lane][0]
            if not internal[lane]:
                chains.append((int(origin), chain, lane))
    return chains


def _placed(conn_lane_start: Ints, conn_lanes: Ints, length: Floats) -> tuple[Ints, Floats, Floats]:
    conn_of = np.full(len(length), -1, dtype=np.int64)
    offset, total = np.zeros(len(length)), np.zeros(len(conn_lane_start) - 1)
    for conn in range(len(total)):
        for lane in conn_lanes[conn_lane_start[conn] : conn_lane_start[conn + 1]]:
            conn_of[lane], offset[lane] = conn, total[conn]
            total[conn] += length[lane]
    return conn_of, offset, total
