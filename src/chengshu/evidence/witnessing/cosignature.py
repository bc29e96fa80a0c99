"""Cosignatures: a witness's timestamped statement that a checkpoint continues every earlier one that it has seen of the same log.

Source: https://c2sp.org/tlog-cosignature: Ed25519 (RFC 8032, signature type 0x04) and ML-DSA-44 (FIPS 204, type 0x06). A cosigner's
Ed25519 key MUST be used for nothing else, since what it signs does not name the cosigner.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from chengshu.evidence.checkpoint import Checkpoint, from_base64, is_key_name, to_base64
from chengshu.kernel.crypto import Algorithm, PublicKey, Signer, is_signed_by
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa

    HAS_ML_DSA = True
except ImportError:  # an older cryptography: everything but ML-DSA works
    HAS_ML_DSA = False

MAX_TIMESTAMP = 2**63 - 1
_ID_BYTES, _TIME_BYTES = 4, 8
_LABEL = b"subtree/v1\n\0"
_LINE = re.compile("— (\\S+) (\\S+)")


class CosignerKind(IntEnum):
    """The signature types that a cosignature can have, by their byte in key ids and verifier keys."""

    ED25519 = 0x04
    ML_DSA_44 = 0x06

    @property
    def key_bytes(self) -> int:
        """How long the public key is."""
        return 32 if self is CosignerKind.ED25519 else 1312

    @property
    def signature_bytes(self) -> int:
        """How long the signature is, without its timestamp."""
        return 64 if self is CosignerKind.ED25519 else 2420

    @property
    def title(self) -> str:
        """The algorithm's name as its standard writes it."""
        return "Ed25519" if self is CosignerKind.ED25519 else "ML-DSA-44"


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """A cosigner's name and public key; promises that the name can name a key and that the key is as long as its kind says."""

    name: str
    kind: CosignerKind
    public_key: bytes

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or len(self.name.encode()) > 255:
            raise _bad_key("a name that cannot name a key")
        if len(self.public_key) != self.kind.key_bytes:
            raise _bad_key(f"an {self.kind.title} key of {len(self.public_key)} bytes")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || 0x0A || kind || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public_key)}"


class Cosigner(Protocol):
    """Something that signs cosignatures with one key of its own."""

    @property
    def key(self) -> CosignerKey:
        """The name and public key that others check with."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature of ``message``."""
        ...


