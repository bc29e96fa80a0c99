"""One entry for questions, on real nodes: planned, explained, asked, answered; and everything that can be wrong on the way."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from small_space import (
    BY_ROAD,
    PURPOSE,
    Town,
    agree,
    contract_for,
    counts,
    hang_up,
    hasty_room,
    kinds,
    publish,
    sign,
    signed_job,
    until,
    wire,
)

import chengshu
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import Job, SqlQuestion
from chengshu.cleanroom.planning.choosing import Choice
from chengshu.cleanroom.planning.service import Asked
from chengshu.cleanroom.planning.statement import statement_of
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.cli import publishing, verbs
from chengshu.client.following import follow
from chengshu.contract.life import Phase
from chengshu.identity.keys.client import ClientToken
from chengshu.kernel.clock import system_clock
from chengshu.kernel.errors import Denied, Invalid, NotFound, Unavailable, Unidentified
from chengshu.kernel.refusal import Refused
from chengshu.node import KEYS, Node, open_node
from chengshu.policy.model import Environment, Form, MinimumGroup, OutputForm, Policy, Privacy, Purpose, Queries, QueryForm, TimeWindow
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS both FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"
WAIT_S = 120.0


def asked(node: Node, sql: str = BY_ROAD, *, purpose: str = PURPOSE, room: str | None = None) -> Asked:
    found = node.queries.ask(sql, purpose=purpose, room=room)
    assert isinstance(found, Asked), found
    return found


def ended(node: Node, job: str) -> Standing:
    return follow(lambda: node.asker.standing(job), timeout_s=WAIT_S)


def refused(node: Node, sql: str = BY_ROAD, *, purpose: str = PURPOSE) -> Refused:
    found = node.queries.ask(sql, purpose=purpose)
    assert isinstance(found, Refused), found
    return found


def acts(*nodes: Node) -> list[list[str]]:
    """What is in the logs, but for receipts and the ends that holders are told of, which follow their jobs a little later."""
    return [[kind for kind in kinds(node) if not kind.startswith("receipt.") and kind != "job.released"] for node in nodes]


def everybody(town: Town) -> tuple[Node, ...]:
    return (town.road, town.fleet, town.firm, town.room)


# --- an answer


def test_a_question_finds_its_products_agreements_and_room_by_itself(town: Town) -> None:
    one = asked(town.firm, JOINED)
    assert (one.candidate.plan.placement, one.candidate.plan.place) == ("room", town.room.identity.did)
    assert {part.alias: part.agreement for part in one.candidate.job.inputs} == {
        "road.counts": town.agreements["counts"],
        "fleet.trips": town.agreements["trips"],
    }
    standing = ended(town.firm, one.job)
    assert standing.outcome is not None
    assert sorted((row["road"], row["both"]) for row in standing.outcome.tables["answer"].to_pylist()) == [("gate", 5), ("ring", 5)]


def test_the_statement_that_was_shown_is_in_the_signed_job_in_the_receipt_and_in_both_sides_books(town: Town) -> None:
    choice = town.firm.queries.plan(BY_ROAD, purpose=PURPOSE)
    assert isinstance(choice, Choice)
    one = asked(town.firm)
    leakage = choice.candidates[0].job.leakage
    assert one.candidate.statement == choice.candidates[0].statement
    standing = ended(town.firm, one.job)
    assert standing.receipt is not None
    assert leakage == one.candidate.job.leakage == standing.receipt["receipt"]["leakage"]
    assert town.firm.asker.statement(one.job) == one.candidate.statement
    until(lambda: "receipt.countersigned" in kinds(town.firm))
    for node in (town.firm, town.road):
        until(lambda node=node: any(row["job"] == one.job for row in node.receipts.every()))  # type: ignore[misc]  # bound at once
        assert [row["leakage"] for row in node.receipts.show(one.job, product="counts")] == [leakage]
    submitted = [entry.body for entry in town.firm.evidence.entries(0, town.firm.evidence.size()) if entry.subject == one.job]
    assert submitted[0]["leakage"] == leakage


def test_a_plan_leaves_no_entry_and_spends_nothing(town: Town) -> None:
    before = acts(*everybody(town))
    for _ in range(3):
        choice = town.firm.queries.plan(BY_ROAD.replace("counts", "twice"), purpose=PURPOSE)
        assert isinstance(choice, Choice)
        (terms,) = choice.candidates[0].terms
        assert [one.shown() for one in terms.budgets] == [{"budget": "uses", "spent": 0, "limit": 2, "left": 2, "left_after": 1}]
    assert acts(*everybody(town)) == before
    assert town.firm.asker.every() == [one for one in town.firm.asker.every() if one["state"] != "SUBMITTED"]


def test_own_products_are_computed_at_home_without_a_message_and_without_being_served(tmp_path: Path) -> None:
    verbs.init(tmp_path / "alone", verbs.Birth("alone", "Alone", "独立节点", port=1))
    node = open_node(tmp_path / "alone")
    publish(node, "counts", policy=publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE])))
    one = asked(node, BY_ROAD.replace("road.", "alone."))
    assert one.candidate.plan.placement == "local"
    standing = ended(node, one.job)
    assert standing.outcome is not None
    assert [row["road"] for row in standing.outcome.tables["answer"].to_pylist()] == ["gate", "ring"]
    assert kinds(node, one.job) == ["job.submitted", "job.run", "job.released"]
    small = asked(node, "SELECT COUNT(*) AS n FROM alone.counts WHERE road = 'nowhere'")
    assert ended(node, small.job).state == "REFUSED"
    node.folder.joinpath("files", "counts.parquet").write_bytes(b"changed")
    broken = ended(node, asked(node, BY_ROAD.replace("road.", "alone.")).job)
    assert broken.state == "FAILED"
    assert broken.outcome is not None
    assert "product.file-changed" in broken.outcome.notes[0]
    hang_up(node)


# --- refusals before anything is sent


def test_without_an_agreement_the_refusal_names_the_product_and_whom_to_ask(town: Town) -> None:
    before = acts(*everybody(town))
    refusal = refused(town.firm, "SELECT COUNT(*) AS n FROM road.absent")
    assert (refusal.rule, refusal.facts) == ("no-agreement", {"product": "road.absent", "holder": town.road.identity.did})
    assert "chengshu contract request road absent" in refusal.would_pass.en
    assert "chengshu contract request road absent" in refusal.would_pass.zh
    assert acts(*everybody(town)) == before


def test_a_purpose_that_no_owner_allows_and_raw_rows_are_refused_here(town: Town) -> None:
    before = acts(*everybody(town))
    refusal = refused(town.firm, purpose="advertising")
    assert (refusal.rule, refusal.facts["owner"]) == ("purpose", town.road.identity.did)
    assert refused(town.firm, "SELECT vehicle FROM road.counts").rule == "raw-rows"
    assert acts(*everybody(town)) == before


def test_parties_and_own_products_that_there_are_not_are_named(town: Town) -> None:
    for node, sql, code in (
        (town.firm, "SELECT COUNT(*) AS n FROM nobody.counts", "query.unknown-party"),
        (town.road, "SELECT COUNT(*) AS n FROM road.absent", "query.unknown-product"),
        (town.firm, "SELECT 1 AS one", "query.no-product"),
    ):
        with pytest.raises(NotFound) as caught:
            node.queries.ask(sql, purpose=PURPOSE)
        assert caught.value.code == code


def test_an_agreement_that_was_ended_is_refused_by_what_ended_it(town: Town) -> None:
    publish(town.road, "ended", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])))
    agreement = agree(town.firm, town.road, "ended")
    town.firm.agreements.terminate(agreement, code="purpose-ended", reason="the study is over")
    refusal = refused(town.firm, BY_ROAD.replace("counts", "ended"))
    assert (refusal.rule, refusal.facts["agreement"]) == ("agreement-terminated", agreement)
    assert "chengshu contract request road ended" in refusal.would_pass.en


def test_an_agreement_that_has_run_out_is_refused_by_its_time(town: Town) -> None:
    until_then = system_clock().replace(microsecond=0) + timedelta(seconds=8)
    rules = (
        Purpose(frozenset({PURPOSE})),
        Environment(town.room.identity.did),
        Queries(QueryForm.VETTED_SQL),
        OutputForm(Form.AGGREGATE),
        MinimumGroup(5),
        TimeWindow(None, until_then),
    )
    publish(town.road, "brief", policy=to_odrl(Policy(rules)))
    agree(town.firm, town.road, "brief")
    until(lambda: system_clock() > until_then)
    refusal = refused(town.firm, BY_ROAD.replace("counts", "brief"))
    assert (refusal.rule, refusal.facts["product"]) == ("agreement-expired", "road.brief")


def test_a_product_is_found_by_its_name_in_questions_though_its_id_is_another(town: Town) -> None:
    file = town.road.folder / "files" / "counts.parquet"
    contract = replace(contract_for("sightings-2026", owner="road"), table="sightings")
    terms = publishing.Terms(town.room.identity.did, [PURPOSE])
    town.road.catalog.publish(document_of(contract), source=file, policy=publishing.offer_of(terms))
    agree(town.firm, town.road, "sightings-2026")
    one = asked(town.firm, BY_ROAD.replace("counts", "sightings"))
    assert one.candidate.job.inputs[0].product == "sightings-2026"
    assert ended(town.firm, one.job).state == "RELEASED"


def test_a_count_that_is_used_up_is_refused_before_anything_is_sent_and_by_the_holder_for_itself(town: Town) -> None:
    publish(town.road, "once", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE], uses=1)))
    agree(town.firm, town.road, "once")
    sql = BY_ROAD.replace("counts", "once")
    assert ended(town.firm, asked(town.firm, sql).job).state == "RELEASED"
    before = acts(*everybody(town))
    assert refused(town.firm, sql).rule == "count-limit"
    assert acts(town.road) == [before[0]]


def test_of_two_agreements_the_one_that_allows_the_purpose_carries_the_job(town: Town) -> None:
    other = publishing.offer_of(publishing.Terms(town.room.identity.did, ["planning"]))
    publish(town.road, "pair", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])))
    first = agree(town.firm, town.road, "pair")
    publish(town.road, "pair", policy=other, version="2.0.0")
    second = agree(town.firm, town.road, "pair")
    sql = BY_ROAD.replace("counts", "pair")
    for purpose, expected in ((PURPOSE, first), ("planning", second)):
        one = asked(town.firm, sql, purpose=purpose)
        assert one.candidate.job.inputs[0].agreement == expected
        assert ended(town.firm, one.job).state == "RELEASED"
    assert refused(town.firm, sql, purpose="advertising").rule == "purpose"


def test_a_privacy_budget_is_shown_before_and_after_and_its_noise_is_in_the_statement_that_is_signed(town: Town) -> None:
    room = Environment(town.room.identity.did)
    noise = Privacy(Decimal("0.1"), Decimal("0.35"), 5)
    usual = (Purpose(frozenset({PURPOSE})), room, Queries(QueryForm.VETTED_SQL), OutputForm(Form.AGGREGATE), MinimumGroup(5), noise)
    publish(town.road, "noisy", policy=to_odrl(Policy(usual)))
    agree(town.firm, town.road, "noisy")
    sql = "SELECT COUNT(DISTINCT vehicle) AS vehicles FROM road.noisy"

    def left() -> list[tuple[str, object, object]]:
        choice = town.firm.queries.plan(sql, purpose=PURPOSE)
        assert isinstance(choice, Choice)
        told = [one.shown() for one in choice.candidates[0].terms[0].budgets]
        return [(one["budget"], one["left"], one["left_after"]) for one in told]

    assert left() == [("uses", None, None), ("privacy", "0.35", "0.25")]
    one = asked(town.firm, sql)
    assert one.candidate.statement["protection"]["noise"]["rho"] == "0.1"
    standing = ended(town.firm, one.job)
    assert standing.state == "RELEASED"
    assert standing.receipt is not None
    assert standing.receipt["receipt"]["leakage"] == town.firm.digests.of(one.candidate.statement)
    assert left() == [("uses", None, None), ("privacy", "0.25", "0.15")]


def test_nobody_is_told_what_anothers_agreement_still_allows(town: Town) -> None:
    message = {"product": "twice", "agreements": [town.agreements["twice"]]}
    assert wire(town.fleet).post(town.road.identity.did, "/room/terms", message)["budgets"] == {}
    assert list(wire(town.firm).post(town.road.identity.did, "/room/terms", message)["budgets"]) == [town.agreements["twice"]]


# --- statements that are not what a holder computes


def _restated(town: Town, change: Callable[[Job], Job]) -> tuple[dict[str, object], str]:
    """A job whose asker signs another statement than the one that follows from the agreements."""
    document, _ = signed_job(town.firm, town.room, [town.choice()])
    job = Job.parse(document)
    vetted = vet(BY_ROAD, job.terms({}))
    assert isinstance(vetted, VettedQuery)
    changed = change(job)
    own = changed.as_document() | {"leakage": town.firm.digests.of(statement_of(changed, vetted, changed.terms({})))}
    return own, sign(town.firm, own)


def test_a_holder_computes_the_statement_by_its_own_terms_and_refuses_another(town: Town) -> None:
    honest, signature = _restated(town, lambda job: job)
    message = {"job": honest, "signature": signature, "product": "counts"}
    assert "token" in wire(town.room).post(town.road.identity.did, "/room/inputs", message)
    lying = {**honest, "id": "job-lying", "leakage": town.firm.digests.of({"format": "chengshu-leakage-1", "parties": []})}
    message = {"job": lying, "signature": sign(town.firm, lying), "product": "counts"}
    assert wire(town.room).post(town.road.identity.did, "/room/inputs", message)["refused"]["rule"] == "leakage-statement"
    assert kinds(town.road, "job-lying") == ["job.refused"]


def test_a_room_refuses_a_job_with_another_statement_before_any_holder_is_asked(town: Town) -> None:
    honest, _ = _restated(town, lambda job: job)
    lying = {**honest, "id": "job-restated", "leakage": "sha256:" + "0" * 64}
    wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": lying, "signature": sign(town.firm, lying)})
    answer = wire(town.firm).post(town.room.identity.did, "/room/jobs/standing", {"job": "job-restated"})
    assert (answer["state"], answer["outcome"]["refusal"]["rule"]) == ("REFUSED", "leakage-statement")
    assert kinds(town.road, "job-restated") == []


def test_a_job_that_states_a_smaller_group_than_was_agreed_is_refused_though_its_statement_follows_from_it(town: Town) -> None:
    def group_of(k: int, version: str) -> None:
        publish(
            town.road, "strict", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE], group=k)), version=version
        )

    group_of(9, "1.0.0")
    strict = agree(town.firm, town.road, "strict")
    group_of(5, "2.0.0")  # the schema asks for less now, the agreement still for 9
    sql = BY_ROAD.replace("counts", "strict")
    rules = []
    for group in (9, 5):
        document, _ = signed_job(town.firm, town.room, [InputChoice(town.road.identity.did, "strict", strict)], question=SqlQuestion(sql))
        job = Job.parse(document)
        job = replace(job, inputs=(replace(job.inputs[0], minimum_group=group),))
        vetted = vet(sql, job.terms({}))
        assert isinstance(vetted, VettedQuery)
        own = replace(job, leakage=town.firm.digests.of(statement_of(job, vetted, job.terms({})))).as_document()
        message = {"job": own, "signature": sign(town.firm, own), "product": "strict"}
        rules.append(wire(town.room).post(town.road.identity.did, "/room/inputs", message).get("refused", {}).get("rule"))
    assert rules == [None, "minimum-group"]


def test_a_job_without_a_statement_is_judged_as_before(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    assert "leakage" not in document
    wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
    until(lambda: town.room.room.standing(document["id"], sender=town.firm.identity.did)["state"] == "RELEASED")
    assert "leakage" not in town.room.room.standing(document["id"], sender=town.firm.identity.did)["receipt"]["receipt"]


# --- parties that do not answer, or answer otherwise


@dataclass(frozen=True)
class Pair:
    """A holder with its own clean room, an asker, and a room far away."""

    space: Space
    road: Node
    firm: Node
    room: Node


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with Space(folder) as space:
        road, firm = space.add("road", clean_room=True), space.add("firm")
        room = hasty_room(space, folder / "hasty", input_wait_s=WAIT_S)
        yield Pair(space, road, firm, room)
        hang_up(*space.nodes.values())


def test_a_holder_that_runs_a_room_computes_what_it_alone_holds_and_lets_no_row_out(pair: Pair) -> None:
    publish(pair.road, "kept", policy=publishing.offer_of(publishing.Terms(pair.road.identity.did, [PURPOSE])))
    agree(pair.firm, pair.road, "kept")
    one = asked(pair.firm, BY_ROAD.replace("counts", "kept"))
    assert (one.candidate.plan.placement, one.candidate.plan.place) == ("holder", pair.road.identity.did)
    assert ended(pair.firm, one.job).state == "RELEASED"
    told = [(party["part"], one["what"]) for party in one.candidate.statement["parties"] for one in party["learns"]]
    assert not [part for part, what in told if what == "rows"]


def test_a_holder_that_answers_late_is_named_while_the_job_waits_for_it(pair: Pair) -> None:
    publish(pair.road, "late", policy=publishing.offer_of(publishing.Terms(pair.room.identity.did, [PURPOSE], uses=3)))
    agreement = agree(pair.firm, pair.road, "late")
    sql = BY_ROAD.replace("counts", "late")
    choice = pair.firm.queries.plan(sql, purpose=PURPOSE)
    assert isinstance(choice, Choice)
    pair.space.stop("road")
    with pytest.raises(Unavailable) as caught:
        pair.firm.queries.plan(sql, purpose=PURPOSE)
    assert "Road" in caught.value.message
    job = pair.firm.asker.send(choice.candidates[0].job)
    heard: list[str] = []
    until(lambda: "road.late" in pair.firm.asker.standing(job).waits_for)
    pair.space.start("road")
    standing = follow(lambda: pair.firm.asker.standing(job), timeout_s=WAIT_S, told=lambda now: heard.append(now.waits_for))
    assert standing.state == "RELEASED"
    told = wire(pair.firm).post(pair.road.identity.did, "/room/terms", {"product": "late", "agreements": [agreement]})
    assert told["budgets"][agreement][0]["spent"] == 1


def test_a_schema_that_changed_since_the_plan_is_refused_and_spends_nothing(pair: Pair) -> None:
    terms = publishing.Terms(pair.room.identity.did, [PURPOSE], uses=3)
    publish(pair.road, "moved", policy=publishing.offer_of(terms))
    agreement = agree(pair.firm, pair.road, "moved")
    choice = pair.firm.queries.plan(BY_ROAD.replace("counts", "moved"), purpose=PURPOSE)
    assert isinstance(choice, Choice)
    publish(pair.road, "moved", policy=publishing.offer_of(replace(terms, group=8)), table=counts(), version="2.0.0")
    standing = ended(pair.firm, pair.firm.asker.send(choice.candidates[0].job))
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert standing.outcome.refusal.rule == "schema-changed"
    told = wire(pair.firm).post(pair.road.identity.did, "/room/terms", {"product": "moved", "agreements": [agreement]})
    assert told["budgets"][agreement][0]["spent"] == 0


def test_a_room_that_does_not_answer_is_named_and_nothing_is_asked(pair: Pair) -> None:
    publish(pair.road, "far", policy=publishing.offer_of(publishing.Terms(pair.room.identity.did, [PURPOSE])))
    agree(pair.firm, pair.road, "far")
    place = list(pair.space.nodes).index("hasty")
    server, thread = pair.space._servers[place]
    server.should_exit = True
    thread.join(timeout=10)
    jobs = len(pair.firm.asker.every())
    with pytest.raises(Unavailable) as caught:
        pair.firm.queries.ask(BY_ROAD.replace("counts", "far"), purpose=PURPOSE)
    assert "Hasty room" in caught.value.message
    assert len(pair.firm.asker.every()) == jobs
    assert [life.phase for life in pair.firm.contracts.lives(pair.road.identity.did)].count(Phase.IN_FORCE) >= 1


def test_a_node_that_runs_no_room_is_told_from_one_that_does(town: Town) -> None:
    policy = publishing.offer_of(publishing.Terms(town.fleet.identity.did, [PURPOSE]))
    publish(town.road, "nowhere", policy=policy)
    agree(town.firm, town.road, "nowhere")
    with pytest.raises(NotFound) as caught:
        town.firm.queries.ask(BY_ROAD.replace("counts", "nowhere"), purpose=PURPOSE, room=town.fleet.identity.did)
    assert caught.value.code == "query.no-room"


# --- the Python client


@pytest.mark.parametrize("by", ["folder", "address"])
def test_a_python_client_gets_the_answer_with_its_receipt(town: Town, by: str) -> None:
    token = ClientToken(town.firm.folder / KEYS).make()
    place = town.firm.folder if by == "folder" else town.firm.settings.serve.address
    waited: list[str] = []
    with chengshu.connect(place, token=token) as node:
        told = node.explain(BY_ROAD, purpose=PURPOSE)
        result = node.sql(BY_ROAD, purpose=PURPOSE, room="room", timeout_s=WAIT_S, told=lambda now: waited.append(now.state))
    assert result.arrow().column("road").to_pylist() == ["gate", "ring"]
    assert result.receipt["receipt"]["leakage"] == told["leakage"]
    assert result.statement == told["statement"]
    assert base64.b64decode(result.receipt["signature"])


@pytest.mark.parametrize("by", ["folder", "address"])
def test_a_python_client_is_refused_by_the_rules_name(town: Town, by: str) -> None:
    token = ClientToken(town.firm.folder / KEYS).make()
    place = town.firm.folder if by == "folder" else town.firm.settings.serve.address
    with chengshu.connect(place, token=token) as node:
        for call in (node.explain, node.sql):
            with pytest.raises(Denied) as caught:
                call("SELECT vehicle FROM road.counts", purpose=PURPOSE)
            assert (caught.value.code, caught.value.facts["rule"]) == ("query.raw-rows", "raw-rows")
        with pytest.raises(NotFound) as missing:
            node.sql("SELECT COUNT(*) AS n FROM nobody.counts", purpose=PURPOSE)
        assert missing.value.code == "query.unknown-party"


def test_a_client_without_the_nodes_token_is_heard_by_nobody(town: Town) -> None:
    address = town.firm.settings.serve.address
    with chengshu.connect(address, token="another") as node, pytest.raises(Unidentified):
        node.explain(BY_ROAD, purpose=PURPOSE)
    with chengshu.connect(town.fleet.settings.serve.address, token="none") as node, pytest.raises(Unidentified):
        node.explain(BY_ROAD, purpose=PURPOSE)
    with pytest.raises(Invalid) as caught:
        chengshu.connect("http://node.example", token="t")
    assert caught.value.code == "client.unencrypted"
    with pytest.raises(Invalid) as caught:
        chengshu.connect("https://node.example", token="")
    assert caught.value.code == "client.token"
    with pytest.raises(Invalid) as caught:
        chengshu.connect("https://node.example", token="not one\nword")
    assert caught.value.code == "client.token"
    with chengshu.connect("http://127.0.0.1:9", token="t") as node, pytest.raises(Unavailable):
        node.explain(BY_ROAD, purpose=PURPOSE)


def test_a_token_that_others_may_read_opens_nothing(tmp_path: Path) -> None:
    token = ClientToken(tmp_path)
    made = token.make()
    assert token.make() == made
    token.check(f"Bearer {made}")
    (tmp_path / "client.token").chmod(0o644)
    with pytest.raises(Invalid):
        token.check(f"Bearer {made}")
    assert made not in json.dumps([str(one) for one in tmp_path.iterdir()])
