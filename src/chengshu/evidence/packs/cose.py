"""COSE receipts: the signed proof, in one small file, that an entry stands at its place in a log (RFC 9942, RFC 9052).

A receipt is a COSE_Sign1 by the log's key over the tree's root, which is not in it: who checks it computes the root from the entry.
The log's key and issuer stand in the protected header (``kid``, CWT claims ``iss`` and ``sub``), as RFC 9943 asks of receipts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chengshu.evidence.checkpoint import VerifierKey
from chengshu.evidence.model import InclusionProof
from chengshu.evidence.packs.cbor import Tagged, decode, encode
from chengshu.evidence.tree import HASH_BYTES, root_from_path
from chengshu.kernel.crypto import Algorithm, Signer, is_signed_by
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Text

COSE_SIGN1 = 18
EDDSA = -8
ED25519 = -19
"""RFC 9864's fully specified name of the same signature; accepted, and not written while verifiers still expect -8."""

ALG, CRIT, CONTENT_TYPE, KID, CWT_CLAIMS, VDS, VDP = 1, 2, 3, 4, 15, 395, 396
ISSUER, SUBJECT = 1, 2
RFC9162_SHA256 = 1
INCLUSION = -1
MAX_PATH = 64


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 message as read: nothing in it is to be believed before :func:`check_sign1`."""

    protected: Mapping[Any, Any]
    protected_bytes: bytes
    unprotected: Mapping[Any, Any]
    payload: bytes | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a good receipt proves: the entry is number ``index`` of the log of ``size`` entries under ``root``."""

    index: int
    size: int
    root: bytes


def sign1(signer: Signer, *, protected: Mapping[Any, Any], unprotected: Mapping[Any, Any], payload: bytes, detached: bool) -> bytes:
    """Return the tagged COSE_Sign1 over ``payload``; a ``detached`` payload is signed and not carried."""
    if not can_sign(signer):
        raise _no_such_signature()
    header = encode({ALG: EDDSA, **protected})
    signature = signer.sign(_signed_bytes(header, payload))
    return encode(Tagged(COSE_SIGN1, [header, dict(unprotected), None if detached else payload, signature]))


def read_sign1(data: bytes, *, file: str) -> Sign1:
    """Return the message's parts; raise Tampered, which names ``file``, when it is no COSE_Sign1 in deterministic encoding."""
    try:
        message = decode(data, any_order=True)
        parts = message.value if isinstance(message, Tagged) and message.tag == COSE_SIGN1 else None
        if not isinstance(parts, list) or [type(part) for part in parts[:2] + parts[3:]] != [bytes, dict, bytes]:
            raise _not_sign1(file)
        if not (parts[2] is None or isinstance(parts[2], bytes)):
            raise _not_sign1(file)
        protected = decode(parts[0], any_order=True)
    except Invalid as error:
        raise _tampered(file, "deterministic CBOR", error.message) from error
    if not isinstance(protected, dict) or CRIT in protected:
        raise _tampered(file, "a protected header without critical parameters", "another header")
    return Sign1(protected, parts[0], parts[1], parts[2], parts[3])


def check_sign1(message: Sign1, *, key: VerifierKey, payload: bytes, file: str) -> None:
    """Find the message signed over ``payload`` by ``key``; raise Tampered, which names ``file``."""
    if key.public_key.algorithm is not Algorithm.ED25519:
        raise _no_such_signature()
    if message.protected.get(ALG) not in {EDDSA, ED25519}:
        raise _tampered(file, "an Ed25519 signature (alg -8 or -19)", "another algorithm")
    signed = _signed_bytes(message.protected_bytes, payload)
    if not is_signed_by(key.public_key, signature=message.signature, message=signed):
        raise _tampered(file, f"a signature by {key.name}+{key.key_id.hex()}", "one that does not match")


def sign_receipt(signer: Signer, proof: InclusionProof) -> bytes:
    """Return the receipt that ``proof`` supports, signed by the key of the log that its checkpoint names.

    Raises Tampered when the proof does not hold: a receipt for what the log does not hold is never signed; Invalid for a log of the
    national profile, because COSE knows neither its trees nor its signatures.
    """
    if not can_sign(signer):
        raise _no_such_signature()
    if not proof.holds:
        raise _tampered("proof", "a proof that leads to the checkpoint's root", "another root")
    key = VerifierKey(proof.checkpoint.origin, signer.public_key)
    claims = {ISSUER: key.name, SUBJECT: _subject(proof.index, proof.checkpoint.size)}
    path = encode([proof.checkpoint.size, proof.index, list(proof.path)])
    return sign1(
        signer,
        protected={KID: kid_of(key), CWT_CLAIMS: claims, VDS: RFC9162_SHA256},
        unprotected={VDP: {INCLUSION: [path]}},
        payload=proof.checkpoint.root,
        detached=True,
    )


