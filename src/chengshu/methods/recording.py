"""A recording of traffic as tables, and the folder it is kept in.

The folder holds ``meta.json`` and one Parquet file a table. Only the tracks are packed: positions as whole centimetres, headings as
tenths of a degree, speeds as centimetres a second, each track in runs of rows one step apart, of which the first or second differences
are stored (a vehicle's place is nearly a straight line in time, so they are small). What was quantised comes back exactly.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text
from chengshu.methods.ssm import TRUTH

TRACKS = pa.schema(
    [
        ("t_ms", pa.int32()),
        ("veh", pa.int32()),
        ("x_m", pa.float64()),
        ("y_m", pa.float64()),
        ("heading_deg", pa.float32()),
        ("speed_mps", pa.float32()),
        ("accel_mps2", pa.float32()),
        ("lane", pa.int32()),
        ("pos_m", pa.float32()),
    ]
)
VEHICLES = pa.schema(
    [("veh", pa.int32()), ("veh_id", pa.string()), ("kind", pa.string()), ("len_m", pa.float64()), ("wid_m", pa.float64())]
)
LANES = pa.schema(
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
JUNCTIONS = pa.schema([("junction_id", pa.string()), ("x_m", pa.float64()), ("y_m", pa.float64()), ("is_signal", pa.bool_())])
FOES = pa.schema([("lane_a", pa.int32()), ("lane_b", pa.int32())])
LINKS = pa.schema(
    [("junction_id", pa.string()), ("link", pa.int32()), ("from_lane", pa.int32()), ("via_lane", pa.int32()), ("to_lane", pa.int32())]
)
SIGNALS = pa.schema([("t_ms", pa.int32()), ("junction_id", pa.string()), ("state", pa.string())])
DETECTOR_1MIN = pa.schema(
    [
        ("det_id", pa.string()),
        ("lane", pa.int32()),
        ("pos_m", pa.float64()),
        ("t_ms", pa.int32()),
        ("veh_count", pa.int32()),
        ("occupancy_pct", pa.float64()),
        ("speed_mps", pa.float64()),
    ]
)

_SCHEMAS: Mapping[str, pa.Schema] = {
    "tracks": TRACKS,
    "vehicles": VEHICLES,
    "lanes": LANES,
    "junctions": JUNCTIONS,
    "foes": FOES,
    "links": LINKS,
    "signals": SIGNALS,
    "detector_1min": DETECTOR_1MIN,
    "truth": TRUTH,
}

_FORMAT = 1
_PACKED: Mapping[str, tuple[float, int]] = {
    "x_m": (100.0, 2),
    "y_m": (100.0, 2),
    "heading_deg": (10.0, 1),
    "speed_mps": (100.0, 1),
    "lane": (1.0, 1),
    "pos_m": (100.0, 2),
}
"""Steps in one unit, and how many times the difference is taken, for each stored column of the tracks."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recording:
    """The world as it was recorded, whole; promises tables of the module's schemas, tracks sorted by (t_ms, veh).

    Positions are local metres of the network (x east, y north, front-bumper centre), headings degrees clockwise from north, times
    milliseconds since the recording began. ``lane`` is a row number of ``lanes`` (−1: none). ``meta`` names network, projection
    (``proj``, ``net_offset``), step, start, seed, licence and attribution.
    """

    tracks: pa.Table
    vehicles: pa.Table
    lanes: pa.Table
    junctions: pa.Table
    foes: pa.Table
    links: pa.Table
    signals: pa.Table
    detector_1min: pa.Table
    truth: pa.Table
    meta: dict[str, Any]

    def __post_init__(self) -> None:
        for name, schema in _SCHEMAS.items():
            table: pa.Table = getattr(self, name)
            if not table.schema.equals(schema):
                raise _invalid(f"expected the columns {schema.names} with their types in {name}, got {table.schema.names}")


def write_recording(recording: Recording, folder: Path) -> None:
    """Write a recording into ``folder``, which is made; positions are rounded to 1 cm, headings to 0.1°, speeds to 0.01 m/s.

    ``accel_mps2`` is not stored. Raises Invalid if times are not whole steps (``step_ms`` of the meta).
    """
    folder.mkdir(parents=True, exist_ok=True)
    step = _step(recording.meta)
    runs, packed = _pack(recording.tracks, step=step)
    _write(runs, folder / "runs.parquet")
    _write(packed, folder / "tracks.parquet")
    for name in _SCHEMAS:
        if name != "tracks":
            _write(getattr(recording, name), folder / f"{name}.parquet")
    meta = json.dumps(recording.meta | {"format": _FORMAT}, ensure_ascii=False, indent=2, sort_keys=True)
    (folder / "meta.json").write_text(meta + "\n", encoding="utf-8")


def read_recording(folder: Path) -> Recording:
    """Return the recording kept in ``folder``; raises NotFound if a file is missing, Invalid if one is not what it should be."""
    meta = _meta(folder)
    tables = {name: _read(folder, name) for name in _SCHEMAS if name != "tracks"}
    tracks = _unpack(_read(folder, "runs"), _read(folder, "tracks"), step=_step(meta))
    return Recording(tracks=tracks, **tables, meta=meta)


