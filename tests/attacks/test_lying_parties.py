"""What an asker and a clean room that lie would try against an honest holder: each attack is answered by the holder alone."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from small_space import (
    BY_ROAD,
    PURPOSE,
    RAW,
    SECRET,
    Town,
    agree,
    ask,
    counts,
    kinds,
    publish,
    pull,
    receipt_for,
    sign,
    signed_job,
    until,
    wire,
)

from chengshu.cleanroom import store
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import publishing
from chengshu.evidence.verify import verify_use
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered
from chengshu.node import LOG, Node


def _handed_on(town: Town, document: dict[str, Any], *, product: str = "counts", signature: str = "") -> dict[str, Any]:
    """What the holder answers to a room that hands a job on without having looked at it."""
    message = {"job": document, "signature": signature or sign(town.firm, document), "product": product}
    return wire(town.room).post(town.road.identity.did, "/room/inputs", message)


def _lax(schema: dict[str, Any], alias: str) -> dict[str, Any]:
    """A schema that protects nobody, over the columns of an honest one."""
    columns = [{"name": one["name"], "type": one["type"], "role": "free"} for one in schema["columns"]]
    return {"product": alias, "columns": columns, "privacy_unit": None, "minimum_group": 1}


# --- a job that carries terms of its own making


def test_a_product_under_a_second_name_with_a_laxer_schema_lets_no_row_out(town: Town) -> None:
    sql = "SELECT vehicle, speed, COUNT(*) AS n FROM road.lax GROUP BY vehicle, speed ORDER BY speed DESC"
    document, _ = signed_job(town.firm, town.room, [town.choice()], question=SqlQuestion(sql))
    (part,) = document["inputs"]
    document["inputs"] = [part, {**deepcopy(part), "schema": _lax(part["schema"], "road.lax")}]
    with pytest.raises(Invalid) as by_holder:
        _handed_on(town, document)
    with pytest.raises(Invalid) as by_room:
        wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": sign(town.firm, document)})
    assert [caught.value.code for caught in (by_holder, by_room)] == ["cleanroom.document", "cleanroom.document"]
    assert str(SECRET) not in str(by_room.value)
    assert kinds(town.road, document["id"]) == kinds(town.room, document["id"]) == []


def test_a_holder_judges_every_product_of_its_own_that_a_job_names_not_only_the_one_asked_for(town: Town) -> None:
    sql = "SELECT vehicle, COUNT(*) FROM road.other GROUP BY vehicle"
    document, _ = signed_job(town.firm, town.room, [town.choice(), town.choice("other")], question=SqlQuestion(sql))
    honest, other = document["inputs"]
    lax = {**other, "schema": _lax(other["schema"], "road.other")}
    borrowed = {**other, "agreement": honest["agreement"]}
    for part, rule in ((lax, "schema-changed"), (borrowed, "agreement-of-another"), (other, "group-column")):
        asked = {**document, "inputs": [honest, part]}
        assert _handed_on(town, asked, product="counts")["refused"]["rule"] == rule
    assert set(kinds(town.road, document["id"])) == {"job.refused"}


def test_the_agreed_smallest_group_cannot_be_undercut_by_the_group_of_a_product_that_is_not_read(town: Town) -> None:
    """The agreement says 25, the product was published again with 5, and the firm adds a product of its own with groups of a thousand."""
    strict, lax = (publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE], group=group)) for group in (25, 5))
    publish(town.road, "strict", policy=strict)
    agreement = agree(town.firm, town.road, "strict")
    publish(town.road, "strict", policy=lax, version="1.1.0")
    publish(town.firm, "mine", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE], group=1000)))
    inputs = [InputChoice(town.road.identity.did, "strict", agreement), InputChoice(town.firm.identity.did, "mine", "own")]
    question = SqlQuestion("SELECT road, COUNT(DISTINCT vehicle) AS vehicles FROM road.strict GROUP BY road")
    honest = ask(town.firm, town.room, inputs, question=question)
    assert honest.outcome is not None
    assert honest.outcome.refusal is not None
    assert honest.outcome.refusal.rule == "group-too-small"  # 20 vehicles a road: the room gates on what was agreed
    document, _ = signed_job(town.firm, town.room, inputs, question=question)
    strict_part, mine = document["inputs"]
    assert strict_part["minimum_group"] == 25
    lying = {**document, "inputs": [{**strict_part, "minimum_group": 24}, mine]}
    assert _handed_on(town, lying, product="strict")["refused"]["rule"] == "minimum-group"
    wide = SqlQuestion("SELECT COUNT(DISTINCT vehicle) AS vehicles FROM road.strict")
    answered = ask(town.firm, town.room, inputs[:1], question=wide)
    assert answered.outcome is not None
    assert answered.outcome.tables["answer"].to_pylist() == [{"vehicles": 40}]


# --- an approval that is used for something else


TWICE = BY_ROAD.replace("road.counts", "road.twice")


def test_one_approval_opens_no_other_question_and_no_other_consumer(town: Town) -> None:
    first, _ = signed_job(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(TWICE))
    assert "token" in _handed_on(town, first, product="twice")
    others = [{**first, "question": {"sql": f"SELECT COUNT(*) FROM road.twice WHERE road <> 'x{one}'"}} for one in range(3)]  # noqa: S608  # the attack
    for other in (*others, {**first, "question": {"sql": RAW.replace("counts", "twice")}}, {**first, "purpose": "another"}):
        with pytest.raises(Conflict) as caught:
            _handed_on(town, other, product="twice")
        assert caught.value.code == "cleanroom.other-job"
    stranger = {**first, "consumer": town.fleet.identity.did}
    with pytest.raises(Conflict):
        _handed_on(town, stranger, product="twice", signature=sign(town.fleet, stranger))
    assert kinds(town.road, first["id"]) == ["job.vetted", "job.approved"]


def test_a_spent_count_lets_nothing_through_but_the_very_jobs_that_were_counted(town: Town) -> None:
    second, _ = signed_job(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(TWICE))
    third, _ = signed_job(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(TWICE))
    assert "token" in _handed_on(town, second, product="twice")  # the first was used in the test above
    assert _handed_on(town, third, product="twice")["refused"]["rule"] == "count-limit"
    assert "token" in _handed_on(town, second, product="twice")
    raw = {**second, "question": {"sql": RAW.replace("counts", "twice")}}
    with pytest.raises(Conflict):
        _handed_on(town, raw, product="twice")


def _asked(node: Node, job: str) -> dict[str, Any]:
    with node.database.read() as tx:
        row = store.find_asked(tx, job)
    assert row is not None
    return row


def test_a_job_that_has_ended_opens_nothing_again_and_its_proof_stands(town: Town, tmp_path: Path) -> None:
    job = ask(town.firm, town.room, [town.choice()]).job
    until(lambda: "job.released" in kinds(town.road, job))
    asked = _asked(town.firm, job)
    assert _handed_on(town, asked["document"], signature=asked["signature"])["refused"]["rule"] == "job-ended"
    town.road.evidence.publish()
    verdict = verify_use(town.road.folder / LOG, product="counts", job=job, vkey=town.road.evidence.vkey)
    assert verdict.holds
    assert {claim.finding.value for claim in verdict.claims} == {"proved"}
    assert kinds(town.road, job).count("use.metered") == 1


def test_a_token_kept_back_until_the_job_has_ended_opens_nothing(town: Town, tmp_path: Path) -> None:
    document, _ = signed_job(town.firm, town.room, [town.choice()])
    token = _handed_on(town, document)["token"]
    receipt = receipt_for(document)
    wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": receipt, "signature": sign(town.room, receipt)})
    with pytest.raises(Denied) as caught:
        pull(town.room, town.road, token, tmp_path / "late.arrow")
    assert caught.value.code == "transfer.job-ended"


def test_a_job_pulled_twice_is_metered_once(town: Town, tmp_path: Path) -> None:
    document, _ = signed_job(town.firm, town.room, [town.choice()])
    for place in range(2):
        pull(town.room, town.road, _handed_on(town, document)["token"], tmp_path / f"{place}.arrow", job=document["id"])
    until(lambda: kinds(town.road, document["id"]).count("transfer.completed") == 2)
    assert kinds(town.road, document["id"]).count("use.metered") == 1


def test_an_old_approval_does_not_open_what_the_holder_publishes_later(town: Town) -> None:
    terms = publishing.Terms(town.room.identity.did, [PURPOSE])
    document, _ = signed_job(town.firm, town.room, [town.choice("other")], question=SqlQuestion(BY_ROAD.replace("counts", "other")))
    assert "token" in _handed_on(town, document, product="other")
    publish(town.road, "other", policy=publishing.offer_of(terms), table=counts(vehicles=range(50)), version="1.1.0")
    assert _handed_on(town, document, product="other")["refused"]["rule"] == "product-changed"


# --- receipts that are not about the job


def test_a_receipt_is_for_exactly_the_job_that_was_approved(town: Town) -> None:
    document, _ = signed_job(town.firm, town.room, [town.choice()])
    _handed_on(town, document)
    right = receipt_for(document)
    wrong: list[tuple[dict[str, Any], type[ChengshuError]]] = [
        ({"job_digest": "sha256:" + "0" * 64}, Tampered),
        ({"inputs": []}, Tampered),
        ({"consumer": town.fleet.identity.did}, Tampered),
        ({"state": "WHATEVER"}, Tampered),
        ({"job": "urn:uuid:00000000-0000-4000-8000-000000000000", "state": "WHATEVER"}, NotFound),
    ]
    for change, kind in wrong:
        receipt = {**right, **change}
        with pytest.raises(kind):
            wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": receipt, "signature": sign(town.room, receipt)})
    assert kinds(town.road, document["id"]) == ["job.vetted", "job.approved"]
    refused = {**right, "state": "REFUSED"}
    wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": refused, "signature": sign(town.room, refused)})
    assert kinds(town.road, document["id"]) == ["job.vetted", "job.approved", "job.refused"]
    with pytest.raises(Conflict) as caught:
        wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": right, "signature": sign(town.room, right)})
    assert caught.value.code == "cleanroom.other-receipt"
