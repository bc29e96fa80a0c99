"""The multiplier over many seeds and two networks: ``python -m benchmarks.multiplier --recordings FOLDER``.

Recordings that are not in the folder yet (``NETWORK-SEED``) are simulated first, which needs SUMO (``--sumo-python`` names the interpreter
that has it). Each recording is viewed with several seeds (which vehicles belong to whom, where the masts stand, every error) at each
roadside coverage. Reported: miss rates and their ratio for every view, and pooled with an interval in which whole recordings are resampled,
because the views of one recording share its hazards. What all parties see is the union of what each source saw, so no ratio can fall
below 1 by construction.

The result goes to ``benchmarks/results/multiplier.json``. What is compared is what could be seen in time, an upper bound on warnings.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chengshu.methods.eta import eta_report, trips
from chengshu.methods.hazards import CoalitionValues, coalition_values, truth_products
from chengshu.methods.multiplier import Seen, best_single, miss_rate_multiplier
from chengshu.methods.perception import ViewParameters, frame_of, observe
from chengshu.methods.perception.world import epoch_ms
from chengshu.methods.recording import Recording, read_recording
from chengshu.methods.shapley import shapley

RESULT = Path(__file__).parent / "results" / "multiplier.json"
COVERAGES = (0.25, 0.5, 1.0)
MAIN_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """What one view of one recording at one coverage showed."""

    network: str
    simulation: int
    view: int
    coverage: float
    masts: int
    values: CoalitionValues

    def seen_by(self, party: str) -> Seen:
        """What one party, or ``all``, saw in time."""
        return self.values.everyone if party == "all" else self.values.singles[party]


def main() -> None:
    """Measure as the command line says and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", default=["berlin-adlershof", "braunschweig"])
    parser.add_argument("--simulations", type=int, nargs="+", default=list(range(1, 11)))
    parser.add_argument("--views", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=int, default=960)
    parser.add_argument("--sumo-python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    began = time.process_time()
    views: list[View] = []
    arrival: list[dict[str, Any]] = []
    for network in given.networks:
        for simulation in given.simulations:
            recording = recorded(given.recordings, network, simulation, seconds=given.seconds, python=given.sumo_python)
            views += viewed(recording, network, simulation, given.views)
            arrival.append(foretold(recording, network, simulation))
            print(f"{network} {simulation}: {len(views[-1].values.hazards)} hazards", flush=True)
    report = {
        "measure": "share of hazards with an automated vehicle that were not observable 2 s ahead: best single party / all parties",
        "assumptions": "observability, an upper bound on warnings; see chengshu.methods.hazards and ViewParameters",
        "recordings": [f"{network}-{simulation}" for network in given.networks for simulation in given.simulations],
        "views_per_recording": len(given.views),
        "pooled": list(pools(views, given.networks)),
        "views": [row(view) for view in views],
        "arrival_times": arrival,
        "cpu_s": round(time.process_time() - began, 1),
        "machine": {"python": platform.python_version(), "system": platform.system(), "processor": platform.machine()},
    }
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for pool in report["pooled"]:
        print(json.dumps(pool))


def recorded(folder: Path, network: str, simulation: int, *, seconds: int, python: str) -> Recording:
    """Return the recording of a network and seed, simulated in a process of its own if it is not in ``folder`` yet."""
    path = folder / f"{network}-{simulation}"
    if not (path / "meta.json").exists():
        command = [python, "-m", "benchmarks.sumo.record", "--network", network, "--seed", str(simulation)]
        subprocess.run([*command, "--seconds", str(seconds), "--out", str(path)], check=True, stdout=subprocess.DEVNULL)
    return read_recording(path)


def viewed(recording: Recording, network: str, simulation: int, seeds: Sequence[int]) -> Iterator[View]:
    """Yield the coalition values for every view seed and coverage."""
    started_ms = epoch_ms(str(recording.meta["started_at"]))
    truth = truth_products(recording.tracks, recording.vehicles, recording.truth, started_ms=started_ms)
    for seed in seeds:
        for coverage in COVERAGES:
            products = observe(recording, ViewParameters(seed=1000 * simulation + seed, rsu_share=coverage))
            values = coalition_values(products, truth["hazard_truth"], truth["truth_tracks"], frame=frame_of(recording))
            yield View(network, simulation, seed, coverage, len(products["rsu_objects"]["rsu_id"].unique()), values)


def foretold(recording: Recording, network: str, simulation: int) -> dict[str, Any]:
    """Return the errors of foretold trip durations at the main coverage."""
    products = observe(recording, ViewParameters(seed=1000 * simulation + 1, rsu_share=MAIN_COVERAGE))
    table = trips(recording.tracks, recording.lanes, started_ms=epoch_ms(str(recording.meta["started_at"])))
    report = eta_report(table, products["map_lane"], products, frame=frame_of(recording), seed=simulation)
    return {"network": network, "simulation": simulation, "errors": report.errors.to_pylist(), "multiplier": report.multiplier.as_dict()}


def pools(views: Sequence[View], networks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the pooled ratio for each network and for all, at each coverage; whole recordings are resampled."""
    for network in ("all", *networks):
        for coverage in COVERAGES:
            chosen = [view for view in views if view.coverage == coverage and network in ("all", view.network)]
            runs = {key: number for number, key in enumerate(sorted({(view.network, view.simulation) for view in chosen}))}
            clusters = np.concatenate([np.full(len(view.values.hazards), runs[view.network, view.simulation]) for view in chosen])
            seen = {party: np.concatenate([view.seen_by(party) for view in chosen]) for party in (*chosen[0].values.parties, "all")}
            fused = seen.pop("all")
            best = best_single(seen)
            ratio = miss_rate_multiplier(seen[best], fused, baseline=best, seed=1, clusters=clusters)
            by_hazard = miss_rate_multiplier(seen[best], fused, baseline=best, seed=1)
            yield {
                "network": network,
                "coverage": coverage,
                "views": len(chosen),
                "masts_mean": round(sum(view.masts for view in chosen) / len(chosen), 1),
                "recordings": len(runs),
                "miss_best": rate(seen[best]),
                "miss_all": rate(fused),
                **ratio.as_dict(),
                "low_by_hazard": by_hazard.low,
                "high_by_hazard": by_hazard.high,
                "shapley": {name: round(float(share), 4) for name, share in shares(chosen).items()},
            }


def shares(views: Sequence[View]) -> Mapping[str, Any]:
    """Return the parties' Shapley shares of the mean value over views."""
    parties = views[0].values.parties
    mean = {members: sum(view.values.values[members] for view in views) / len(views) for members in views[0].values.values}
    return shapley(mean, parties)


def rate(seen: Seen) -> float | None:
    """Return the share that was missed."""
    return round(float((~seen).mean()), 4) if len(seen) else None


def row(view: View) -> dict[str, Any]:
    """Return one view's line of the report."""
    best = best_single(view.values.singles)
    ratio = miss_rate_multiplier(view.values.singles[best], view.values.everyone, baseline=best, seed=1)
    return {
        "network": view.network,
        "simulation": view.simulation,
        "view": view.view,
        "coverage": view.coverage,
        "masts": view.masts,
        "hazards": len(view.values.hazards),
        "best": best,
        "missed_best": int((~view.values.singles[best]).sum()),
        "missed_all": int((~view.values.everyone).sum()),
        "ratio": ratio.value,
        "status": ratio.status,
    }


if __name__ == "__main__":
    main()
