"""A pack fulfils clauses that the action plan really has."""

import json
from pathlib import Path

import pytest

from chengshu import plugins
from chengshu.scenario.model import MANIFEST, load

GOLDEN = Path(__file__).parents[1] / "golden" / "plan_clauses.json"
PLAN = Path(__file__).parents[3] / "shared" / "plan" / "clauses.json"
"""The plan itself, clause by clause, where it lies beside the project."""

PACKS = [manifest.parent for root in plugins.pack_roots() for manifest in sorted(root.glob(f"*/*/{MANIFEST}"))]


def golden_ids() -> list[str]:
    ids: list[str] = json.loads(GOLDEN.read_text(encoding="utf-8"))["ids"]
    return ids


@pytest.mark.parametrize("root", PACKS, ids=lambda root: root.name)
def test_every_clause_of_a_pack_is_in_the_plan(root: Path) -> None:
    clauses = load(root).clauses
    assert clauses != ()
    assert set(clauses) <= set(golden_ids())


def test_the_golden_ids_are_those_of_the_plan() -> None:
    if not PLAN.is_file():
        pytest.skip("the action plan's clauses are not beside the project; the golden ids were used")
    assert golden_ids() == sorted(action["id"] for action in json.loads(PLAN.read_text(encoding="utf-8"))["actions"])
