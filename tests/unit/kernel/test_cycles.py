import json
import subprocess
import sys

TOLD = """
import gc, json
from chengshu.kernel import cycles
before = gc.get_threshold()
cycles.settle()
after = gc.get_threshold()
print(json.dumps([gc.isenabled(), gc.get_freeze_count() > 1000, after == (cycles.ROUND, *before[1:])]))
"""


def test_what_start_up_made_is_looked_at_no_more_and_the_rest_is_still_looked_at() -> None:
    told = subprocess.run([sys.executable, "-c", TOLD], check=True, capture_output=True, text=True)
    assert json.loads(told.stdout) == [True, True, True]
