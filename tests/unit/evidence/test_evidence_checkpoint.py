"""Checkpoints and notes as C2SP writes them, against a note signed by other software."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.checkpoint import VerifierKey, open_checkpoint, open_note, parse_vkey, sign_checkpoint
from chengshu.kernel.crypto import MemorySigner
from chengshu.kernel.errors import Invalid, Tampered

# The published example of Go's golang.org/x/mod/sumdb/note.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
GO_NOTE = f"{GO_TEXT}\n{GO_SIGNATURE}".encode()

SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
ORIGIN = "node.example/log"
KEY = VerifierKey(ORIGIN, SIGNER.public_key)
EMPTY_ROOT = KEY.hashing.empty


def test_a_note_of_other_software_opens_with_its_key() -> None:
    assert open_note(GO_NOTE, key=parse_vkey(GO_VKEY)) == GO_TEXT.encode()


def test_a_key_is_printed_as_other_software_prints_it() -> None:
    assert str(parse_vkey(GO_VKEY)) == GO_VKEY


def test_a_checkpoint_has_exactly_the_lines_of_the_standard() -> None:
    note = sign_checkpoint(SIGNER, origin=ORIGIN, size=0, root=EMPTY_ROOT).note.decode()
    lines = note.split("\n")
    assert lines[:4] == [ORIGIN, "0", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    signed = sign_checkpoint(SIGNER, origin=ORIGIN, size=20852163, root=EMPTY_ROOT)
    assert open_checkpoint(signed.note, key=KEY) == signed


def test_signatures_by_other_keys_are_passed_over() -> None:
    signed = sign_checkpoint(SIGNER, origin=ORIGIN, size=7, root=EMPTY_ROOT)
    witnessed = signed.note + GO_SIGNATURE.encode()
    assert open_checkpoint(witnessed, key=KEY).size == 7


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_of_a_checkpoint_passes(mask: int) -> None:
    note = sign_checkpoint(SIGNER, origin=ORIGIN, size=7, root=EMPTY_ROOT).note
    for place in range(len(note)):
        with pytest.raises(Tampered):
            open_checkpoint(note[:place] + bytes([note[place] ^ mask]) + note[place + 1 :], key=KEY)


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x20, 0x80])
def test_no_flipped_character_of_a_key_passes(mask: int) -> None:
    for place in range(len(GO_VKEY)):
        wrong = GO_VKEY[:place] + chr(ord(GO_VKEY[place]) ^ mask) + GO_VKEY[place + 1 :]
        with pytest.raises(Invalid):
            parse_vkey(wrong)


def note_of(text: str) -> bytes:
    blob = KEY.key_id + SIGNER.sign(text.encode())
    return f"{text}\n— {ORIGIN} {base64.b64encode(blob).decode()}\n".encode()


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n07\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        f"{ORIGIN}\n{'9' * 5000}\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        f"{ORIGIN}\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        f"{ORIGIN}\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        f"{ORIGIN}\n7\nAAAA\n",
        f"{ORIGIN}\n7\n",
        "other.example/log\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        f"{ORIGIN}\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\nmore\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_of_this_log_is_refused(text: str) -> None:
    with pytest.raises(Tampered):
        open_checkpoint(note_of(text), key=KEY)


def test_the_same_forgery_with_a_right_text_opens() -> None:
    text = f"{ORIGIN}\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nan extension\n"
    assert open_checkpoint(note_of(text), key=KEY).size == 7


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u3000b", "a\x00b"])
def test_a_name_that_would_break_the_text_format_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        VerifierKey(name, SIGNER.public_key)