def empty_tables() -> dict[str, pa.Table]:
    """Return a table without rows for each of a recording's tables, for recordings that lack some (no signals, no loops)."""
    return {name: schema.empty_table() for name, schema in _SCHEMAS.items()}


def _pack(tracks: pa.Table, *, step: int) -> tuple[pa.Table, pa.Table]:
    t, veh = tracks["t_ms"].to_numpy().astype(np.int64), tracks["veh"].to_numpy().astype(np.int64)
    if np.any(t % step):
        raise _invalid(f"expected times of tracks that are whole steps of {step} ms, got others")
    order = np.lexsort((t, veh))
    t, veh = t[order], veh[order]
    new = np.ones(len(t), dtype=np.bool_)
    new[1:] = (np.diff(veh) != 0) | (np.diff(t) != step)
    starts = np.flatnonzero(new)
    runs = pa.table(
        {"veh": veh[starts], "t_ms": t[starts], "rows": np.diff(starts, append=len(t))},
        schema=pa.schema([("veh", pa.int32()), ("t_ms", pa.int32()), ("rows", pa.int32())]),
    )
    whole = {
        name: np.rint(tracks[name].to_numpy()[order].astype(np.float64) * scale).astype(np.int64) for name, (scale, _) in _PACKED.items()
    }
    whole["heading_deg"] %= 3600
    columns = {name: _differences(whole[name], starts, times=times) for name, (_, times) in _PACKED.items()}
    return runs, pa.table({name: pa.array(values, pa.int32()) for name, values in columns.items()})


def _unpack(runs: pa.Table, packed: pa.Table, *, step: int) -> pa.Table:
    rows = runs["rows"].to_numpy().astype(np.int64)
    starts = np.cumsum(rows) - rows
    total = int(rows.sum())
    if packed.num_rows != total or packed.schema.names != list(_PACKED):
        raise _invalid("expected as many packed rows as the runs say, with the columns of this format, got others")
    veh = np.repeat(runs["veh"].to_numpy(), rows)
    within = np.arange(total, dtype=np.int64) - np.repeat(starts, rows)
    t = np.repeat(runs["t_ms"].to_numpy().astype(np.int64), rows) + within * step
    whole = {name: _sums(packed[name].to_numpy().astype(np.int64), starts, rows, times=times) for name, (_, times) in _PACKED.items()}
    change = np.diff(whole["speed_mps"], prepend=0)
    change[starts] = 0
    # Runs are sorted by vehicle, so a stable sort by time alone leaves the vehicles of one time in order.
    order = np.argsort(t, kind="stable")
    columns = {"t_ms": t, "veh": veh, "accel_mps2": change / (_PACKED["speed_mps"][0] * step / 1000.0)}
    columns |= {name: whole[name] if scale == 1.0 else whole[name] / scale for name, (scale, _) in _PACKED.items()}
    return pa.table([pa.array(columns[field.name][order].astype(field.type.to_pandas_dtype())) for field in TRACKS], schema=TRACKS)


def _differences(values: Ints, starts: Ints, *, times: int) -> Ints:
    for _ in range(times):
        first = values[starts]
        values = np.diff(values, prepend=0)
        values[starts] = first
    return values


def _sums(values: Ints, starts: Ints, rows: Ints, *, times: int) -> Ints:
    for _ in range(times):
        running = np.cumsum(values)
        before = np.zeros(len(starts), dtype=np.int64)
        before[1:] = running[starts[1:] - 1] if len(starts) > 1 else 0
        values = running - np.repeat(before, rows)
    return values


def _write(table: pa.Table, path: Path) -> None:
    # The bytes of small whole numbers, split by place, are mostly equal: what zstd is good at.
    split = [field.name for field in table.schema if pa.types.is_int32(field.type)] if path.stem == "tracks" else False
    pq.write_table(
        table, path, compression="zstd", compression_level=19, use_dictionary=not split, use_byte_stream_split=split, store_schema=True
    )


def _read(folder: Path, name: str) -> pa.Table:
    try:
        return pq.read_table(folder / f"{name}.parquet", partitioning=None)
    except FileNotFoundError as error:
        raise _not_found(f"{name}.parquet") from error
    except pa.ArrowInvalid as error:
        raise _invalid(f"expected a Parquet file in {name}.parquet, got another kind of file") from error


def _meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _not_found("meta.json") from error
    except json.JSONDecodeError as error:
        raise _invalid("expected JSON in meta.json, got other text") from error
    if not isinstance(meta, dict) or meta.pop("format", None) != _FORMAT:
        raise _invalid(f"expected a recording of format {_FORMAT}, got another")
    return meta


def _step(meta: Mapping[str, Any]) -> int:
    step = meta.get("step_ms")
    if not isinstance(step, int) or step <= 0:
        raise _invalid("expected step_ms of the meta to be a whole number above 0, got another")
    return step


def _invalid(message: str) -> Invalid:
    return Invalid(
        "methods.recording.invalid",
        message,
        hint=Text("Record again, or take the folder whole from where it was made.", "请重新录制，或从生成处完整取得该文件夹。"),
    )


def _not_found(name: str) -> NotFound:
    return NotFound(
        "methods.recording.missing",
        f"expected {name} in the recording's folder, got none",
        hint=Text("Give the folder that write_recording wrote.", "请给出 write_recording 写入的文件夹。"),
    )
