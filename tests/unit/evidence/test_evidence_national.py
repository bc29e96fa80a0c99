"""A log of the national profile: SM3 trees, SM2 checkpoints; the key line alone says which."""

import base64
import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chengshu.evidence.checkpoint import VerifierKey, open_checkpoint, parse_vkey, sign_checkpoint
from chengshu.evidence.service import Evidence
from chengshu.evidence.tree import TreeHash
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL, Algorithm, MemorySigner, Sm2MemorySigner
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Invalid, Tampered
from databases import database_at

SIGNER = Sm2MemorySigner(int.from_bytes(bytes(range(32)), "big"))
KEY = VerifierKey("node.example/log", SIGNER.public_key)
START = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Evidence:
    database = database_at(tmp_path / "node.sqlite")
    metadata.create_all(database.engine)
    looks = iter(range(10_000_000))
    evidence = Evidence(database, SIGNER, "node.example/log", tmp_path / "log", lambda: START + timedelta(seconds=next(looks)))
    agreement = {"agreement": "a", "product": "p", "policy_digest": "sm3:00", "provider": "x", "consumer": "y"}
    with database.write() as tx:
        evidence.append(tx, "agreement.signed", "a", agreement)
        for number in range(300):
            evidence.append(tx, "token.issued", f"t{number}", {})
        evidence.append(tx, "use.metered", "p", {"job": "j", "product": "p", "agreement": "a"})
    return evidence


def test_the_verifier_key_line_is_the_long_kind_of_the_signed_note() -> None:
    kind = b"\xff" + b"chengshu.dev/sm2-sm3"
    typed = kind + SIGNER.public_key.raw
    key_id = hashlib.sha256(b"node.example/log\n" + typed).hexdigest()[:8]
    assert str(KEY) == f"node.example/log+{key_id}+{base64.b64encode(typed).decode()}"
    assert parse_vkey(str(KEY)) == KEY


def test_the_key_alone_says_which_hash_the_tree_has() -> None:
    international = VerifierKey("node.example/log", MemorySigner.generate().public_key)
    assert (KEY.hashing, international.hashing) == (TreeHash(NATIONAL.new_hash), TreeHash(INTERNATIONAL.new_hash))


def test_a_published_log_verifies_with_its_proofs(log: Evidence) -> None:
    checkpoint = log.publish()
    verdict = verify_log(log.folder, str(KEY))
    assert (verdict.checkpoint, verdict.checkpoint.size) == (checkpoint, 302)
    assert all(log.inclusion(index).holds for index in (0, 255, 256, 301))
    assert log.consistency(100, 302).holds
    assert verify_use(log.folder, product="p", job="j").holds


def test_the_root_is_the_sm3_of_the_entries_and_not_their_sha256(log: Evidence) -> None:
    checkpoint = log.publish()
    entries = [entry.data for entry in log.entries(0, 302)]
    roots = {}
    for suite in (NATIONAL, INTERNATIONAL):
        hashing = TreeHash(suite.new_hash)
        leaves = hashing.leaves(entries)
        peaks = [leaves[0:256], leaves[256:288], leaves[288:296], leaves[296:300], leaves[300:302]]
        roots[suite.name] = hashing.fold([hashing.complete_root(peak) for peak in peaks])
    assert checkpoint.root == roots["national"] != roots["international"]


def test_one_changed_byte_of_a_national_log_is_found(log: Evidence) -> None:
    log.publish()
    bundle = log.folder / "tile" / "entries" / "000"
    data = bytearray(bundle.read_bytes())
    data[data.index(b"t17") + 2] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(Tampered) as caught:
        verify_log(log.folder, str(KEY))
    assert caught.value.facts == {"file": "tile/entries/000", "index": 18}


def test_every_changed_byte_of_the_signed_part_of_a_checkpoint_is_found() -> None:
    note = sign_checkpoint(SIGNER, origin="node.example/log", size=7, root=KEY.hashing.empty).note
    for place in range(len(note)):
        with pytest.raises(Tampered):
            open_checkpoint(note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :], key=KEY)


def test_a_key_of_the_other_kind_does_not_open_the_checkpoint() -> None:
    note = sign_checkpoint(SIGNER, origin="node.example/log", size=7, root=KEY.hashing.empty).note
    with pytest.raises(Tampered, match="expected a signature by"):
        open_checkpoint(note, key=VerifierKey("node.example/log", MemorySigner.generate().public_key))


@pytest.mark.parametrize(
    "typed",
    [
        b"\xff" + SIGNER.public_key.raw,
        b"\x01" + SIGNER.public_key.raw,
        b"\xff" + Algorithm.SM2.encode() + SIGNER.public_key.raw[:-1],
        b"\xff" + Algorithm.SM2.encode() + b"\x02" + b"\xff" * 32,
        b"\xff" + b"example.org/other" + SIGNER.public_key.raw,
    ],
    ids=["no-identifier", "ed25519-type", "short", "off-the-curve", "other-identifier"],
)
def test_a_line_with_another_kind_of_key_is_refused(typed: bytes) -> None:
    key_id = hashlib.sha256(b"node.example/log\n" + typed).hexdigest()[:8]
    with pytest.raises(Invalid) as caught:
        parse_vkey(f"node.example/log+{key_id}+{base64.b64encode(typed).decode()}")
    assert caught.value.code == "evidence.vkey"


def test_the_offline_checker_judges_a_national_log(log: Evidence) -> None:
    log.publish()
    command = [sys.executable, "-m", "chengshu.evidence", "verify", str(log.folder), "--vkey", str(KEY), "--lang", "zh"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "SM3" in ran.stdout
    assert "未经认证" in ran.stdout
