import copy
import json
from pathlib import Path

import pytest
from page_reader import grid_of_lanes

from chengshu.methods.projection import LocalFrame
from chengshu.scenario.model import load
from chengshu.scenario.report import write_report

DATA = Path(__file__).parents[2] / "data" / "report"
_SAMPLE = json.loads((DATA / "play.json").read_text(encoding="utf-8"))
_ZONES = json.loads((DATA / "zones.json").read_text(encoding="utf-8"))


@pytest.fixture
def play():
    """A play's document, made up for the tests."""
    return copy.deepcopy(_SAMPLE)


@pytest.fixture
def zones():
    return copy.deepcopy(_ZONES)


@pytest.fixture
def pack():
    return load(DATA)


@pytest.fixture
def frame():
    return LocalFrame("+proj=utm +zone=33 +ellps=WGS84 +datum=WGS84 +units=m +no_defs", -400_000.0, -5_808_000.0)


@pytest.fixture
def lanes():
    return grid_of_lanes(60)


@pytest.fixture
def write(pack, lanes, frame, zones, tmp_path):
    def written(play, *, language="en", **changed):
        parts = {"pack": pack, "lanes": lanes, "frame": frame, "zones": zones} | changed
        return write_report(play, **parts, language=language, path=tmp_path / "out" / "report.html").read_text(encoding="utf-8")

    return written
