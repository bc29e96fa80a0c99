"""What a dishonest provider, consumer or third party would try with use receipts, on real nodes over real sockets.

Each attempt ends in an error or a refusal that says what was expected and what came, and in an entry of the log where one side's records
were attacked.
"""

import base64
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from small_space import BY_ROAD, PURPOSE, RAW, agree, ask, hang_up, publish, until, wire

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cleanroom.outcome import refusal_document
from chengshu.cleanroom.receipts.use_receipt import UseReceipt, countersigned_bytes, disputed, issued_bytes
from chengshu.cli import publishing
from chengshu.evidence.reconciling.reconcile import reconcile
from chengshu.evidence.reconciling.reconciliation import Reconciliation
from chengshu.evidence.service import Evidence
from chengshu.evidence.tiles import decode_bundle, encode_bundle
from chengshu.identity.keys.file import FileKeys
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import iso, system_clock
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Conflict, Denied, Invalid, Tampered
from chengshu.node import KEYS, LOG, Node
from chengshu.testing import Space
from databases import database_at

LIMIT = 1000
DIGESTS = Digests(INTERNATIONAL)
digest = DIGESTS.of
MESSAGE = "/room/uses"
Document = dict[str, Any]


@dataclass(frozen=True)
class Street:
    """A provider, a consumer, a third party and a clean room; one contract."""

    space: Space
    road: Node
    firm: Node
    fleet: Node
    room: Node
    agreement: str

    @property
    def choice(self) -> InputChoice:
        """The provider's product under the consumer's agreement."""
        return InputChoice(self.road.identity.did, "counts", self.agreement)

    def used(self) -> Document:
        """Use the product once, wait for both signatures, return what both sides keep."""
        job = ask(self.firm, self.room, [self.choice]).job
        until(lambda: any((row["job"], row["state"]) == (job, "COUNTERSIGNED") for row in self.road.receipts.every()))
        (kept,) = self.road.receipts.show(job, product="counts")
        return kept

    def claim(self) -> UseReceipt:
        """A receipt that says what the consumer's records say, for a job that ended before the provider was asked for anything."""
        standing = ask(self.firm, self.room, [self.choice], question=SqlQuestion(RAW))
        with self.firm.database.read() as tx:
            found = self.firm.contracts.find(tx, self.agreement)
            assert found is not None
            document = self.firm.asker._find(standing.job)["document"]
        uses = 1 + max([row["uses"] for row in self.firm.receipts.every() if row["state"] == "COUNTERSIGNED"], default=0)
        return UseReceipt(
            job=standing.job,
            job_digest=digest(document),
            product="counts",
            agreement=self.agreement,
            policy_digest=found[0].policy_digest(DIGESTS),
            provider=self.road.identity.did,
            consumer=self.firm.identity.did,
            room=self.room.identity.did,
            purpose=PURPOSE,
            uses=uses,
            remaining=LIMIT - uses,
            data_digest=digest("data"),
            rows=200,
            outcome="REFUSED",
            room_receipt_digest=digest(standing.receipt),
            at=iso(system_clock()),
        )


def signed(node: Node, message: bytes) -> str:
    """A signature by a node's own key."""
    return base64.b64encode(FileKeys(node.folder / KEYS).load().sign(message)).decode()


def sent(sender: Node, receiver: Node, receipt: UseReceipt, *, signer: Node | None = None) -> Document:
    """Send a receipt in ``sender``'s name, signed by ``signer``."""
    message = {"receipt": receipt.as_document(), "signature": signed(signer or sender, issued_bytes(receipt))}
    return wire(sender).post(receiver.identity.did, MESSAGE, message)


def entries(node: Node, kind: str, receipt: UseReceipt) -> list[Document]:
    """The bodies of the entries of one kind about one receipt."""
    found = node.evidence.entries(0, node.evidence.size())
    return [dict(one.body) for one in found if one.kind == kind and one.body.get("receipt_digest") == receipt.digest(DIGESTS)]


def opened(folder: Path) -> Street:
    space = Space(folder)
    road, firm, fleet = (space.add(name) for name in ("road", "firm", "fleet"))
    room = space.add("room", clean_room=True)
    publish(road, "counts", policy=publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE], uses=LIMIT)))
    return Street(space, road, firm, fleet, room, agree(firm, road, "counts"))


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    made = opened(tmp_path_factory.mktemp("street"))
    yield made
    made.space.close()
    hang_up(*made.space.nodes.values())


