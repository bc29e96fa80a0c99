"""Receipts held against an independent library: it reads ours, and we read its."""

from typing import Any

import pytest
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handed_over import SIGNER

from chengshu.evidence.checkpoint import VerifierKey
from chengshu.evidence.packs.cbor import Tagged, decode, encode
from chengshu.evidence.packs.cose import ED25519, Receipt, open_receipt
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Invalid, NotFound, Tampered

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE_PEM = PRIVATE.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
PUBLIC_PEM = PRIVATE.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
KEY = VerifierKey("node.example/log", SIGNER.public_key)


@pytest.mark.parametrize("size", [1, 2, 7, 256, 300, 777])
def test_an_independent_library_verifies_our_receipts(log: Any, size: int) -> None:
    log.fill(size)
    checkpoint = log.evidence.publish()
    for index in {0, size // 2, size - 1}:
        (entry,) = log.evidence.entries(index, index + 1)
        receipt = log.evidence.cose_receipt(index)
        result = scitt_cose.verify_receipt(receipt, leaf_entry_hex=entry.data.hex(), log_public_key_pem=PUBLIC_PEM)
        assert (result.ok, result.errors) == (True, [])
        assert (result.root, result.tree_size, result.leaf_index) == (checkpoint.root.hex(), size, index)
        assert (result.issuer, result.subject) == ("node.example/log", f"entry/{index}/of/{size}")
        assert open_receipt(receipt, entry=entry.data, key=KEY) == Receipt(index, size, checkpoint.root)
        assert len(receipt) < 700


@pytest.mark.parametrize("size", [1, 5, 64, 129])
def test_a_receipt_of_an_independent_library_is_verified(size: int) -> None:
    entries = [f"entry {number}".encode() for number in range(size)]
    for index in {0, size // 2, size - 1}:
        receipt = scitt_cose.build_receipt(
            leaf_entry_hex=entries[index].hex(),
            leaf_index=index,
            tree_entries_hex=[one.hex() for one in entries],
            alg="EdDSA",
            log_private_key_pem=PRIVATE_PEM,
        )
        root = bytes.fromhex(scitt_cose.merkle_root([one.hex() for one in entries]))
        assert open_receipt(receipt, entry=entries[index], key=KEY) == Receipt(index, size, root)


@pytest.fixture
def issued(log: Any) -> tuple[bytes, bytes]:
    """A receipt for entry 5 of 11, and the entry."""
    log.fill(11)
    log.evidence.publish()
    (entry,) = log.evidence.entries(5, 6)
    return log.evidence.cose_receipt(5), entry.data


def test_every_flipped_byte_of_a_receipt_is_found(issued: tuple[bytes, bytes]) -> None:
    receipt, entry = issued
    for place in range(len(receipt)):
        for mask in (0x01, 0x80, 0xFF):
            with pytest.raises((Tampered, Invalid)):
                open_receipt(receipt[:place] + bytes([receipt[place] ^ mask]) + receipt[place + 1 :], entry=entry, key=KEY)
    for length in range(len(receipt)):
        with pytest.raises(Tampered):
            open_receipt(receipt[:length], entry=entry, key=KEY)


def test_every_flipped_byte_of_the_entry_is_found(issued: tuple[bytes, bytes]) -> None:
    receipt, entry = issued
    for place in range(len(entry)):
        with pytest.raises(Tampered):
            open_receipt(receipt, entry=entry[:place] + bytes([entry[place] ^ 0x04]) + entry[place + 1 :], key=KEY)


def test_a_receipt_moved_to_another_entry_or_another_key_does_not_hold(log: Any, issued: tuple[bytes, bytes]) -> None:
    receipt, entry = issued
    (other,) = log.evidence.entries(6, 7)
    with pytest.raises(Tampered):
        open_receipt(receipt, entry=other.data, key=KEY)
    with pytest.raises(Tampered):
        open_receipt(receipt, entry=entry, key=VerifierKey("node.example/log", MemorySigner.generate().public_key))
    with pytest.raises(Tampered):
        open_receipt(receipt, entry=entry, key=VerifierKey("other.example/log", SIGNER.public_key))


def resigned(receipt: bytes, **changes: Any) -> bytes:
    """The receipt with parts changed and, by the log's own key, signed again."""
    protected, unprotected, payload, _ = decode(receipt).value
    header = decode(protected) | changes.get("protected", {})
    unprotected = changes.get("unprotected", unprotected)
    signature = SIGNER.sign(encode(["Signature1", encode(header), b"", changes["root"]]))
    return encode(Tagged(18, [encode(header), unprotected, changes.get("payload", payload), signature]))


def test_the_fully_specified_name_of_the_signature_is_accepted(log: Any, issued: tuple[bytes, bytes]) -> None:
    receipt, entry = issued
    root = log.evidence.checkpoint().root
    again = resigned(receipt, root=root, protected={1: ED25519})
    assert open_receipt(again, entry=entry, key=KEY) == Receipt(5, 11, root)


@pytest.mark.parametrize(
    "changes",
    [
        {"protected": {1: -7}},
        {"protected": {2: [395]}},
        {"protected": {4: b"other.example/log+00000000"}},
        {"protected": {15: {1: "other.example/log"}}},
        {"protected": {15: {1: "node.example/log", 2: "entry/6/of/11"}}},
        {"protected": {15: "node.example/log"}},
        {"payload": b"root"},
        {"unprotected": {}},
        {"unprotected": {396: {-1: []}}},
        {"unprotected": {396: {-1: [7]}}},
        {"unprotected": {396: {-1: [encode([11, 11, []])]}}},
        {"unprotected": {396: {-1: [encode([11, True, []])]}}},
    ],
)
def test_a_receipt_that_its_own_signer_bent_is_refused(log: Any, issued: tuple[bytes, bytes], changes: dict[str, Any]) -> None:
    receipt, entry = issued
    with pytest.raises(Tampered):
        open_receipt(resigned(receipt, root=log.evidence.checkpoint().root, **changes), entry=entry, key=KEY)


def test_a_receipt_about_another_kind_of_tree_is_refused_with_the_way_out(log: Any, issued: tuple[bytes, bytes]) -> None:
    receipt, entry = issued
    with pytest.raises(Invalid) as caught:
        open_receipt(resigned(receipt, root=log.evidence.checkpoint().root, protected={395: 2}), entry=entry, key=KEY)
    assert "SM3" in caught.value.hint.en


def test_an_entry_that_is_not_published_gets_no_receipt(log: Any) -> None:
    log.fill(3)
    log.evidence.publish()
    log.fill(1)
    with pytest.raises(NotFound):
        log.evidence.cose_receipt(3)
