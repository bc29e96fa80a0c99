"""``kill -9`` between the end of an agreement and its delivery, and in the midst of replacements: no word is lost, none is said twice."""

import random
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from crashing import PRODUCT, VICTIMS, Pair, come_to_rest, raised
from small_space import PURPOSE, publish
from sqlalchemy import select

from chengshu.cli import publishing
from chengshu.contract.life import Ending, Phase, Termination
from chengshu.contract.model import State
from chengshu.evidence.verify import verify_log
from chengshu.kernel.errors import Conflict
from chengshu.kernel.tasks import TaskState, tasks
from chengshu.node import LOG, Node

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # connections of this process to nodes that were killed
AGREEMENTS = 6
ENDS = (("consumer",), ("provider",), ("consumer", "provider"), ())
"""Who ends an agreement; where nobody does, it is amended."""


def concluded(pair: Pair) -> list[str]:
    """Agreements in force on both sides."""
    (offer, *_) = pair.consumer.peers.dataset(pair.provider.identity.did, PRODUCT)["hasPolicy"]
    asked = [pair.consumer.contracts.request(pair.provider.identity.did, dataset=PRODUCT, offer=offer) for _ in range(AGREEMENTS)]
    come_to_rest(pair)
    ended = [pair.consumer.contracts.negotiation(one) for one in asked]
    assert {one.state for one in ended} == {State.FINALIZED}
    return [str(one.agreement_id) for one in ended]


def standing(node: Node, agreement: str) -> tuple[Phase, Ending | str | None]:
    life = node.agreements.standing(agreement).life
    ending = life.ending
    return life.phase, ending if isinstance(ending, Termination) else getattr(ending, "successor", None)


def ended_by(node: Node, agreement: str) -> bool:
    """End an agreement, unless the other side's word is there already."""
    try:
        node.agreements.terminate(agreement, code="not-needed", reason=f"{node.settings.node.handle} has done with it")
    except Conflict:
        return False
    return True


def unfinished(node: Node) -> list[tuple[str, str | None]]:
    with node.database.read() as tx:
        rows = tx.execute(select(tasks.c.kind, tasks.c.last_error).where(tasks.c.state != TaskState.DONE)).all()
    return [(row.kind, row.last_error) for row in rows]


def test_nodes_killed_while_agreements_end_come_to_one_standing_and_say_each_end_once(
    tmp_path: Path, stack: ExitStack, request: pytest.FixtureRequest
) -> None:
    seed = int(request.config.getoption("--crash-seed") or random.SystemRandom().randrange(1 << 32))
    request.config.get_terminal_writer().line(f"\nrun again with --crash-seed {seed}")
    chance = random.Random(seed)  # noqa: S311  # which process dies and when, not a secret
    pair = raised(tmp_path, stack)
    agreements = concluded(pair)
    terms = publishing.Terms(pair.consumer.identity.did, [PURPOSE], uses=7)
    publish(pair.provider, PRODUCT, policy=publishing.offer_of(terms), version="2.0.0")
    (offer, *_) = pair.consumer.peers.dataset(pair.provider.identity.did, PRODUCT)["hasPolicy"]
    expected: dict[str, set[str]] = {}
    for number, agreement in enumerate(agreements):
        who = ENDS[number % len(ENDS)]
        expected[agreement] = {pair.nodes[name].identity.did for name in who if ended_by(pair.nodes[name], agreement)}
        if not who:
            pair.consumer.agreements.amend(agreement, offer=offer)
        time.sleep(chance.uniform(0.0, 0.15))
        pair.kill(*chance.choice(VICTIMS))
    come_to_rest(pair)
    assert [unfinished(node) for node in pair.nodes.values()] == [[], []]
    for agreement, enders in expected.items():
        ours, theirs = standing(pair.consumer, agreement), standing(pair.provider, agreement)
        assert ours == theirs
        assert ours[0] is (Phase.TERMINATED if enders else Phase.SUPERSEDED)
    for node in pair.nodes.values():
        node.evidence.publish()
        assert verify_log(node.folder / LOG, node.evidence.vkey).checkpoint.size == node.evidence.size()
        entries = node.evidence.entries(0, node.evidence.size())
        said = Counter((one.subject, one.body["by"]) for one in entries if one.kind == "agreement.terminated")
        assert said == Counter((agreement, by) for agreement, enders in expected.items() for by in enders)
        replaced = Counter(one.subject for one in entries if one.kind == "agreement.superseded")
        assert replaced == Counter(agreement for agreement, enders in expected.items() if not enders)
