"""The notebooks run as they stand, in a kernel of their own, and show what they showed when they were saved."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
RUN = """
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
for cell in notebook.cells:
    if cell.cell_type == "code":
        cell.outputs = []
NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, sys.argv[2])
"""


def shown(notebook: Any) -> list[str]:
    """What a reader sees below each cell: texts as they are, in however many pieces a kernel sent them, and whether there is a picture."""
    return [below for cell in notebook.cells if (below := "".join(map(_told, cell.get("outputs", ()))))]


def _told(output: Any) -> str:
    return "a picture" if "image/png" in output.get("data", {}) else str(output.get("text") or output["data"]["text/plain"])


def test_there_are_notebooks() -> None:
    assert {"a-first-question.ipynb", "a-database-tool.ipynb"} <= {one.name for one in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_showed(path: Path, tmp_path: Path) -> None:
    saved = nbformat.read(path, as_version=4)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-c", RUN, str(path), str(tmp_path / "fresh.ipynb")]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr
    assert shown(nbformat.read(tmp_path / "fresh.ipynb", as_version=4)) == shown(saved) != []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_that_its_data_are_synthetic(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0].source
    assert "synthetic" in first
    assert "合成" in first
