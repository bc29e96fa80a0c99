"""How well the detector agrees with SUMO's SSM device: recall and precision on the sample's network and on a second one.

    python benchmarks/ssm_accuracy.py [--out benchmarks/results/ssm_accuracy.json] [--recording NAME=FOLDER ...]

Works from recordings alone (tracks, map and the device's cleaned log); no simulator is needed. The rules were chosen on the sample's
network. The second network's recording was not used to choose anything, but it is not wholly foreign: how the device places the entry of
a crossing area was first worked out on another simulation (other demand and seed) on the map it was cut from.

"same name" counts a match only if both call the encounter the same. Tracks without lanes follow, without and
with noise (0.3 m in position, 0.2 m/s in speed; smoothed over one second, three ticks needed).
"""

import argparse
import json
import os
import platform
from pathlib import Path

import numpy as np
import pyarrow as pa

from chengshu.methods.conflicts import ConflictParameters, detect_conflicts, grade, tracks_of
from chengshu.methods.recording import Recording, read_recording

ROOT = Path(__file__).parent.parent
RECORDINGS = {
    "sample": ROOT / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data" / "recording",
    "second": ROOT / "tests" / "data" / "second_network",
}
NOISY = ConflictParameters(smooth_s=1.0, min_ticks=3)


def noised(tracks: pa.Table, *, seed: int) -> pa.Table:
    """The tracks with white noise of 0.3 m on each axis and 0.2 m/s."""
    rng = np.random.default_rng(seed)
    for name, sigma in (("x_m", 0.3), ("y_m", 0.3), ("speed_mps", 0.2)):
        values = tracks[name].to_numpy() + rng.normal(0.0, sigma, tracks.num_rows)
        tracks = tracks.set_column(
            tracks.schema.get_field_index(name), name, pa.array(np.maximum(values, 0.0) if name == "speed_mps" else values)
        )
    return tracks


def graded(recording: Recording) -> dict[str, list[dict[str, object]]]:
    """The grades of one recording, by variant."""
    tracks = tracks_of(recording.tracks, vehicles=recording.vehicles)
    bare = tracks.drop_columns(["lane", "pos_m"])
    found = detect_conflicts(tracks, lanes=recording.lanes, foes=recording.foes)
    variants = {
        "lanes known": grade(found, recording.truth),
        "lanes known, same name": grade(found, recording.truth, names="same"),
        "without foe table": grade(detect_conflicts(tracks, lanes=recording.lanes, foes=None), recording.truth),
        "map matched": grade(detect_conflicts(bare, lanes=recording.lanes, foes=recording.foes), recording.truth),
        "straight on predicted": grade(
            detect_conflicts(tracks, lanes=recording.lanes, foes=recording.foes, parameters=ConflictParameters(lookahead="predicted")),
            recording.truth,
        ),
        "map matched, noisy": grade(
            detect_conflicts(noised(bare, seed=7), lanes=recording.lanes, foes=recording.foes, parameters=NOISY), recording.truth
        ),
    }
    return {name: table.to_pylist() for name, table in variants.items()}


def shown(value: object) -> str:
    """A cell of the table."""
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)


def main() -> None:
    """Grade every recording, print a table and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "ssm_accuracy.json")
    parser.add_argument("--recording", action="append", default=[], metavar="NAME=FOLDER")
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (entry.split("=", 1) for entry in options.recording)} or RECORDINGS
    networks = {}
    for name, folder in folders.items():
        recording = read_recording(folder)
        networks[name] = {"rows": recording.tracks.num_rows, "truth": recording.truth.num_rows, "grades": graded(recording)}
        print(f"{name}: {recording.tracks.num_rows} rows, {recording.truth.num_rows} conflicts known")
        for variant, rows in networks[name]["grades"].items():  # type: ignore[attr-defined] # a dictionary
            print(f"  {variant}")
            for row in rows:
                print("    " + "  ".join(f"{shown(value):>9}" for value in row.values()))
    result = {"networks": networks, "machine": f"{platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