def can_sign(signer: Signer) -> bool:
    """Say whether COSE knows the signer's signatures and the trees that go with them: Ed25519 and SHA-256."""
    return signer.public_key.algorithm is Algorithm.ED25519


def open_receipt(data: bytes, *, entry: bytes, key: VerifierKey, file: str = "receipt") -> Receipt:
    """Return what a receipt proves of the exact bytes ``entry``, once it is found signed by ``key``.

    A header that names another key, issuer or entry is refused; one that names none is taken, since RFC 9942 does not ask for them:
    then the tree's size is not covered by the signature, and only the root is.
    Raises Tampered, which names ``file``; Invalid when the receipt is about another kind of tree than RFC9162_SHA256.
    """
    message = read_sign1(data, file=file)
    if message.protected.get(VDS) != RFC9162_SHA256:
        raise _other_tree()
    if message.payload is not None:
        raise _tampered(file, "a detached payload", "one that is carried")
    size, index, path = _inclusion(message, file)
    root = root_from_path(key.hashing.leaf(entry), index=index, size=size, path=path, hashing=key.hashing)
    if root is None:
        raise _tampered(file, f"a path of the length that entry {index} of {size} has", f"{len(path)} hash(es)")
    check_sign1(message, key=key, payload=root, file=file)
    _check_names(message, key=key, subject=_subject(index, size), file=file)
    return Receipt(index, size, root)


def kid_of(key: VerifierKey) -> bytes:
    """Return the key identifier that headers carry: the first two parts of the verifier key, ``name+id``."""
    return f"{key.name}+{key.key_id.hex()}".encode()


def _check_names(message: Sign1, *, key: VerifierKey, subject: str, file: str) -> None:
    claims = message.protected.get(CWT_CLAIMS, {})
    if message.protected.get(KID, kid_of(key)) != kid_of(key) or not isinstance(claims, dict) or claims.get(ISSUER, key.name) != key.name:
        raise _tampered(file, f"a receipt of {key.name}", "one that names another log")
    if claims.get(SUBJECT, subject) != subject:
        raise _tampered(file, f"a receipt about {subject}", "one that names another entry or size")


def _inclusion(message: Sign1, file: str) -> tuple[int, int, tuple[bytes, ...]]:
    """Size, index and path of the one inclusion proof, in shape."""
    proofs = message.unprotected.get(VDP)
    listed = proofs.get(INCLUSION) if isinstance(proofs, dict) and set(proofs) == {INCLUSION} else None
    if set(message.unprotected) != {VDP} or not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], bytes):
        raise _tampered(file, "one inclusion proof", "something else")
    try:
        proof = decode(listed[0])
    except Invalid as error:
        raise _tampered(file, "an inclusion proof in deterministic CBOR", error.message) from error
    match proof:
        case [int(size), int(index), list(path)] if 0 <= index < size and len(path) <= MAX_PATH:
            if all(isinstance(step, bytes) and len(step) == HASH_BYTES for step in path):
                return size, index, tuple(path)
    raise _tampered(file, "tree size, leaf index and a path of hashes", "something else")


def _subject(index: int, size: int) -> str:
    """What the receipt is about. The signature covers the root and not the tree's size, which more than one size can lead to."""
    return f"entry/{index}/of/{size}"


def _signed_bytes(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4, without external data."""
    return encode(["Signature1", protected, b"", payload])


def _not_sign1(file: str) -> Tampered:
    return _tampered(file, "a COSE_Sign1 message", "something else")


def _no_such_signature() -> Invalid:
    return Invalid(
        "evidence.receipt-profile",
        "expected a log of SHA-256 trees signed with Ed25519, got one of SM3 trees signed with SM2, for which COSE registers nothing",
        hint=Text(
            "Export an evidence pack: its tlog proofs and checkpoint prove the same in the national profile.",
            "请导出存证包：其中的 tlog 证明与检查点在国密体系下证明同样的内容。",
        ),
    )


def _other_tree() -> Invalid:
    return Invalid(
        "evidence.receipt-tree",
        "expected a receipt about an RFC9162_SHA256 tree, got one about another tree",
        hint=Text(
            "No COSE tree algorithm is registered for SM3 logs; use the log's checkpoint and tlog proof instead.",
            "COSE 尚未登记 SM3 树算法；请改用日志检查点与 tlog 证明。",
        ),
    )


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.receipt",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Keep this copy as it is, and ask the log's operator or the other party for theirs.",
            "请原样保留此副本，并向日志运营方或合约对方索取其副本。",
        ),
        facts={"file": file},
    )
