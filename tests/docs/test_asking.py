"""The how-to for Python runs as it stands and prints what it says; the reference of questions names every word that plans use."""

import os
import re
import subprocess
import sys
from pathlib import Path

from chengshu.cleanroom.planning.model import Gap, Part, What
from chengshu.cleanroom.planning.placements import PLACEMENTS
from chengshu.cleanroom.planning.statement import FORMAT, RULE

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "ask-from-python.md"
REFERENCE = ROOT / "docs" / "reference" / "query.md"


def test_the_how_to_for_python_prints_what_it_says(tmp_path: Path) -> None:
    page = HOW_TO.read_text(encoding="utf-8").partition("\n## 中文")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    told = re.findall(r"^    (.+)$", re.sub(r"```python\n.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    assert len(told) == 5
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == told


def test_the_reference_names_every_word_of_plans_and_statements() -> None:
    page = REFERENCE.read_text(encoding="utf-8")
    words = [*What, *Gap, *Part, *(one.name for one in PLACEMENTS), FORMAT, RULE]
    assert [word for word in words if f"`{word}`" not in page] == []
