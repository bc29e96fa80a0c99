"""One form for every position product: who says that something was where, when, how fast, and how sure it is.

Nothing is dropped in silence: every row that is set aside or put in order is counted, with its source and the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.methods.perception.parameters import TERMS, Terms
from chengshu.methods.projection import LocalFrame

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SOURCES = ("av_state", "av_objects", "rsu_objects", "fleet_gnss", "probe_gnss")
"""The position products; a source's place in this order is its bit in a track's ``sources`` mask."""
_SIZES = MappingProxyType(
    {"car": (4.5, 1.8), "truck": (9.0, 2.5), "bus": (12.0, 2.5), "motorcycle": (2.2, 0.9), "bicycle": (1.8, 0.6), "pedestrian": (0.5, 0.5)}
)
LEAST_EXISTENCE = 0.5
FASTEST_MPS = 70.0


@dataclass(frozen=True, slots=True)
class SetAside:
    """Rows of one source that were left out, put in order or marked at one step, and why; ``kept`` says whether they still count."""

    source: str
    step: str
    reason: str
    rows: int
    kept: bool


@dataclass(frozen=True, slots=True)
class Sightings:
    """A source's positions, sorted by track and time, all arrays [n].

    ``track`` is dense and the source's own, ``sensor`` the device that saw it (two devices of a source may see one vehicle, one device
    never holds a vehicle twice). Local metres, degrees clockwise from grid north, m/s; ``sigma`` is the declared 1-sigma error in m.
    """

    source: str
    terms: Terms
    t_ms: Ints
    track: Ints
    sensor: Ints
    x: Floats
    y: Floats
    heading: Floats
    speed: Floats
    length: Floats
    width: Floats
    sigma: Floats

    def __len__(self) -> int:
        return len(self.t_ms)

    def rows(self, chosen: NDArray[np.bool_] | Ints) -> "Sightings":
        """Return the chosen rows, in the order given."""
        return replace(self, **{name: getattr(self, name)[chosen] for name in _ARRAYS})

    def later(self, offset_ms: float) -> "Sightings":
        """Return the same positions with every time moved by ``offset_ms``."""
        return replace(self, t_ms=self.t_ms + round(offset_ms))


_ARRAYS = ("t_ms", "track", "sensor", "x", "y", "heading", "speed", "length", "width", "sigma")


def read_sightings(products: Mapping[str, pa.Table], frame: LocalFrame) -> tuple[dict[str, Sightings], tuple[SetAside, ...]]:
    """Return the sightings of every position product present, and what was set aside.

    Set aside: rows with a null or a value outside its range, exact repetitions of a track's moment, objects of vehicles whose own position
    is not known at that moment, objects that their own sensor believes less than even. Rows that came out of order are sorted and counted.
    Raises Invalid when a product lacks a column.
    """
    found: dict[str, Sightings] = {}
    aside: list[SetAside] = []
    for source in SOURCES:
        if source in products:
            _expect_columns(source, products[source])
            raw = _objects(products, frame, aside) if source == "av_objects" else _positions(source, products[source], frame)
            found[source] = _cleaned(raw, aside)
    return found, tuple(aside)


def aside_table(aside: Sequence[SetAside]) -> pa.Table:
    """Return the report of what was set aside: source, step, reason, rows, kept; steps without rows are left out."""
    told = [entry for entry in aside if entry.rows]
    return pa.table(
        {
            "source": pa.array([entry.source for entry in told], pa.string()),
            "step": pa.array([entry.step for entry in told], pa.string()),
            "reason": pa.array([entry.reason for entry in told], pa.string()),
            "rows": pa.array([entry.rows for entry in told], pa.int64()),
            "kept": pa.array([entry.kept for entry in told], pa.bool_()),
        }
    )


_COLUMNS = MappingProxyType(
    {
        "av_state": ("veh_pid", "t_ms", "lat_e7", "lon_e7", "pos_sigma_m", "speed_mps", "heading_deg", "len_m", "wid_m"),
        "av_objects": ("veh_pid", "t_ms", "obj_id", "class", "east_m", "north_m", "ve_mps", "vn_mps", "sigma_m", "exist_p"),
        "rsu_objects": ("rsu_id", "t_ms", "ptc_id", "lat_e7", "lon_e7", "speed_mps", "heading_deg", "len_m", "wid_m", "pos_conf_m"),
        "fleet_gnss": ("veh_pid", "t_ms", "lat_e7", "lon_e7", "pos_sigma_m", "speed_mps", "heading_deg", "len_m", "wid_m"),
        "probe_gnss": ("veh_pid", "t_ms", "lat_e7", "lon_e7", "pos_sigma_m", "speed_mps", "heading_deg"),
    }
)


def _expect_columns(source: str, table: pa.Table) -> None:
    missing = [name for name in _COLUMNS[source] if name not in table.column_names]
    if missing:
        raise Invalid(
            "sightings.column-missing",
            f"expected column {missing[0]} in {source}, got a table without it",
            hint=Text("Deliver the columns named in the product's contract.", "请按产品合约交付所列字段。"),
            facts={"product": source, "column": missing[0]},
        )


def terms_of(source: str, table: pa.Table) -> Terms:
    """Return the delivery terms: a table that went through SQL has lost its metadata, so the product's declared terms stand in."""
    metadata = table.schema.metadata or {}
    declared = TERMS[source]
    latency = int(metadata.get(b"latency_ms", declared.latency_ms))
    return Terms(latency, int(metadata.get(b"period_ms", declared.period_ms)), declared.sigma_m)


