"""One job and everything that can be wrong with it, on real nodes: who may ask, what is counted, what each log holds afterwards."""

import json
import shutil
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from small_space import BY_ROAD, PURPOSE, RAW, SECRET, Town, ask, kinds, pull, receipt_for, sign, signed_job, until, wire
from sqlalchemy.exc import IntegrityError

from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cleanroom.outcome import check_receipt
from chengshu.evidence.storage.files import CHECKPOINT
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.identity.model import public_key_of
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import system_clock
from chengshu.kernel.crypto import INTERNATIONAL, is_signed_by
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, NotFound, Tampered
from chengshu.node import LOG, open_node


def _signed(party: str, signature: bytes, message: bytes) -> bool:
    return is_signed_by(public_key_of(party), signature=signature, message=message)


def _rule(standing: Standing) -> str | None:
    assert standing.outcome is not None
    assert dict(standing.outcome.tables) == {}
    return standing.outcome.refusal and standing.outcome.refusal.rule


# --- an answer


def test_a_question_under_contract_is_answered_in_groups_with_a_receipt_that_verifies(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()])
    assert standing.state == "RELEASED"
    assert standing.outcome is not None
    assert [(row["road"], row["vehicles"]) for row in standing.outcome.tables["answer"].to_pylist()] == [("gate", 20), ("ring", 20)]
    assert standing.receipt is not None
    receipt = standing.receipt["receipt"]
    assert (receipt["job"], receipt["consumer"], receipt["room"], receipt["state"]) == (
        standing.job,
        town.firm.identity.did,
        town.room.identity.did,
        "RELEASED",
    )
    assert receipt["inputs"] == [{"provider": town.road.identity.did, "product": "counts", "agreement": town.agreements["counts"]}]


def test_a_receipt_for_another_outcome_or_by_another_signer_is_found(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
    until(lambda: town.room.room.standing(document["id"], sender=town.firm.identity.did)["state"] == "RELEASED")
    ended = town.room.room.standing(document["id"], sender=town.firm.identity.did)
    receipt, outcome = ended["receipt"], ended["outcome"]
    check_receipt(receipt, outcome=outcome, job=document, is_signed_by=_signed, digests=Digests(INTERNATIONAL))
    forged = {**receipt, "signature": sign(town.road, receipt["receipt"])}
    for wrong in (
        {"signed": forged, "outcome": outcome, "job": document},
        {"signed": receipt, "outcome": {**outcome, "notes": ["changed"]}, "job": document},
        {"signed": receipt, "outcome": outcome, "job": {**document, "purpose": "another"}},
    ):
        with pytest.raises(Tampered):
            check_receipt(wrong["signed"], outcome=wrong["outcome"], job=wrong["job"], is_signed_by=_signed, digests=Digests(INTERNATIONAL))


def test_a_holder_asks_about_its_own_product_without_a_contract(town: Town) -> None:
    standing = ask(town.road, town.room, [InputChoice(town.road.identity.did, "counts", "own")])
    assert standing.state == "RELEASED"


def test_own_is_no_word_for_somebody_elses_product(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice(agreement="own")])
    assert standing.state in {"REFUSED", "FAILED"}
    assert standing.outcome is not None
    assert dict(standing.outcome.tables) == {}


def test_two_products_of_two_holders_are_joined_in_one_answer(town: Town) -> None:
    sql = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS both FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"
    standing = ask(town.firm, town.room, [town.choice(), town.choice("trips")], question=SqlQuestion(sql))
    assert standing.state == "RELEASED"
    assert standing.outcome is not None
    assert sorted((row["road"], row["both"]) for row in standing.outcome.tables["answer"].to_pylist()) == [("gate", 5), ("ring", 5)]


def test_nobody_but_its_asker_can_follow_a_job(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()])
    with pytest.raises(NotFound) as caught:
        wire(town.fleet).post(town.room.identity.did, "/room/jobs/standing", {"job": standing.job})
    assert caught.value.code == "cleanroom.unknown-job"