@pytest.fixture
def own_street(tmp_path: Path) -> Iterator[Street]:
    made = opened(tmp_path)
    yield made
    made.space.close()
    hang_up(*made.space.nodes.values())


# --- replayed


def test_a_receipt_sent_again_gets_the_same_answer_and_is_one_receipt(street: Street) -> None:
    kept = street.used()
    receipt = UseReceipt.parse(kept["receipt"])
    for _ in range(3):
        assert sent(street.road, street.firm, receipt) == {
            "receipt_digest": receipt.digest(DIGESTS),
            "signature": kept["consumer_signature"],
        }
    assert len(entries(street.firm, "receipt.countersigned", receipt)) == 1


def test_another_text_for_a_use_that_is_countersigned_is_a_conflict_and_is_kept(street: Street) -> None:
    receipt = UseReceipt.parse(street.used()["receipt"])
    second = replace(receipt, rows=receipt.rows + 1)
    for _ in range(2):
        with pytest.raises(Conflict) as caught:
            sent(street.road, street.firm, second)
        assert caught.value.code == "receipt.other-text"
    assert [one["code"] for one in entries(street.firm, "alert.raised", second)] == ["receipt.disputed"]
    kept = {row["receipt_digest"]: row["state"] for row in street.firm.receipts.every()}
    assert (kept[receipt.digest(DIGESTS)], kept[second.digest(DIGESTS)]) == ("COUNTERSIGNED", "DISPUTED")


def test_a_receipt_moved_to_another_job_is_disputed(street: Street) -> None:
    receipt = UseReceipt.parse(street.used()["receipt"])
    moved = replace(receipt, job=street.claim().job)
    refused = sent(street.road, street.firm, moved)["refused"]
    assert (refused["rule"], refused["facts"]["field"]) == ("receipt-disputed", "job_digest")


def test_a_receipt_replayed_by_another_party_is_denied(street: Street) -> None:
    kept = street.used()
    message = {"receipt": kept["receipt"], "signature": kept["provider_signature"]}
    with pytest.raises(Denied) as caught:
        wire(street.fleet).post(street.firm.identity.did, MESSAGE, message)
    assert caught.value.code == "receipt.parties"


def test_a_receipt_sent_to_another_than_its_consumer_is_denied(street: Street) -> None:
    receipt = UseReceipt.parse(street.used()["receipt"])
    with pytest.raises(Denied) as caught:
        sent(street.road, street.fleet, receipt)
    assert caught.value.code == "receipt.parties"


# --- forged


def test_a_receipt_signed_with_another_key_is_tampered_with(street: Street) -> None:
    claim = street.claim()
    with pytest.raises(Tampered) as caught:
        sent(street.road, street.firm, claim, signer=street.fleet)
    assert caught.value.code == "receipt.signature"
    assert entries(street.firm, "receipt.countersigned", claim) == []


def test_the_consumers_countersignature_is_no_provider_signature(street: Street) -> None:
    claim = street.claim()
    for wrong in (countersigned_bytes(claim), digest(claim.as_document()).encode(), b""):
        message = {"receipt": claim.as_document(), "signature": signed(street.road, wrong)}
        with pytest.raises(Tampered):
            wire(street.road).post(street.firm.identity.did, MESSAGE, message)


def test_what_is_no_receipt_is_refused_by_its_field(street: Street) -> None:
    document = {**street.claim().as_document(), "rows": [1, 2, 3]}
    with pytest.raises(Invalid) as caught:
        wire(street.road).post(street.firm.identity.did, MESSAGE, {"receipt": document, "signature": ""})
    assert "receipt.rows" in caught.value.message


# --- a provider that claims more than there was


