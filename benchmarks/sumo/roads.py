"""Reads a SUMO network file into lanes, junctions, movements and their conflicts: what of it a car can drive on."""

import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_WIDTH_M = 3.2
"""SUMO's width of a lane that declares none."""


@dataclass(slots=True)
class Lane:
    """A lane open to cars; ``next`` are the lanes that follow directly, internal ones included."""

    id: str
    edge: str
    junction: str
    is_internal: bool
    speed_limit_mps: float
    width_m: float
    length_m: float
    shape: list[tuple[float, float]]
    next: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Junction:
    """A junction; ``is_signal`` if traffic lights rule it."""

    id: str
    x_m: float
    y_m: float
    is_signal: bool


@dataclass(frozen=True, slots=True)
class Movement:
    """A connection across a junction: from a lane over internal lanes to a lane, with its place in the state of a signal program."""

    junction: str
    from_lane: str
    via: tuple[str, ...]
    to_lane: str
    program: str | None
    index: int


@dataclass(frozen=True, slots=True)
class Roads:
    """What a car finds in a network."""

    lanes: list[Lane]
    junctions: list[Junction]
    movements: list[Movement]
    foes: list[tuple[str, str]]
    """Pairs of internal lanes whose movements the network's right-of-way declares to conflict."""
    programs: frozenset[str]
    proj: str
    offset: tuple[float, float]


def read_roads(path: Path) -> Roads:
    """Return the roads of a network file; promises that every lane named anywhere is in ``lanes``."""
    root = xml_root(path)
    ends = {edge.get("id", ""): edge.get("to", "") for edge in root.iter("edge")}
    lanes = {lane.id: lane for edge in root.iter("edge") for lane in _lanes(edge, ends)}
    connections = [c for c in root.iter("connection") if _from(c) in lanes and _to(c) in lanes and c.get("via", _to(c)) in lanes]
    for connection in connections:
        lanes[_from(connection)].next.append(connection.get("via", _to(connection)))
    movements = [_movement(c, lanes) for c in connections if not lanes[_from(c)].is_internal]
    driven = {lane for movement in movements for lane in movement.via}
    kept = [lane for lane in lanes.values() if not lane.is_internal or lane.id in driven]
    nodes = [node for node in root.iter("junction") if node.get("type") != "internal"]
    location = root.find("location")
    if location is None:
        raise ValueError("expected a location in the network, got none")
    x, y = (float(part) for part in location.get("netOffset", "").split(","))
    return Roads(
        lanes=kept,
        junctions=[_junction(node) for node in nodes],
        movements=movements,
        foes=_foes(nodes, movements),
        programs=frozenset(m.program for m in movements if m.program is not None),
        proj=location.get("projParameter", "").strip(),
        offset=(x, y),
    )


def xml_root(path: Path) -> ET.Element:
    """Return the root of an XML file that SUMO or this package wrote."""
    return ET.parse(path).getroot()  # noqa: S314 — written by the simulation on this machine, never by somebody else


def _lanes(edge: ET.Element, ends: dict[str, str]) -> list[Lane]:
    name = edge.get("id", "")
    function = edge.get("function", "normal")
    if function not in {"normal", "internal"}:
        return []
    # Internal edges are called :<junction>_<number>.
    junction = ends[name] if function == "normal" else name[1:].rpartition("_")[0]
    return [
        Lane(
            id=lane.get("id", ""),
            edge=name,
            junction=junction,
            is_internal=function == "internal",
            speed_limit_mps=float(lane.get("speed", "0")),
            width_m=float(lane.get("width", DEFAULT_WIDTH_M)),
            length_m=float(lane.get("length", "0")),
            shape=[_point(point) for point in lane.get("shape", "").split()],
        )
        for lane in edge.iter("lane")
        if _open_to_cars(lane)
    ]


def _open_to_cars(lane: ET.Element) -> bool:
    allowed, barred = lane.get("allow"), lane.get("disallow", "").split()
    if allowed is not None:
        return bool({"passenger", "all"} & set(allowed.split()))
    return not {"passenger", "all"} & set(barred)


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")[:2]
    return float(x), float(y)


def _from(connection: ET.Element) -> str:
    return f"{connection.get('from')}_{connection.get('fromLane')}"


def _to(connection: ET.Element) -> str:
    return f"{connection.get('to')}_{connection.get('toLane')}"


def _movement(connection: ET.Element, lanes: dict[str, Lane]) -> Movement:
    via: list[str] = []
    lane = connection.get("via")
    while lane is not None and lanes[lane].is_internal:
        via.append(lane)
        lane = next(iter(lanes[lane].next), None)
    return Movement(
        junction=lanes[_from(connection)].junction,
        from_lane=_from(connection),
        via=tuple(via),
        to_lane=_to(connection),
        program=connection.get("tl"),
        index=int(connection.get("linkIndex", "-1")),
    )


def _junction(node: ET.Element) -> Junction:
    return Junction(
        id=node.get("id", ""),
        x_m=float(node.get("x", "0")),
        y_m=float(node.get("y", "0")),
        is_signal=node.get("type", "").startswith("traffic_light"),
    )


def _foes(nodes: list[ET.Element], movements: list[Movement]) -> list[tuple[str, str]]:
    """Pairs from the foe matrix of each junction: row i is link i, whose internal lane is the i-th of ``intLanes``; bits from the right."""
    chains = {lane: movement.via for movement in movements for lane in movement.via}
    pairs: set[tuple[str, str]] = set()
    for node in nodes:
        internal = node.get("intLanes", "").split()
        partners: dict[int, list[int]] = defaultdict(list)
        for request in node.iter("request"):
            bits = request.get("foes", "")[::-1]
            partners[int(request.get("index", "0"))] = [place for place, bit in enumerate(bits) if bit == "1"]
        for link, others in partners.items():
            for other in others:
                first, second = chains.get(internal[link], ()), chains.get(internal[other], ())
                pairs |= {(min(a, b), max(a, b)) for a in first for b in second if a != b}
    return sorted(pairs)
