"""Simulate and record: ``python -m benchmarks.sumo.record --network berlin-adlershof --seed 42 --out FOLDER``.

Prints what the recording holds. With ``--raw FOLDER`` SUMO's own output stays there.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from benchmarks.sumo.convert import convert
from benchmarks.sumo.networks import NETWORKS, Network, notice
from benchmarks.sumo.simulate import simulate

from chengshu.methods.recording import Recording, read_recording, write_recording

WARM_UP_S = 300


def main() -> None:
    """Record as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=sorted(NETWORKS), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=int, default=960)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--raw", type=Path)
    given = parser.parse_args()
    network = NETWORKS[given.network]
    if given.raw is None:
        with tempfile.TemporaryDirectory() as folder:
            record(network, Path(folder), given.out, seed=given.seed, seconds=given.seconds)
    else:
        record(network, given.raw, given.out, seed=given.seed, seconds=given.seconds)
    recording = read_recording(given.out)
    size = sum(path.stat().st_size for path in given.out.iterdir())
    print(json.dumps({"bytes": size} | counts(recording), ensure_ascii=False, indent=2))


def record(network: Network, raw: Path, out: Path, *, seed: int, seconds: int) -> None:
    """Simulate ``network`` into ``raw`` and write the recording of it to ``out``."""
    simulate(network, raw, seed=seed, warm_up_s=WARM_UP_S, seconds=seconds)
    write_recording(convert(network, raw, seed=seed, warm_up_s=WARM_UP_S, seconds=seconds), out)
    (out / "NOTICE.md").write_text(notice(network), encoding="utf-8")


def counts(recording: Recording) -> dict[str, Any]:
    """Return how much of everything a recording holds; conflicts for each kind of encounter and measure."""
    tracks, truth = recording.tracks, recording.truth
    kinds = recording.vehicles["kind"].value_counts().to_pylist()
    limits = {"ttc<=3": ("min_ttc_s", 3.0), "ttc<1.5": ("min_ttc_s", 1.5), "pet<=2": ("pet_s", 2.0), "pet<1.5": ("pet_s", 1.5)}
    conflicts: dict[str, dict[str, int]] = {}
    for encounter in ("following", "crossing", "merging"):
        own = truth.filter(pc.equal(truth["encounter"], encounter))
        conflicts[encounter] = {"all": own.num_rows, "drac>=3": _number(pc.greater_equal(own["max_drac_mps2"], 3.0))}
        for name, (column, limit) in limits.items():
            compare = pc.less if "<=" not in name else pc.less_equal
            conflicts[encounter][name] = _number(compare(own[column], limit))
    return {
        "rows": tracks.num_rows,
        "vehicles": {entry["values"]: entry["counts"] for entry in kinds},
        "mean_concurrent": round(tracks.num_rows / len(np.unique(tracks["t_ms"].to_numpy())), 1),
        "lanes": recording.lanes.num_rows,
        "signal_junctions": len(pc.unique(recording.signals["junction_id"])),
        "loops": len(pc.unique(recording.detector_1min["det_id"])),
        "foes": recording.foes.num_rows,
        "conflicts": conflicts,
        "truth": recording.meta["truth"],
        "simulation": recording.meta["simulation"],
    }


def _number(matches: Any) -> int:
    return int(pc.sum(matches).as_py() or 0)


if __name__ == "__main__":
    main()
