"""A product whose line to the room breaks again and again: it goes on where it was, is one use, and the answer is the right one."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cutting import CuttingLine
from small_space import PURPOSE, agree, hang_up, kinds, publish, signed_job, until, wire

from chengshu.catalog.ports import Rows
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cleanroom.outcome import Outcome
from chengshu.cli import publishing
from chengshu.node import Node
from chengshu.testing import Space, _listener, _served, _stop
from chengshu.transfer.streams.arrow import BATCH_ROWS, to_stream

ROWS = 30 * BATCH_ROWS
"""Of random numbers, some 25 MB on the wire in 31 pieces."""
MEAN = "SELECT road, COUNT(DISTINCT vehicle) AS n, AVG(speed) AS s FROM road.PRODUCT GROUP BY road"
LEAST, MOST = 200_000, 2_500_000


@dataclass
class Bad:
    """A space in which the road operator is behind a line that breaks; ``after`` is how much of the answers a connection carries."""

    firm: Node
    road: Node
    room: Node
    chance: random.Random
    line: CuttingLine | None = None
    is_cutting: bool = True

    def allowance(self) -> int:
        return self.chance.randint(LEAST, MOST) if self.is_cutting else 1 << 40

    def begin_cutting(self) -> None:
        """Cut from now on: lines from before, which carry what they like, are ended."""
        self.is_cutting = True
        if self.line is not None:
            self.line.hang_up()

    def offered(self, name: str, table: pa.Table) -> InputChoice:
        publish(self.road, name, policy=publishing.offer_of(publishing.Terms(self.room.identity.did, [PURPOSE])), table=table)
        return InputChoice(self.road.identity.did, name, agree(self.firm, self.road, name))

    def submit(self, choice: InputChoice) -> str:
        question = SqlQuestion(MEAN.replace("PRODUCT", choice.product))
        document, signature = signed_job(self.firm, self.room, [choice], question=question)
        wire(self.firm).post(self.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
        return str(document["id"])

    def ended(self, job: str) -> Outcome:
        def found() -> dict[str, object]:
            return wire(self.firm).post(self.room.identity.did, "/room/jobs/standing", {"job": job})

        until(lambda: found()["outcome"] is not None)
        outcome = found()["outcome"]
        assert isinstance(outcome, dict)
        return Outcome.parse(outcome)


def long_table(*, seed: int = 5) -> pa.Table:
    vehicles = pa.array([f"v{one:03d}" for one in range(64)]).take(pa.array(np.arange(ROWS) % 64))
    columns = {"road": pa.array(["ring"]).take(pa.array(np.zeros(ROWS, int))), "vehicle": vehicles}
    return pa.table({**columns, "speed": np.random.default_rng(seed).uniform(0, 30, ROWS)})


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bad]:
    with Space(tmp_path_factory.mktemp("bad line")) as space:
        road, firm = space.add("road"), space.add("firm")
        room = space.add("room", clean_room=True)
        space.stop("road")
        behind = _listener(0)
        server = _served(road, behind)
        world = Bad(firm, road, room, random.Random(20261127))  # noqa: S311  # where a line is cut is no secret
        with CuttingLine(_listener(road.settings.serve.port), behind.getsockname()[1], world.allowance) as line:
            world.line = line
            yield world
        _stop(*server)
        hang_up(*space.nodes.values())


def test_a_product_whose_line_is_cut_at_any_bytes_comes_whole_and_is_one_use(bad: Bad) -> None:
    table = long_table()
    bad.is_cutting = False
    choice = bad.offered("long", table)
    bad.begin_cutting()
    assert bad.line is not None
    before, carried, spent = bad.line.cuts, bad.line.carried, kinds(bad.road).count("budget.spent")
    job = bad.submit(choice)
    waits: set[str] = set()

    def is_over() -> bool:
        said = wire(bad.firm).post(bad.room.identity.did, "/room/jobs/standing", {"job": job})
        waits.add(said["waits_for"])
        return said["outcome"] is not None

    until(is_over)
    (row,) = bad.ended(job).tables["answer"].to_pylist()
    assert tuple(row.values()) == ("ring", 64, float(f"{np.mean(table['speed'].to_numpy()):.6g}"))
    assert bad.line.cuts - before >= 3, "expected a line that was cut several times"
    assert any("road.long from its holder" in one and "pieces of it are here" in one for one in waits), waits
    until(lambda: "job.released" in kinds(bad.road, job))
    found = kinds(bad.road, job)
    assert (found.count("use.metered"), found.count("job.approved"), kinds(bad.road).count("budget.spent") - spent) == (1, 1, 1)
    assert found.count("transfer.started") >= 4
    entries = [one for one in bad.road.evidence.entries(0, bad.road.evidence.size()) if one.subject == job]
    afters = [one.body["after"] for one in entries if one.kind == "transfer.started" and "after" in one.body]
    assert afters == sorted(afters)
    assert afters[0] > 0
    whole = sum(map(len, to_stream(Rows.of(table))))
    assert whole < bad.line.carried - carried < 2 * whole, "expected what had come not to be carried again"
    with bad.road.database.read() as tx:
        delivered = bad.road.transfers.delivered(tx, job=job, product="long")
    assert delivered is not None
    assert delivered[0] == ROWS


def test_a_holder_that_publishes_other_rows_in_between_is_refused_and_named(bad: Bad) -> None:
    bad.is_cutting = False
    choice = bad.offered("changed", long_table())
    bad.begin_cutting()
    job = bad.submit(choice)
    until(lambda: kinds(bad.road, job).count("transfer.stopped") >= 1)
    file = bad.road.folder / "files" / "changed.parquet"
    pq.write_table(long_table(seed=6), file)
    ended = bad.ended(job)
    assert ended.refusal is not None
    assert ended.refusal.rule == "product-changed"
    assert "road.changed" in ended.refusal.message
    until(lambda: "job.refused" in kinds(bad.road, job))
    assert kinds(bad.road, job).count("use.metered") == 1
