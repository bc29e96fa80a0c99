"""``python -m benchmarks [--record]`` runs every benchmark that ``make bench`` has all for, then judges the results.

Results go to ``build/bench/``, which is not under version control; with ``--record`` to ``benchmarks/results/``, which the documents quote.
Every script runs and prints, whatever the others did; then the exit code is 1 if a promise is not kept (see :mod:`benchmarks.judging`).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.judging import BUILD, PROMISES, RECORDED, ROOT, broken

HERE = Path(__file__).parent
SCRIPTS = ("conflicts", "geofence", "replay", "ssm_accuracy", "limits", "evidence", "dsp", "planning", "cleanroom", "tpch", "secure_sum")


def found_from_here() -> dict[str, str]:
    """Return this environment with the project's folder on the path, so that a script finds what benchmarks share and its neighbours."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}


def main() -> int:
    """Run the scripts in order, judge, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the results in benchmarks/results/")
    folder = RECORDED if parser.parse_args().record else BUILD
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for script in SCRIPTS:
        print(f"== {script}", flush=True)
        file = folder / f"{script}.json"
        place = HERE / script if (HERE / script).is_dir() else HERE / f"{script}.py"
        done = subprocess.run([sys.executable, str(place), "--out", str(file)], env=found_from_here(), check=False)
        if done.returncode == 0:
            results[script] = json.loads(file.read_text(encoding="utf-8"))
    print("== multiplier is not run here: it needs SUMO (requirements/sumo.txt); see benchmarks/sumo/README.md")
    promised = {promise.benchmark for promise in PROMISES}
    ended = [f"{script}: expected a result, got none" for script in SCRIPTS if script not in results and script not in promised]
    lost = broken(results) + ended
    for line in lost:
        print(f"NOT KEPT  {line}")
    print(f"{len(PROMISES)} promises, {len(lost)} not kept; results in {folder.relative_to(ROOT)}/")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
