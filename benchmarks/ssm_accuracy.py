"""How well the detector agrees with SUMO's SSM device: recall and precision on the sample's network and on a second one.

    python -m benchmarks.ssm_accuracy [--out build/bench/ssm_accuracy.json] [--recording NAME=FOLDER ...]

Works from recordings alone (tracks, map and the device's cleaned log); no simulator is needed. The rules were chosen on the sample's
network. The second network's recording was not used to choose anything, but it is not wholly foreign: how the device places the entry of
a crossing area was first worked out on another simulation (other demand and seed) on the map it was cut from.

"path known": each vehicle's path is the one it then drove, as SUMO's own device knows it from the route: offline, with hindsight. "path
predicted": the way that vehicles before took most often out of that lane, else straight on: what a live detector knows. "same name"
counts a match only if both call the encounter the same. Tracks without lanes are matched to the map; noise is 0.3 m in position and
0.2 m/s in speed (smoothed over one second, three ticks needed); "past only" also smooths, matches and begins as a live run must.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from benchmarks.judging import BUILD, machine, record

from chengshu.methods.conflicts import ConflictParameters, detect_conflicts, grade, tracks_of
from chengshu.methods.recording import Recording, read_recording

ROOT = Path(__file__).parent.parent
RECORDINGS = {
    "sample": ROOT / "src" / "chengshu_packs" / "transport" / "av_pilot" / "data" / "recording",
    "second": ROOT / "tests" / "data" / "second_network",
}
EXACT = ConflictParameters()
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
    predicted = ConflictParameters(lookahead="predicted")
    noisy = noised(bare, seed=7)

    def grades(rows: pa.Table, parameters: ConflictParameters, *, foes: pa.Table | None = recording.foes) -> pa.Table:
        return grade(detect_conflicts(rows, lanes=recording.lanes, foes=foes, parameters=parameters), recording.truth)

    variants = {
        "path known": grades(tracks, EXACT),
        "path known, same name": grade(detect_conflicts(tracks, lanes=recording.lanes, foes=recording.foes), recording.truth, names="same"),
        "path known, without foe table": grades(tracks, EXACT, foes=None),
        "path known, map matched": grades(bare, EXACT),
        "path known, noisy": grades(noisy, NOISY),
        "path predicted": grades(tracks, predicted),
        "path predicted, map matched": grades(bare, predicted),
        "path predicted, noisy": grades(noisy, replace(NOISY, lookahead="predicted")),
        "path predicted, noisy, past only": grades(noisy, replace(NOISY, lookahead="predicted", past_only=True)),
    }
    return {name: table.to_pylist() for name, table in variants.items()}


def main() -> None:
    """Grade every recording, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=BUILD / "ssm_accuracy.json")
    parser.add_argument("--recording", action="append", default=[], metavar="NAME=FOLDER")
    options = parser.parse_args()
    folders = {name: Path(folder) for name, folder in (entry.split("=", 1) for entry in options.recording)} or RECORDINGS
    networks = {}
    for name, folder in folders.items():
        recording = read_recording(folder)
        networks[name] = {"rows": recording.tracks.num_rows, "truth": recording.truth.num_rows, "grades": graded(recording)}
    record(options.out, {"networks": networks, **machine("numpy", "pyarrow", "numba")})


if __name__ == "__main__":
    main()
