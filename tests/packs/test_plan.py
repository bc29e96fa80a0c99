"""A pack fulfils clauses that the action plan really has; the plan lies beside the project, for these tests alone."""

import json
from pathlib import Path

import pytest

from chengshu import plugins
from chengshu.scenario.model import MANIFEST, load

PLAN = Path(__file__).parents[3] / "shared" / "plan" / "clauses.json"
PACKS = [manifest.parent for root in plugins.pack_roots() for manifest in sorted(root.glob(f"*/*/{MANIFEST}"))]


@pytest.mark.parametrize("root", PACKS, ids=lambda root: root.name)
def test_every_clause_of_a_pack_is_in_the_plan(root: Path) -> None:
    if not PLAN.is_file():
        pytest.skip("the action plan's clauses are not beside the project")
    known = {action["id"] for action in json.loads(PLAN.read_text(encoding="utf-8"))["actions"]}
    assert set(load(root).clauses) <= known
