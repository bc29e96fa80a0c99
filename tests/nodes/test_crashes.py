"""``kill -9`` at random moments of many negotiations: nothing is lost, nothing doubled, nothing waits for ever, and both logs agree."""

import random
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from crashing import come_to_rest, faults, negotiate_and_kill, raised

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections of this process to nodes that were killed


def test_nodes_killed_at_random_moments_of_many_negotiations_lose_and_double_nothing(
    tmp_path: Path, stack: ExitStack, request: pytest.FixtureRequest
) -> None:
    count = int(request.config.getoption("--crash-negotiations"))
    seed = int(request.config.getoption("--crash-seed") or random.SystemRandom().randrange(1 << 32))
    pair = raised(tmp_path, stack)
    asked = negotiate_and_kill(pair, count=count, seed=seed)
    come_to_rest(pair)
    sys.stdout.write(f"{count} negotiations, {pair.kills} kills; run again with --crash-seed {seed}\n")
    assert faults(pair, asked) == []


@pytest.mark.parametrize("sabotage", ["done-before-sent", "sent-in-the-transaction"])
def test_an_outbox_that_is_broken_is_found(tmp_path: Path, stack: ExitStack, sabotage: str) -> None:
    pair = raised(tmp_path, stack, sabotage=sabotage)
    # what is broken stands still for ever: there is no use in waiting long for it
    asked = negotiate_and_kill(pair, count=100, seed=1, batch=20, victims=[("provider",)], patience_s=10)
    come_to_rest(pair, patience_s=10)
    assert any("expected FINALIZED on both sides" in one for one in faults(pair, asked))