def _positions(source: str, table: pa.Table, frame: LocalFrame) -> Sightings:
    lat, lon = _floats(table, "lat_e7") / 1e7, _floats(table, "lon_e7") / 1e7
    sane = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    x, y = np.full(len(lat), np.nan), np.full(len(lat), np.nan)
    x[sane], y[sane] = frame.from_wgs84(lat[sane], lon[sane])
    roadside = source == "rsu_objects"
    name = _codes(table["rsu_id"]) if roadside else _codes(table["veh_pid"])
    track = _pair_codes(name, _codes(table["ptc_id"])) if roadside else name
    sized = "len_m" in table.column_names
    return Sightings(
        source=source,
        terms=terms_of(source, table),
        t_ms=_ints(table, "t_ms"),
        track=track,
        # A vehicle that reports itself is one device, but the source holds each vehicle once: the source is the sensor.
        sensor=name if roadside else np.zeros(len(name), np.int64),
        x=x,
        y=y,
        heading=_floats(table, "heading_deg") % 360,
        speed=_floats(table, "speed_mps"),
        length=_floats(table, "len_m") if sized else np.full(len(x), _SIZES["car"][0]),
        width=_floats(table, "wid_m") if sized else np.full(len(x), _SIZES["car"][1]),
        sigma=_floats(table, "pos_conf_m" if roadside else "pos_sigma_m"),
    )


def _objects(products: Mapping[str, pa.Table], frame: LocalFrame, aside: list[SetAside]) -> Sightings:
    """Return the objects that vehicles report, placed by the reporting vehicle's own position at the same moment."""
    table = products["av_objects"]
    believed = np.asarray(table["exist_p"], dtype=np.float64) >= LEAST_EXISTENCE
    aside.append(SetAside("av_objects", "clean", "existence-below-half", int((~believed).sum()), kept=False))
    table = table.filter(pa.array(believed))
    carriers = products.get("av_state")
    names = pa.chunked_array([pa.array([], pa.string())]) if carriers is None else carriers["veh_pid"]
    both = _codes(pa.chunked_array([*table["veh_pid"].chunks, *names.chunks], pa.string()))
    seen_by, carrier = both[: table.num_rows], both[table.num_rows :]
    x, y = np.zeros(0), np.zeros(0)
    key = np.zeros(0, np.int64)
    if carriers is not None:
        x, y = frame.from_wgs84(_floats(carriers, "lat_e7") / 1e7, _floats(carriers, "lon_e7") / 1e7)
        key = carrier * 10**14 + _ints(carriers, "t_ms")
    order = np.argsort(key, kind="stable")
    wanted = seen_by * 10**14 + _ints(table, "t_ms")
    place = np.searchsorted(key[order], wanted)
    known = place < len(key)
    known[known] = key[order][place[known]] == wanted[known]
    aside.append(SetAside("av_objects", "clean", "carrier-position-unknown", int((~known).sum()), kept=False))
    at = order[place[known]]
    return _placed(table.filter(pa.array(known)), np.asarray(x)[at], np.asarray(y)[at], seen_by[known])


def _placed(table: pa.Table, x: Floats, y: Floats, seen_by: Ints) -> Sightings:
    east, north = _floats(table, "ve_mps"), _floats(table, "vn_mps")
    kinds = pc.unique(table["class"]).to_pylist()
    sizes = np.asarray([_SIZES.get(kind, _SIZES["car"]) for kind in kinds], dtype=np.float64).reshape(-1, 2)
    size = sizes[_codes(table["class"])]
    return Sightings(
        source="av_objects",
        terms=terms_of("av_objects", table),
        t_ms=_ints(table, "t_ms"),
        track=_pair_codes(seen_by, _codes(table["obj_id"])),
        sensor=seen_by,
        x=x + _floats(table, "east_m"),
        y=y + _floats(table, "north_m"),
        heading=np.degrees(np.arctan2(east, north)) % 360,
        speed=np.hypot(east, north),
        length=size[:, 0],
        width=size[:, 1],
        sigma=_floats(table, "sigma_m"),
    )


def _cleaned(raw: Sightings, aside: list[SetAside]) -> Sightings:
    sane = np.isfinite(raw.x) & np.isfinite(raw.y) & np.isfinite(raw.heading) & (raw.speed >= 0) & (raw.speed <= FASTEST_MPS)
    sane &= (raw.sigma > 0) & (raw.length > 0) & (raw.width > 0) & (raw.t_ms > 0)
    aside.append(SetAside(raw.source, "clean", "null-or-out-of-range", int((~sane).sum()), kept=False))
    rows = np.flatnonzero(sane)
    # Stable: of two rows about the same moment the one that came first stays.
    order = rows[np.lexsort((raw.t_ms[rows], raw.track[rows]))]
    same_track = np.diff(raw.track[order]) == 0
    repeated = np.append(False, same_track & (np.diff(raw.t_ms[order]) == 0)) if len(order) else np.zeros(0, np.bool_)
    aside.append(SetAside(raw.source, "clean", "duplicate", int(repeated.sum()), kept=False))
    order = order[~repeated]
    late = np.diff(order)[np.diff(raw.track[order]) == 0] < 0
    aside.append(SetAside(raw.source, "clean", "out-of-order-sorted", int(late.sum()), kept=True))
    return raw.rows(order)


def _ints(table: pa.Table, column: str) -> Ints:
    return np.asarray(table[column].cast(pa.int64()).fill_null(-1), dtype=np.int64)


def _floats(table: pa.Table, column: str) -> Floats:
    return np.asarray(table[column].cast(pa.float64()), dtype=np.float64)


def _codes(column: pa.ChunkedArray) -> Ints:
    """Return a dense code per value, in order of first appearance; a null is a value of its own."""
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices, dtype=np.int64)


def _pair_codes(first: Ints, second: Ints) -> Ints:
    if len(first) == 0:
        return first
    return np.asarray(np.unique(first * (int(second.max()) + 1) + second, return_inverse=True)[1], dtype=np.int64)
