"""What comes in is not what was agreed: each side that was involved is told why, and budgets and logs are right afterwards."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from liars import Liar, altered, instead
from small_space import BY_ROAD, PURPOSE, SECRET, agree, ask, contract_for, counts, hang_up, hasty_room, kinds, publish, until
from sqlalchemy import update

from chengshu.catalog.model import LogicalType, Product, Role
from chengshu.catalog.odcs import document_of
from chengshu.catalog.store import products
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import publishing
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Tampered
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, MinimumGroup, OutputForm, Policy, Privacy, Purpose, Queries, QueryForm
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

WAIT_S = 1.0


@dataclass(frozen=True)
class Shady:
    """A road operator and a clean room before each of which a liar may stand, and a firm that asks."""

    road: Node
    firm: Node
    room: Node
    holder: Liar
    coordinator: Liar

    def offered(self, name: str, *, uses: int | None = None) -> InputChoice:
        """A new product under agreement with the firm."""
        publish(self.road, name, policy=publishing.offer_of(publishing.Terms(self.room.identity.did, [PURPOSE], uses=uses)))
        return InputChoice(self.road.identity.did, name, agree(self.firm, self.road, name))

    def ask(self, choice: InputChoice, sql: str | None = None) -> Standing:
        question = SqlQuestion(sql or BY_ROAD.replace("counts", choice.product))
        return ask(self.firm, self.room, [choice], question=question)

    def spent(self, choice: InputChoice) -> int:
        with self.road.database.read() as tx:
            return self.road.contracts.spent(tx, choice.agreement)


@pytest.fixture(scope="module")
def shady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shady]:
    folder = tmp_path_factory.mktemp("shady")
    with Space(folder) as space:
        road, firm = (space.add(name) for name in ("road", "firm"))
        room = hasty_room(space, folder / "hasty", input_wait_s=WAIT_S)
        holder, coordinator = Liar(), Liar()
        for handle, liar in (("road", holder), ("hasty", coordinator)):
            space.stop(handle)
            space.start(handle, before=liar.before)
        yield Shady(road, firm, room, holder, coordinator)
        hang_up(*space.nodes.values())


@pytest.fixture(autouse=True)
def _honest_again(shady: Shady) -> Iterator[None]:
    yield
    shady.holder.lies.clear()
    shady.coordinator.lies.clear()


def _note(standing: Standing) -> str:
    assert standing.outcome is not None
    assert standing.state == "FAILED", standing.outcome
    assert dict(standing.outcome.tables) == {}
    (note,) = standing.outcome.notes
    return note


def _rows(standing: Standing) -> list[dict[str, Any]]:
    assert standing.outcome is not None
    assert standing.state == "RELEASED", standing.outcome
    rows: list[dict[str, Any]] = standing.outcome.tables["answer"].to_pylist()
    return rows


# --- a holder that answers something else

WORDS: dict[str, Any] = {
    "nothing": {},
    "a token that is no text": {"token": 7},
    "a refusal that is no object": {"refused": "no"},
    "a refusal without a reason": {"refused": {"rule": "because"}},
    "a refusal with a rule that is none": {"refused": {"rule": 5, "message": [], "would_pass": {"en": "", "zh": ""}, "facts": {}}},
    "a refusal with nothing that would pass": {
        "refused": {"rule": "because", "message": "so", "would_pass": {"en": "", "zh": ""}, "facts": {}}
    },
    "a refusal in the name of the room's cell": {
        "refused": {"rule": "method-network", "message": "so", "would_pass": {"en": "a", "zh": "b"}, "facts": {"job": "another"}}
    },
    "a repetition that nobody asked for": {"repeated": True},
    "no object": ["token"],
}


@pytest.mark.parametrize("said", WORDS.values(), ids=WORDS.keys())
def test_a_holder_whose_answer_is_none_ends_the_job_by_its_name_and_its_own_count_stands(shady: Shady, said: Any) -> None:
    choice = shady.offered(f"said{list(WORDS.values()).index(said)}", uses=2)
    shady.holder.lies["/room/inputs"] = instead(said)
    ended = shady.ask(choice)
    assert _note(ended).startswith("peer.answer: ")
    assert f"road.{choice.product}, the answer of its holder" in _note(ended) or said == WORDS["no object"]
    shady.holder.lies.clear()
    until(lambda: kinds(shady.road, ended.job)[-1] == "job.failed")
    assert kinds(shady.road, ended.job) == ["job.vetted", "job.approved", "job.failed"]  # by its own books it approved
    assert kinds(shady.firm, ended.job)[-1] == kinds(shady.room, ended.job)[-1] == "job.failed"
    assert shady.spent(choice) == 1
    assert "method.stopped" not in kinds(shady.room, ended.job)
    assert [row["vehicles"] for row in _rows(shady.ask(choice))] == [20, 20]


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "one that ends early": lambda body: body[: len(body) // 2],
    "one that comes twice": lambda body: body + body,
    "none": lambda _: b"",
    "another": lambda _: b"<html>" * 100,
}


@pytest.mark.parametrize("lie", BODIES.values(), ids=BODIES.keys())
def test_a_holder_whose_stream_is_none_is_waited_for_and_named_and_metered_once(shady: Shady, lie: Callable[[bytes], bytes]) -> None:
    choice = shady.offered(f"stream{list(BODIES.values()).index(lie)}", uses=1)
    shady.holder.lies["/room/data"] = lie
    ended = shady.ask(choice)
    assert _note(ended).startswith("transfer.broken-stream: ")
    until(lambda: kinds(shady.road, ended.job)[-1] in {"receipt.issued", "receipt.countersigned", "receipt.completed", "job.failed"})
    told = kinds(shady.road, ended.job)
    assert [told.count(kind) for kind in ("job.approved", "use.metered", "job.failed")] == [1, 1, 1]
    assert kinds(shady.firm, ended.job)[1] == "job.failed"
    assert shady.spent(choice) == 1


def _swapped(shady: Shady, name: str, **change: Any) -> Callable[[bytes], bytes]:
    """The holder approves a job over its product, and then has another contract and other rows in its books under the same name."""
    contract = contract_for(name, owner="road")
    others = replace(contract, **change)
    table = pa.table(
        {
            one.name: counts().column(one.name).cast(pa.string()) if one.physical_type == "string" else counts().column(one.name)
            for one in others.columns
        }
    )

    def lie(body: bytes) -> bytes:
        file = shady.road.folder / "files" / f"{name}.parquet"
        pq.write_table(table, file)
        held = {"document": document_of(others), "data_digest": Digests(INTERNATIONAL).of_bytes(file.read_bytes())}
        with shady.road.database.write() as tx:
            tx.execute(update(products).where(products.c.id == name).values(held))
        return body

    return lie


def test_a_holder_with_other_columns_than_its_schema_ends_the_job_by_the_columns_name(shady: Shady) -> None:
    columns = contract_for("x", owner="road").columns
    texts = tuple(replace(one, logical_type=LogicalType.STRING, physical_type="string", role=Role.HIDDEN, aggregates=()) for one in columns)
    for name, changed, got in (("fewer", columns[:2], "none or several"), ("texts", texts, "string")):
        choice = shady.offered(name, uses=1)
        shady.holder.lies["/room/inputs"] = _swapped(shady, name, columns=changed)
        ended = shady.ask(choice)
        assert _note(ended).startswith(f"cleanroom.schema-drift: road.{name}.speed: expected ")
        assert _note(ended).endswith(f"got {got}")
        assert str(SECRET) not in _note(ended)
        until(lambda job=ended.job: "job.failed" in kinds(shady.road, job))
        told = kinds(shady.road, ended.job)
        assert [told.count(kind) for kind in ("job.approved", "transfer.completed", "use.metered")] == [1, 1, 1]
        assert shady.spent(choice) == 1


# --- a source that is gone, and texts in other encodings


def test_a_file_that_is_gone_when_it_is_asked_for_is_named_on_every_side(shady: Shady) -> None:
    choice = shady.offered("gone", uses=1)
    (shady.road.folder / "files" / "gone.parquet").unlink()
    ended = shady.ask(choice)
    assert ended.outcome is not None
    assert ended.state in {"FAILED", "REFUSED"}
    said = " ".join([*ended.outcome.notes, ended.outcome.refusal.message if ended.outcome.refusal else ""])
    assert "gone.parquet" in said
    assert str(shady.road.folder) not in said
    until(lambda: kinds(shady.road, ended.job)[-1].startswith("job."))
    assert kinds(shady.road, ended.job).count("transfer.stopped") == 1
    assert "use.metered" not in kinds(shady.road, ended.job)
    assert shady.spent(choice) == 1  # approved is counted


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8-sig", "utf-16"])
def test_a_table_in_another_encoding_is_asked_and_answered_like_any_other(shady: Shady, encoding: str) -> None:
    name = encoding.replace("-", "")
    road = shady.road
    file = road.folder / "files" / f"{name}.csv"
    file.parent.mkdir(exist_ok=True)
    lines = [f"{'环路' if one % 2 else '城东大道'},v{one:03d},{one}.5" for one in range(20)]
    file.write_bytes("\r\n".join(["road,vehicle,speed", *lines, ""]).encode(encoding))
    contract = replace(contract_for(name, owner="road"), encoding=encoding)
    policy = publishing.offer_of(publishing.Terms(shady.room.identity.did, [PURPOSE]))
    assert isinstance(road.catalog.publish(document_of(contract), source=file, policy=policy), Product)
    choice = InputChoice(road.identity.did, name, agree(shady.firm, road, name))
    sql = f"SELECT road, COUNT(DISTINCT vehicle) AS n FROM road.{name} WHERE road = '环路' GROUP BY road"  # noqa: S608  # of this file
    assert _rows(shady.ask(choice, sql)) == [{"road": "环路", "n": 10}]


# --- two jobs that reach for the last of a budget


def _at_once(asks: list[Callable[[], Standing]]) -> list[Standing]:
    found: list[Standing] = []
    gate = threading.Barrier(len(asks))

    def run(one: Callable[[], Standing]) -> None:
        gate.wait(timeout=30)
        found.append(one())

    threads = [threading.Thread(target=run, args=(one,)) for one in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_jobs_that_race_for_the_last_use_exactly_one_gets_it(shady: Shady) -> None:
    choice = shady.offered("last", uses=1)
    refused, released = sorted(_at_once([partial(shady.ask, choice)] * 2), key=lambda one: one.state == "RELEASED")
    assert (refused.state, released.state) == ("REFUSED", "RELEASED")
    assert refused.outcome is not None
    assert refused.outcome.refusal is not None
    assert refused.outcome.refusal.rule == "count-limit"
    assert shady.spent(choice) == 1
    until(lambda: "job.released" in kinds(shady.road, released.job))
    assert kinds(shady.road, choice.agreement).count("budget.spent") == 1
    assert kinds(shady.road, refused.job) == ["job.refused"]


def test_of_two_jobs_that_race_for_the_last_of_a_privacy_budget_exactly_one_gets_it(shady: Shady) -> None:
    road, firm = shady.road, shady.firm
    rules = (Purpose(frozenset({PURPOSE})), Environment(shady.room.identity.did), Queries(QueryForm.VETTED_SQL))
    policy = Policy((*rules, OutputForm(Form.AGGREGATE), MinimumGroup(5), Privacy(Decimal("0.4"), Decimal("0.7"), 5)))
    publish(road, "noisy", policy=to_odrl(policy))
    choice = InputChoice(road.identity.did, "noisy", agree(firm, road, "noisy"))
    asked = [f"SELECT COUNT(DISTINCT vehicle) AS n FROM road.noisy WHERE road {sign} 'ring'" for sign in ("=", "<>")]  # noqa: S608  # of this file
    ended = _at_once([partial(shady.ask, choice, sql) for sql in asked])
    refused = [one for one in ended if one.outcome and one.outcome.refusal and one.outcome.refusal.rule == "privacy-budget"]
    assert len(refused) == 1
    (other,) = [one for one in ended if one is not refused[0]]
    until(lambda: "budget.committed" in kinds(road, other.job))
    assert "budget.reserved" not in kinds(road, refused[0].job)
    budgets = road.holder.budgets("noisy", [choice.agreement], consumer=firm.identity.did)[choice.agreement]
    assert [(one.name, one.spent, one.limit) for one in budgets if one.name == "privacy"] == [("privacy", Decimal("0.4"), Decimal("0.7"))]


# --- a coordinator that alters what it hands on


def _newest(shady: Shady) -> str:
    """The job that the firm asked for last."""
    return [one.subject for one in shady.firm.evidence.entries(0, shady.firm.evidence.size()) if one.kind == "job.submitted"][-1]


def _faster(answer: dict[str, Any]) -> None:
    if answer["outcome"] is not None:
        answer["outcome"]["notes"] = ["everything went well"]


def _anothers(answer: dict[str, Any]) -> None:
    if answer["receipt"] is not None:
        answer["receipt"]["receipt"]["inputs"] = []


def _released(answer: dict[str, Any]) -> None:
    if answer["outcome"] is not None:
        answer["state"] = answer["outcome"]["state"] = "RELEASED"
        answer["outcome"]["refusal"] = None


@pytest.mark.parametrize("change", [_faster, _anothers, _released])
def test_a_room_that_alters_an_answer_is_found_by_the_asker_who_keeps_nothing_of_it(shady: Shady, change: Callable[[Any], None]) -> None:
    choice = shady.offered(f"lied{change.__name__.replace('_', '')}", uses=1)
    shady.coordinator.lies["/room/jobs/standing"] = altered(change)
    sql = None if change is not _released else f"SELECT COUNT(*) AS n FROM road.{choice.product} WHERE road = 'nowhere'"  # noqa: S608  # of this file
    with pytest.raises(Tampered) as caught:
        shady.ask(choice, sql)
    assert caught.value.code == "cleanroom.receipt"
    job = _newest(shady)
    assert kinds(shady.firm, job) == ["job.submitted"]
    shady.coordinator.lies.clear()
    assert shady.firm.asker.standing(job).outcome is not None  # the true answer is there as soon as the room tells it
    assert kinds(shady.firm, job)[1].startswith("job.")
    assert shady.spent(choice) == 1
