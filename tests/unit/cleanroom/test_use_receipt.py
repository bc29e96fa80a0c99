"""What a use receipt says, what both sides sign, and where it departs from the consumer's own records."""

from dataclasses import replace
from typing import Any

import pytest

from chengshu.cleanroom.receipts.use_receipt import (
    Asked,
    Ended,
    UseReceipt,
    countersigned_bytes,
    dispute,
    dispute_outcome,
    disputed,
    field_of,
    issued_bytes,
)
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

DIGESTS = Digests(INTERNATIONAL)


def _digest(text: str) -> str:
    return DIGESTS.of({"of": text})


RECEIPT = UseReceipt(
    job="urn:uuid:job",
    job_digest=_digest("job"),
    product="counts",
    agreement="urn:uuid:agreement",
    policy_digest=_digest("policy"),
    provider="did:key:road",
    consumer="did:key:firm",
    room="did:key:room",
    purpose="traffic-study",
    uses=2,
    remaining=3,
    data_digest=_digest("data"),
    rows=200,
    outcome="RELEASED",
    room_receipt_digest=_digest("room receipt"),
    at="2026-03-01T08:00:00.000Z",
)
ASKED = Asked(
    job_digest=RECEIPT.job_digest,
    agreement=RECEIPT.agreement,
    policy_digest=RECEIPT.policy_digest,
    room=RECEIPT.room,
    purpose=RECEIPT.purpose,
    limit=5,
    jobs=2,
    counted=False,
)


def test_a_receipt_survives_the_wire_and_keeps_its_digest() -> None:
    again = UseReceipt.parse(RECEIPT.as_document())
    assert again == RECEIPT
    assert again.digest(DIGESTS) == RECEIPT.digest(DIGESTS) == DIGESTS.of(RECEIPT.as_document())


def test_a_receipt_of_a_national_space_carries_digests_of_its_own_hash() -> None:
    sm3 = Digests(NATIONAL)
    receipt = replace(RECEIPT, job_digest=sm3.of("job"), data_digest=sm3.of("data"))
    assert UseReceipt.parse(receipt.as_document()) == receipt
    assert receipt.digest(sm3).startswith("sm3:")


def test_an_unlimited_agreement_leaves_no_number_of_remaining_uses() -> None:
    free = replace(RECEIPT, remaining=None)
    assert UseReceipt.parse(free.as_document()) == free
    assert dispute(free, replace(ASKED, limit=None)) is None


def test_neither_signature_can_stand_for_the_other() -> None:
    assert issued_bytes(RECEIPT) != countersigned_bytes(RECEIPT)
    assert issued_bytes(RECEIPT).partition(b"\n")[2] == countersigned_bytes(RECEIPT).partition(b"\n")[2]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "chengshu-use-receipt-2"),
        ("uses", 0),
        ("uses", "2"),
        ("uses", True),
        ("remaining", -1),
        ("rows", 1.5),
        ("outcome", "PERHAPS"),
        ("data_digest", "sha256:short"),
        ("job", ""),
        ("purpose", "x" * 513),
        ("provider", None),
    ],
)
def test_a_document_that_is_no_receipt_is_refused_by_its_field(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        UseReceipt.parse({**RECEIPT.as_document(), field: value})
    assert f"receipt.{field}" in caught.value.message
    assert str(value) not in caught.value.message.removeprefix(f"receipt.{field}: expected ") or len(str(value)) < 5


def test_a_receipt_with_a_field_more_or_less_is_refused() -> None:
    document = RECEIPT.as_document()
    with pytest.raises(Invalid):
        UseReceipt.parse({**document, "rows_sample": [1]})
    del document["rows"]
    with pytest.raises(Invalid) as caught:
        UseReceipt.parse(document)
    assert "receipt.rows" in caught.value.message


def test_a_receipt_that_says_what_the_consumer_holds_is_not_disputed() -> None:
    assert dispute(RECEIPT, ASKED) is None
    assert dispute_outcome(RECEIPT, Ended(RECEIPT.outcome, RECEIPT.room_receipt_digest)) is None


@pytest.mark.parametrize(
    ("claimed", "field"),
    [
        ({"job_digest": _digest("another job")}, "job_digest"),
        ({"agreement": "urn:uuid:another"}, "agreement"),
        ({"policy_digest": _digest("another price")}, "policy_digest"),
        ({"room": "did:key:another"}, "room"),
        ({"purpose": "advertising"}, "purpose"),
        ({"uses": 6, "remaining": 0}, "uses"),
        ({"uses": 3, "remaining": 2}, "uses"),
        ({"remaining": 2}, "remaining"),
        ({"remaining": None}, "remaining"),
    ],
)
def test_a_receipt_that_departs_from_the_consumers_records_is_disputed_by_the_field(claimed: dict[str, Any], field: str) -> None:
    refusal = dispute(replace(RECEIPT, **claimed), ASKED)
    assert refusal is not None
    assert (refusal.rule, field_of(refusal)) == ("receipt-disputed", field)
    assert f"{field}: expected " in refusal.message
    assert refusal.would_pass.en != refusal.would_pass.zh


def test_a_place_in_the_count_is_taken_once() -> None:
    refusal = dispute(RECEIPT, replace(ASKED, counted=True))
    assert refusal is not None
    assert field_of(refusal) == "uses"


@pytest.mark.parametrize("claimed", [{"outcome": "FAILED"}, {"room_receipt_digest": _digest("another")}])
def test_a_receipt_for_another_end_than_the_consumer_was_told_is_disputed(claimed: dict[str, Any]) -> None:
    refusal = dispute_outcome(replace(RECEIPT, **claimed), Ended(RECEIPT.outcome, RECEIPT.room_receipt_digest))
    assert refusal is not None
    assert [field_of(refusal)] == list(claimed)


def test_a_refusal_may_name_any_field_and_only_a_receipts_own_is_believed() -> None:
    assert field_of(disputed("uses", expected="1", got="2")) == "uses"
    assert field_of(Refused("receipt-disputed", "-", Text("-", "-"), {"field": "a secret text"})) == "other"
    assert field_of(Refused("receipt-disputed", "-", Text("-", "-"), {"field": 7})) == "other"
