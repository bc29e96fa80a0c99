"""A question whose owners let no row leave: each adds up its own, and the room, which sees masked numbers, has nothing but the total."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
from small_space import PURPOSE, agree, counts, hang_up, hasty_room, kinds, publish, sign, until, wire
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chengshu.cleanroom import store
from chengshu.cleanroom.model import SECURE_AGGREGATION
from chengshu.cleanroom.outcome import Outcome
from chengshu.cleanroom.planning.choosing import Choice
from chengshu.cleanroom.planning.explaining import explained
from chengshu.cleanroom.planning.service import Asked
from chengshu.cleanroom.secure_aggregation.packing import packed, packed_bits
from chengshu.cli import publishing
from chengshu.client.following import follow
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, NotFound, Unavailable
from chengshu.kernel.refusal import Refused
from chengshu.node import Node
from chengshu.policy.model import Permission, Policy
from chengshu.policy.odrl import from_odrl, to_odrl
from chengshu.testing import Space

HOLDERS = {"north": range(40), "south": range(30, 60), "east": range(100, 130), "west": range(200, 260)}
WAIT_S = 2.0


def rows_of(name: str) -> pa.Table:
    """A holder's rows; in the west two vehicles were seen in a lane where nobody else was."""
    seen = counts(vehicles=HOLDERS[name])
    lane = [{"road": "lane", "vehicle": f"w{one}", "speed": 3.0} for one in range(2)]
    return pa.concat_tables([seen, pa.Table.from_pylist(lane, schema=seen.schema)]) if name == "west" else seen


def question(*names: str, select: str = "COUNT(*) AS n, SUM(speed) AS total, AVG(speed) AS mean", where: str = "") -> str:
    union = " UNION ALL ".join(f"SELECT road, speed FROM {name}.counts" for name in names or HOLDERS)  # noqa: S608  # of this file
    return f"SELECT road, {select} FROM ({union}) AS d {where} GROUP BY road ORDER BY road"  # noqa: S608  # of this file


def answer(*names: str) -> list[tuple[Any, ...]]:
    rows = [row for name in names or HOLDERS for row in counts(vehicles=HOLDERS[name]).to_pylist()]
    by_road = {road: [row["speed"] for row in rows if row["road"] == road] for road in ("gate", "ring")}
    return [(road, len(some), float(f"{sum(some):.6g}"), float(f"{sum(some) / len(some):.6g}")) for road, some in by_road.items()]


class Silence:
    """Stands before a node that says nothing at some of the steps."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Say nothing at a step for the time of the context."""
        self._paths = {f"/room/sums/{step}"}
        try:
            yield
        finally:
            self._paths = set()

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application with its silence."""

        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] in self._paths:
                await Response(status_code=503)(scope, receive, send)
            else:
                await app(scope, receive, send)

        return answering


@dataclass(frozen=True)
class League:
    """Four holders that let no row leave, who asks, a room, and the silence of the last holder."""

    space: Space
    holders: dict[str, Node]
    firm: Node
    room: Node
    silence: "Silence"

    def ask(self, sql: str) -> Asked:
        asked = self.firm.queries.ask(sql, purpose=PURPOSE)
        assert isinstance(asked, Asked), asked
        return asked

    def outcome(self, asked: Asked) -> Outcome:
        standing = follow(lambda: self.firm.asker.standing(asked.job), timeout_s=120.0)
        assert standing.outcome is not None
        return standing.outcome

    def job(self, asked: Asked) -> tuple[dict[str, Any], str]:
        """A job as its asker signed it."""
        with self.room.database.read() as tx:
            found = store.find_room_job(tx, asked.job)
        assert found is not None
        return dict(found.document), found.signature

    def say(self, holder: str, step: str, message: dict[str, Any]) -> dict[str, Any]:
        """What the room's own credentials get for a step from a holder."""
        return wire(self.room).post(self.holders[holder].identity.did, f"/room/sums/{step}", message)


def _offer(node: Node, room: Node, *, may_leave: bool) -> dict[str, Any]:
    """To be used at home alone; or there or in the room, which are two permissions."""
    at_home, there = (publishing.offer_of(publishing.Terms(one.identity.did, [PURPOSE])) for one in (node, room))
    return to_odrl(Policy(from_odrl(there).rules, alternatives=(Permission(from_odrl(at_home).rules),))) if may_leave else at_home


