"""Every file under tests/golden/leakage is a job with the statement that asker, room and holders compute for it, byte for byte."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chengshu.cleanroom.model import Job, MethodQuestion, ProductTerms, SqlQuestion
from chengshu.cleanroom.outcome import Outcome, check_receipt, sign_receipt
from chengshu.cleanroom.planning.model import Gap, Part, What
from chengshu.cleanroom.planning.statement import refuse_statement, signed, stated, statement_of
from chengshu.cleanroom.relation.model import VettedQuery
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import Conflict, Invalid, Tampered
from chengshu.kernel.refusal import Refused

GOLDEN = Path(__file__).parents[2] / "golden" / "leakage"
FILES = sorted(GOLDEN.glob("*.json"))
DIGESTS = Digests(INTERNATIONAL)


def golden(path: Path) -> tuple[Job, dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return Job.parse(document["job"]), document["statement"]


def computed(job: Job, terms: dict[str, ProductTerms] | None = None) -> tuple[dict[str, Any], VettedQuery]:
    assert isinstance(job.question, SqlQuestion)
    known = job.terms(terms or {})
    vetted = vet(job.question.sql, known)
    assert isinstance(vetted, VettedQuery), vetted
    return statement_of(job, vetted, known), vetted


def learned(statement: dict[str, Any], part: Part) -> set[tuple[str, str | None]]:
    return {(one["what"], one.get("of")) for party in statement["parties"] if party["part"] == part for one in party["learns"]}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_statement_is_the_same_for_everybody_byte_for_byte(path: Path) -> None:
    job, expected = golden(path)
    statement, _ = computed(job)
    assert canonical(statement) == canonical(expected)
    assert stated(job, job.terms({})) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_in_whatever_order_a_job_names_its_products_its_statement_is_the_same(path: Path) -> None:
    job, expected = golden(path)
    turned = replace(job, inputs=tuple(reversed(job.inputs)))
    assert canonical(computed(turned)[0]) == canonical(expected)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rows_are_learned_by_the_node_that_computes_and_by_nobody_else(path: Path) -> None:
    job, statement = golden(path)
    rows = {(party["part"], party["party"]) for party in statement["parties"] if any(one["what"] == What.ROWS for one in party["learns"])}
    moved = [] if job.sums_up else [one for one in job.inputs if one.provider != job.room]
    assert rows == ({(Part.ROOM.value, job.room)} if moved else set())
    assert not {What.QUESTION, What.ROWS, What.RELEASED} & {what for what, _ in learned(statement, Part.NETWORK)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_whatever_stays_open_has_its_words_in_both_languages(path: Path) -> None:
    _, statement = golden(path)
    assert [code for code in statement["not_protected"] if not (Gap(code).words.en and Gap(code).words.zh)] == []


def test_a_holder_learns_the_question_and_not_the_answer_unless_it_computes() -> None:
    _, by_room = golden(GOLDEN / "room-joined.json")
    assert ("question", None) in learned(by_room, Part.HOLDER)
    assert ("released-values", None) not in learned(by_room, Part.HOLDER)
    _, by_holder = golden(GOLDEN / "holder.json")
    assert ("released-values", None) in learned(by_holder, Part.ROOM)


def test_a_room_that_adds_up_learns_totals_and_no_holder_learns_them() -> None:
    _, statement = golden(GOLDEN / "secure-aggregation.json")
    room = {what for what, _ in learned(statement, Part.ROOM)}
    assert {What.TOTALS.value, What.GROUP_KEYS.value, What.RELEASED.value} < room
    assert not {What.ROWS.value, What.ROW_COUNT.value, What.UNRELEASED.value} & room
    assert not {What.TOTALS.value, What.RELEASED.value} & {what for what, _ in learned(statement, Part.HOLDER)}


def test_a_stricter_group_in_the_holders_own_terms_is_another_statement() -> None:
    job, statement = golden(GOLDEN / "room-one-product.json")
    signed = replace(job, leakage=DIGESTS.of(statement))
    (part,) = job.inputs
    for smallest, rule in ((part.minimum_group, None), (9, "leakage-statement")):
        terms = job.terms({part.alias: ProductTerms(part.schema, smallest)})
        verdict = vet(job.question.sql, terms)  # type: ignore[union-attr]  # the golden files are questions in SQL
        assert isinstance(verdict, VettedQuery)
        refusal = refuse_statement(signed, verdict, terms, digests=DIGESTS)
        assert (refusal.rule if isinstance(refusal, Refused) else None) == rule


def test_a_statement_for_a_sealed_method_is_refused_and_a_job_without_one_is_judged_without() -> None:
    job, statement = golden(GOLDEN / "room-one-product.json")
    method = replace(job, question=MethodQuestion("some.method"), leakage=DIGESTS.of(statement))
    refusal = refuse_statement(method, None, method.terms({}), digests=DIGESTS)
    assert refusal is not None
    assert refusal.rule == "leakage-statement"
    assert refuse_statement(job, computed(job)[1], job.terms({}), digests=DIGESTS) is None
    assert stated(method, method.terms({})) is None


def test_a_job_that_was_signed_with_the_format_before_is_still_done_and_shown_as_it_was_signed() -> None:
    job, statement = golden(GOLDEN / "room-hidden-columns.json")
    (room,) = (one for one in statement["parties"] if one["part"] == Part.ROOM)
    (rows,) = (one for one in room["learns"] if one["what"] == What.ROWS)
    assert rows["columns"] == ["road", "speed", "vehicle"]
    before = json.loads(json.dumps(statement).replace("chengshu-leakage-2", "chengshu-leakage-1"))
    for party in before["parties"]:
        for one in party["learns"]:
            if one["what"] == What.ROWS:
                one["columns"] = ["*"]
    for document in (statement, before):
        kept = replace(job, leakage=DIGESTS.of(document))
        assert refuse_statement(kept, computed(job)[1], job.terms({}), digests=DIGESTS) is None
        assert signed(kept, kept.terms({}), digests=DIGESTS) == document
    mixed = replace(job, leakage=DIGESTS.of({**statement, "format": "chengshu-leakage-1"}))
    assert refuse_statement(mixed, computed(job)[1], job.terms({}), digests=DIGESTS) is not None
    assert signed(job, job.terms({}), digests=DIGESTS) is None


def test_a_digest_of_another_profile_is_not_called_a_lie() -> None:
    job, statement = golden(GOLDEN / "room-one-product.json")
    signed = replace(job, leakage=Digests(NATIONAL).of(statement))
    with pytest.raises(Conflict):
        refuse_statement(signed, computed(job)[1], job.terms({}), digests=DIGESTS)


def test_a_job_keeps_its_statements_digest_and_an_old_job_reads_as_before() -> None:
    job, statement = golden(GOLDEN / "room-one-product.json")
    signed = replace(job, leakage=DIGESTS.of(statement))
    assert Job.parse(signed.as_document()) == signed
    assert "leakage" not in job.as_document()
    with pytest.raises(Invalid):
        Job.parse({**job.as_document(), "leakage": "no digest"})


def test_a_receipt_with_another_statement_than_the_job_is_found() -> None:
    job, statement = golden(GOLDEN / "room-one-product.json")
    document = replace(job, leakage=DIGESTS.of(statement)).as_document()
    signer = INTERNATIONAL.generate()
    result = Outcome("RELEASED", {}, (), None).as_document()
    good = sign_receipt(result, job=document, at="2026-07-01T00:00:00.000Z", signer=signer, digests=DIGESTS)
    assert good["receipt"]["leakage"] == document["leakage"]
    check_receipt(good, outcome=result, job=document, is_signed_by=lambda *_: True, digests=DIGESTS)
    for wrong in (
        {**good["receipt"], "leakage": DIGESTS.of("x")},
        {key: value for key, value in good["receipt"].items() if key != "leakage"},
    ):
        with pytest.raises(Tampered):
            check_receipt({**good, "receipt": wrong}, outcome=result, job=document, is_signed_by=lambda *_: True, digests=DIGESTS)
