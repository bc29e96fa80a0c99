"""What a permit allows: frozen values, and the one way in, from its JSON document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

import shapely

from chengshu.kernel.clock import from_iso
from chengshu.kernel.money import Fen
from chengshu.kernel.text import Text
from chengshu.methods.pilot.plane import Bounds, Note, area_of, bounds_of, features_of, line_or_area_of, position_of
from chengshu.methods.pilot.reading import Node, invalid
from chengshu.methods.pilot.windows import Window, window_of

CONTROL_MODES = ("manual", "auto", "remote", "tor", "mrm")
ITEMS: Mapping[str, tuple[str, ...]] = {
    "identity": ("veh_pid",),
    "control_mode": ("control_mode",),
    "position": ("lat_e7", "lon_e7"),
    "motion": ("speed_mps", "accel_lon_mps2", "heading_deg"),
    "perception": ("perception_state",),
    "lights_signals": ("lights_bits",),
    "external_video": ("external_video_ref",),
    "cabin_video": ("cabin_video_ref",),
    "remote_commands": ("remote_cmd_id",),
    "faults": ("fault_codes",),
}
"""The ten items of 《自动驾驶汽车运输安全服务指南（试行）》 (MoT, 2023-12) and the telemetry columns that carry each."""

RULE_IDS = tuple(f"R{number:02d}" for number in range(1, 16))
"""The ids of the pilot rules, in order; what they decide is in :mod:`chengshu.methods.pilot.rules`."""

IF_ANY = frozenset({"remote_commands", "faults"})
"""Items that the guideline asks for "if any": the column must be there, its cells may be empty."""

_DATUMS = {"WGS84", "CGCS2000"}
_OFFSET_DATUMS = {"GCJ02": "GCJ-02", "BD09": "BD-09"}
_VERSION = re.compile(r"\d+(\.\d+)*")
_KEYS = {
    "id", "version", "prev", "issuer", "title", "operators", "vehicles", "control_modes", "crs", "bbox", "zones", "windows", "holidays",
    "speed", "odd", "officer", "fleet_cap", "stops", "insurance", "cargo", "telemetry", "immobilised_s", "valid",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class VehicleClass:
    """Vehicles of one type that may drive: which pseudonyms (None = any) and software from ``sw_min`` to ``sw_max`` inclusive."""

    type_code: str
    pids: frozenset[str] | None
    sw_min: tuple[int, ...]
    sw_max: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Zone:
    """A permitted area in (lon, lat); immutable under its id once published, replaced by a new id that names ``prev``."""

    zone_id: str
    prev: str | None
    shape: shapely.Geometry


@dataclass(frozen=True, slots=True)
class Road:
    """A named road with its own speed cap: a line in (lon, lat) widened by ``buffer_m``, or an area."""

    road_id: str
    name: str
    shape: shapely.Geometry
    buffer_m: float
    max_kph: float


@dataclass(frozen=True, slots=True)
class Odd:
    """Weather limits of the operational design domain; None = not limited."""

    max_rain_mm_h: float | None
    max_wind_mps: float | None
    min_visibility_m: float | None


@dataclass(frozen=True, slots=True)
class Officer:
    """Safety officers: at least ``count`` on board, or remote ones for at most ``count`` vehicles each."""

    mode: Literal["onboard", "remote"]
    count: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A place where passengers or goods may be taken up and set down, in degrees, with its radius in metres."""

    stop_id: str
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Permit:
    """One permit as published; ``notes`` say what was put right while reading it."""

    permit_id: str
    version: int
    prev: str | None
    issuer: str
    operators: tuple[str, ...]
    vehicles: tuple[VehicleClass, ...]
    control_modes: tuple[str, ...]
    bounds: Bounds
    zones: tuple[Zone, ...]
    windows: tuple[Window, ...]
    holidays: frozenset[str]
    default_kph: float
    roads: tuple[Road, ...]
    odd: Odd
    officer: Officer | None
    fleet_cap: int | None
    stops: tuple[Stop, ...] | None
    insurance_min_fen: Fen | None
    bans_dangerous_goods: bool
    max_gap_s: float
    items: tuple[str, ...]
    immobilised_s: float
    valid_from: datetime
    valid_to: datetime
    notes: tuple[Note, ...]

    @classmethod
    def parse(cls, document: object) -> "Permit":
        """Read a permit document; raise Invalid with the path, what was expected and what kind of thing came."""
        top = Node.of(document, "$")
        top.only(_KEYS)
        _check_datum(top)
        bounds = bounds_of(top.get("bbox"), top.at("bbox"))
        zones, zone_notes = _zones(top, bounds)
        default_kph, roads, road_notes = _speed(top.node("speed"), bounds)
        valid_from, valid_to = _valid(top.node("valid"))
        telemetry = top.node("telemetry")
        telemetry.only({"max_gap_s", "items"})
        return cls(
            permit_id=top.text("id"),
            version=top.whole("version", least=1),
            prev=top.maybe("prev", top.text),
            issuer=top.text("issuer"),
            operators=top.words("operators", least=1),
            vehicles=tuple(_vehicles(node) for node in top.nodes("vehicles", least=1)),
            control_modes=top.words("control_modes", least=1, of=CONTROL_MODES),
            bounds=bounds,
            zones=zones,
            windows=tuple(window_of(node) for node in top.nodes("windows", least=1)),
            holidays=frozenset(top.dates("holidays")),
            default_kph=default_kph,
            roads=roads,
            odd=_odd(top.node("odd")),
            officer=_officer(top.node("officer")) if top.has("officer") else None,
            fleet_cap=top.maybe("fleet_cap", lambda key: top.whole(key, least=1)),
            stops=tuple(_stop(node, bounds) for node in top.nodes("stops", least=1)) if top.has("stops") else None,
            insurance_min_fen=_insurance(top.node("insurance")) if top.has("insurance") else None,
            bans_dangerous_goods=_cargo(top.node("cargo")),
            max_gap_s=telemetry.number("max_gap_s"),
            items=telemetry.words("items", least=1, of=ITEMS),
            immobilised_s=top.number("immobilised_s"),
            valid_from=valid_from,
            valid_to=valid_to,
            notes=zone_notes + road_notes,
        )