@pytest.fixture(scope="module")
def league(tmp_path_factory: pytest.TempPathFactory) -> Iterator[League]:
    folder = tmp_path_factory.mktemp("league")
    silence = Silence()
    with Space(folder) as space:
        holders = {name: space.add(name) for name in HOLDERS}
        firm = space.add("firm")
        room = hasty_room(space, folder / "hasty", input_wait_s=WAIT_S)
        for name, node in holders.items():
            publish(node, "counts", policy=_offer(node, room, may_leave=name == "east"), table=rows_of(name))
            agree(firm, node, "counts")
        publish(firm, "counts", policy=_offer(firm, room, may_leave=False), table=counts(vehicles=range(300, 320)))
        space.stop("west")
        space.start("west", before=silence.before)
        yield League(space, holders, firm, room, silence)
    hang_up(*space.nodes.values())


def test_four_holders_are_one_answer_and_no_row_leaves_any_of_them(league: League) -> None:
    asked = league.ask(question())
    outcome = league.outcome(asked)
    assert (outcome.state, outcome.notes) == ("RELEASED", ())
    assert [tuple(row.values()) for row in outcome.tables["answer"].to_pylist()] == answer()
    for name, node in league.holders.items():
        until(lambda node=node: any(row["job"] == asked.job for row in node.receipts.every()))  # type: ignore[misc]  # bound at once
        (receipt,) = node.receipts.show(asked.job, product="counts")
        assert receipt["receipt"]["rows"] == rows_of(name).num_rows
        written = kinds(node, asked.job)
        assert [kind for kind in written if kind in {"sum.contributed", "use.metered"}] == ["sum.contributed", "use.metered"]
        assert not [kind for kind in written if kind.startswith("transfer.")]
    assert list((league.room.folder / "work").iterdir()) == []


def test_the_plan_says_before_anything_runs_that_no_rows_move_and_who_learns_what(league: League) -> None:
    choice = league.firm.queries.plan(question(), purpose=PURPOSE)
    assert isinstance(choice, Choice), choice
    shown = explained(choice)
    assert (shown["plan"]["placement"], shown["plan"]["cost"]["products_moved"]) == (SECURE_AGGREGATION, 0)
    assert [step["does"] for step in shown["plan"]["steps"]] == ["add-up-and-mask"] * 4 + ["compute", "release"]
    learned = {one["what"] for party in shown["statement"]["parties"] for one in party["learns"]}
    assert "rows" not in learned
    room = next(party for party in shown["statement"]["parties"] if party["part"] == "room")
    assert {one["what"] for one in room["learns"]} >= {"exact-totals", "group-keys"}
    assert "unreleased-values" not in {one["what"] for one in room["learns"]}
    assert {one["placement"] for one in shown["dropped_plans"]} == {"room"}
    assert {one["product"] for one in shown["dropped_plans"]} == {"north.counts"}  # the first by name that is against it: not east's
    assert {one["rule"] for one in shown["dropped_plans"]} == {"environment"}


def test_the_asker_adds_its_own_rows_and_counts_for_none_of_the_three_others(league: League) -> None:
    everybody = league.outcome(league.ask(question(*HOLDERS, "firm", select="COUNT(*) AS n")))
    mine = {road: sum(row["road"] == road for row in counts(vehicles=range(300, 320)).to_pylist()) for road in ("gate", "ring")}
    found = {row["road"]: row["n"] for row in everybody.tables["answer"].to_pylist()}
    assert found == {road: count + mine[road] for road, count, *_ in answer()}
    refused = league.firm.queries.plan(question("north", "south", "firm"), purpose=PURPOSE)
    assert isinstance(refused, Refused)  # of two others each would know the other's from the total, had it the asker's


def test_of_two_holders_none_is_summed_up(league: League) -> None:
    refused = league.firm.queries.plan(question("north", "south"), purpose=PURPOSE)
    assert isinstance(refused, Refused)
    assert refused.rule == "environment"


@pytest.mark.parametrize("select", ["MIN(speed) AS least", "COUNT(speed) AS n, MAX(speed) AS most"])
def test_what_is_no_sum_is_not_summed_up(league: League, select: str) -> None:
    refused = league.firm.queries.plan(question(select=select), purpose=PURPOSE)
    assert isinstance(refused, Refused), refused


def test_a_room_that_asks_for_the_rows_of_such_a_job_gets_none(league: League) -> None:
    asked = league.ask(question(where="WHERE road <> 'gate'"))
    league.outcome(asked)
    document, signature = league.job(asked)
    message = {"job": document, "signature": signature, "product": "counts"}
    said = wire(league.room).post(league.holders["north"].identity.did, "/room/inputs", message)
    assert said["refused"]["rule"] == SECURE_AGGREGATION


