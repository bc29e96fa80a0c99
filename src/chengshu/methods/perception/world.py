"""A recording as the arrays the views are taken from."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.perception.sight import Bodies, Floats, Ints
from chengshu.methods.projection import LocalFrame
from chengshu.methods.recording import Recording


@dataclass(frozen=True, slots=True)
class World:
    """All vehicle states of a recording, sorted by tick and vehicle; ``veh`` [n] is a row of ``ids``, ``kinds``; ``t_ms`` UTC epoch ms."""

    t_ms: Ints
    veh: Ints
    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    accel: Floats
    edge: Ints
    length: Floats
    width: Floats
    ids: tuple[str, ...]
    kinds: NDArray[np.object_]
    edges: tuple[str, ...]
    bodies: Bodies
    started_ms: int
    frame: LocalFrame

    @property
    def is_av(self) -> NDArray[np.bool_]:
        """Whether each vehicle (not each state) drives itself."""
        return np.asarray(self.kinds == "av", dtype=np.bool_)

    @property
    def duration_ms(self) -> int:
        """The time covered, in ms."""
        return int(self.t_ms[-1]) - self.started_ms + 100


def world_of(recording: Recording) -> World:
    """Return the arrays of ``recording``; raise Invalid when it holds no vehicle state."""
    tracks = recording.tracks
    if tracks.num_rows == 0:
        raise Invalid(
            "perception.empty-recording",
            "expected at least one vehicle state, got a recording without any",
            hint=Text("Record at least a few seconds of traffic.", "请至少录制数秒交通。"),
        )
    t_rel, veh_number = _ints(tracks, "t_ms"), _ints(tracks, "veh")
    order = np.lexsort((veh_number, t_rel))
    t_rel, veh_number = t_rel[order], veh_number[order]
    numbers = _ints(recording.vehicles, "veh")
    rows = np.argsort(numbers)
    veh = rows[np.searchsorted(numbers, veh_number, sorter=rows)]
    heading, speed = _floats(tracks, "heading_deg")[order], _floats(tracks, "speed_mps")[order]
    x, y = _floats(tracks, "x_m")[order], _floats(tracks, "y_m")[order]
    length, width = _floats(recording.vehicles, "len_m")[veh], _floats(recording.vehicles, "wid_m")[veh]
    edges, edge = _edges(recording.lanes, _ints(tracks, "lane")[order])
    started_ms = epoch_ms(str(recording.meta["started_at"]))
    return World(
        t_ms=t_rel + started_ms, veh=veh, x=x, y=y, heading=heading, speed=speed, accel=_acceleration(t_rel, veh, speed), edge=edge,
        length=length, width=width, ids=tuple(recording.vehicles["veh_id"].to_pylist()),
        kinds=np.asarray(recording.vehicles["kind"].to_pylist(), dtype=object), edges=edges,
        bodies=_bodies(t_rel, x, y, heading, length, width), started_ms=started_ms, frame=frame_of(recording),
    )  # fmt: skip # columns of one row each would fill a screen and say nothing more


def frame_of(recording: Recording) -> LocalFrame:
    """Return the projection between the recording's local metres and WGS84."""
    offset_x, offset_y = recording.meta["net_offset"]
    return LocalFrame(str(recording.meta["proj"]), float(offset_x), float(offset_y))


def epoch_ms(moment: str) -> int:
    """Return a UTC time text as ms since 1970; a text without an offset is read as UTC."""
    parsed = datetime.fromisoformat(moment)
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def pseudonym(seed: int, source: str, name: str) -> str:
    """Return a name that says nothing, differs between sources, and is the same each time for the same seed."""
    return hashlib.sha256(f"{seed}/{source}/{name}".encode()).hexdigest()[:12]


def _ints(table: pa.Table, column: str) -> Ints:
    return np.asarray(table[column], dtype=np.int64)


def _floats(table: pa.Table, column: str) -> Floats:
    return np.asarray(table[column], dtype=np.float64)


def _edges(lanes: pa.Table, lane: Ints) -> tuple[tuple[str, ...], Ints]:
    """Return the names of normal edges and, for every state, its edge's index (-1 inside junctions and off the network)."""
    internal = lanes["is_internal"].to_pylist()
    names = ["" if inside else name for name, inside in zip(lanes["edge_id"].to_pylist(), internal, strict=True)]
    edges = tuple(sorted({name for name in names if name}))
    index = {name: number for number, name in enumerate(edges)}
    of_lane = np.full(int(max(_ints(lanes, "lane"), default=-1)) + 2, -1, np.int64)  # the last cell answers for lane -1
    of_lane[_ints(lanes, "lane")] = [index.get(name, -1) for name in names]
    return edges, of_lane[lane]


def _acceleration(t_ms: Ints, veh: Ints, speed: Floats) -> Floats:
    order = np.lexsort((t_ms, veh))
    same = np.diff(veh[order]) == 0
    rate = np.diff(speed[order]) / np.maximum(np.diff(t_ms[order]), 1) * 1000
    out = np.zeros(len(speed))
    out[order[1:]] = np.where(same, rate, 0.0)
    return out


def _bodies(t_ms: Ints, x: Floats, y: Floats, heading: Floats, length: Floats, width: Floats) -> Bodies:
    start = np.append(np.flatnonzero(np.diff(t_ms, prepend=t_ms[0] - 1)), len(t_ms)).astype(np.int64)
    ux, uy = np.sin(np.radians(heading)), np.cos(np.radians(heading))
    return Bodies(start, x - ux * length / 2, y - uy * length / 2, ux, uy, length / 2, width / 2)
