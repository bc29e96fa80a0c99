"""A holder that does not answer: the room says for whom it waits, and then goes on without it or says that it could not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from small_space import PURPOSE, agree, counts, hang_up, hasty_room, kinds, publish, signed_job, until, wire

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import MethodQuestion, SqlQuestion
from chengshu.cleanroom.outcome import Outcome
from chengshu.cleanroom.service import CANCELLED
from chengshu.cli.doctor import examine
from chengshu.kernel.errors import NotFound, Unavailable
from chengshu.node import Node
from chengshu.policy.model import Environment, Form, Methods, MinimumGroup, OutputForm, Policy, Purpose, Queries, QueryForm
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS both FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"
PARTIES = {"parties": {"counts": "road", "trips": "fleet"}, "n": 100}
WAIT_S = 1.5


@dataclass(frozen=True)
class Quiet:
    """A space whose fleet operator stopped answering after its contracts were signed, and the jobs that were signed before."""

    firm: Node
    road: Node
    fleet: Node
    room: Node
    inputs: list[InputChoice]
    jobs: dict[str, tuple[dict[str, Any], str]]

    def submit(self, name: str) -> str:
        """Send a signed job to the room; return its id."""
        document, signature = self.jobs[name]
        wire(self.firm).post(self.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
        return str(document["id"])

    def standing(self, job: str) -> dict[str, Any]:
        """How the job stands, as the room tells its asker."""
        return wire(self.firm).post(self.room.identity.did, "/room/jobs/standing", {"job": job})

    def ended(self, job: str) -> Outcome:
        """The outcome, once there is one."""
        until(lambda: self.standing(job)["outcome"] is not None)
        return Outcome.parse(self.standing(job)["outcome"])


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    folder = tmp_path_factory.mktemp("quiet")
    with Space(folder) as space:
        road, firm, fleet = (space.add(name) for name in ("road", "firm", "fleet"))
        room = hasty_room(space, folder / "hasty", input_wait_s=WAIT_S)
        rules = (
            Purpose(frozenset({PURPOSE})),
            Environment(room.identity.did),
            Methods(frozenset({"small.worth"})),
            Queries(QueryForm.VETTED_SQL),
            MinimumGroup(5),
            OutputForm(Form.AGGREGATE),
        )
        publish(road, "counts", policy=to_odrl(Policy(rules)))
        publish(fleet, "trips", policy=to_odrl(Policy(rules)), table=counts(vehicles=range(30, 60)))
        inputs = [InputChoice(one.identity.did, name, agree(firm, one, name)) for one, name in ((road, "counts"), (fleet, "trips"))]
        jobs = {
            name: signed_job(firm, room, inputs, question=SqlQuestion(JOINED)) for name in ("required", "looked at", "watched", "cancelled")
        }
        jobs["optional"] = signed_job(firm, room, inputs, question=MethodQuestion("small.worth", PARTIES))
        space.stop("fleet")
        yield Quiet(firm, road, fleet, room, inputs, jobs)
    hang_up(*space.nodes.values())


def test_the_state_names_the_party_that_the_job_waits_for(quiet: Quiet) -> None:
    job = quiet.submit("looked at")
    until(lambda: "fleet.trips" in quiet.standing(job)["waits_for"] or quiet.standing(job)["outcome"] is not None)
    standing = quiet.standing(job)
    assert standing["outcome"] is None
    assert standing["state"] == "COLLECTING"
    assert standing["waits_for"].startswith("fleet.trips from its holder")
    quiet.ended(job)
    assert quiet.standing(job)["waits_for"] == ""


def test_the_rooms_operator_sees_what_is_unfinished_and_for_whom_it_waits(quiet: Quiet) -> None:
    job = quiet.submit("watched")
    until(lambda: quiet.standing(job)["state"] == "COLLECTING")
    seen = quiet.room.room.unfinished()
    quiet.ended(job)
    assert [(one["id"], one["state"]) for one in seen] == [(job, "COLLECTING")]
    assert quiet.room.room.unfinished() == []


def test_a_job_whose_required_input_does_not_come_fails_and_says_who_was_silent(quiet: Quiet) -> None:
    job = quiet.submit("required")
    outcome = quiet.ended(job)
    assert (outcome.state, dict(outcome.tables)) == ("FAILED", {})
    (note,) = outcome.notes
    assert note.startswith("peer.unreachable: ")
    assert "Fleet" in note
    assert kinds(quiet.room, job) == ["job.submitted", "job.vetted", "job.cleared", "job.failed"]


def test_its_asker_and_nobody_else_cancels_a_job_that_waits(quiet: Quiet) -> None:
    job = quiet.submit("cancelled")
    until(lambda: "fleet.trips" in quiet.standing(job)["waits_for"])
    uses = kinds(quiet.road, job).count("budget.spent")
    with pytest.raises(NotFound):
        wire(quiet.road).post(quiet.room.identity.did, "/room/jobs/cancel", {"job": job})
    assert quiet.standing(job)["outcome"] is None
    stops = [wire(quiet.firm).post(quiet.room.identity.did, "/room/jobs/cancel", {"job": job}) for _ in range(2)]
    outcome = Outcome.parse(stops[0]["outcome"])
    assert (outcome.state, dict(outcome.tables), outcome.notes) == ("FAILED", {}, (CANCELLED,))
    assert stops[0] == stops[1] == quiet.standing(job)
    until(lambda: kinds(quiet.road, job).count("job.failed") == 1)
    until(lambda: not list((quiet.room.folder / "work").iterdir()))
    until(lambda: kinds(quiet.room, job) == ["job.submitted", "job.vetted", "job.cancelled", "job.failed", "job.cleared"])
    assert kinds(quiet.road, job).count("budget.spent") == uses
    assert quiet.room.room.unfinished() == []


@pytest.mark.usefixtures("plug_in")
def test_a_job_goes_on_without_an_optional_input_and_says_so(quiet: Quiet) -> None:
    job = quiet.submit("optional")
    outcome = quiet.ended(job)
    assert outcome.state == "RELEASED"
    assert outcome.notes == (f"without fleet.trips: its holder did not answer within {WAIT_S:g} s",)
    rows = {row["coalition"]: row["seen"] for row in outcome.tables["coalitions"].to_pylist()}
    assert rows == {"": 0, "road": 40}


def test_nothing_can_be_asked_of_a_product_whose_schema_cannot_be_fetched_and_nothing_is_recorded(quiet: Quiet) -> None:
    before = quiet.firm.asker.every()
    with pytest.raises(Unavailable) as caught:
        quiet.firm.asker.submit(room=quiet.room.identity.did, purpose=PURPOSE, question=SqlQuestion(JOINED), inputs=quiet.inputs)
    assert "Fleet" in caught.value.message
    assert quiet.firm.asker.every() == before


def test_the_doctor_says_who_does_not_answer_and_what_to_do(quiet: Quiet) -> None:
    found = {one.about.en: one for one in examine(quiet.firm.folder)}
    assert found["party Fleet"].bad
    assert found["party Fleet"].as_dict("zh") == {
        "about": "party Fleet",
        "ok": False,
        "found": "无应答",
        "what_to_do": found["party Fleet"].remedy.zh,
    }
    assert [about for about, one in found.items() if one.bad and not about.startswith("receipt ")] == ["party Fleet"]