def test_a_holder_hands_over_one_sum_for_one_job(league: League) -> None:
    asked = league.ask(question(where="WHERE road <> 'ring'"))
    league.outcome(asked)
    document, signature = league.job(asked)
    until(lambda: "job.released" in kinds(league.holders["north"], asked.job))
    said = league.say("north", "join", {"job": document, "signature": signature})
    assert said["refused"]["rule"] in {"summed-once", "job-ended"}
    with pytest.raises(NotFound, match="a job that this node has joined"):
        league.say("north", "open", {"job": asked.job, "signatures": {}})


@pytest.mark.parametrize("step", ["join", "share", "contribute", "confirm", "open"])
def test_an_answer_comes_without_a_holder_that_drops_out_and_says_so(league: League, step: str) -> None:
    with league.silence.at(step):
        outcome = league.outcome(league.ask(question()))
    assert outcome.state == "RELEASED", outcome.notes
    rows = [tuple(row.values()) for row in outcome.tables["answer"].to_pylist()]
    if step in {"confirm", "open"}:  # its sums had come, and it is not needed to take the masks away
        assert (rows, outcome.notes) == (answer(), ())
        return
    assert rows == answer("north", "south", "east")
    (note,) = outcome.notes
    assert note.startswith("without west.counts: its holder dropped out")


def test_without_two_of_four_holders_there_is_no_answer_and_both_are_named(league: League) -> None:
    choice = league.firm.queries.plan(question(), purpose=PURPOSE)
    assert isinstance(choice, Choice)
    candidate = choice.candidates[0]
    league.space.stop("east")
    try:
        with league.silence.at("contribute"):
            outcome = league.outcome(Asked(league.firm.asker.send(candidate.job), candidate))
    finally:
        league.space.start("east")
    assert (outcome.state, dict(outcome.tables)) == ("FAILED", {})
    (note,) = outcome.notes
    assert note.startswith("secure-aggregation.too-few")
    assert league.holders["west"].identity.did in note


def test_a_waiting_job_names_the_holders_that_it_waits_for(league: League) -> None:
    with league.silence.at("share"):
        asked = league.ask(question())
        west = league.holders["west"].identity.did
        until(lambda: league.firm.asker.standing(asked.job).waits_for == f"its sealed shares from {west}")
        league.outcome(asked)


def test_a_cancelled_job_hands_nothing_on(league: League) -> None:
    with league.silence.at("contribute"):
        asked = league.ask(question())
        until(lambda: "its masked sums" in league.firm.asker.standing(asked.job).waits_for)
        stopped = league.firm.asker.cancel(asked.job)
    assert stopped.state == "FAILED"
    until(lambda: kinds(league.room, asked.job)[-1] == "job.cleared")


def test_who_subtracts_a_small_group_from_an_earlier_answer_is_refused_by_its_holder(league: League) -> None:
    whole = [f"SELECT speed FROM {name}.counts" for name in HOLDERS]  # noqa: S608  # of this file
    some = [*whole[:-1], f"{whole[-1]} WHERE road <> 'lane'"]
    first, second = (
        league.outcome(league.ask(f"SELECT COUNT(speed) AS n FROM ({' UNION ALL '.join(parts)}) AS d"))  # noqa: S608  # of this file
        for parts in (whole, some)
    )
    assert first.tables["answer"].to_pylist() == [{"n": sum(rows_of(name).num_rows for name in HOLDERS)}]
    assert second.state == "REFUSED"
    assert second.refusal is not None
    assert second.refusal.rule == "differencing"


OTHER: list[Any] = [None, 7, "%%%", "x", [], {}, [{}], {"a": 1}, {"did:key:zstranger": "AAAA"}, ["did:key:zstranger"], packed(bytes(32))]
STEPS = {
    "join": ("job", "signature"),
    "share": ("job", "cards", "common"),
    "contribute": ("job", "sealed"),
    "confirm": ("job", "survivors"),
    "open": ("job", "signatures"),
}


