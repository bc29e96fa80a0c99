"""A product that its owner grades core is offered to nobody and used by nobody, whatever was agreed before."""

from typing import Any

import pytest
from small_space import BY_ROAD, PURPOSE, Town, agree, ask, kinds, publish, signed_job, wire

from chengshu.catalog.model import Grade
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import publishing, verbs
from chengshu.kernel.errors import NotFound
from chengshu.node import Node

REASON = "they show where guarded convoys drive"


def _offered(town: Town, name: str) -> None:
    publish(town.road, name, policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])))


def _question(name: str) -> SqlQuestion:
    return SqlQuestion(BY_ROAD.replace("road.counts", f"road.{name}"))


def _offers(asker: Node, holder: Node) -> dict[str, Any]:
    return {one["@id"]: one["hasPolicy"] for one in asker.peers.catalog(holder.identity.did)["dataset"]}


def test_a_job_over_a_product_that_is_core_now_is_refused_under_the_agreement_it_had(town: Town) -> None:
    _offered(town, "convoys")
    choice = InputChoice(town.road.identity.did, "convoys", agree(town.firm, town.road, "convoys"))
    assert ask(town.firm, town.room, [choice], question=_question("convoys")).state == "RELEASED"
    town.road.catalog.grade("convoys", Grade.CORE, reason=REASON)
    standing = ask(town.firm, town.room, [choice], question=_question("convoys"))
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert (standing.state, standing.outcome.refusal.rule, dict(standing.outcome.tables)) == ("REFUSED", "grade-core", {})
    entries = town.road.evidence.entries(0, town.road.evidence.size())
    assert [(one.kind, one.body.get("rule")) for one in entries if one.subject == standing.job] == [("job.refused", "grade-core")]


def test_a_job_that_was_approved_before_its_product_became_core_is_granted_no_second_pull(town: Town) -> None:
    _offered(town, "patrols")
    choice = InputChoice(town.road.identity.did, "patrols", agree(town.firm, town.road, "patrols"))
    document, signature = signed_job(town.firm, town.room, [choice], question=_question("patrols"))
    message = {"job": document, "signature": signature, "product": "patrols"}
    assert "token" in wire(town.room).post(town.road.identity.did, "/room/inputs", message)
    town.road.catalog.grade("patrols", Grade.CORE, reason=REASON)
    answer = wire(town.room).post(town.road.identity.did, "/room/inputs", message)
    assert answer["refused"]["rule"] == "grade-core"
    assert kinds(town.road, document["id"])[-1] == "job.refused"


def test_a_core_product_among_others_keeps_the_whole_job_from_them(town: Town) -> None:
    _offered(town, "depots")
    choices = [town.choice(), InputChoice(town.road.identity.did, "depots", agree(town.firm, town.road, "depots"))]
    sql = "SELECT COUNT(DISTINCT c.vehicle) AS n FROM road.counts c JOIN road.depots d ON c.vehicle = d.vehicle"
    document, signature = signed_job(town.firm, town.room, choices, question=SqlQuestion(sql))
    town.road.catalog.grade("depots", Grade.CORE, reason=REASON)
    message = {"job": document, "signature": signature, "product": "counts"}
    assert wire(town.room).post(town.road.identity.did, "/room/inputs", message)["refused"]["rule"] == "grade-core"


def test_the_offer_of_a_core_product_is_not_shown_until_it_is_graded_down(town: Town) -> None:
    _offered(town, "yards")
    assert "yards" in _offers(town.firm, town.road)
    town.road.catalog.grade("yards", Grade.CORE, reason=REASON)
    assert "yards" not in _offers(town.firm, town.road)
    with pytest.raises(NotFound):
        verbs.request(town.firm, town.road.identity.did, "yards")
    assert town.road.catalog.grade("yards", Grade.GENERAL, reason="the yards are closed") is Grade.GENERAL
    assert "yards" in _offers(town.firm, town.road)


def test_an_offer_kept_from_before_its_product_became_core_is_agreed_to_by_nobody(town: Town) -> None:
    _offered(town, "garages")
    (offer,) = town.firm.peers.dataset(town.road.identity.did, "garages")["hasPolicy"]
    town.road.catalog.grade("garages", Grade.CORE, reason=REASON)
    negotiation = town.firm.contracts.request(town.road.identity.did, dataset="garages", offer=offer)
    (outcome,) = verbs.await_agreements(town.firm, [negotiation], timeout_s=30)
    assert (outcome["state"], outcome["agreement"]) == ("TERMINATED", None)
