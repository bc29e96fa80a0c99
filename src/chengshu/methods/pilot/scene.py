"""Telemetry brought into the shape in which rules ask: sorted by vehicle and time, in metres, sentinels taken out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.geofence import MAX_ZONES, Side, build_geofence
from chengshu.methods.pilot.context import PilotContext
from chengshu.methods.pilot.permit import CONTROL_MODES, Permit
from chengshu.methods.pilot.plane import Plane, centre_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

K_SIGMA = 2.0
DWELL_MS = 1_000
"""Something must last this long to be a violation: one outlier proves nothing."""

_EARLIEST_MS = 10**11  # 1973; seconds since the epoch stay below it for three thousand years
_DATUMS = {"WGS84", "CGCS2000"}
_NUMBERS = ("t_ms", "lat_e7", "lon_e7", "pos_sigma_m", "speed_mps", "clock_err_ms")


@dataclass(frozen=True, slots=True)
class Scene:
    """``n`` ticks sorted by (vehicle, time); NaN = not known; ``mode`` indexes CONTROL_MODES, −1 = not known.

    ``starts`` marks each vehicle's first tick, ``breaks`` also the first tick after a gap longer than the permit allows.
    """

    permit: Permit
    context: PilotContext
    plane: Plane
    table: pa.Table
    pids: tuple[str, ...]
    veh: NDArray[np.int32]
    t_ms: Ints
    x_m: Floats
    y_m: Floats
    swapped: Flags
    sigma_m: Floats
    speed_mps: Floats
    mode: NDArray[np.int8]
    on_trip: Flags | None
    starts: Flags
    breaks: Flags

    @property
    def n(self) -> int:
        """How many ticks there are."""
        return len(self.t_ms)

    def sides(self, shapes: tuple[shapely.Geometry, ...]) -> NDArray[np.int8]:
        """Return a :class:`Side` for each (tick, (lon, lat) shape), with buffers of two sigma."""
        found = [np.empty((self.n, 0), dtype=np.int8)]
        for at in range(0, len(shapes), MAX_ZONES):
            fence = build_geofence({str(i): self.plane.flat(shape) for i, shape in enumerate(shapes[at : at + MAX_ZONES])})
            found.append(fence.classify(self.x_m, self.y_m, self.sigma_m, k=K_SIGMA))
        return np.concatenate(found, axis=1)

    def beside(self, shape: shapely.Geometry, buffer_m: float) -> NDArray[np.int8]:
        """Return a :class:`Side` for each tick of a (lon, lat) line or area widened by ``buffer_m`` metres."""
        flat = self.plane.flat(shape)
        fence = build_geofence({"road": flat.buffer(buffer_m) if buffer_m > 0.0 else flat})
        return np.asarray(fence.classify(self.x_m, self.y_m, self.sigma_m, k=K_SIGMA)[:, 0], dtype=np.int8)

    def run_starts(self, flags: Flags, starts: Flags) -> NDArray[np.intp]:
        """Return for each tick the index at which its run of equal ``flags`` began; a run never crosses a start."""
        fresh = starts.copy()
        fresh[1:] |= flags[1:] != flags[:-1]
        index = np.where(fresh, np.arange(self.n), 0)
        return np.maximum.accumulate(index)

    def lasting(self, flags: Flags, ms: int = DWELL_MS) -> Flags:
        """Return the flagged ticks whose unbroken run lasts at least ``ms``."""
        if not self.n:
            return flags
        first = self.run_starts(flags, self.breaks)
        last = np.full(self.n, -1, dtype=np.int64)
        np.maximum.at(last, first, self.t_ms)
        return np.asarray(flags & (last[first] - self.t_ms[first] >= ms), dtype=np.bool_)

    def covered(self, rows: pa.Table) -> Flags:
        """Return the ticks that lie in one of their vehicle's intervals (veh_pid, begin_ms, end_ms)."""
        codes = pc.index_in(rows.column("veh_pid").cast(pa.string()), value_set=pa.array(self.pids, pa.string())).to_numpy()
        begin, end = (rows.column(name).to_numpy() for name in ("begin_ms", "end_ms"))
        return self.covered_by(codes, begin, end)

    def covered_by(self, codes: NDArray[Any], begin: Ints, end: Ints) -> Flags:
        """Return the ticks in one of the intervals [begin, end) of the vehicle with that code; intervals may overlap."""
        found = np.zeros(self.n, dtype=np.bool_)
        edges = np.append(np.flatnonzero(self.starts), self.n)
        for code in range(len(self.pids)):
            mine = codes == code
            if mine.any():
                part = slice(edges[code], edges[code + 1])
                opened = np.searchsorted(np.sort(begin[mine]), self.t_ms[part], side="right")
                closed = np.searchsorted(np.sort(end[mine]), self.t_ms[part], side="right")
                found[part] = opened > closed
        return found


