"""Checkpoints: the signed size and root of a log, in the C2SP tlog-checkpoint and signed-note text formats.

Sources: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note. The key's kind says everything that a verifier needs: an
Ed25519 key (signature type 0x01) goes with a SHA-256 tree, an SM2 key (type 0xff, which is for types without a byte of their own,
followed by a long identifier) with an SM3 tree.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chengshu.evidence.tree import HASH_BYTES, TreeHash
from chengshu.kernel.crypto import Algorithm, PublicKey, Signer, Suite, is_signed_by, suite_of
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

SIGNATURE_TYPES: Mapping[Algorithm, bytes] = MappingProxyType({Algorithm.ED25519: b"\x01", Algorithm.SM2: b"\xff" + Algorithm.SM2.encode()})
"""The bytes in front of a key in a verifier key line, which say its kind."""

MAX_NOTE_BYTES = 262_144

_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")
_SIZE = re.compile(r"0|[1-9]\d{0,17}", re.ASCII)  # below 2**64, which 64 levels of tiles hold; nothing longer is parsed


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The name and public key that a note's signature is checked with; promises that the name is a valid key name."""

    name: str
    public_key: PublicKey

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise Invalid(
                "evidence.key-name",
                "expected a key name without spaces, plus signs and control characters, got something else",
                hint=Text("Use a name such as example.com/log.", "请使用类似 example.com/log 的名称。"),
            )

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || 0x0A || signature type || public key), for every kind of key: a name, not a proof."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed).digest()[:4]

    @property
    def suite(self) -> Suite:
        """The profile of cryptography that the key belongs to."""
        return suite_of(self.public_key.algorithm)

    @property
    def hashing(self) -> TreeHash:
        """How the trees hash whose roots this key signs."""
        return TreeHash(self.suite.new_hash)

    @property
    def _typed(self) -> bytes:
        return SIGNATURE_TYPES[self.public_key.algorithm] + self.public_key.raw

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self._typed)}"


def parse_vkey(text: str) -> VerifierKey:
    """Return the key written as ``name+id+key``; raise Invalid unless it is exactly what :class:`VerifierKey` prints."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise _bad_vkey(f"{len(parts)} part(s)")
    vkey = VerifierKey(parts[0], _public_key(from_base64(parts[2]) or b""))
    if str(vkey) != text:
        raise _bad_vkey("a key id that does not belong to the name and key")
    return vkey


def _public_key(typed: bytes) -> PublicKey:
    """The key behind its signature type; Invalid for a type that no log of ours is signed with, or a key of another length."""
    for algorithm, kind in SIGNATURE_TYPES.items():
        if typed.startswith(kind):
            try:
                return PublicKey(algorithm, typed.removeprefix(kind))
            except Invalid as error:
                raise _bad_vkey("a key that is none of its kind") from error
    raise _bad_vkey("another kind of key")


def is_key_name(name: str) -> bool:
    """Say whether ``name`` may name a key and a log: not empty, no white space, no plus sign, no control character."""
    return bool(name) and "+" not in name and not any(char.isspace() or not char.isprintable() for char in name)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its origin, its size in entries and the 32-byte root over them; ``note`` is the signed text.

    ``key`` is the key that signed it, which says how the tree under the root hashes.
    """

    origin: str
    size: int
    root: bytes
    note: bytes
    key: VerifierKey

    @property
    def hashing(self) -> TreeHash:
        """How the tree under the root hashes."""
        return self.key.hashing

    @property
    def root_text(self) -> str:
        """The root as base64, as the checkpoint shows it."""
        return to_base64(self.root)


def sign_checkpoint(signer: Signer, *, origin: str, size: int, root: bytes) -> Checkpoint:
    """Return the checkpoint signed by the log's key under the log's origin as key name."""
    text = f"{origin}\n{size}\n{to_base64(root)}\n".encode()
    return Checkpoint(origin, size, root, sign_note(signer, name=origin, text=text), VerifierKey(origin, signer.public_key))


