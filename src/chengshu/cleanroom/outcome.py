"""What comes out of a job: released tables or a refusal, and the room's signed receipt over exactly that."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from chengshu.cleanroom.noise.answers import ProtectedAnswer
from chengshu.cleanroom.ports import IsSignedBy
from chengshu.cleanroom.streams import as_stream, from_stream
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import Signer
from chengshu.kernel.errors import Tampered
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

Document = dict[str, Any]
KIND_OF_STATE = {"RELEASED": "job.released", "REFUSED": "job.refused", "FAILED": "job.failed"}
"""The kind of log entry that each end of a job leaves."""

_BESIDE = ("privacy", "engine")
"""What a receipt repeats of an outcome that has it."""
UNKNOWN_JOB = "cleanroom.unknown-job"
"""The code by which a node says that it has no part in a job."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended: ``RELEASED`` with tables, ``REFUSED`` with a refusal, or ``FAILED`` with notes.

    ``engine`` names what computed a question in SQL, where one was computed.
    ``privacy`` states the noise of an answer that carries some, ``kept`` is what the room keeps of it and nobody is sent.
    """

    state: str
    tables: Mapping[str, pa.Table]
    notes: tuple[str, ...]
    refusal: Refused | None
    privacy: Mapping[str, Any] | None = None
    kept: ProtectedAnswer | None = None
    engine: str | None = None

    def as_document(self) -> Document:
        """Return the outcome as JSON values; tables are Arrow IPC streams in base64."""
        return {
            "state": self.state,
            "tables": {name: base64.b64encode(as_stream(table)).decode() for name, table in self.tables.items()},
            "notes": list(self.notes),
            "refusal": None if self.refusal is None else refusal_document(self.refusal),
            **({} if self.privacy is None else {"privacy": dict(self.privacy)}),
            **({} if self.engine is None else {"engine": self.engine}),
        }

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that :meth:`as_document` wrote."""
        refusal = document["refusal"]
        return cls(
            state=document["state"],
            tables={name: from_stream(base64.b64decode(packed)) for name, packed in document["tables"].items()},
            notes=tuple(document["notes"]),
            refusal=None if refusal is None else parse_refusal(refusal),
            privacy=document.get("privacy"),
            engine=document.get("engine"),
        )


def sign_receipt(
    outcome: Document, *, job: Document, at: str, signer: Signer, digests: Digests, deleted: Mapping[str, Any] | None = None
) -> Document:
    """Return the room's receipt: the job's digest, who read what under which agreement, and the digest of what came out.

    The digest of the job's leakage statement is in it where the job has one, the engine that computed where one did, and the record of what
    was deleted where it ran.
    """
    receipt = {
        "job": job["id"],
        "job_digest": digests.of(job),
        "consumer": job["consumer"],
        "room": job["room"],
        "inputs": _read(job),
        "state": outcome["state"],
        "outcome_digest": digests.of(outcome),
        "at": at,
        **({"leakage": job["leakage"]} if "leakage" in job else {}),
        **({} if deleted is None else {"deleted": dict(deleted)}),
    }
    receipt |= {name: outcome[name] for name in _BESIDE if name in outcome}
    return {"receipt": receipt, "signature": base64.b64encode(signer.sign(canonical(receipt))).decode()}


def check_receipt(signed: Mapping[str, Any], *, outcome: Document, job: Document, is_signed_by: IsSignedBy, digests: Digests) -> None:
    """Raise Tampered unless ``signed`` is the receipt of the job's own room over this job and exactly this outcome.

    Raises Conflict when its digests are of another profile of cryptography.
    """
    receipt = signed["receipt"]
    if not is_signed_by(job["room"], base64.b64decode(signed["signature"]), canonical(receipt)):
        raise _tampered("a receipt signed by the clean room that the job names", "another signature")
    check_job(receipt, job=job, digests=digests)
    if not digests.agree(digests.of(outcome), receipt["outcome_digest"]) or any(
        receipt.get(name) != outcome.get(name) for name in ("state", *_BESIDE)
    ):
        raise _tampered("a receipt for the outcome that came", "one for another outcome")


def check_job(receipt: Mapping[str, Any], *, job: Document, digests: Digests) -> None:
    """Raise Tampered unless ``receipt`` is about exactly this job, all of its inputs, and one of the ends that there are."""
    if receipt.get("state") not in KIND_OF_STATE:
        raise _tampered(f"a receipt with the state {', '.join(KIND_OF_STATE)}", "another word")
    right = {"job": job["id"], "consumer": job["consumer"], "room": job["room"], "inputs": _read(job)}
    wrong = [name for name, value in right.items() if receipt.get(name) != value]
    if receipt.get("leakage") != job.get("leakage"):
        wrong.append("leakage")
    if not digests.agree(digests.of(job), receipt.get("job_digest")):
        wrong.append("job_digest")
    if wrong:
        raise _tampered("a receipt for the job that was sent", f"one with another {', '.join(wrong)}")


def _read(job: Document) -> list[Document]:
    """Who read what under which agreement, as a receipt names it."""
    return [{"provider": one["provider"], "product": one["product"], "agreement": one["agreement"]} for one in job["inputs"]]


def refusal_document(refusal: Refused) -> Document:
    """Return a refusal as JSON values that keep both languages."""
    passes = {"en": refusal.would_pass.en, "zh": refusal.would_pass.zh}
    return {"rule": refusal.rule, "message": refusal.message, "would_pass": passes, "facts": dict(refusal.facts)}


def parse_refusal(document: Mapping[str, Any]) -> Refused:
    """Return the refusal that :func:`refusal_document` wrote."""
    passes = document["would_pass"]
    return Refused(document["rule"], document["message"], Text(passes["en"], passes["zh"]), document["facts"])


def _tampered(expected: str, got: str) -> Tampered:
    return Tampered(
        "cleanroom.receipt",
        f"expected {expected}, got {got}",
        hint=Text("Keep the answer and the receipt, and ask the clean room's operator.", "请保留结果与回执，并联系净室运营方。"),
    )
