"""What a witness decides: whether a checkpoint continues the one that it cosigned last, and what a checkpoint that does not proves."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.tree import HASH_BYTES, is_consistent, old_root_shown
from chengshu.evidence.witnessing.cosignature import note_body, signature_lines
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

SPLIT_VIEW = "witness.split-view"
"""Two checkpoints that the same key signed and that cannot be of one history."""
NO_PROOF = "witness.no-proof"
"""A signed checkpoint that came without proof that it continues the one before; by itself this proves nothing yet."""
MAX_PROOF_LINES = 63
MAX_BODY_BYTES = 320 * 1024
_OLD = re.compile(r"old (0|[1-9]\d{0,17})", re.ASCII)


class Outcome(StrEnum):
    """What a witness answers to one submitted checkpoint (C2SP tlog-witness)."""

    COSIGNED = "cosigned"
    MALFORMED = "malformed"
    NOT_SIGNED = "not-signed"
    UNKNOWN_LOG = "unknown-log"
    OTHER_SIZE = "other-size"
    OTHER_ROOT = "other-root"
    NOT_CONSISTENT = "not-consistent"


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome with the text that goes with it: cosignature lines, the size cosigned last, or a reason."""

    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint as a log submits it: the size that the witness cosigned last, the proof from there, the signed note."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    @property
    def origin(self) -> str:
        """The log that the note says it is of."""
        return self.note.split(b"\n", 1)[0].decode(errors="replace")

    @property
    def body(self) -> bytes:
        """The submission as it goes over the wire."""
        lines = [f"old {self.old}", *(base64.b64encode(step).decode() for step in self.proof), "", ""]
        return "\n".join(lines).encode() + self.note


@dataclass(frozen=True, slots=True)
class Held:
    """What a witness cosigned last of one log; ``note`` carries the log's signature and the witness's cosignatures."""

    origin: str
    size: int
    root: bytes
    note: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class SplitView:
    """Two signed notes of one log that do not fit one another, as found by ``code``; ``seen_at`` says where the second was seen."""

    origin: str
    code: str
    held: bytes
    shown: bytes
    seen_at: str
    found_at: datetime

    @property
    def digests(self) -> tuple[str, str]:
        """The digests of what the two notes say, without their signatures."""
        return body_digest(self.held), body_digest(self.shown)


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, and what to sound the alarm with where the checkpoint speaks against its log."""

    outcome: Outcome
    alarm: str | None = None


def decide(submission: Submission, checkpoint: Checkpoint, held: Held | None) -> Decision:
    """Return what a witness that holds ``held`` answers to a checkpoint whose signature was found good.

    The order of the checks is the protocol's. A checkpoint speaks against its log when it has the held size and another root, or when
    the proof that came with it proves another root at the held size; a proof that merely does not hold could be anybody's.
    """
    size, root = (0, checkpoint.hashing.empty) if held is None else (held.size, held.root)
    differs = held is not None and checkpoint.size == size and checkpoint.root != root
    if submission.old > checkpoint.size:
        return Decision(Outcome.MALFORMED)
    if submission.old != size:
        return Decision(Outcome.OTHER_SIZE, SPLIT_VIEW if differs else None)
    if differs:
        return Decision(Outcome.OTHER_ROOT, SPLIT_VIEW)
    new, hashing = (checkpoint.size, checkpoint.root), checkpoint.hashing
    if is_consistent(old=size, old_root=root, new=new[0], new_root=new[1], path=submission.proof, hashing=hashing):
        return Decision(Outcome.COSIGNED)
    if held is None:
        return Decision(Outcome.NOT_CONSISTENT)
    proved = old_root_shown(old=size, new=new[0], new_root=new[1], path=submission.proof, hashing=hashing)
    return Decision(Outcome.NOT_CONSISTENT, NO_PROOF if proved is None else SPLIT_VIEW)


def parse_submission(body: bytes) -> Submission:
    """Return a submission read from the wire; raise Invalid for anything that the protocol does not allow."""
    head, blank, note = body.partition(b"\n\n")
    if len(body) > MAX_BODY_BYTES or not blank or not note:
        raise _malformed(f"a head, an empty line and a note, of at most {MAX_BODY_BYTES} bytes in all", "something else")
    lines = head.decode(errors="replace").split("\n")
    old = _OLD.fullmatch(lines[0])
    if old is None:
        raise _malformed("the line old and a size first", "another line")
    if len(lines) - 1 > MAX_PROOF_LINES:
        raise _malformed(f"at most {MAX_PROOF_LINES} proof lines", f"{len(lines) - 1}")
    proof = tuple(_hash(line) for line in lines[1:])
    if int(old[1]) == 0 and proof:
        raise _malformed("no proof from size 0", f"{len(proof)} line(s)")
    return Submission(int(old[1]), proof, note)


def with_lines(note: bytes, lines: tuple[str, ...]) -> bytes:
    """Return a note with the signature lines added that are by keys which did not sign it yet."""
    present = {(line.name, line.key_id) for line in signature_lines(note)}
    for text in lines:
        (line,) = signature_lines(b"\n\n" + text.encode() + b"\n")
        if (line.name, line.key_id) not in present:
            present.add((line.name, line.key_id))
            note += text.encode() + b"\n"
    return note


def body_digest(note: bytes) -> str:
    """Return the digest of what a note says, without its signatures."""
    return "sha256:" + hashlib.sha256(note_body(note)).hexdigest()


def size_of(note: bytes) -> int:
    """Return the size that a checkpoint's note, which was found good before, states."""
    return int(note.split(b"\n", 2)[1])


def _hash(line: str) -> bytes:
    try:
        step = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        step = b""
    if len(step) != HASH_BYTES:
        raise _malformed("proof lines with one base64 hash each", "another line")
    return step


def _malformed(expected: str, got: str) -> Invalid:
    return Invalid(
        "witness.submission",
        f"expected {expected}, got {got}",
        hint=Text("See c2sp.org/tlog-witness for the form of a submission.", "提交格式见 c2sp.org/tlog-witness。"),
    )
