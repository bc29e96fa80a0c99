import copy
import json
from pathlib import Path

import pyarrow as pa
import pytest

from chengshu.kernel.text import Text
from chengshu.methods.projection import LocalFrame
from chengshu.scenario.model import Pack, Role, SettlementPart, SourcePart

DATA = Path(__file__).parents[2] / "data" / "report"
_SAMPLE = json.loads((DATA / "play.json").read_text(encoding="utf-8"))
_ZONES = json.loads((DATA / "zones.json").read_text(encoding="utf-8"))
_ROLES = {
    "car_maker": Text("Car maker", "车企"),
    "road_operator": Text("Road operator", "道路运营方"),
    "fleet_operator": Text("Fleet operator", "运输企业"),
    "navigation_platform": Text("Navigation platform", "导航平台"),
    "regulator": Text("Regulator", "监管方"),
    "space_operator": Text("Space operator", "空间运营方"),
}


@pytest.fixture
def play():
    """A play's document, made up for the tests."""
    return copy.deepcopy(_SAMPLE)


@pytest.fixture
def zones():
    return copy.deepcopy(_ZONES)


@pytest.fixture
def pack(tmp_path):
    return Pack(
        root=tmp_path,
        id="transport/av_pilot",
        version="1",
        title=Text("An autonomous-driving pilot", "自动驾驶试运营"),
        summary=Text("Four parties fuse their data.", "四方融合数据。"),
        label=Text("simulated traffic on a real network", "真实路网上的仿真交通"),
        clauses=("TRA-3",),
        roles=tuple(Role(role, title, role == "space_operator") for role, title in _ROLES.items()),
        products=(),
        jobs=(),
        queries=(),
        source=SourcePart("av_pilot.observe", tmp_path, {}),
        settlement=SettlementPart("hazards", "fleet_operator", 1_000_000),
        licences=("Road network: OpenStreetMap contributors, ODbL 1.0",),
    )


@pytest.fixture
def frame():
    return LocalFrame("+proj=utm +zone=33 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", -400_000.0, -5_808_000.0)


def grid_of_lanes(count: int) -> pa.Table:
    """So many lanes of nine points each, slightly bent, on a plane of 4 km by 4 km."""
    starts = [((i * 37) % 4000, (i * 91) % 4000) for i in range(count)]
    xs = [[float(x + 12 * k) for k in range(9)] for x, _ in starts]
    ys = [[float(y + (k * k) % 7) for k in range(9)] for _, y in starts]
    return pa.table({"xs": xs, "ys": ys, "width_m": [3.2] * count, "is_internal": [False] * count})


@pytest.fixture
def lanes():
    return grid_of_lanes(60)
