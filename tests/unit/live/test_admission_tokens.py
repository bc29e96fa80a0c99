"""Admission tokens: genuine ones admit one vehicle for one shift in one window; every other is refused for its own reason."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey
from permit_desk import ID, Desk, act, published

from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.refusal import Refused
from chengshu.live.model import Admission, Shift
from chengshu.live.tokens import read_token, sign_token

SHIFT = Shift(ID, "pid-7", "SC7000AAARBEV", "1.5", "重庆长安车联")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path)
    found.active()
    return found


def token_of(desk: Desk, shift: Shift = SHIFT) -> str:
    token = desk.permits.admit(shift)
    assert isinstance(token, str)
    return token


def presented(desk: Desk, token: str, *, veh_pid: str = "pid-7", sw: str = "1.5", shift_id: str = "shift-1") -> str:
    """The refusing rule, or the token's id."""
    answer = desk.permits.present(token, veh_pid=veh_pid, sw_version=sw, shift_id=shift_id)
    return answer.rule if isinstance(answer, Refused) else answer.token_id


def why_unbelieved(desk: Desk, token: str) -> str:
    with pytest.raises(Unidentified) as left:
        desk.permits.present(token, veh_pid="pid-7", sw_version="1.5", shift_id="shift-1")
    return left.value.code


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refusal(desk: Desk, shift: Shift) -> str:
    answer = desk.permits.admit(shift)
    assert isinstance(answer, Refused)
    return answer.rule


def test_a_token_admits_its_vehicle_until_the_window_ends(desk: Desk) -> None:
    token = token_of(desk)
    answer = desk.permits.present(token, veh_pid="pid-7", sw_version="1.5", shift_id="shift-1")
    assert isinstance(answer, Admission)
    assert (answer.shift, answer.expires) == (SHIFT, datetime(2026, 3, 6, 16, 0, tzinfo=UTC))  # midnight in Chongqing
    assert presented(desk, token) == answer.token_id
    assert [kind for kind, _, _ in desk.log.entries][-2:] == ["token.issued", "token.presented"]


def test_an_independent_library_verifies_the_token(desk: Desk) -> None:
    x = base64.urlsafe_b64encode(desk.signer.public_key.raw).rstrip(b"=").decode()
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    parsed = jws.deserialize_compact(token_of(desk), key, algorithms=["Ed25519"])
    assert json.loads(parsed.payload)["permit"] == ID


def test_the_wrong_operator_type_software_or_vehicle_is_not_admitted(desk: Desk) -> None:
    assert refusal(desk, replace(SHIFT, operator="北京出行汽车服务")) == "R04"
    assert refusal(desk, replace(SHIFT, vehicle_type="BJ7001A61NBEV")) == "R03"
    assert refusal(desk, replace(SHIFT, sw_version="2.0")) == "R03"


def test_outside_its_windows_or_validity_a_permit_admits_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    night = published()
    night["windows"][0] |= {"start": "22:00", "end": "05:00", "crosses_midnight": True}
    desk.active(night)
    assert refusal(desk, SHIFT) == "R02"
    desk.now = datetime(2026, 3, 6, 18, 0, tzinfo=UTC)  # 02:00 in Chongqing, in the window that opened the evening before
    assert read_token(token_of(desk), desk.signer.public_key).expires == datetime(2026, 3, 6, 21, 0, tzinfo=UTC)
    desk.now = datetime(2028, 3, 6, 18, 0, tzinfo=UTC)
    assert refusal(desk, SHIFT) == "R02"


def test_suspension_stops_new_tokens_and_those_already_out_at_once(desk: Desk) -> None:
    token = token_of(desk)
    desk.permits.suspend(ID, act())
    assert refusal(desk, SHIFT) == "permit-not-in-force"
    assert presented(desk, token) == "permit-not-in-force"


def test_a_restricted_permit_still_admits(desk: Desk) -> None:
    desk.permits.restrict(ID, act(rule="R06"), {"max_rain_mm_h": 0})
    assert presented(desk, token_of(desk)) == "token-1"


def test_an_expired_or_early_token_is_refused(desk: Desk) -> None:
    token, issued = token_of(desk), desk.now
    desk.now = issued + timedelta(hours=12)
    assert presented(desk, token) == "token-expired"
    desk.now = issued - timedelta(seconds=1)
    assert presented(desk, token) == "token-not-yet-valid"


def test_a_token_of_another_vehicle_or_software_is_refused(desk: Desk) -> None:
    token = token_of(desk)
    assert presented(desk, token, veh_pid="pid-8") == "token-of-another-vehicle"
    assert presented(desk, token, sw="1.6") == "token-of-another-software"


def test_a_replayed_token_is_refused_to_every_shift_but_the_first(desk: Desk) -> None:
    token = token_of(desk)
    assert presented(desk, token, shift_id="shift-1") == "token-1"
    assert presented(desk, token, shift_id="shift-2") == "token-replayed"
    assert presented(desk, token, shift_id="shift-1") == "token-1"


def test_a_token_signed_by_another_key_is_not_believed(desk: Desk) -> None:
    genuine = read_token(token_of(desk), desk.signer.public_key)
    assert why_unbelieved(desk, sign_token(genuine, MemorySigner.generate())) == "token.issuer"


def test_a_forged_claim_under_a_genuine_signature_is_not_believed(desk: Desk) -> None:
    header, payload, signature = token_of(desk).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert why_unbelieved(desk, f"{header}.{encoded(claims | {'exp': claims['exp'] + 86400})}.{signature}") == "token.signature"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA"])
def test_a_token_that_chooses_its_own_algorithm_is_not_believed(desk: Desk, algorithm: str) -> None:
    header, payload, signature = token_of(desk).split(".")
    chosen = json.loads(base64.urlsafe_b64decode(header + "==")) | {"alg": algorithm}
    assert why_unbelieved(desk, f"{encoded(chosen)}.{payload}.{signature}") == "token.algorithm"


def test_changing_any_character_of_a_token_makes_it_unbelievable(desk: Desk) -> None:
    token = token_of(desk)
    for at in range(0, len(token), 7):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        assert why_unbelieved(desk, changed).startswith("token.")
    last = token[:-1] + chr(ord(token[-1]) + 1)  # only the unused bits of the last character differ
    assert why_unbelieved(desk, last).startswith("token.")


@pytest.mark.parametrize("junk", ["", "a.b", "a.b.c", "....", "e30.e30.e30", "é.e30.e30", "[].e30.e30", "x" * 5000])
def test_junk_is_not_believed(desk: Desk, junk: str) -> None:
    assert why_unbelieved(desk, junk) in {"token.malformed", "token.algorithm"}


def test_a_genuine_signature_over_a_token_never_issued_is_not_believed(desk: Desk) -> None:
    genuine = read_token(token_of(desk), desk.signer.public_key)
    assert why_unbelieved(desk, sign_token(replace(genuine, token_id="token-9"), desk.signer)) == "token.unknown"