# --- contracts


def test_without_an_agreement_nothing_is_computed(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice(agreement="urn:uuid:00000000-0000-4000-8000-000000000000")])
    assert standing.state in {"REFUSED", "FAILED"}
    assert standing.outcome is not None
    assert dict(standing.outcome.tables) == {}
    told = json.dumps([*standing.outcome.notes, standing.outcome.refusal and standing.outcome.refusal.as_dict()])
    assert "agreement" in told
    assert "transfer.started" not in kinds(town.road, standing.job)


def test_an_agreement_of_another_party_does_not_carry(town: Town) -> None:
    standing = ask(town.fleet, town.room, [town.choice()])
    assert _rule(standing) in {"recipient", "agreement-of-another"}
    assert "use.metered" not in kinds(town.road, standing.job)


def test_an_agreement_on_another_product_does_not_carry(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice(agreement=town.agreements["other"])])
    assert _rule(standing) == "agreement-of-another"


def test_a_purpose_that_the_contract_does_not_name_is_refused(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()], purpose="advertising")
    assert _rule(standing) == "purpose"
    assert standing.outcome is not None
    assert standing.outcome.refusal is not None
    assert PURPOSE in standing.outcome.refusal.would_pass.en
    assert PURPOSE in standing.outcome.refusal.would_pass.zh
    entries = town.road.evidence.entries(0, town.road.evidence.size())
    assert [entry.body["rule"] for entry in entries if (entry.subject, entry.kind) == (standing.job, "job.refused")] == ["purpose"]


def test_a_use_beyond_the_agreed_count_is_refused_and_a_repeat_of_one_is_not_a_second(town: Town) -> None:
    sql = BY_ROAD.replace("road.counts", "road.twice")
    first, signature = signed_job(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(sql))
    for _ in range(3):  # the room's own repetitions after a lost answer
        answer = wire(town.room).post(town.road.identity.did, "/room/inputs", {"job": first, "signature": signature, "product": "twice"})
        assert "token" in answer
    assert ask(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(sql)).state == "RELEASED"
    assert _rule(ask(town.firm, town.room, [town.choice("twice")], question=SqlQuestion(sql))) == "count-limit"
    again = wire(town.room).post(town.road.identity.did, "/room/inputs", {"job": first, "signature": signature, "product": "twice"})
    assert "token" in again  # the first use was counted when it was approved, and stays that one use
    assert kinds(town.road, first["id"]).count("job.approved") == 1


# --- dishonest messengers


def test_a_job_signed_with_another_key_is_denied_by_the_room(town: Town) -> None:
    document, _ = signed_job(town.firm, town.room, [town.choice()])
    with pytest.raises(Denied) as caught:
        wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": sign(town.fleet, document)})
    assert caught.value.code == "cleanroom.signature"


