"""Cosignatures of both kinds: their bytes, their keys, and everything that is none."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.checkpoint import Checkpoint, sign_checkpoint
from chengshu.evidence.witnessing.cosignature import (
    MAX_TIMESTAMP,
    Cosigner,
    CosignerKey,
    CosignerKind,
    Ed25519Cosigner,
    MlDsaCosigner,
    can_check,
    cosign,
    open_cosignature,
    parse_cosigner_key,
    parse_line,
    signature_lines,
)
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Invalid, Tampered

EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()
"""The example of https://c2sp.org/tlog-cosignature, whose time is 1679315147."""

LOG = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ED25519 = Ed25519Cosigner("w1.example", MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))))
ML_DSA = MlDsaCosigner("w1.example", mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(range(32))))
BOTH = pytest.mark.parametrize("cosigner", [ED25519, ML_DSA], ids=["Ed25519", "ML-DSA-44"])
AT = 1_679_315_147


def checkpoint(size: int = 5, root: bytes = bytes(32)) -> Checkpoint:
    return sign_checkpoint(LOG, origin="road/log", size=size, root=root)


def test_the_specifications_example_is_read_with_its_time_and_kind() -> None:
    ours, theirs = signature_lines(EXAMPLE)
    assert (ours.name, ours.key_id, len(ours.blob)) == ("example.com/behind-the-sofa", bytes.fromhex("033de0ae"), 64)
    assert (theirs.name, theirs.key_id) == ("witness.example.com/w1", bytes.fromhex("8d66cf3f"))
    assert len(theirs.blob) == 8 + 64
    assert int.from_bytes(theirs.blob[:8], "big") == AT


def test_an_ed25519_cosignature_signs_header_time_and_the_whole_note_body() -> None:
    line = parse_line(cosign(ED25519, checkpoint(), timestamp=AT))
    message = b"cosignature/v1\ntime 1679315147\nroad/log\n5\n" + base64.b64encode(bytes(32)) + b"\n"
    assert line.blob == AT.to_bytes(8, "big") + ED25519.signer.sign(message)


def test_an_ml_dsa_cosignature_signs_the_structure_of_the_specification() -> None:
    line = parse_line(cosign(ML_DSA, checkpoint(), timestamp=AT))
    label = b"subtree/v1\n\0"
    assert len(label) == 12
    message = (
        label + b"\x0aw1.example" + AT.to_bytes(8, "big") + b"\x08road/log" + (0).to_bytes(8, "big") + (5).to_bytes(8, "big") + bytes(32)
    )
    assert line.blob[:8] == AT.to_bytes(8, "big")
    assert len(line.blob) == 8 + 2420
    ML_DSA.private_key.public_key().verify(line.blob[8:], message)


@BOTH
def test_a_key_id_is_the_hash_of_name_kind_and_key(cosigner: Cosigner) -> None:
    key = cosigner.key
    kind = {CosignerKind.ED25519: b"\x04", CosignerKind.ML_DSA_44: b"\x06"}[key.kind]
    assert key.key_id == hashlib.sha256(b"w1.example\n" + kind + key.public_key).digest()[:4]
    assert str(key) == f"w1.example+{key.key_id.hex()}+{base64.b64encode(kind + key.public_key).decode()}"
    assert parse_cosigner_key(str(key)) == key


@BOTH
def test_a_cosignature_is_good_for_its_checkpoint_and_key(cosigner: Cosigner) -> None:
    line = parse_line(cosign(cosigner, checkpoint(), timestamp=AT))
    found = open_cosignature(line, key=cosigner.key, checkpoint=checkpoint())
    assert (found.key, found.timestamp) == (cosigner.key, AT)


@BOTH
@pytest.mark.parametrize(
    "other", [checkpoint(6), checkpoint(5, bytes([1] * 32)), sign_checkpoint(LOG, origin="fleet/log", size=5, root=bytes(32))]
)
def test_a_cosignature_copied_to_another_checkpoint_is_found(cosigner: Cosigner, other: Checkpoint) -> None:
    line = parse_line(cosign(cosigner, checkpoint(), timestamp=AT))
    with pytest.raises(Tampered) as caught:
        open_cosignature(line, key=cosigner.key, checkpoint=other)
    assert caught.value.code == "evidence.cosignature"
    assert caught.value.facts["witness"] == "w1.example"


@BOTH
def test_a_flipped_byte_anywhere_in_a_cosignature_is_found(cosigner: Cosigner) -> None:
    line = parse_line(cosign(cosigner, checkpoint(), timestamp=AT))
    for place in (0, 7, 8, 40, len(line.blob) - 1):
        blob = line.blob[:place] + bytes([line.blob[place] ^ 1]) + line.blob[place + 1 :]
        text = f"— {line.name} {base64.b64encode(line.key_id + blob).decode()}"
        with pytest.raises(Tampered):
            open_cosignature(parse_line(text), key=cosigner.key, checkpoint=checkpoint())


@BOTH
def test_a_time_beyond_the_specifications_bound_is_neither_signed_nor_accepted(cosigner: Cosigner) -> None:
    with pytest.raises(ValueError, match="2\\*\\*63 - 1"):
        cosign(cosigner, checkpoint(), timestamp=MAX_TIMESTAMP + 1)
    line = parse_line(cosign(cosigner, checkpoint(), timestamp=MAX_TIMESTAMP))
    assert open_cosignature(line, key=cosigner.key, checkpoint=checkpoint()).timestamp == MAX_TIMESTAMP


def test_the_two_keys_of_one_witness_do_not_pass_for_one_another() -> None:
    line = parse_line(cosign(ED25519, checkpoint(), timestamp=AT))
    assert line.is_by(ED25519.key)
    assert not line.is_by(ML_DSA.key)
    with pytest.raises(Tampered):
        open_cosignature(line, key=ML_DSA.key, checkpoint=checkpoint())


def test_both_kinds_can_be_checked_here() -> None:
    assert [can_check(kind) for kind in CosignerKind] == [True, True]


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b+c", str(ED25519.key)[:-4], "w2" + str(ED25519.key)[2:], str(ED25519.key).replace("+B", "+A"), f"{ED25519.key} "],
)
def test_what_is_no_cosigners_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_cosigner_key(text)
    assert caught.value.code == "evidence.cosigner-key"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "x" * 256])
def test_a_name_that_cannot_name_a_key_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        CosignerKey(name, CosignerKind.ED25519, bytes(32))


@pytest.mark.parametrize(
    "line", ["", "w1.example AAAA", "— w1.example", "— w1.example AAAA", "— w1.example A===", "—  w1.example AAAAAAAA"]
)
def test_what_is_no_signature_line_is_refused(line: str) -> None:
    with pytest.raises(Tampered):
        parse_line(line)
