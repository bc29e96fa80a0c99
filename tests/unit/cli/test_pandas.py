"""A node's process does not load pandas only because it is installed; whoever imports it has it."""

import subprocess
import sys

ARROW_AND_DUCKDB = """
import sys
from chengshu.__main__ import leave_pandas_unloaded
BARRED
import duckdb
import pyarrow as pa
table = pa.Table.from_pylist([{"a": 1, "b": "x"}])
with duckdb.connect() as database:
    database.register("t", table)
    assert database.execute("SELECT * FROM t").to_arrow_table() == table
print("pandas" in sys.modules)
import pandas
print(pandas.DataFrame({"a": [1]}).shape)
"""


def told(barred: str) -> list[str]:
    code = ARROW_AND_DUCKDB.replace("BARRED", barred)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout.split("\n")[:2]


def test_arrow_finds_no_pandas_in_a_nodes_process_and_others_do() -> None:
    assert told("leave_pandas_unloaded()") == ["False", "(1, 1)"]
    assert told("") == ["True", "(1, 1)"]


def test_the_command_itself_does_not_load_pandas() -> None:
    lines = ("import sys", "sys.argv = ['chengshu', '--version']", "from chengshu.__main__ import main")
    code = "\n".join((*lines, "try:", "    main()", "finally:", "    print('pandas' in sys.modules)"))
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ran.stdout.split()[-1] == "False"


def test_where_pandas_is_loaded_already_nothing_is_barred() -> None:
    assert told("import pandas; leave_pandas_unloaded()") == ["True", "(1, 1)"]
