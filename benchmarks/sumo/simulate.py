"""Runs SUMO on one network with one seed and leaves what it wrote in a folder.

Left there: ``net.xml``, ``routes.xml``, ``loops.xml`` (where the loops lie), ``fcd.parquet`` (10 Hz), ``ssm.xml``, ``e1.xml`` (a minute
a row), ``switches.xml`` (signal states), ``tripinfo.xml``, ``statistics.xml``.
"""

import shlex
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.sumo.networks import Network, environment, program, sumo_home
from benchmarks.sumo.roads import Roads, read_roads, xml_root

STEP_MS = 100
SSM = {"measures": "TTC DRAC PET", "thresholds": "3.0 3.0 2.0", "range": "50", "extratime": "5"}
LOOPS = 48
LOOP_BEFORE_END_M = 30.0
_AV_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class VehicleType:
    """A type of vehicle in the simulation and the kind it counts as in the recording."""

    kind: str
    share: float
    """Share among its own group: cars that are not automated, or all vehicles for trucks and buses."""
    len_m: float
    wid_m: float
    behaviour: dict[str, str]


VEHICLE_TYPES = {
    "small_car": VehicleType("car", 0.25, 4.1, 1.75, {}),
    "car": VehicleType("car", 0.35, 4.7, 1.85, {}),
    # Drivers who accept short gaps: without them hardly anybody ever comes close at a crossing.
    "hasty_car": VehicleType("car", 0.25, 4.6, 1.85, {"tau": "0.8", "sigma": "0.7", "impatience": "0.5", "jmTimegapMinor": "0.5"}),
    "van": VehicleType("car", 0.15, 5.6, 2.0, {}),
    "truck": VehicleType("truck", 0.05, 8.6, 2.4, {"accel": "1.4", "decel": "4.0"}),
    "bus": VehicleType("bus", 0.03, 12.0, 2.5, {"accel": "1.3", "decel": "4.0"}),
    "av": VehicleType("av", _AV_SHARE, 4.8, 1.9, {"sigma": "0", "tau": "1.2"}),
}
"""All drive as SUMO's class ``passenger`` so that every route is open to them; they differ in size and behaviour."""


def simulate(network: Network, folder: Path, *, seed: int, warm_up_s: int, seconds: int) -> None:
    """Simulate ``warm_up_s`` + ``seconds`` of traffic; the same network, seed and SUMO version leave the same files.

    Raises subprocess.CalledProcessError where one of SUMO's programs fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end_s = warm_up_s + seconds
    cut(network, folder)
    travel(network, folder, seed=seed, end_s=end_s)
    lay_loops(read_roads(folder / "net.xml"), folder)
    settings = " ".join(f"--device.ssm.{name} '{value}'" for name, value in SSM.items())
    _run(
        "sumo",
        f"-n net.xml -r routes.xml -a loops.xml --seed {seed} -b 0 -e {end_s} --step-length {STEP_MS / 1000} --no-step-log --no-warnings"
        " --time-to-teleport 180 --collision.action warn --tripinfo-output tripinfo.xml --statistic-output statistics.xml"
        f" --fcd-output fcd.parquet --device.fcd.begin {warm_up_s} --output.compression zstd"
        f" --device.ssm.probability 1 --device.ssm.file ssm.xml {settings}",
        folder,
    )


def cut(network: Network, folder: Path) -> None:
    """Write the part of the network that is driven on as ``net.xml``, in the network's own local metres."""
    _run(
        "netconvert",
        f"-s {shlex.quote(str(sumo_home() / network.source))} -o net.xml --keep-edges.by-vclass passenger --keep-edges.components 1"
        f" --no-turnarounds true --offset.disable-normalization true --no-warnings true {network.options}",
        folder,
    )


def travel(network: Network, folder: Path, *, seed: int, end_s: int) -> None:
    """Write ``routes.xml``: trips between edges drawn by length, lanes and speed, more often from and to the border."""
    _run(
        "randomTrips.py",
        f"-n net.xml -o trips.xml -r routes.xml --seed {seed} -e {end_s} -p {network.period_s} --random-depart --fringe-factor 8"
        " --min-distance 300 -L --speed-exponent 1 --validate --remove-loops --random-routing-factor 1.5"
        """ --trip-attributes 'departLane="best" departSpeed="max" departPos="base"'""",
        folder,
    )
    path = folder / "routes.xml"
    routes = xml_root(path)
    rng = np.random.default_rng(seed)
    for vehicle in routes.iter("vehicle"):
        vehicle.set("type", _drawn_type(rng))
    for position, (name, kind) in enumerate(VEHICLE_TYPES.items()):
        size = {"length": str(kind.len_m), "width": str(kind.wid_m)}
        routes.insert(position, ET.Element("vType", {"id": name, **size, **kind.behaviour}))
    ET.ElementTree(routes).write(path)


def lay_loops(roads: Roads, folder: Path) -> None:
    """Write ``loops.xml``: loops on the lanes of the busiest approaches, those of signals first, and the order to log signal states."""
    root = ET.Element("additional")
    for junction in sorted(roads.programs):
        ET.SubElement(root, "timedEvent", type="SaveTLSSwitchStates", source=junction, dest="switches.xml")
    passes = Counter(edge for route in xml_root(folder / "routes.xml").iter("route") for edge in route.get("edges", "").split())
    signals = {junction.id for junction in roads.junctions if junction.is_signal}
    approaches = [lane for lane in roads.lanes if not lane.is_internal and lane.next and passes[lane.edge] and lane.length_m >= 15.0]
    approaches.sort(key=lambda lane: (lane.junction not in signals, -passes[lane.edge], lane.id))
    for lane in approaches[:LOOPS]:
        place = max(lane.length_m - LOOP_BEFORE_END_M, 5.0)
        ET.SubElement(root, "inductionLoop", id=f"loop_{lane.id}", lane=lane.id, pos=f"{place:.2f}", period="60", file="e1.xml")
    ET.ElementTree(root).write(folder / "loops.xml")


def _drawn_type(rng: np.random.Generator) -> str:
    u, v, w = rng.random(3)
    heavy = {name: kind.share for name, kind in VEHICLE_TYPES.items() if kind.kind in {"truck", "bus"}}
    if u < sum(heavy.values()):
        return _by_share(heavy, u)
    if v < _AV_SHARE:
        return "av"
    return _by_share({name: kind.share for name, kind in VEHICLE_TYPES.items() if kind.kind == "car"}, w)


def _by_share(shares: dict[str, float], u: float) -> str:
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if u < reached:
            return name
    return next(reversed(shares))


def _run(name: str, options: str, folder: Path) -> None:
    command = [*program(name), *shlex.split(options)]
    subprocess.run(command, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
