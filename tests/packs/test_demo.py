"""The pilot as a newcomer runs it: one command, six processes, one measured number, and nothing left behind when it is interrupted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from chengshu.evidence.verify import verify_log, verify_use
from chengshu.settlement.model import differences
from databases import on_postgresql

ROLES = {"car_maker", "road_operator", "fleet_operator", "navigation_platform", "regulator", "space_operator"}
SOON_S = 600.0
SELF = [sys.executable, "-m", "chengshu", "demo"]


@dataclass(frozen=True)
class Demo:
    """One whole run: what it printed, where it wrote, and the processes that were seen serving meanwhile."""

    folder: Path
    code: int
    errors: str
    result: dict[str, Any]
    served_by: dict[str, set[int]]
    peak_mib: int


MEMORY_MIB = 2048
"""What is promised of the whole pilot: the sum of every process's proportional set size, in which shared pages count once."""


def _memory_mib(process: int) -> int:
    """The proportional set size of a process and all below it (proc(5), smaps_rollup)."""
    total_kb = 0
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process)
        for one in (top, *top.children(recursive=True)):
            with suppress(OSError):  # it has ended meanwhile
                rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="utf-8")
                total_kb += sum(int(found) for found in re.findall(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE))
    return total_kb // 1024


def _serving(folder: Path) -> dict[int, str]:
    """The processes that serve a node below ``folder``, with the node's name."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "serve" in words and "--node" in words and str(folder) in words[words.index("--node") + 1]:
            found[process.pid] = Path(words[words.index("--node") + 1]).name
    return found


def _start(folder: Path, *more: str) -> "subprocess.Popen[str]":
    words = [*SELF, "--folder", str(folder), *more]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the suite runs in the background, Ctrl-C is ignored by all below it
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "run"
    served_by: dict[str, set[int]] = {}
    peak_mib = 0
    with _start(folder, "--json") as process, ThreadPoolExecutor(max_workers=1) as reader:
        told = reader.submit(process.communicate, timeout=1800)  # read all along: a full pipe would stop the run
        while not told.done():
            if len(served_by) < len(ROLES):
                for pid, name in _serving(folder).items():
                    served_by.setdefault(name, set()).add(pid)
            peak_mib = max(peak_mib, _memory_mib(process.pid))
            time.sleep(0.2)
        out, errors = told.result()
    return Demo(folder, process.returncode, errors, json.loads(out), served_by, peak_mib)


# --- one run


def test_the_run_ends_well_and_says_that_the_traffic_is_simulated(demo: Demo) -> None:
    assert (demo.code, demo.errors) == (0, "")
    assert demo.result["run"]["label"]["en"] == "simulated traffic on a real network"
    assert "仿真" in demo.result["run"]["label"]["zh"]


def test_six_parties_were_six_processes_with_ids_and_addresses_of_their_own(demo: Demo) -> None:
    parties = demo.result["parties"]
    assert {one["role"] for one in parties} == ROLES
    assert len({one["id"] for one in parties}) == 6
    assert len({one["address"] for one in parties}) == 6
    assert demo.served_by.keys() == ROLES
    assert len(set().union(*demo.served_by.values())) == 6
    for role in ROLES:
        folder = demo.folder / "nodes" / role
        assert (folder / "node.db").is_file() or on_postgresql()
        assert len({path.read_bytes() for path in (folder / "keys").iterdir()}) >= 1
    keys = [next(iter((demo.folder / "nodes" / role / "keys").glob("*"))).read_bytes() for role in sorted(ROLES)]
    assert len(set(keys)) == 6


def test_the_whole_of_it_stays_within_the_memory_that_is_promised(demo: Demo) -> None:
    assert 200 < demo.peak_mib < 0.9 * MEMORY_MIB


def test_nothing_of_it_runs_afterwards(demo: Demo) -> None:
    assert _serving(demo.folder) == {}


def test_every_product_was_published_and_every_contract_agreed_over_the_wire(demo: Demo) -> None:
    assert {one["state"] for one in demo.result["products"]} == {"published"}
    assert {one["origin"] for one in demo.result["products"]} == {"sample"}
    contracts = demo.result["contracts"]
    assert {one["state"] for one in contracts} == {"FINALIZED"}
    assert len({one["agreement"] for one in contracts}) == len(contracts)
    assert all(one["asker"] != one["holder"] for one in contracts)
    assert demo.result["permit"]["state"] == "ACTIVE"


def test_the_multiplier_was_measured_and_carries_its_interval(demo: Demo) -> None:
    hazards = next(one for one in demo.result["jobs"] if one["part"] == "hazards")
    assert (hazards["state"], hazards["missing"]) == ("RELEASED", [])
    (row,) = hazards["tables"]["multiplier"]
    assert row["status"] == "measured"
    assert 1.0 < row["low"] <= row["value"]
    assert row["high"] is None or row["high"] >= row["value"]  # none where resamples of so few misses have none left to divide by
    assert "bootstrap" in row["method"]
    assert row["value"] == pytest.approx(row["miss_best"] / row["miss_fused"], rel=0.02)
    assert row["miss_best"] == pytest.approx(row["missed_best"] / row["n"], rel=1e-6)
    assert row["n"] >= 20
    assert 0 < row["roadside_share"] <= 1


def test_accuracy_is_told_for_each_kind_of_encounter(demo: Demo) -> None:
    hazards = next(one for one in demo.result["jobs"] if one["part"] == "hazards")
    assert {row["encounter"] for row in hazards["tables"]["accuracy"]} >= {"following", "crossing", "merging"}


def test_every_rule_of_the_permit_was_judged(demo: Demo) -> None:
    compliance = next(one for one in demo.result["jobs"] if one["part"] == "compliance")
    assert compliance["state"] == "RELEASED"
    rules = {row["rule"]: row for row in compliance["tables"]["rules"]}
    assert sorted(rules) == [f"R{number:02d}" for number in range(1, 16)]
    for row in rules.values():
        assert row["compliant"] + row["violation"] + row["unknown"] == row["n"]


def test_what_had_to_be_refused_was_refused_for_the_stated_reason_and_nothing_else(demo: Demo) -> None:
    queries = demo.result["queries"]
    assert [one["part"] for one in queries if not one["as_expected"]] == []
    refused = [one for one in queries if one["expected_refusal"]]
    assert len(refused) >= 8
    for one in refused:
        assert one["state"] == "REFUSED"
        assert one["tables"] == {}
        assert one["refusal"]["en"]["rule"] == one["expected_refusal"]
        assert one["refusal"]["zh"]["would_pass"] != one["refusal"]["en"]["would_pass"]
    answered = [one for one in queries if not one["expected_refusal"]]
    assert {one["state"] for one in answered} == {"RELEASED"}


def test_the_payments_sum_to_the_price_and_follow_from_the_counts(demo: Demo) -> None:
    statement = demo.result["statement"]
    document = statement["document"]
    assert document["price_fen"] == 1_000_000
    assert sum(document["payments_fen"].values()) == 1_000_000
    assert all(isinstance(fen, int) and fen >= 0 for fen in document["payments_fen"].values())
    assert differences(document) == []
    hazards = next(one for one in demo.result["jobs"] if one["part"] == "hazards")
    counted = {(row["coalition"], row["seen"], row["n"]) for row in hazards["tables"]["coalitions"]}
    assert {("+".join(row["members"]), row["seen"], row["n"]) for row in document["coalitions"]} == counted
    assert len(statement["differences"]) >= 5
    assert {tuple(found) for found in statement["differences"].values()} == {()}


def test_every_log_verifies_from_its_files_and_one_use_is_proved(demo: Demo) -> None:
    evidence = demo.result["evidence"]
    assert {one["role"] for one in evidence["logs"] if one["verified"]} == ROLES
    keys = {one["role"]: one["vkey"] for one in demo.result["parties"]}
    for one in evidence["logs"]:
        verdict = verify_log(demo.folder / "nodes" / one["role"] / "log", keys[one["role"]])
        assert verdict.checkpoint.size >= one["size"]
    use = evidence["use"]
    assert use["holds"]
    again = verify_use(demo.folder / "nodes" / use["holder"] / "log", product=use["product"], job=use["job"], vkey=keys[use["holder"]])
    assert again.holds


def test_the_report_is_one_file_that_needs_nothing_else(demo: Demo) -> None:
    page = Path(demo.result["report"]).read_text(encoding="utf-8")
    assert "simulated traffic" in page
    loads = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)""", page)
    assert [one for one in loads if not one.startswith(("#", "data:"))] == []
    assert re.findall(r"@import|url\((?!['\"]?(?:data:|#))", page) == []
    assert "<script src" not in page


