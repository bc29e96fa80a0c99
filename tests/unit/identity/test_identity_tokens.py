import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chengshu.evidence.service import Evidence
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Unidentified
from chengshu.kernel.ids import new_id
from databases import database_at

DIGESTS = Digests(INTERNATIONAL)
REQUEST = SignedRequest("POST", "/2025-1/negotiations/urn%3A1/events", b'{"a":1}')


class StepClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True)
class Side:
    identity: Identity
    credentials: TokenCredentials


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


def side(folder: Path, clock: StepClock) -> Side:
    database = database_at(folder)
    with database.write() as tx:
        metadata.create_all(tx)
    signer = MemorySigner.generate()
    evidence = Evidence(database, signer, "node.example/log", folder.with_suffix(".log"), clock)
    identity = Identity(database, signer=signer, address="http://127.0.0.1:1/2025-1", evidence=evidence, clock=clock)
    return Side(identity, TokenCredentials(identity, digests=DIGESTS, clock=clock, new_id=new_id))


@pytest.fixture
def sender(tmp_path: Path, clock: StepClock) -> Side:
    return side(tmp_path / "sender.db", clock)


@pytest.fixture
def receiver(tmp_path: Path, clock: StepClock, sender: Side) -> Side:
    made = side(tmp_path / "receiver.db", clock)
    made.identity.add(sender.identity.did, name_en="Sender", name_zh="发送方", address="http://127.0.0.1:2/2025-1")
    return made


@dataclass(frozen=True, slots=True)
class Still:
    """A sender and a receiver for tests in which nothing is ever accepted, so that they can share them."""

    sender: Side
    receiver: Side
    clock: StepClock


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Still:
    folder, clock = tmp_path_factory.mktemp("still"), StepClock()
    sender, receiver = side(folder / "sender.db", clock), side(folder / "receiver.db", clock)
    receiver.identity.add(sender.identity.did, name_en="Sender", name_zh="发送方", address="http://127.0.0.1:2/2025-1")
    return Still(sender, receiver, clock)