@pytest.mark.parametrize(
    ("alter", "field"),
    [
        (lambda one: replace(one, job="urn:uuid:00000000-0000-4000-8000-000000000000"), "job"),
        (lambda one: replace(one, agreement="urn:uuid:00000000-0000-4000-8000-000000000000"), "agreement"),
        (lambda one: replace(one, product="other"), "product"),
        (lambda one: replace(one, policy_digest=digest("another price")), "policy_digest"),
        (lambda one: replace(one, job_digest=digest("another question")), "job_digest"),
        (lambda one: replace(one, purpose="advertising"), "purpose"),
        (lambda one: replace(one, room=one.provider), "room"),
        (lambda one: replace(one, uses=LIMIT + 1, remaining=0), "uses"),
        (lambda one: replace(one, uses=500, remaining=500), "uses"),
        (lambda one: replace(one, remaining=one.remaining - 1), "remaining"),
        (lambda one: replace(one, remaining=None), "remaining"),
        (lambda one: replace(one, outcome="RELEASED"), "outcome"),
        (lambda one: replace(one, room_receipt_digest=digest("another receipt")), "room_receipt_digest"),
    ],
)
def test_a_claim_that_the_consumers_records_do_not_bear_out_is_disputed_by_its_field(
    street: Street, alter: Callable[[UseReceipt], UseReceipt], field: str
) -> None:
    claim = alter(street.claim())
    for _ in range(2):
        refused = sent(street.road, street.firm, claim)["refused"]
        assert (refused["rule"], refused["facts"]["field"]) == ("receipt-disputed", field)
        assert f"use receipt, {field}: expected " in refused["message"]
        assert "keep" in refused["would_pass"]["en"].lower()
    alerts = entries(street.firm, "alert.raised", claim)
    assert [(one["code"], one["field"]) for one in alerts] == [("receipt.disputed", field)]
    assert entries(street.firm, "receipt.countersigned", claim) == []


def test_the_place_of_one_use_in_the_count_is_not_given_to_a_second(street: Street) -> None:
    taken = UseReceipt.parse(street.used()["receipt"])
    refused = sent(street.road, street.firm, replace(street.claim(), uses=taken.uses, remaining=taken.remaining))["refused"]
    assert refused["facts"]["field"] == "uses"


# --- a consumer that does not sign what it should


@contextmanager
def impostor(street: Street, answer: Document) -> Iterator[None]:
    """Answer every receipt at the consumer's address with ``answer``."""
    app = FastAPI()
    app.post(MESSAGE)(lambda: answer)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=street.firm.settings.serve.port, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _asked_while_away(street: Street) -> str:
    street.space.stop("firm")
    job = street.firm.asker.submit(room=street.room.identity.did, purpose=PURPOSE, question=SqlQuestion(BY_ROAD), inputs=[street.choice])
    until(lambda: any(row["job"] == job for row in street.road.receipts.every()))
    return job


def _state(node: Node, job: str) -> tuple[str, str]:
    (row,) = (one for one in node.receipts.every() if one["job"] == job)
    return row["state"], str(row["why"])


def test_no_other_answer_than_the_consumers_signature_is_taken_for_one(own_street: Street) -> None:
    street = own_street
    refusal = refusal_document(disputed("uses", expected="1", got="2"))
    answers: list[tuple[Document, str, str]] = [
        ({"signature": signed(street.fleet, b"anything")}, "countersignature", "receipt.countersignature"),
        ({"signature": "not base64!"}, "countersignature", "receipt.countersignature"),
        ({}, "countersignature", "receipt.countersignature"),
        ({"refused": "no"}, "other", "receipt.answer"),
        ({"refused": refusal}, "uses", "expected 1, got 2"),
    ]
    job = _asked_while_away(street)
    for count, (answer, field, told) in enumerate(answers, 1):
        with impostor(street, answer):
            if count > 1:
                street.road.issuer.send_again(job, product="counts")
            until(lambda: _state(street.road, job)[0] == "DISPUTED")
        assert told in _state(street.road, job)[1]
        receipt = UseReceipt.parse(street.road.receipts.show(job, product="counts")[0]["receipt"])
        alerts = entries(street.road, "alert.raised", receipt)
        assert (len(alerts), alerts[-1]["field"], alerts[-1]["code"]) == (count, field, "receipt.disputed")
    assert entries(street.road, "receipt.countersigned", receipt) == []
    street.space.start("firm")
    street.road.issuer.send_again(job, product="counts")
    until(lambda: _state(street.road, job)[0] == "COUNTERSIGNED")
    with pytest.raises(Conflict):
        street.road.issuer.send_again(job, product="counts")


