"""A holder that does not answer: the room says for whom it waits, and then goes on without it or says that it could not."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from small_space import PURPOSE, agree, ask, counts, hang_up, hasty_room, publish, signed_job, until, wire

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import MethodQuestion, Question, SqlQuestion
from chengshu.cli import verbs
from chengshu.cli.doctor import examine
from chengshu.kernel.errors import Unavailable
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS both FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"


@dataclass(frozen=True)
class Quiet:
    """A space whose fleet operator stopped answering after its contracts were signed, and the jobs that were signed before."""

    road: Node
    firm: Node
    room: Node
    inputs: list[InputChoice]
    joined: tuple[dict, str]
    valued: tuple[dict, str]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    folder = tmp_path_factory.mktemp("quiet")
    with Space(folder) as space:
        road, firm, fleet = (space.add(name) for name in ("road", "firm", "fleet"))
        room = hasty_room(space, folder / "hasty", input_wait_s=1.0)
        sql = verbs.offer_of(verbs.Terms(room.identity.did, [PURPOSE]))
        rules = (Purpose(frozenset({PURPOSE})), Environment(room.identity.did), Methods(frozenset({"small.worth"})), OutputForm(Form.AGGREGATE))
        method = to_odrl(Policy(rules, ()))
        publish(road, "counts", policy=sql)
        publish(fleet, "trips", policy=sql, table=counts(vehicles=range(30, 60)))
        inputs = [InputChoice(road.identity.did, "counts", agree(firm, road, "counts"))]
        inputs.append(InputChoice(fleet.identity.did, "trips", agree(firm, fleet, "trips")))
        joined = signed_job(firm, room, inputs, question=SqlQuestion(JOINED))
        yield Quiet(road, firm, room, inputs, joined, (method, ""))
        hang_up()


def _submitted(quiet: Quiet, job: tuple[dict, str]) -> str:
    document, signature = job
    wire(quiet.firm).post(quiet.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
    return str(document["id"])