def scene_of(telemetry: pa.Table, *, permit: Permit, context: PilotContext) -> Scene:
    """Read av_state telemetry; raise Invalid for a table without veh_pid or t_ms, null keys, seconds for milliseconds, or another datum.

    Sentinels become "not known": a negative speed or sigma, latitude beyond ±90°, longitude beyond ±180°. A latitude and
    longitude that only make sense swapped are marked, and no position is guessed from them.
    """
    _check(telemetry)
    at = telemetry.column_names.index("veh_pid")
    telemetry = telemetry.set_column(at, "veh_pid", telemetry.column("veh_pid").cast(pa.string()))
    telemetry = telemetry.sort_by([("veh_pid", "ascending"), ("t_ms", "ascending")])
    plane = centre_of(permit.bounds)
    lat, lon = _numbers(telemetry, "lat_e7") / 1e7, _numbers(telemetry, "lon_e7") / 1e7
    swapped = _looks_swapped(lat, lon, permit)
    bad = swapped | ~(np.abs(lat) <= 90.0) | ~(np.abs(lon) <= 180.0)
    x, y = plane.to_plane(np.where(bad, np.nan, lat), np.where(bad, np.nan, lon))
    veh = telemetry.column("veh_pid").combine_chunks().dictionary_encode()
    codes = veh.indices.to_numpy()
    t_ms = telemetry.column("t_ms").cast(pa.int64()).to_numpy()
    starts = np.ones(len(codes), dtype=np.bool_)
    starts[1:] = codes[1:] != codes[:-1]
    breaks = starts.copy()
    breaks[1:] |= np.diff(t_ms) > permit.max_gap_s * 1000.0
    return Scene(
        permit=permit,
        context=context,
        plane=plane,
        table=telemetry,
        pids=tuple(veh.dictionary.to_pylist()),
        veh=codes,
        t_ms=t_ms,
        x_m=x,
        y_m=y,
        swapped=swapped,
        sigma_m=_not_negative(_numbers(telemetry, "pos_sigma_m")),
        speed_mps=_not_negative(_numbers(telemetry, "speed_mps")),
        mode=_modes(telemetry),
        on_trip=telemetry.column("trip_pid").is_valid().to_numpy() if "trip_pid" in telemetry.column_names else None,
        starts=starts,
        breaks=breaks,
    )


def permitted_side(scene: Scene) -> NDArray[np.int8]:
    """Return the :class:`Side` of the permitted area as a whole: a border between two permitted zones is no border."""
    return scene.sides((shapely.union_all([zone.shape for zone in scene.permit.zones]),))[:, 0]


def side_is(side: NDArray[np.int8], which: Side) -> Flags:
    """Return where ``side`` is ``which``."""
    return np.asarray(side == which, dtype=np.bool_)


def _check(telemetry: pa.Table) -> None:
    for name in ("veh_pid", "t_ms"):
        if name not in telemetry.column_names:
            raise _invalid(f"telemetry: expected a column {name}, got a table without it")
        if telemetry.column(name).null_count:
            row = pc.index(telemetry.column(name).is_null(), True).as_py()
            raise _invalid(f"telemetry, row {row}, column {name}: expected a value, got null")
    for name in _NUMBERS:
        if name in telemetry.column_names and not _is_number(telemetry.schema.field(name).type):
            raise _invalid(f"telemetry, column {name}: expected numbers, got {telemetry.schema.field(name).type}")
    early = pc.index(pc.less(telemetry.column("t_ms"), _EARLIEST_MS), True).as_py()
    if early >= 0:
        raise _invalid(f"telemetry, row {early}, column t_ms: expected UTC milliseconds since 1970, got a smaller number (seconds?)")
    declared = (telemetry.schema.metadata or {}).get(b"crs", b"WGS84").decode()
    if declared.upper().replace("-", "") not in _DATUMS:
        raise _invalid("telemetry: expected positions in WGS84 or CGCS2000, got another declared reference system")


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def _invalid(message: str) -> Invalid:
    hint = Text(
        "Correct the telemetry at its source; positions are WGS84, times UTC milliseconds.", "请在源头更正：位置为 WGS84，时间为 UTC 毫秒。"
    )
    return Invalid("pilot.telemetry", message, hint=hint)


def _numbers(table: pa.Table, name: str) -> Floats:
    if name not in table.column_names:
        return np.full(len(table), np.nan)
    values: Floats = table.column(name).cast(pa.float64()).to_numpy()
    return values


def _not_negative(values: Floats) -> Floats:
    return np.where(values >= 0.0, values, np.nan)


def _modes(table: pa.Table) -> NDArray[np.int8]:
    if "control_mode" not in table.column_names:
        return np.full(len(table), -1, dtype=np.int8)
    found = pc.index_in(table.column("control_mode").cast(pa.string()), value_set=pa.array(CONTROL_MODES))
    modes: NDArray[np.int8] = pc.fill_null(found, -1).to_numpy().astype(np.int8)
    return modes


def _looks_swapped(lat: Floats, lon: Floats, permit: Permit) -> Flags:
    """Positions whose mirror lies in the permit's box while they themselves are more than a degree away from it."""
    west, south, east, north = permit.bounds
    far = (lat < south - 1.0) | (lat > north + 1.0) | (lon < west - 1.0) | (lon > east + 1.0)
    return np.asarray(far & (lat >= west) & (lat <= east) & (lon >= south) & (lon <= north), dtype=np.bool_)