def test_whatever_a_room_says_at_a_step_is_answered_by_a_typed_error(league: League) -> None:
    choice = league.firm.queries.plan(question(), purpose=PURPOSE)
    assert isinstance(choice, Choice)
    job = choice.candidates[0].job.as_document()
    message = {"job": job, "signature": sign(league.firm, job)}
    cards = [league.say(name, "join", message)["card"] for name in HOLDERS]
    spoilt = [[{**one, name: other} for one in cards] for name in cards[0] for other in (None, "x", packed(bytes(32)), packed(bytes(33)))]
    whole: dict[str, Any] = {
        "job": job["id"],
        "cards": cards,
        "common": packed(packed_bits([True, True])),
        "sealed": {},
        "survivors": [],
        "signatures": {},
    }
    sent = 0
    for step, members in STEPS.items():
        right = message if step == "join" else {name: whole[name] for name in members}
        tried = [{**right, name: other} for name in members for other in OTHER if other != right[name]]
        tried += [{one: value for one, value in right.items() if one != name} for name in members]
        tried += [{**right, "cards": some} for some in spoilt] if step == "share" else []
        for body in tried:
            with pytest.raises(ChengshuError) as caught:
                league.say("north", step, body)
            assert not isinstance(caught.value, Unavailable), (step, caught.value.message)
            sent += 1
    assert sent > 120
    assert set(league.say("north", "share", {name: whole[name] for name in STEPS["share"]})["sealed"]) == {
        node.identity.did for name, node in league.holders.items() if name != "north"
    }


def test_two_rounds_of_one_job_at_once_are_one_sum(league: League) -> None:
    choice = league.firm.queries.plan(question(), purpose=PURPOSE)
    assert isinstance(choice, Choice)
    job = choice.candidates[0].job.as_document()
    message, named = {"job": job, "signature": sign(league.firm, job)}, {"job": job["id"]}
    members = league.holders["north"].members
    dids = {name: node.identity.did for name, node in league.holders.items()}
    common = packed(packed_bits([True, True]))
    rounds = []
    for _ in range(2):
        cards = [league.say(name, "join", message)["card"] for name in HOLDERS]
        dealt = {name: league.say(name, "share", {**named, "cards": cards, "common": common})["sealed"] for name in HOLDERS}
        rounds.append(({dids[one]: dealt[one][dids["north"]] for one in HOLDERS if one != "north"}, members._kept[job["id"]]))
    for number, (sealed, kept) in enumerate(reversed(rounds)):
        members._kept[job["id"]] = kept  # as where the older round's request comes while the younger one is joined
        asked = {**named, "sealed": sealed}
        if number == 0:
            assert wire(league.room).fetch(dids["north"], "/room/sums/contribute", asked, most=10_000)
        else:
            with pytest.raises(Denied, match="one whose sums have"):
                wire(league.room).fetch(dids["north"], "/room/sums/contribute", asked, most=10_000)


def test_a_room_that_lies_about_who_is_there_is_not_told_both_secrets_of_anybody(league: League) -> None:
    """It has everybody's masked sums, tells three that the fourth dropped out, and the fourth that all are there."""
    choice = league.firm.queries.plan(question(), purpose=PURPOSE)
    assert isinstance(choice, Choice)
    job = choice.candidates[0].job.as_document()
    signature = sign(league.firm, job)
    dids = {name: node.identity.did for name, node in league.holders.items()}
    joined = {name: league.say(name, "join", {"job": job, "signature": signature}) for name in HOLDERS}
    cards, common = [one["card"] for one in joined.values()], packed(packed_bits([True, True]))  # gate and ring
    named = {"job": job["id"]}
    dealt = {name: league.say(name, "share", {**named, "cards": cards, "common": common})["sealed"] for name in HOLDERS}
    for name in HOLDERS:
        sealed = {dids[giver]: dealt[giver][dids[name]] for giver in HOLDERS if giver != name}
        wire(league.room).fetch(dids[name], "/room/sums/contribute", {**named, "sealed": sealed}, most=10_000)
    few, everybody = sorted(did for name, did in dids.items() if name != "west"), sorted(dids.values())
    said = {name: league.say(name, "confirm", {**named, "survivors": few})["signature"] for name in HOLDERS if name != "west"}
    west = league.say("west", "confirm", {**named, "survivors": everybody})["signature"]
    opened = league.say("north", "open", {**named, "signatures": {dids[name]: one for name, one in said.items()}})
    assert set(opened["keys"]) == {dids["west"]}
    with pytest.raises(Denied, match="over the list that this one signed"):
        league.say("west", "open", {**named, "signatures": {**{dids[name]: one for name, one in said.items()}, dids["west"]: west}})
    with pytest.raises(Conflict, match=r"secure-aggregation.order|expected the step"):
        league.say("north", "confirm", {**named, "survivors": everybody})
