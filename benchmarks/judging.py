"""What every benchmark shares: where results go, what is told of the machine, and the promises that a result is held to."""

import importlib
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"
"""Where results go that nobody asked to keep; not under version control."""
RECORDED = Path(__file__).parent / "results"
"""The results that the documents quote."""
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that must hold of a benchmark's result: what it is in words, the value found, the bound that keeps it and its side."""

    benchmark: str
    name: str
    found: Callable[[Result], float]
    bound: float
    side: Literal["at least", "at most", "exactly"] = "at least"

    def kept_by(self, result: Result) -> bool:
        """Say whether the result keeps the promise."""
        found = self.found(result)
        return {"at least": found >= self.bound, "at most": found <= self.bound, "exactly": found == self.bound}[self.side]

    def told(self, result: Result) -> str:
        """Return the promise, what it asks and what was found, in one line."""
        return f"{self.benchmark}: {self.name}: expected {self.side} {self.bound:g}, got {self.found(result):g}"


def _recall(network: str, variant: str) -> Callable[[Result], float]:
    def recall(result: Result) -> float:
        rows = result["networks"][network]["grades"][variant]
        return float(next(row["recall"] for row in rows if (row["encounter"], row["measure"]) == ("following", "ttc")))

    return recall


def _growth(result: Result) -> float:
    few, many = (result["peak_mib_by_entries"][count] for count in sorted(result["peak_mib_by_entries"], key=int))
    return float(many - few)


def _beside_edc(figure: str, without: float) -> Callable[[Result], float]:
    """Ours beside EDC with its tuned settings; ``without`` where there was no EDC, which keeps no promise."""
    return lambda result: float(result["ratio_to_edc_tuned"].get(figure, without))


PROMISES = (
    Promise("conflicts", "ticks on which the three engines' pairs differ", lambda r: float(r["ticks_that_differ"]), 0, "exactly"),
    Promise("conflicts", "times SciPy cKDTree with NumPy", lambda r: float(r["ratio_ckdtree_numpy"]), 5.0),
    Promise("conflicts", "times DuckDB SQL", lambda r: float(r["ratio_duckdb_sql"]), 5.0),
    Promise("geofence", "points on which shapely disagrees", lambda r: float(r["disagreements"]), 0, "exactly"),
    Promise("geofence", "points", lambda r: float(r["points"]), 1e7),
    Promise("geofence", "times shapely's STRtree, the faster predicate", lambda r: float(r["ratio_harder"]), 20.0),
    Promise("replay", "seconds of traffic", lambda r: float(r["traffic_s"]), 3600.0),
    Promise("replay", "times real time, files to warnings and verdicts", lambda r: float(r["times_real_time_cpu"]), 100.0),
    *(
        Promise("ssm_accuracy", f"recall of following conflicts, {network} network, {variant}", _recall(network, variant), 0.98)
        for network in ("sample", "second")
        for variant in ("path known", "path predicted")
    ),
    Promise("evidence", "single durable appends a second, while published", lambda r: float(r["singles"]["per_s"]), 3000),
    Promise(
        "evidence",
        "ms to a signed checkpoint, 99th of 100",
        lambda r: float(r["singles"]["in_signed_checkpoint_ms"]["p99"]),
        250,
        "at most",
    ),
    Promise("evidence", "entries a second in bulk", lambda r: float(r["bulk"]["per_s"]), 40_000),
    Promise("evidence", "entries under the proofs", lambda r: float(r["proofs"]["entries"]), 1e7),
    Promise("evidence", "ms CPU to build and check a proof, median", lambda r: float(r["proofs"]["cpu_ms_median"]), 1.0, "at most"),
    Promise("evidence", "MiB at twice the entries, over those before", _growth, 8, "at most"),
    Promise(
        "cleanroom",
        "groups on which proved and counted people differ",
        lambda r: float(r["every_person"]["groups_that_differ"]),
        0,
        "exactly",
    ),
    Promise(
        "cleanroom", "federated answers that differ from pooled ones", lambda r: float(r["federated"]["answers_that_differ"]), 0, "exactly"
    ),
    Promise("cleanroom", "of one holder's time for four", lambda r: float(r["federated"]["federated_to_pooled"]["wall"]), 1.3, "at most"),
    Promise("cleanroom", "of DuckDB's CPU time with a threshold on rows", lambda r: float(r["gate"]["rows"]["cpu"]), 1.1, "at most"),
    Promise(
        "cleanroom",
        "of DuckDB's CPU time with clipping and a threshold on people",
        lambda r: float(r["gate"]["clip_and_people"]["cpu"]),
        1.3,
        "at most",
    ),
    Promise("secure_sum", "times fewer bytes than SPU's ABY3, whole numbers", lambda r: float(r["ratio_spu_whole"]), 5.0),
    Promise(
        "secure_sum",
        "relative error of a sum",
        lambda r: max(float(r[one]["largest_relative_error"]) for one in ("whole", "doubles")),
        1e-6,
        "at most",
    ),
    Promise("dsp", "of our negotiations that were not concluded", lambda r: float(r["ours"]["negotiations_failed"]), 0, "exactly"),
    Promise("dsp", "times EDC's tuned negotiations a second", _beside_edc("negotiations_per_s", 0.0), 1.0),
    Promise("dsp", "of EDC's tuned time to an agreement, median", _beside_edc("latency_p50", inf), 1.0, "at most"),
    Promise("dsp", "of EDC's resident memory after the load", _beside_edc("resident_memory_after", inf), 0.5, "at most"),
    Promise(
        "dsp",
        "ms for a page of 100,000 datasets, 95th of a hundred",
        lambda r: float(r["ours"]["catalog_page_ms"]["100000"]["p95"]),
        50,
        "at most",
    ),
)
"""Everything that ``python -m benchmarks`` holds its results to; a promise that is not kept makes it leave with 1."""


def broken(results: Mapping[str, Result]) -> list[str]:
    """Return every promise that the results do not keep, in words; a benchmark without a result keeps none of its own."""
    lost = [f"{name}: expected a result, got none" for name in dict.fromkeys(one.benchmark for one in PROMISES) if name not in results]
    return lost + [
        one.told(results[one.benchmark]) for one in PROMISES if one.benchmark in results and not one.kept_by(results[one.benchmark])
    ]


def record(path: Path, result: Result) -> None:
    """Write a result as JSON and print it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2, ensure_ascii=False))


def machine(*modules: str) -> dict[str, Any]:
    """Return what a figure depends on: processor, cores, Python, the versions of the modules."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "versions": {name: importlib.import_module(name).__version__ for name in modules},
    }