def permits_vehicle(permit: Permit, *, type_code: str, pid: str, version: str) -> bool:
    """Say whether the permit allows this vehicle with this software: what R03 decides tick by tick, asked before the drive."""
    numbers = sw_version(version)
    return numbers is not None and any(
        each.type_code == type_code and (each.pids is None or pid in each.pids) and each.sw_min <= numbers <= each.sw_max
        for each in permit.vehicles
    )


def sw_version(text: str) -> tuple[int, ...] | None:
    """Return a dotted software version as comparable numbers (``1.10`` after ``1.9``), or None where it is not one."""
    if not _VERSION.fullmatch(text):
        return None
    numbers = [int(part) for part in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 2.0 and 2.0.0 are one version
        numbers.pop()
    return tuple(numbers)


def _check_datum(top: Node) -> None:
    declared = top.text("crs")
    plain = declared.upper().replace("-", "").replace("_", "").replace(" ", "")
    if plain in _DATUMS:
        return
    raise invalid(
        top.at("crs"),
        "WGS84 or CGCS2000",
        f"{_OFFSET_DATUMS[plain]}, an offset datum" if plain in _OFFSET_DATUMS else "another reference system",
        code="permit.wrong-datum",
        hint=Text(
            "Ask whoever drew the zones for WGS84 or CGCS2000 coordinates: GCJ-02 and BD-09 are shifted by 100 to 700 m.",
            "请向绘制方索取 WGS84 或 CGCS2000 坐标：GCJ-02 与 BD-09 有 100 至 700 米偏移。",
        ),
    )


def _zones(top: Node, bounds: Bounds) -> tuple[tuple[Zone, ...], tuple[Note, ...]]:
    notes: list[Note] = []
    zones: dict[str, Zone] = {}

    def read(feature: Node, properties: Mapping[str, Any]) -> None:
        inner = Node.of(properties, feature.at("properties"))
        inner.only({"name", "prev", "label"})
        shape, turned = area_of(feature.node("geometry"), bounds)
        zone = Zone(feature.text("id"), inner.maybe("prev", inner.text), shape)
        if zone.zone_id in zones:
            raise invalid(feature.at("id"), "each zone id once", "a repeated one")
        zones[zone.zone_id] = zone
        notes.extend(turned)

    features_of(top.node("zones"), read)
    return tuple(zones.values()), tuple(notes)


def _speed(node: Node, bounds: Bounds) -> tuple[float, tuple[Road, ...], tuple[Note, ...]]:
    node.only({"default_kph", "roads"})
    roads: list[Road] = []
    notes: list[Note] = []
    for road in node.nodes("roads"):
        road.only({"id", "name", "geometry", "buffer_m", "max_kph"})
        shape, turned = line_or_area_of(road.node("geometry"), bounds)
        needs_width = shape.geom_type == "MultiLineString"
        buffer_m = road.number("buffer_m") if needs_width or road.has("buffer_m") else 0.0
        roads.append(Road(road.text("id"), road.text("name"), shape, buffer_m, road.number("max_kph")))
        notes.extend(turned)
    if len({road.road_id for road in roads}) != len(roads):
        raise invalid(node.at("roads"), "each road id once", "a repeated one")
    return node.number("default_kph"), tuple(roads), tuple(notes)


def _vehicles(node: Node) -> VehicleClass:
    node.only({"type", "pids", "sw"})
    pids = None if node.get("pids") == "any" else frozenset(node.words("pids", least=1))
    software = node.node("sw")
    software.only({"min", "max"})
    low, high = (sw_version(software.text(key)) for key in ("min", "max"))
    if low is None or high is None:
        raise invalid(software.path, "versions as numbers with dots", "another text")
    if high < low:
        raise invalid(software.at("max"), "a version not before min", "an earlier one")
    return VehicleClass(node.text("type"), pids, low, high)


def _odd(node: Node) -> Odd:
    node.only({"rain_mm_h", "wind_mps", "visibility_m"})
    rain = node.maybe("rain_mm_h", lambda key: node.number(key, above=-1e-9))
    return Odd(rain, node.maybe("wind_mps", node.number), node.maybe("visibility_m", node.number))


def _officer(node: Node) -> Officer:
    mode = cast('Literal["onboard", "remote"]', node.word("mode", {"onboard", "remote"}))
    if mode == "onboard":
        node.only({"mode", "least"})
        return Officer(mode, node.whole("least", least=1))
    node.only({"mode", "vehicles_per_officer"})
    vehicles = node.whole("vehicles_per_officer", least=1)
    if vehicles > 3:
        raise invalid(
            node.at("vehicles_per_officer"),
            "1 to 3 vehicles an officer",
            "more than 3",
            hint=Text(
                "《自动驾驶汽车运输安全服务指南（试行）》: the ratio is not lower than 1:3.",
                "《自动驾驶汽车运输安全服务指南（试行）》：人车比不得低于 1:3。",
            ),
        )
    return Officer(mode, vehicles)


def _stop(node: Node, bounds: Bounds) -> Stop:
    node.only({"id", "name", "position", "radius_m"})
    lon, lat = position_of(node.get("position"), node.at("position"), bounds)
    return Stop(node.text("id"), lat, lon, node.number("radius_m"))


def _insurance(node: Node) -> Fen:
    node.only({"min_fen"})
    return Fen(node.whole("min_fen", least=1))


def _cargo(node: Node) -> bool:
    node.only({"ban_dangerous_goods"})
    node.get("ban_dangerous_goods")
    return node.flag("ban_dangerous_goods")


def _valid(node: Node) -> tuple[datetime, datetime]:
    node.only({"from", "to"})
    begin, end = _moment(node, "from"), _moment(node, "to")
    if end <= begin:
        raise invalid(node.at("to"), "a moment after 'from'", "one that is not")
    return begin, end


def _moment(node: Node, key: str) -> datetime:
    try:
        return from_iso(node.text(key))
    except ValueError as error:
        raise invalid(node.at(key), "a time with an offset (RFC 3339)", "another text") from error