# --- what one side leaves out of its log, or rewrites


def rebuilt(node: Node, folder: Path, *, without: Callable[[bytes], bool]) -> Path:
    """The log that a node would publish if some entries had never been: same key, good signature, a tree that fits."""
    database = database_at(folder / "other.db")
    metadata.create_all(database.engine)
    log = Evidence(database, FileKeys(node.folder / KEYS).load(), f"{node.settings.node.handle}/log", folder / LOG, system_clock)
    table = metadata.tables["evidence_entries"]
    kept = [one.data for one in node.evidence.entries(0, node.evidence.size()) if not without(one.data)]
    with database.write() as tx:
        for index, data in enumerate(kept):
            tx.execute(table.insert().values(index=index, data=data))
    log.publish()
    return folder / LOG


def reconciled(street: Street, road: Path, firm: Path) -> Reconciliation:
    return reconcile(road, firm, vkey_a=street.road.evidence.vkey, vkey_b=street.firm.evidence.vkey)


def test_a_receipt_left_out_of_one_log_is_the_first_difference(own_street: Street, tmp_path: Path) -> None:
    street = own_street
    first, second = UseReceipt.parse(street.used()["receipt"]), UseReceipt.parse(street.used()["receipt"])
    until(lambda: all(len(entries(street.firm, "receipt.countersigned", one)) == 1 for one in (first, second)))
    for node in (street.road, street.firm):
        node.evidence.publish()
    honest = reconciled(street, street.road.folder, street.firm.folder)
    assert (honest.holds, honest.receipts) == (True, 2)
    dropped = {
        "firm": rebuilt(street.firm, _folder(tmp_path / "a"), without=lambda data: first.digest(DIGESTS).encode() in data),
        "road": rebuilt(street.road, _folder(tmp_path / "b"), without=lambda data: second.digest(DIGESTS).encode() in data),
        "use": rebuilt(street.road, _folder(tmp_path / "c"), without=lambda data: b'"use.metered"' in data and first.job.encode() in data),
    }
    of_firm = reconciled(street, street.road.folder, dropped["firm"]).difference
    assert of_firm is not None
    assert (of_firm.matter, of_firm.consumer.entry) == ("receipt", None)
    assert first.digest(DIGESTS) in of_firm.provider.text.zh
    of_road = reconciled(street, dropped["road"], street.firm.folder).difference
    assert of_road is not None
    assert (of_road.matter, of_road.provider.entry) == ("receipt", None)
    assert second.digest(DIGESTS) in of_road.consumer.text.en
    of_use = reconciled(street, dropped["use"], street.firm.folder).difference
    assert of_use is not None
    assert (of_use.matter, of_use.provider.text.en) == ("use", "a receipt for a use that was not metered")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_log_rewritten_before_it_is_compared_is_tampered_with(own_street: Street, tmp_path: Path) -> None:
    street = own_street
    receipt = UseReceipt.parse(street.used()["receipt"])
    for node in (street.road, street.firm):
        node.evidence.publish()
    copy = shutil.copytree(street.firm.folder / LOG, tmp_path / "copy")
    newest = max((path for path in (copy / "tile" / "entries").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    kept, whole = decode_bundle(newest.read_bytes())
    assert whole
    other = digest("another receipt").encode()
    newest.write_bytes(encode_bundle([one.replace(receipt.digest(DIGESTS).encode(), other) for one in kept]))
    with pytest.raises(Tampered) as caught:
        reconciled(street, street.road.folder, copy)
    assert caught.value.code == "evidence.tampered"
    assert "keep this copy" in caught.value.hint.en.lower()


def test_a_receipt_that_was_sent_and_never_recorded_is_the_first_difference(own_street: Street) -> None:
    street = own_street
    street.used()
    claim = replace(street.claim(), purpose="advertising")
    assert "refused" in sent(street.road, street.firm, claim)
    for node in (street.road, street.firm):
        node.evidence.publish()
    found = reconciled(street, street.road.folder, street.firm.folder).difference
    assert found is not None
    assert (found.matter, found.provider.entry) == ("receipt", None)
    assert "field purpose" in found.consumer.text.en