def fault(receiver: Side, header: str | None, request: SignedRequest = REQUEST) -> str:
    with pytest.raises(Unidentified) as caught:
        receiver.credentials.verify(header, request)
    return caught.value.code


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forged(sender: Side, clock: StepClock, *, head: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token signed by ``sender`` with some claims changed; a claim set to None is left out."""
    now = int(clock().timestamp())
    claims = {"iss": sender.identity.did, "aud": "x", "iat": now, "exp": now + 60, "jti": "j", "htm": "POST", "htu": REQUEST.path}
    claims |= {"body": DIGESTS.of_bytes(REQUEST.body)} | changes
    kept = {name: value for name, value in claims.items() if value is not None}
    signed = f"{encoded(canonical(head or {'alg': 'Ed25519'}))}.{encoded(json.dumps(kept).encode())}"
    return f"Bearer {signed}.{encoded(sender.identity.signer.sign(signed.encode()))}"


def test_a_token_proves_its_sender_once(sender: Side, receiver: Side) -> None:
    header = sender.credentials.issue(receiver.identity.did, REQUEST)
    assert receiver.credentials.verify(header, REQUEST) == sender.identity.did
    assert fault(receiver, header) == "identity.token-replayed"


def test_a_replay_is_still_known_after_a_restart(tmp_path: Path, clock: StepClock, sender: Side, receiver: Side) -> None:
    header = sender.credentials.issue(receiver.identity.did, REQUEST)
    receiver.credentials.verify(header, REQUEST)
    database, signer = database_at(tmp_path / "receiver.db"), receiver.identity.signer
    evidence = Evidence(database, signer, "node.example/log", tmp_path / "receiver.log", clock)
    again = Identity(database, signer=signer, address="http://h/x", evidence=evidence, clock=clock)
    restarted = Side(again, TokenCredentials(again, digests=DIGESTS, clock=clock, new_id=new_id))
    assert fault(restarted, header) == "identity.token-replayed"


def test_a_missing_token_is_named(still: Still) -> None:
    assert fault(still.receiver, None) == "identity.token-missing"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Basic a.b.c",
        "Bearer a.b.c",
        "Bearer e30.e30.e30",
        "Bearer W10.W10.AA",
        "Bearer " + "a" * 5000,
        "Bearer a.a.a",
    ],
)
def test_a_malformed_token_is_named(still: Still, header: str) -> None:
    assert fault(still.receiver, header) == "identity.token-malformed"


@pytest.mark.parametrize("claim", ["iss", "aud", "iat", "exp", "jti", "htm", "htu", "body"])
@pytest.mark.parametrize("value", [None, 1.5, True, [], ""])
def test_a_claim_that_is_absent_or_of_another_kind_is_never_accepted(still: Still, claim: str, value: object) -> None:
    changes = {"aud": still.receiver.identity.did} | {claim: value}
    assert fault(still.receiver, forged(still.sender, still.clock, **changes)).startswith("identity.")


@pytest.mark.parametrize("head", [{"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}])
def test_another_algorithm_is_malformed(still: Still, head: dict[str, Any]) -> None:
    assert (
        fault(still.receiver, forged(still.sender, still.clock, head=head, aud=still.receiver.identity.did)) == "identity.token-malformed"
    )


def test_a_token_for_another_party_is_named(still: Still) -> None:
    assert fault(still.receiver, still.sender.credentials.issue(still.sender.identity.did, REQUEST)) == "identity.token-audience"


def test_a_party_that_is_not_listed_is_named(tmp_path: Path, clock: StepClock, receiver: Side) -> None:
    stranger = side(tmp_path / "stranger.db", clock)
    assert fault(receiver, stranger.credentials.issue(receiver.identity.did, REQUEST)) == "identity.unknown-party"


def test_a_token_in_anothers_name_has_a_bad_signature(tmp_path: Path, clock: StepClock, sender: Side, receiver: Side) -> None:
    thief = side(tmp_path / "thief.db", clock)
    header = forged(thief, clock, iss=sender.identity.did, aud=receiver.identity.did)
    assert fault(receiver, header) == "identity.token-signature"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_with_one_changed_letter_is_refused(still: Still, part: int) -> None:
    parts = still.sender.credentials.issue(still.receiver.identity.did, REQUEST).removeprefix("Bearer ").split(".")
    parts[part] = parts[part][:10] + ("A" if parts[part][10] != "A" else "B") + parts[part][11:]
    assert fault(still.receiver, "Bearer " + ".".join(parts)).startswith("identity.")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (SignedRequest("POST", REQUEST.path, b'{"a":2}'), "identity.token-body"),
        (SignedRequest("POST", REQUEST.path), "identity.token-body"),
        (SignedRequest("GET", REQUEST.path, REQUEST.body), "identity.token-request"),
        (SignedRequest("POST", REQUEST.path + "?a=1", REQUEST.body), "identity.token-request"),
        (SignedRequest("POST", "/2025-1/negotiations/urn:1/events", REQUEST.body), "identity.token-request"),
    ],
)
def test_a_token_of_another_request_is_named(still: Still, request_: SignedRequest, code: str) -> None:
    assert fault(still.receiver, still.sender.credentials.issue(still.receiver.identity.did, REQUEST), request_) == code


@pytest.mark.parametrize(("seconds", "code"), [(91, "identity.token-expired"), (-31, "identity.token-not-yet-valid")])
def test_a_token_outside_its_time_is_named(sender: Side, receiver: Side, clock: StepClock, seconds: int, code: str) -> None:
    header = sender.credentials.issue(receiver.identity.did, REQUEST)
    clock.now += timedelta(seconds=seconds)
    assert fault(receiver, header) == code


@pytest.mark.parametrize("seconds", [90, -30])
def test_clocks_may_differ_by_half_a_minute(sender: Side, receiver: Side, clock: StepClock, seconds: int) -> None:
    header = sender.credentials.issue(receiver.identity.did, REQUEST)
    clock.now += timedelta(seconds=seconds)
    assert receiver.credentials.verify(header, REQUEST) == sender.identity.did


@pytest.mark.parametrize("text", ["a\ud800", "a\x00", "\udfff"])
@pytest.mark.parametrize("claim", ["iss", "jti"])
def test_a_text_that_no_database_keeps_is_malformed(still: Still, claim: str, text: str) -> None:
    assert fault(still.receiver, forged(still.sender, still.clock, **{claim: text})) == "identity.token-malformed"


def test_a_token_that_would_outlive_our_memory_of_it_is_malformed(still: Still) -> None:
    now = int(still.clock().timestamp())
    for times in ({"exp": now + 61}, {"exp": now - 1}, {"iat": 2**60, "exp": 2**60 + 1}, {"iat": -1, "exp": 1}):
        assert (
            fault(still.receiver, forged(still.sender, still.clock, aud=still.receiver.identity.did, **times)) == "identity.token-malformed"
        )


def test_a_party_is_found_by_its_id_and_either_name(sender: Side, receiver: Side) -> None:
    party = receiver.identity.get(sender.identity.did)
    assert receiver.identity.find_by_name("Sender") == receiver.identity.find_by_name("发送方") == party
    assert receiver.identity.list() == [party]
    assert party.address == "http://127.0.0.1:2/2025-1"


def test_an_unknown_party_is_not_found(receiver: Side) -> None:
    with pytest.raises(NotFound):
        receiver.identity.get("did:key:z6Mkx")
    with pytest.raises(NotFound):
        receiver.identity.find_by_name("Nobody")


def test_adding_a_party_again_unchanged_changes_nothing(sender: Side, receiver: Side, clock: StepClock) -> None:
    clock.now += timedelta(days=1)
    again = receiver.identity.add(sender.identity.did, name_en="Sender", name_zh="发送方", address="http://127.0.0.1:2/2025-1/")
    assert [again] == receiver.identity.list()


def test_an_id_or_a_name_cannot_be_taken_over(tmp_path: Path, sender: Side, receiver: Side, clock: StepClock) -> None:
    other = side(tmp_path / "other.db", clock).identity.did
    for did, name_en, name_zh in (
        (sender.identity.did, "New", "新"),
        (other, "Sender", "新"),
        (other, "New", "发送方"),
        (other, "发送方", "新"),
    ):
        with pytest.raises(Conflict):
            receiver.identity.add(did, name_en=name_en, name_zh=name_zh, address="http://127.0.0.1:9/2025-1")


def test_a_party_needs_a_key_id_a_name_and_an_address(sender: Side, receiver: Side) -> None:
    did = receiver.identity.did
    for bad in (
        {"did": "did:web:example.com", "name_en": "A", "name_zh": "甲", "address": "http://h/x"},
        {"did": did, "name_en": " ", "name_zh": "甲", "address": "http://h/x"},
        {"did": did, "name_en": "A", "name_zh": "甲" * 121, "address": "http://h/x"},
        {"did": did, "name_en": "A", "name_zh": "甲", "address": "h/x"},
    ):
        with pytest.raises(Invalid):
            receiver.identity.add(bad["did"], name_en=bad["name_en"], name_zh=bad["name_zh"], address=bad["address"])
