"""Benchmarks can fail: what a result is held to, and that a spoilt result is caught."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.judging import BUILD, PROMISES, RECORDED, ROOT, broken

Results = dict[str, dict[str, Any]]


@pytest.fixture
def recorded() -> Results:
    names = {promise.benchmark for promise in PROMISES}
    return {name: json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8")) for name in names}


def put(benchmark: str, path: str, value: float) -> Callable[[Results], None]:
    def change(results: Results) -> None:
        *above, key = path.split("/")
        place = results[benchmark]
        for step in above:
            place = place[step]
        place[key] = value

    return change


def forgotten(variant: str) -> Callable[[Results], None]:
    """Lose following conflicts of the sample's network."""

    def change(results: Results) -> None:
        row = results["ssm_accuracy"]["networks"]["sample"]["grades"][variant][0]
        row["n_matched"], row["recall"] = 550, 550 / row["n_truth"]

    return change


def test_the_results_that_the_documents_quote_keep_every_promise(recorded: Results) -> None:
    assert broken(recorded) == []


@pytest.mark.parametrize(
    ("spoil", "names"),
    [
        (put("conflicts", "ticks_that_differ", 1), "pairs differ"),
        (put("conflicts", "ratio_ckdtree_numpy", 4.9), "cKDTree"),
        (put("conflicts", "ratio_duckdb_sql", 4.9), "DuckDB"),
        (put("geofence", "disagreements", 1), "disagrees"),
        (put("geofence", "points", 9_999_999), "points"),
        (put("geofence", "ratio_harder", 19.9), "faster predicate"),
        (put("replay", "traffic_s", 3599), "seconds of traffic"),
        (put("replay", "times_real_time_cpu", 99), "real time"),
        (forgotten("path known"), "path known"),
        (forgotten("path predicted"), "path predicted"),
        (put("evidence", "singles/per_s", 2999), "single durable appends"),
        (put("evidence", "singles/in_signed_checkpoint_ms/p99", 250.1), "signed checkpoint"),
        (put("evidence", "bulk/per_s", 39_999), "in bulk"),
        (put("evidence", "proofs/entries", 9_999_999), "under the proofs"),
        (put("evidence", "proofs/cpu_ms_median", 1.001), "build and check a proof"),
        (put("evidence", "peak_mib_by_entries/400000", 1000), "twice the entries"),
        (put("dsp", "ours/negotiations_failed", 1), "not concluded"),
        (put("dsp", "ratio_to_edc_tuned/negotiations_per_s", 0.99), "negotiations a second"),
        (put("dsp", "ratio_to_edc_tuned/latency_p50", 1.01), "time to an agreement"),
        (put("cleanroom", "gate/rows/cpu", 1.11), "threshold on rows"),
        (put("cleanroom", "gate/clip_and_people/cpu", 1.31), "threshold on people"),
        (put("dsp", "ratio_to_edc_tuned/resident_memory_after", 0.51), "resident memory"),
        (put("dsp", "ours/catalog_page_ms/100000/p95", 50.1), "page of 100,000"),
    ],
)
def test_a_result_that_is_spoilt_breaks_its_promise_and_no_other(recorded: Results, spoil: Callable[[Results], None], names: str) -> None:
    spoilt = copy.deepcopy(recorded)
    spoil(spoilt)
    (told,) = broken(spoilt)
    assert names in told


def test_a_benchmark_without_a_result_breaks_its_promise(recorded: Results) -> None:
    del recorded["geofence"]
    assert broken(recorded) == ["geofence: expected a result, got none"]


def test_results_go_where_nobody_keeps_them_unless_that_is_asked_for(tmp_path: Path) -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", str(BUILD / "geofence.json")], cwd=ROOT, check=False)
    assert ignored.returncode == 0 or not (ROOT / ".git").exists()
    before = {path: path.read_bytes() for path in RECORDED.glob("*.json")}
    out = tmp_path / "geofence.json"
    command = [sys.executable, "-m", "benchmarks.geofence", "--points", "20000", "--rounds", "1", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert json.loads(out.read_text(encoding="utf-8"))["disagreements"] == 0
    assert {path: path.read_bytes() for path in RECORDED.glob("*.json")} == before
