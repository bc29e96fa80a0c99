"""What the attacks on whole nodes share with the tests of whole nodes: the small space."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "nodes"))
