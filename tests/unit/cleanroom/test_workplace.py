"""Folders of jobs: private, gone with their job or after a crash, and never taken from a job that is at work."""

import signal
import subprocess
import sys
from pathlib import Path

from chengshu.cleanroom.workplace import Workplace

HOLD = """
import sys, time
from pathlib import Path
from chengshu.cleanroom.workplace import Workplace

with Workplace(Path(sys.argv[1]), "1GB").folder() as folder:
    (folder / "0.arrow").write_text("rows")
    print(folder, flush=True)
    sys.stdin.read()
"""


def at_work(workspace: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Another process of the node that has a job's folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(workspace)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_job_has_a_folder_for_this_user_alone_that_is_gone_with_it(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "work", "1GB")
    with place.folder() as one, place.folder() as other:
        assert one != other
        assert [oct(path.stat().st_mode & 0o777) for path in (place.workspace, one)] == ["0o700", "0o700"]
        spill = place.spill_in(one)
        (spill.folder / "block").write_text("rows")
        place.clear()
        assert (spill.folder / "block").exists()
    assert list(place.workspace.iterdir()) == []


def test_what_another_process_is_at_work_in_stays_and_what_it_left_when_it_died_goes(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "work", "1GB")
    process, folder = at_work(place.workspace)
    with process:
        place.clear()
        assert (folder / "0.arrow").exists()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        assert (folder / "0.arrow").exists()
        place.clear()
    assert list(place.workspace.iterdir()) == []


def test_whatever_else_lies_there_goes(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "work", "1GB")
    place.clear()
    (place.workspace / "left").mkdir()
    (place.workspace / "left" / "0.arrow").write_text("rows")
    (place.workspace / "file").write_text("rows")
    beside = tmp_path / "beside"
    beside.mkdir()
    (place.workspace / "link").symlink_to(beside)
    place.clear()
    assert list(place.workspace.iterdir()) == []
    assert beside.is_dir()