def test_a_job_in_anothers_name_is_denied_by_the_room(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    with pytest.raises(Denied) as caught:
        wire(town.fleet).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
    assert caught.value.code == "cleanroom.not-yours"


def test_another_job_under_a_known_id_is_a_conflict_and_a_repeat_changes_nothing(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    for _ in range(2):
        wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
    assert kinds(town.room, document["id"]).count("job.submitted") == 1
    other = {**document, "purpose": "another"}
    with pytest.raises(Conflict) as caught:
        wire(town.firm).post(town.room.identity.did, "/room/jobs", {"job": other, "signature": sign(town.firm, other)})
    assert caught.value.code == "cleanroom.other-job"


def test_a_room_that_alters_the_question_is_denied_by_the_holder(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    altered = {**document, "question": {"sql": "SELECT COUNT(*) FROM road.counts"}}
    with pytest.raises(Denied) as caught:
        town.road.holder.approve(altered, signature=signature, product="counts", room=town.room.identity.did)
    assert caught.value.code == "cleanroom.signature"
    with pytest.raises(Denied):
        wire(town.room).post(town.road.identity.did, "/room/inputs", {"job": altered, "signature": signature, "product": "counts"})
    assert kinds(town.road, document["id"]) == []


def test_a_room_that_skips_its_own_vetting_is_stopped_by_the_holder(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()], question=SqlQuestion(RAW))
    answer = wire(town.room).post(town.road.identity.did, "/room/inputs", {"job": document, "signature": signature, "product": "counts"})
    assert answer["refused"]["rule"] == "raw-rows"
    assert kinds(town.road, document["id"]) == ["job.refused"]


def test_the_room_itself_refuses_raw_rows_before_any_holder_is_asked(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()], question=SqlQuestion(RAW))
    assert _rule(standing) == "raw-rows"
    assert str(SECRET) not in json.dumps(standing.outcome and standing.outcome.as_document())
    assert not {"job.vetted", "job.approved", "transfer.started"} & set(kinds(town.road, standing.job))


def test_a_node_that_is_not_the_jobs_room_cannot_fetch_for_it(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    with pytest.raises(Denied) as caught:
        wire(town.fleet).post(town.road.identity.did, "/room/inputs", {"job": document, "signature": signature, "product": "counts"})
    assert caught.value.code == "cleanroom.other-room"


def test_a_job_that_carries_a_laxer_schema_than_its_holder_publishes_is_refused(town: Town) -> None:
    document, _ = signed_job(
        town.firm, town.room, [town.choice()], question=SqlQuestion("SELECT vehicle, COUNT(*) FROM road.counts GROUP BY vehicle")
    )
    (part,) = document["inputs"]
    lax = {**part["schema"], "minimum_group": 1, "columns": [{**one, "role": "free"} for one in part["schema"]["columns"]]}
    for column in lax["columns"]:
        column.pop("aggregates", None)
    document["inputs"] = [{**part, "schema": lax}]
    message = {"job": document, "signature": sign(town.firm, document), "product": "counts"}
    assert wire(town.room).post(town.road.identity.did, "/room/inputs", message)["refused"]["rule"] == "schema-changed"


def test_a_receipt_by_another_than_the_room_is_denied_by_the_holder(town: Town) -> None:
    standing = ask(town.firm, town.room, [town.choice()])
    assert standing.receipt is not None
    with pytest.raises(Denied) as caught:
        wire(town.fleet).post(town.road.identity.did, "/room/receipts", standing.receipt)
    assert caught.value.code == "cleanroom.receipt"


def test_a_strangers_receipt_does_not_take_the_place_of_the_rooms(town: Town) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    message = {"job": document, "signature": signature, "product": "counts"}
    wire(town.room).post(town.road.identity.did, "/room/inputs", message)
    strangers = {**receipt_for(document, state="FAILED"), "room": town.fleet.identity.did}
    with pytest.raises(NotFound) as caught:
        wire(town.fleet).post(town.road.identity.did, "/room/receipts", {"receipt": strangers, "signature": sign(town.fleet, strangers)})
    assert caught.value.code == "cleanroom.unknown-job"
    rooms = receipt_for(document)
    for _ in range(2):  # the room's own repetitions after a lost answer
        wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": rooms, "signature": sign(town.room, rooms)})
    assert kinds(town.road, document["id"]).count("job.released") == 1
    assert "job.failed" not in kinds(town.road, document["id"])


def test_a_room_tells_nobody_of_the_end_of_a_job_that_it_refused_itself_and_waits_for_nobody(town: Town) -> None:
    job = ask(town.firm, town.room, [town.choice()], question=SqlQuestion(RAW)).job
    until(lambda: not _open_tasks(town, job))
    with town.room.database.read() as tx:
        assert [task for task in town.room.tasks.failed(tx) if job in str(task.payload)] == []
    assert kinds(town.road, job) == []


def test_a_job_that_cannot_be_ended_when_it_is_refused_is_not_kept_either(town: Town) -> None:
    """Kept alone, it would wait for ever for a worker that nothing has called."""
    document, signature = signed_job(town.firm, town.room, [town.choice()], question=SqlQuestion(RAW))
    taken = {"signature": signature, "sender": town.firm.identity.did}
    with town.room.database.write() as tx:
        breaks, mends = BREAKING[tx.dialect.name]
        tx.exec_driver_sql(breaks)
    try:
        with pytest.raises(IntegrityError):
            town.room.room.receive(document, **taken)
        assert [one["id"] for one in town.room.room.unfinished()] == []
    finally:
        with town.room.database.write() as tx:
            tx.exec_driver_sql(mends)
    town.room.room.receive(document, **taken)
    assert town.room.room.standing(document["id"], sender=town.firm.identity.did)["state"] == "REFUSED"
    assert kinds(town.room, document["id"]) == ["job.submitted", "job.refused"]


BREAKING = {
    "sqlite": (
        "CREATE TRIGGER broken BEFORE UPDATE ON room_jobs WHEN NEW.state = 'REFUSED' BEGIN SELECT RAISE(ABORT, 'broken'); END",
        "DROP TRIGGER broken",
    ),
    "postgresql": (
        "ALTER TABLE room_jobs ADD CONSTRAINT broken CHECK (state <> 'REFUSED') NOT VALID",
        "ALTER TABLE room_jobs DROP CONSTRAINT broken",
    ),
}


def _open_tasks(town: Town, job: str) -> list[str]:
    with town.room.database.read() as tx:
        return [task.kind for task in town.room.tasks.waiting(tx) if job in str(task.payload)]


# --- grants


def _token(town: Town) -> tuple[str, str]:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    message = {"job": document, "signature": signature, "product": "counts"}
    return document["id"], str(wire(town.room).post(town.road.identity.did, "/room/inputs", message)["token"])


def test_a_grant_opens_once(town: Town, tmp_path: Path) -> None:
    job, token = _token(town)
    pull(town.room, town.road, token, tmp_path / "first.arrow", job=job)
    with pytest.raises(Denied) as caught:
        pull(town.room, town.road, token, tmp_path / "second.arrow")
    assert caught.value.code == "transfer.grant-used"
    assert not (tmp_path / "second.arrow").exists()


def test_a_product_that_a_job_pulls_twice_is_metered_once(town: Town, tmp_path: Path) -> None:
    document, signature = signed_job(town.firm, town.room, [town.choice()])
    message = {"job": document, "signature": signature, "product": "counts"}
    for number in range(2):  # the second grant after a room that died with what it had
        token = wire(town.room).post(town.road.identity.did, "/room/inputs", message)["token"]
        pull(town.room, town.road, token, tmp_path / f"{number}.arrow", job=document["id"])
    found = kinds(town.road, document["id"])
    assert (found.count("transfer.completed"), found.count("use.metered")) == (2, 1)


def test_a_grant_is_for_its_recipient_alone(town: Town, tmp_path: Path) -> None:
    job, token = _token(town)
    with pytest.raises(Denied) as caught:
        pull(town.firm, town.road, token, tmp_path / "stolen.arrow")
    assert caught.value.code == "transfer.grant-of-another"
    pull(town.room, town.road, token, tmp_path / "rightful.arrow", job=job)


def test_a_grant_expires(town: Town) -> None:
    _, token = _token(town)
    later = open_node(town.road.folder, clock=lambda: system_clock() + timedelta(minutes=6))
    with pytest.raises(Denied) as caught:
        later.transfers.start(token, recipient=town.room.identity.did, key=b"")
    assert caught.value.code == "transfer.grant-expired"


def test_an_unknown_grant_is_not_found(town: Town, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        pull(town.room, town.road, "guessed", tmp_path / "none.arrow")
    assert caught.value.code == "transfer.unknown-grant"


# --- what the logs hold


def test_each_node_logs_the_steps_it_took_and_its_log_verifies(town: Town) -> None:
    job = ask(town.firm, town.room, [town.choice()]).job
    until(lambda: "job.released" in kinds(town.road, job))  # the receipt is sent once the job has ended
    assert kinds(town.firm, job) == ["job.submitted", "job.released"]
    assert kinds(town.room, job) == ["job.submitted", "job.vetted", "job.cleared", "job.run", "job.released"]
    steps = ["job.vetted", "job.approved", "transfer.started", "transfer.completed", "use.metered"]
    found = kinds(town.road, job)
    assert [kind for kind in found if kind in steps] == steps
    assert sorted(found) == sorted([*steps, "job.released"])
    before = kinds(town.road)
    assert before[0] == "node.started"
    assert {"product.published", "negotiation.requested", "agreement.signed", "negotiation.finalized"} <= set(before)
    for node in (town.firm, town.road, town.room, town.fleet):
        node.evidence.publish()
        verdict = verify_log(node.folder / LOG, node.evidence.vkey)
        assert sum(verdict.kinds.values()) == verdict.checkpoint.size


def test_trusting_another_node_is_an_entry_of_the_log(town: Town) -> None:
    assert kinds(town.road).count("peer.added") == 4  # itself and three others


def test_one_use_of_one_product_is_proved_from_the_holders_files_alone(town: Town, tmp_path: Path) -> None:
    job = ask(town.firm, town.room, [town.choice()]).job
    until(lambda: {"job.released", "use.metered"} <= set(kinds(town.road, job)))
    town.road.evidence.publish()
    log, copy = town.road.folder / LOG, tmp_path / "copied"

    def is_whole() -> bool:
        """Whether a copy was made between two checkpoints: other tests' receipts may still make the log grow."""
        before = (log / CHECKPOINT).read_bytes()
        shutil.rmtree(copy, ignore_errors=True)
        with suppress(shutil.Error):
            shutil.copytree(log, copy)
            return (log / CHECKPOINT).read_bytes() == before
        return False

    until(is_whole)
    verdict = verify_use(copy, product="counts", job=job, vkey=town.road.evidence.vkey)
    assert verdict.holds
    assert {claim.name: claim.finding.value for claim in verdict.claims if claim.required} == {
        "agreement-before-use": "proved",
        "metered-once": "proved",
    }
    with pytest.raises(NotFound):
        verify_use(copy, product="other", job=job, vkey=town.road.evidence.vkey)


def test_one_flipped_byte_in_any_file_of_a_nodes_log_is_found(town: Town, tmp_path: Path) -> None:
    town.road.evidence.publish()
    files = sorted(path.relative_to(town.road.folder / LOG) for path in (town.road.folder / LOG).rglob("*") if path.is_file())
    assert any("entries" in str(name) for name in files)
    for number, name in enumerate(files):
        copy = shutil.copytree(town.road.folder / LOG, tmp_path / f"copy{number}")
        raw = bytearray((copy / name).read_bytes())
        if not raw:
            continue  # a lock file holds no byte
        raw[len(raw) // 2] ^= 1
        (copy / name).write_bytes(raw)
        with pytest.raises(ChengshuError) as caught:
            verify_log(copy, town.road.evidence.vkey)
        assert isinstance(caught.value, Tampered), name


def test_no_cell_of_any_product_is_in_any_log_or_any_message(town: Town) -> None:
    for question in (
        BY_ROAD,
        RAW,
        "SELECT nothing FROM road.counts",
        "SELECT road, AVG(speed) FROM road.counts WHERE vehicle = 'v007' GROUP BY road",
    ):
        ask(town.firm, town.room, [town.choice()], question=SqlQuestion(question))
    for node in (town.firm, town.road, town.room):
        told = b"".join(path.read_bytes() for path in (node.folder / LOG).rglob("*") if path.is_file())
        told += repr([dict(entry.body) for entry in node.evidence.entries(0, node.evidence.size())]).encode()
        assert str(SECRET).encode() not in told
        assert b"v007" not in told
