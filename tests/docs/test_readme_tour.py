"""The ten minutes' tour of the README is what is tested: its blocks, in order, in one shell, in one empty folder."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PORTS = ("8701", "8702", "8703")
GUARD_S = 1800
WATCH = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"
"""Ends the tour's processes when the one that reads its input from here is gone: also when the tests are killed."""


def test_both_readmes_show_the_same_tour() -> None:
    assert tour("README.zh.md") == tour("README.md")


def test_the_tour_runs_from_its_first_block_to_its_last(told: "Told") -> None:
    assert told.exit_code == 0, told.error
    assert told.done == list(range(len(tour("README.md"))))


def test_the_tour_publishes_the_sample_without_a_finding(told: "Told") -> None:
    assert "rows: 768" in told.block(3)
    assert "findings: —" in told.block(3)


def test_the_tour_reaches_a_contract(told: "Told") -> None:
    assert "state: FINALIZED" in told.block(4)


def test_the_tour_is_answered_with_one_row_about_all_minutes(told: "Told") -> None:
    assert "state: RELEASED" in told.block(5)
    assert re.search(r"^768 +│ +1273 +│ +10\.2832", told.block(5), re.MULTILINE)


def test_the_tour_is_refused_twice_with_the_rules_that_the_readme_names(told: "Told") -> None:
    assert told.block(6).splitlines() == ["exit code 3", "exit code 3"]
    assert re.findall(r"refused \[([a-z-]+)\]", told.error) == ["raw-rows", "purpose"]


def test_the_tour_finds_nothing_wrong_and_proves_the_use(told: "Told") -> None:
    looked_at = re.findall(r"^([a-z ]+?) +│ (yes|no) ", told.block(7), re.MULTILINE)
    assert {answer for _, answer in looked_at} == {"yes"}
    assert {"key", "serve", "log", "journal"} <= {about for about, _ in looked_at}
    proved = [line for line in told.block(7).splitlines() if line.startswith("Proved: ")]
    assert [line.split(" (")[0] for line in proved[1:]] == [
        "Proved: the agreement was signed",
        "Proved: the job was vetted",
        "Proved: data were released",
        "Proved: the use was metered once",
    ]


def test_the_tour_reconciles_both_logs_and_hands_over_a_pack_that_stands_alone(told: "Told") -> None:
    lines = told.block(8).splitlines()
    assert any("agree" in line for line in lines)
    assert any(re.match(r"Proved: each of the \d+ entries about urn:uuid:", line) for line in lines)
    assert any(line.startswith("Proved: the use was metered once") for line in lines)


def test_the_tour_leaves_no_process_behind(told: "Told") -> None:
    assert not told.still_running


class Told:
    """What the tour printed, block by block, and how it ended."""

    def __init__(self, out: str, error: str, *, exit_code: int, still_running: bool) -> None:
        self._parts = re.split(r"^--- done (\d+)\n", out, flags=re.MULTILINE)
        self.done = [int(number) for number in self._parts[1::2]]
        self.error = error
        self.exit_code = exit_code
        self.still_running = still_running

    def block(self, place: int) -> str:
        """Return what one block printed."""
        return self._parts[2 * place]


def tour(readme: str) -> list[str]:
    """Return the sh blocks of a README, in order."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The whole tour, run once; whatever it started is ended when the tests are over."""
    script = "set -e\n" + "".join(f"{block}echo '--- done {place}'\n" for place, block in enumerate(tour("README.md")))
    for port, free in zip(PORTS, _free_ports(), strict=True):
        script = script.replace(port, free)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    environment.pop("CHENGSHU_NODE", None)
    shell = subprocess.Popen(  # the README's own blocks are what is run
        ["/bin/bash", "-c", script],
        cwd=tmp_path_factory.mktemp("tour"),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    watcher = subprocess.Popen([sys.executable, "-c", WATCH, str(shell.pid)], stdin=subprocess.PIPE, start_new_session=True)
    try:
        out, error = shell.communicate(timeout=GUARD_S)
        yield Told(out, error, exit_code=shell.returncode, still_running=_lives(shell.pid))
    finally:
        watcher.kill()
        watcher.wait()
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        for stream in (shell.stdout, shell.stderr, watcher.stdin):
            if stream is not None:
                stream.close()


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _free_ports() -> tuple[str, ...]:
    """Ports that nobody listens on, in the place of the tour's own: a newcomer's node may be running."""
    probes = [socket.socket() for _ in PORTS]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(str(probe.getsockname()[1]) for probe in probes)
    finally:
        for probe in probes:
            probe.close()
