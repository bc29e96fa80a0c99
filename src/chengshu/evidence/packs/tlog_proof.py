"""One entry's inclusion proof as a text file with the checkpoint it leads to, cosignatures included.

Source: https://c2sp.org/tlog-proof (extension ``.tlog-proof``).
"""

import base64
import binascii
import re

from chengshu.evidence.checkpoint import VerifierKey, open_checkpoint
from chengshu.evidence.model import InclusionProof
from chengshu.evidence.tree import HASH_BYTES
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Text

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9]\d{0,17})", re.ASCII)


def write_proof(proof: InclusionProof) -> bytes:
    """Return the file for ``proof``, without extra data."""
    lines = [HEADER, f"index {proof.index}", *(base64.b64encode(step).decode() for step in proof.path), "", ""]
    return "\n".join(lines).encode() + proof.checkpoint.note


def read_proof(data: bytes, *, leaf: bytes, key: VerifierKey, file: str) -> InclusionProof:
    """Return the proof that the leaf hash is in the log, once it leads to the root that ``key`` signed.

    Raises Tampered, which names ``file``. Extra data would be refused: this project writes none, and nothing would cover it.
    """
    head, blank, note = data.partition(b"\n\n")
    lines = head.decode("ascii", errors="replace").split("\n")
    index = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
    path = tuple(_hash(line, file) for line in lines[2:])
    if not blank or lines[0] != HEADER or index is None:
        raise _tampered(file, f"a file that begins with {HEADER} and an index", "something else")
    proof = InclusionProof(int(index[1]), leaf, path, open_checkpoint(note, key=key, file=file))
    if not proof.holds:
        raise _tampered(file, f"hashes that lead from entry {proof.index} to the signed root", "others")
    return proof


def _hash(line: str, file: str) -> bytes:
    """Strict base64, so that no flipped bit passes unseen."""
    try:
        step = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _tampered(file, "a hash in base64", "something else") from error
    if len(step) != HASH_BYTES or base64.b64encode(step).decode() != line:
        raise _tampered(file, "a hash in base64", "something else")
    return step


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.tlog-proof",
        f"{file}: expected {expected}, got {got}",
        hint=Text("Keep this copy as it is, and ask the log's operator for theirs.", "请原样保留此副本，并向日志运营方索取其副本。"),
        facts={"file": file},
    )
