"""``python -m benchmarks`` runs every benchmark that needs nothing but the development environment, one after the other."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SCRIPTS = ("conflicts.py", "geofence.py", "ssm_accuracy.py", "evidence.py")


def main() -> int:
    """Run the scripts in order; return the first exit code that is not zero."""
    for script in SCRIPTS:
        print(f"== {script}")
        code = subprocess.run([sys.executable, str(HERE / script)], check=False).returncode
        if code:
            return code
    print("== multiplier.py is not run here: it needs SUMO (requirements/sumo.txt); see benchmarks/sumo/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