@dataclass(frozen=True, slots=True)
class Ed25519Cosigner:
    """Signs cosignatures with an Ed25519 key."""

    name: str
    signer: Signer

    @property
    def key(self) -> CosignerKey:
        """The name and public key that others check with."""
        return CosignerKey(self.name, CosignerKind.ED25519, self.signer.public_key.raw)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of ``message``."""
        return self.signer.sign(message)


@dataclass(frozen=True, slots=True)
class MlDsaCosigner:
    """Signs cosignatures with an ML-DSA-44 key (``private_key``: cryptography's MLDSA44PrivateKey)."""

    name: str
    private_key: Any

    @property
    def key(self) -> CosignerKey:
        """The name and public key that others check with."""
        return CosignerKey(self.name, CosignerKind.ML_DSA_44, self.private_key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the 2420-byte signature of ``message``, with an empty context."""
        return bytes(self.private_key.sign(message))


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature line of a note: the key's name and id, and what follows the id; ``text`` is the whole line without its newline."""

    name: str
    key_id: bytes
    blob: bytes
    text: str

    def is_by(self, key: CosignerKey) -> bool:
        """Say whether the line claims to be by ``key``."""
        return (self.name, self.key_id) == (key.name, key.key_id)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that was found good: whose, and the POSIX second at which it was made."""

    key: CosignerKey
    timestamp: int
    line: str


def can_check(kind: CosignerKind) -> bool:
    """Say whether this machine's cryptography knows signatures of ``kind``."""
    if kind is CosignerKind.ED25519:
        return True
    if not HAS_ML_DSA:
        return False
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(bytes(kind.key_bytes))
    except UnsupportedAlgorithm:
        return False
    except ValueError:
        return True
    return True


def parse_cosigner_key(text: str) -> CosignerKey:
    """Return the key written as ``name+id+key``; raise Invalid unless it is exactly what :class:`CosignerKey` prints."""
    parts = text.split("+", 2)
    raw = from_base64(parts[2]) if len(parts) == 3 else None
    if not raw or raw[0] not in set(CosignerKind):
        raise _bad_key("another kind of text or key")
    key = CosignerKey(parts[0], CosignerKind(raw[0]), raw[1:])
    if str(key) != text:
        raise _bad_key("a key id that does not belong to the name and key")
    return key


def cosign(cosigner: Cosigner, checkpoint: Checkpoint, *, timestamp: int) -> str:
    """Return the signature line, without its newline, by which ``cosigner`` cosigns a checkpoint at a POSIX second.

    The caller MUST have found the checkpoint consistent with the last one that this cosigner signed, and kept it. Raises ValueError
    for a time outside of 0 to 2**63 - 1.
    """
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise ValueError(f"expected a time from 0 to 2**63 - 1, got {timestamp}")
    key = cosigner.key
    signature = cosigner.sign(_message(key, checkpoint, timestamp=timestamp))
    return f"— {key.name} {to_base64(key.key_id + timestamp.to_bytes(_TIME_BYTES, 'big') + signature)}"


def signature_lines(note: bytes, *, file: str = "checkpoint") -> tuple[SignatureLine, ...]:
    """Return the signature lines of a note, whoever made them; raise Tampered, which names ``file``, for lines that are none."""
    try:
        _, blank, lines = note.decode().rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise _tampered(file, "UTF-8 text", "other bytes") from error
    if not blank or not lines.endswith("\n"):
        raise _tampered(file, "a text, an empty line and signature lines", "something else")
    return tuple(parse_line(line, file=file) for line in lines[:-1].split("\n"))


def parse_line(line: str, *, file: str = "checkpoint") -> SignatureLine:
    """Return one signature line taken apart; raise Tampered, which names ``file``, for a line that is none."""
    match = _LINE.fullmatch(line)
    raw = from_base64(match[2]) if match is not None else None
    if match is None or raw is None or len(raw) <= _ID_BYTES:
        raise _tampered(file, "a signature line", "a line that is none")
    return SignatureLine(match[1], raw[:_ID_BYTES], raw[_ID_BYTES:], line)


def open_cosignature(line: SignatureLine, *, key: CosignerKey, checkpoint: Checkpoint, file: str = "checkpoint") -> Cosignature:
    """Return the cosignature in a line by ``key`` over ``checkpoint``, once it is found good.

    Raises Tampered, which names ``file`` and the key: a line that claims a known key and does not hold is a forgery, or was copied from
    another checkpoint. Ask :func:`can_check` first.
    """
    timestamp = int.from_bytes(line.blob[:_TIME_BYTES], "big")
    signature = line.blob[_TIME_BYTES:]
    good = (
        line.is_by(key)
        and len(signature) == key.kind.signature_bytes
        and timestamp <= MAX_TIMESTAMP
        and _is_signed(key, signature=signature, message=_message(key, checkpoint, timestamp=timestamp))
    )
    if not good:
        raise Tampered(
            "evidence.cosignature",
            f"{file}: expected a good cosignature by {key.name}+{key.key_id.hex()} over {checkpoint.origin} at size {checkpoint.size}, "
            "got one that does not match: forged, or copied from another checkpoint",
            hint=Text(
                "Keep the file as it is, and ask the witness for the checkpoint that it cosigned last.",
                "请原样保留该文件，并向该见证方索取其最近联署的检查点。",
            ),
            facts={"file": file, "witness": key.name, "size": checkpoint.size},
        )
    return Cosignature(key, timestamp, line.text)


def note_body(note: bytes) -> bytes:
    """Return a note's text with its final newline, without the empty line and the signature lines."""
    return note.rpartition(b"\n\n")[0] + b"\n"


def _message(key: CosignerKey, checkpoint: Checkpoint, *, timestamp: int) -> bytes:
    if key.kind is CosignerKind.ED25519:
        return f"cosignature/v1\ntime {timestamp}\n".encode() + note_body(checkpoint.note)
    name, origin = key.name.encode(), checkpoint.origin.encode()
    if len(origin) > 255:
        raise _bad_key("an origin of more than 255 bytes, which ML-DSA-44 cosignatures cannot name")
    parts = [_LABEL, bytes([len(name)]), name, timestamp.to_bytes(8, "big"), bytes([len(origin)]), origin]
    return b"".join([*parts, (0).to_bytes(8, "big"), checkpoint.size.to_bytes(8, "big"), checkpoint.root])


def _is_signed(key: CosignerKey, *, signature: bytes, message: bytes) -> bool:
    if key.kind is CosignerKind.ED25519:
        return is_signed_by(PublicKey(Algorithm.ED25519, key.public_key), signature=signature, message=message)
    try:
        mldsa.MLDSA44PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bad_key(got: str) -> Invalid:
    return Invalid(
        "evidence.cosigner-key",
        f"expected a cosigner's key written as name+id+key (Ed25519 or ML-DSA-44), got {got}",
        hint=Text(
            "Copy the whole line that 'chengshu witness show' prints on the witness's node.",
            "请完整复制见证方节点上 chengshu witness show 打印的密钥行。",
        ),
    )


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.signature-line",
        f"{file}: expected {expected}, got {got}",
        hint=Text("Keep the file as it is, and get it again from its source.", "请原样保留该文件，并从来源重新获取。"),
        facts={"file": file},
    )
