"""What is settled before a play begins, and what a play is said to be when it has ended."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chengshu import config, plugins
from chengshu.cli import verbs
from chengshu.cli.stage import JOB_S, claimed
from chengshu.kernel.errors import Conflict, Unavailable
from chengshu.kernel.text import Text
from chengshu.scenario.model import Pack, find, load
from chengshu.scenario.play import Play, label_of
from chengshu.scenario.summary import is_measured

MARK = ".mark"


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load(find(plugins.pack_roots(), "transport/av_pilot"))


# --- the folder


def test_a_folder_is_one_runs_as_long_as_the_run_lasts(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed(folder, mark=MARK):
        (folder / "result").write_text("mine", encoding="utf-8")
        with pytest.raises(Conflict) as caught, claimed(folder, mark=MARK):
            pass
        assert caught.value.code == "stage.in-use"
        assert (folder / "result").read_text(encoding="utf-8") == "mine"
    with claimed(folder, mark=MARK):
        assert [path.name for path in folder.iterdir()] == [MARK]


def test_another_process_is_told_in_one_sentence_and_the_running_play_keeps_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with claimed(folder, mark=".chengshu-run"):
        (folder / "result").touch()
        line = [sys.executable, "-m", "chengshu", "demo", "--folder", str(folder), "--json"]
        ran = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
        assert (ran.returncode, json.loads(ran.stdout)["error"]["code"], ran.stderr) == (1, "stage.in-use", "")
        assert (folder / "result").is_file()


def test_a_claim_goes_with_the_process_that_made_it(tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    program = "\n".join(
        [
            "import os",
            "from pathlib import Path",
            "from chengshu.cli.stage import claimed",
            f"with claimed(Path({folder!r}), mark={MARK!r}):",
            "    os._exit(9)",
        ]
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=600, check=False).returncode == 9
    with claimed(tmp_path / "run", mark=MARK):
        assert (tmp_path / "run").is_dir()


def test_a_folder_that_no_run_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").touch()
    with pytest.raises(Unavailable), claimed(tmp_path, mark=MARK):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


# --- the limits


def test_the_room_of_a_play_may_take_its_time(tmp_path: Path) -> None:
    verbs.init(tmp_path / "room", verbs.Birth("room", "Room", "净室", clean_room=True, job_s=JOB_S))
    verbs.init(tmp_path / "usual", verbs.Birth("usual", "Usual", "通常", clean_room=True))
    assert config.load(tmp_path / "room").cleanroom.timeout_s == JOB_S >= 600.0
    assert config.load(tmp_path / "usual").cleanroom == config.CleanroomSection(enabled=True)


# --- the bindings


def test_a_binding_to_a_file_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "chengshu", "pack", "run", "transport/av_pilot", "--bind", f"av_state={tmp_path / 'none.csv'}"]
    ran = subprocess.run([*line, "--folder", str(tmp_path / "run"), "--json"], capture_output=True, text=True, timeout=600, check=False)
    error = json.loads(ran.stdout)["error"]
    assert (ran.returncode, error["code"]) == (1, "pack.binding-file")
    assert error["message"].endswith(f"got none at av_state={tmp_path / 'none.csv'}")
    assert not (tmp_path / "run").exists()


def test_only_what_is_bound_is_used_when_that_is_asked_for(pack: Pack, tmp_path: Path) -> None:
    def unpack(folder: Path) -> dict[str, Path]:
        return {part.id: folder / part.id for part in pack.products}

    play = Play(pack, stage=None, unpack=unpack, progress=None, folder=tmp_path)  # type: ignore[arg-type]  # neither is reached
    own = {"av_state": tmp_path / "own.csv"}
    assert play._files(own, only_bound=True) == own
    assert play._files(own, only_bound=False).keys() == {part.id for part in pack.products}


@pytest.mark.parametrize(
    ("origins", "label"),
    [
        ({"av_state": "sample", "map_lane": "sample", "permit": "sample"}, "simulated traffic on a real network"),
        ({"av_state": "yours", "map_lane": "yours", "permit": "sample"}, "your own files"),
        (
            {"av_state": "yours", "map_lane": "sample", "permit": "yours"},
            "simulated traffic on a real network; your own files for av_state",
        ),
    ],
)
def test_a_play_is_called_after_the_tables_it_used(pack: Pack, origins: dict[str, str], label: str) -> None:
    products = [{"id": name, "state": "published", "origin": origin} for name, origin in origins.items()]
    absent = {"id": "link_speed", "state": "absent", "origin": "none"}
    assert label_of(pack, [*products, absent]).en == label
    assert label_of(pack, []) == Text("simulated traffic on a real network", "真实路网上的仿真交通")


# --- the end


def test_a_play_without_a_multiplier_is_told_from_one_with_it() -> None:
    def play(row: dict[str, object]) -> dict[str, object]:
        return {"jobs": [{"part": "hazards", "state": "RELEASED", "tables": {"multiplier": [row]}}]}

    assert is_measured(play({"status": "measured", "value": 2.7, "low": 1.3, "high": None, "n": 27}))
    assert is_measured(play({"status": "lower-bound", "value": 2.0, "low": 2.0, "n": 27}))
    assert not is_measured(play({"status": "not-measured"}))
    assert not is_measured({"jobs": [{"part": "hazards", "state": "FAILED", "tables": {}}]})
    assert not is_measured({})