def sign_note(signer: Signer, *, name: str, text: bytes) -> bytes:
    """Return the signed note of ``text``, which ends with a line feed, with one signature line by the key ``name``."""
    key = VerifierKey(name, signer.public_key)
    signature = to_base64(key.key_id + signer.sign(text))
    return text + f"\n— {name} {signature}\n".encode()


def open_checkpoint(note: bytes, *, key: VerifierKey, file: str = "checkpoint") -> Checkpoint:
    """Return the checkpoint in a signed note, once its signature by ``key`` is found good.

    Signatures by other keys (witnesses, rotated keys) are passed over, as signed-note demands. Raises Tampered, which names
    ``file``, when there is no good signature by ``key`` or the text is not a checkpoint of the log that ``key`` names.
    """
    text = open_note(note, key=key, file=file)
    lines = text.decode().split("\n")[:-1]
    if len(lines) < 3 or "" in lines:
        raise _tampered(file, "three or more lines that are not empty", f"{len(lines)} line(s)")
    root = from_base64(lines[2])
    if _SIZE.fullmatch(lines[1]) is None or root is None or len(root) != HASH_BYTES:
        raise _tampered(file, "a size and a root of 32 bytes", "something else")
    if lines[0] != key.name:
        raise _tampered(file, "the origin that the key names", "another log's origin")
    return Checkpoint(lines[0], int(lines[1]), root, note, key)


def open_note(note: bytes, *, key: VerifierKey, file: str = "note") -> bytes:
    """Return the text of a signed note, once its signature by ``key`` is found good; raise Tampered, which names ``file``."""
    try:
        decoded = note.decode()
    except UnicodeDecodeError as error:
        raise _tampered(file, "UTF-8 text", "other bytes") from error
    if len(note) > MAX_NOTE_BYTES or any(char < " " and char != "\n" for char in decoded):
        raise _tampered(file, f"text of at most {MAX_NOTE_BYTES} bytes without control characters", "something else")
    text, blank, signatures = decoded.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise _tampered(file, "a text, an empty line and signature lines", "something else")
    message = (text + "\n").encode()
    ours = [_signature_by(line, key=key, file=file) for line in signatures[:-1].split("\n")]
    found = [signature for signature in ours if signature is not None]
    if not found:
        raise _tampered(file, f"a signature by {key.name}+{key.key_id.hex()}", "none")
    if not all(is_signed_by(key.public_key, signature=signature, message=message) for signature in found):
        raise _tampered(file, f"a good signature by {key.name}+{key.key_id.hex()}", "one that does not match the text")
    return message


def _signature_by(line: str, *, key: VerifierKey, file: str) -> bytes | None:
    """The signature in one signature line, or None when another key made it."""
    match = _SIGNATURE_LINE.fullmatch(line)
    blob = from_base64(match[2]) if match is not None else None
    if match is None or blob is None or len(blob) < 5:
        raise _tampered(file, "signature lines", "a line that is none")
    return blob[4:] if (match[1], blob[:4]) == (key.name, key.key_id) else None


def to_base64(data: bytes) -> str:
    """Return base64 in its standard alphabet, padded (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes | None:
    """Strict base64: None unless ``text`` is the one way to write its bytes, so that no flipped bit passes unseen."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if to_base64(data) == text else None


def _bad_vkey(got: str) -> Invalid:
    return Invalid(
        "evidence.vkey",
        f"expected a verifier key written as name+id+key with an Ed25519 or SM2 key, got {got}",
        hint=Text("Copy the whole line from the log's operator, or from log.vkey.", "请从日志运营方或 log.vkey 文件完整复制该行。"),
    )


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.checkpoint",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Keep this copy as it is, ask the log's operator for the checkpoint and key, and compare.",
            "请原样保留此副本，向日志运营方索取检查点与公钥并比对。",
        ),
        facts={"file": file},
    )