def test_no_key_and_no_row_of_a_product_is_in_the_result_or_the_report(demo: Demo) -> None:
    told = json.dumps(demo.result) + Path(demo.result["report"]).read_text(encoding="utf-8")
    for role in ROLES:
        for path in (demo.folder / "nodes" / role / "keys").iterdir():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                assert len(line) < 30 or line.startswith("-----") or line not in told
    assert '"lat_e7":' not in told.replace("\\", "")


# --- interrupted, run again, and somebody else's folder


def _interrupted(folder: Path) -> "tuple[int, str]":
    """Start a run, press Ctrl-C as soon as every node serves, and wait for its end."""
    with _start(folder) as process:
        until = time.monotonic() + SOON_S
        while len(set(_serving(folder).values())) < len(ROLES):
            assert process.poll() is None, "expected the run to go on until its nodes serve"
            assert time.monotonic() < until, "expected the nodes to serve"
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=SOON_S)
    return process.returncode, errors


def test_an_interrupted_run_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code, errors = _interrupted(folder)
    assert code != 0
    assert "Traceback" not in errors
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []
    until = time.monotonic() + SOON_S
    while _serving(folder):
        assert time.monotonic() < until, "expected no node to serve any more"
        time.sleep(0.1)


def test_a_second_run_in_the_same_folder_starts_clean(demo: Demo) -> None:
    """Comes after every test of the first run: it clears that run's folder (and is interrupted, to be short)."""
    stale = demo.folder / "nodes" / "car_maker" / "stale"
    stale.touch()
    _interrupted(demo.folder)
    assert not stale.exists()
    assert not demo.folder.exists()


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work", encoding="utf-8")
    ran = subprocess.run(
        [*SELF, "--folder", str(theirs), "--json", "--lang", "zh"], capture_output=True, text=True, timeout=SOON_S, check=False
    )
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["error"]["code"] == "stage.not-ours"
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]
