"""The road networks: where they lie inside the SUMO wheel, what is cut out of them, and under which licence.

Both come from ``tools/game`` of the wheel ``eclipse-sumo``, whose licence is EPL-2.0 OR GPL-2.0-or-later. SUMO's NOTICE.md lists
"OpenStreetMap data files: ODbL-1.0" as content of third parties and holds changed files of ``tools`` to be derivative works. The
Berlin network names its OpenStreetMap input itself; the edges of the Braunschweig one have OpenStreetMap's way numbers and road
types. What is cut out of them therefore stays under both licences, and ``notice`` says so beside the data. Not used: ``fkk_in``
(Ingolstadt, of other provenance) and the copies that other packages ship.
"""

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

LICENCE = "EPL-2.0 AND ODbL-1.0 (road network and what is derived from it: EPL-2.0 as SUMO's, ODbL-1.0 as OpenStreetMap's)"
ATTRIBUTION = "© OpenStreetMap contributors (ODbL 1.0); network prepared by the Eclipse SUMO project, DLR and others (EPL-2.0)"
LABEL = {"en": "simulated traffic on a real network", "zh": "真实路网上的仿真交通"}


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the wheel, the part of it that is used and how many vehicles enter it."""

    name: str
    place: dict[str, str]
    source: str
    """Path of the network below the wheel's ``sumo`` folder."""
    options: str
    """What netconvert is told beside keeping the roads for cars."""
    period_s: float
    """Mean time between two departures; found by trying: more vehicles than this end in a jam."""


NETWORKS = {
    network.name: network
    for network in (
        Network(
            name="berlin-adlershof",
            place={"en": "Adlershof, Berlin, Germany", "zh": "德国柏林阿德勒斯霍夫"},
            source="tools/game/DRT/osm.net.xml",
            options="--keep-edges.in-boundary 900,400,2350,1400",
            period_s=1.9,
        ),
        Network(
            name="braunschweig",
            place={"en": "Braunschweig, Germany", "zh": "德国不伦瑞克"},
            source="tools/game/bs3d/bs.net.xml",
            # The game's signals wait a thousand seconds for a player to switch them: they are built anew.
            options="--tls.rebuild true --tls.default-type actuated",
            period_s=1.6,
        ),
    )
}


def notice(network: Network) -> str:
    """Return the text that has to lie beside every recording made on ``network``."""
    return f"""# {network.name}

{LABEL["en"]} · {LABEL["zh"]}

- Roads: © OpenStreetMap contributors, Open Database License 1.0, https://www.openstreetmap.org/copyright
- Network: Eclipse SUMO {sumo_version()}, file `{network.source}`, © DLR and others, EPL-2.0 OR GPL-2.0-or-later;
  the source is at https://github.com/eclipse-sumo/sumo
- Changed: cut to roads for cars with netconvert, vehicles simulated with SUMO, written as Parquet (see `meta.json`).
- This folder is therefore not under the project's own licence but under EPL-2.0 and ODbL-1.0.

- 道路：© OpenStreetMap 贡献者，开放数据库许可 1.0（ODbL 1.0）
- 路网：Eclipse SUMO {sumo_version()}，文件 `{network.source}`，© DLR 等，EPL-2.0 或 GPL-2.0 及以后版本
- 改动：用 netconvert 裁剪出机动车道路，用 SUMO 仿真车辆，写成 Parquet（见 `meta.json`）。
- 因此本文件夹不适用本项目自身的许可证，而适用 EPL-2.0 与 ODbL-1.0。

No vehicle, person or trip in it is real. 其中的车辆、人员与出行均非真实。
"""


def sumo_home() -> Path:
    """Return the folder of the installed wheel; raises SystemExit with what to install if there is none."""
    spec = find_spec("sumo")
    if spec is None or spec.origin is None:
        raise SystemExit("expected SUMO in this environment: pip install -r requirements/sumo.txt")
    return Path(spec.origin).parent


def sumo_version() -> str:
    """Return the version of the installed wheel."""
    return version("eclipse-sumo")


def program(name: str) -> list[str]:
    """Return how to start one of SUMO's programs (``sumo``, ``netconvert``) or Python tools (``randomTrips.py``)."""
    if name.endswith(".py"):
        return [sys.executable, str(sumo_home() / "tools" / name)]
    return [str(sumo_home() / "bin" / name)]


def environment() -> dict[str, str]:
    """Return the environment SUMO's programs need: where it is, and its own copy of PROJ's data."""
    home = sumo_home()
    return os.environ | {"SUMO_HOME": str(home), "PROJ_DATA": str(home / "data" / "proj"), "PROJ_LIB": str(home / "data" / "proj")}
