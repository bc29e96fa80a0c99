"""One use of one product, as both sides sign it: what a use receipt says, and where it departs from the consumer's own records.

Digests, counts and identifiers only, never data. Provider and consumer sign the receipt's canonical bytes (RFC 8785), each behind a label
of its own, so that neither signature can be taken for the other, nor for one over anything else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from chengshu.cleanroom.reading import choice, mapping, text, whole, wrong
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

FORMAT = "chengshu-use-receipt-1"
_PROVIDER_LABEL = b"chengshu-use-receipt-1\n"
_CONSUMER_LABEL = b"chengshu-use-receipt-countersignature-1\n"
_DIGEST = r"[a-z0-9]+:[0-9a-f]{64}"
_MAX_TEXT = 512


class End(StrEnum):
    """How the job ended that the product was used for."""

    RELEASED = "RELEASED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class UseReceipt:
    """One use of ``product`` by ``job`` under ``agreement``, as its provider states it.

    ``uses`` is how many uses of the agreement there were with this one, ``remaining`` how many the agreement still allows (None: it sets
    no limit). ``rows`` and ``data_digest`` are what the clean room was handed; the consumer never sees the data and takes the provider's
    word for these two. ``room_receipt_digest`` is the digest of the room's signed receipt over the job's outcome.
    """

    job: str
    job_digest: str
    product: str
    agreement: str
    policy_digest: str
    provider: str
    consumer: str
    room: str
    purpose: str
    uses: int
    remaining: int | None
    data_digest: str
    rows: int
    outcome: str
    room_receipt_digest: str
    at: str

    def as_document(self) -> dict[str, Any]:
        """Return the receipt as JSON values: what is signed and what goes over the wire."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def parse(cls, document: object) -> "UseReceipt":
        """Return the receipt that ``document`` is; raise Invalid, naming the field, for anything else."""
        names = [field.name for field in fields(cls)]
        found = mapping(document, "receipt", required=("format", *names))
        if found["format"] != FORMAT:
            raise wrong("receipt.format", expected=FORMAT, got="another format")
        values: dict[str, Any] = {name: _short(found[name], f"receipt.{name}") for name in names if name not in _READ_OTHERWISE}
        values |= {name: text(found[name], f"receipt.{name}", pattern=_DIGEST, expected="a digest") for name in _DIGESTS}
        left = found["remaining"]
        return cls(
            **values,
            uses=whole(found["uses"], "receipt.uses", least=1),
            remaining=None if left is None else whole(left, "receipt.remaining", least=0),
            rows=whole(found["rows"], "receipt.rows", least=0),
            outcome=choice(found["outcome"], "receipt.outcome", among=End).value,
        )

    def digest(self, digests: Digests) -> str:
        """Return the digest of the whole receipt: what both logs name it by."""
        return digests.of(self.as_document())

    def body(self, digests: Digests) -> dict[str, Any]:
        """Return what a log entry says about the receipt."""
        return {
            "receipt_digest": self.digest(digests),
            "job": self.job,
            "product": self.product,
            "agreement": self.agreement,
            "policy_digest": self.policy_digest,
            "provider": self.provider,
            "consumer": self.consumer,
            "uses": self.uses,
        }


_DIGESTS = ("job_digest", "policy_digest", "data_digest", "room_receipt_digest")
_READ_OTHERWISE = {*_DIGESTS, "uses", "remaining", "rows", "outcome"}


def issued_bytes(receipt: UseReceipt) -> bytes:
    """Return what the provider signs."""
    return _PROVIDER_LABEL + canonical(receipt.as_document())


def countersigned_bytes(receipt: UseReceipt) -> bytes:
    """Return what the consumer signs."""
    return _CONSUMER_LABEL + canonical(receipt.as_document())


@dataclass(frozen=True, slots=True)
class Asked:
    """What the consumer itself holds about one input of one of its jobs, and about the agreement that the input names.

    ``limit`` is the number of uses that the agreement allows (None: no limit), ``jobs`` how many jobs the consumer signed under it;
    ``counted`` says whether a receipt countersigned before has this one's place in that count.
    """

    job_digest: str
    agreement: str
    policy_digest: str
    room: str
    purpose: str
    limit: int | None
    jobs: int
    counted: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """What the consumer itself holds about how its job ended."""

    outcome: str
    room_receipt_digest: str


def dispute(receipt: UseReceipt, asked: Asked) -> Refused | None:
    """Return the first field in which ``receipt`` departs from the consumer's records of agreement and job, or None."""
    return next(_differences(receipt, asked), None)


def dispute_outcome(receipt: UseReceipt, ended: Ended) -> Refused | None:
    """Return the first field in which ``receipt`` departs from the outcome that the consumer holds the room's receipt for, or None."""
    for field in ("outcome", "room_receipt_digest"):
        if getattr(receipt, field) != getattr(ended, field):
            return disputed(field, expected=getattr(ended, field), got=getattr(receipt, field))
    return None


def disputed(field: str, *, expected: str, got: str) -> Refused:
    """Return the refusal to countersign because of one field: identifiers, digests and counts only."""
    return Refused(
        "receipt-disputed",
        f"use receipt, {field}: expected {expected}, got {got}",
        Text(
            "A receipt that agrees with the agreement, the job and the room's receipt. Keep the disputed one: it is evidence.",
            "与合约、作业及净室回执一致的使用回执。请保留有争议的回执，它本身就是证据。",
        ),
        {"field": field, "expected": expected, "got": got},
    )


def field_of(refusal: Refused) -> str:
    """Return the field that a refusal to countersign names; ``other`` where it names none of a receipt's, whoever sent it."""
    named = refusal.facts.get("field")
    return named if isinstance(named, str) and named in UseReceipt.__slots__ else "other"


def signed_document(receipt: Mapping[str, Any], *, provider: str, consumer: str | None) -> dict[str, Any]:
    """Return a receipt with its signatures (base64), ``None`` where the consumer has not signed: enough for anyone to verify."""
    return {"receipt": dict(receipt), "provider_signature": provider, "consumer_signature": consumer}


def _differences(receipt: UseReceipt, asked: Asked) -> Iterator[Refused]:
    for field in ("job_digest", "agreement", "policy_digest", "room", "purpose"):
        if getattr(receipt, field) != getattr(asked, field):
            yield disputed(field, expected=getattr(asked, field), got=getattr(receipt, field))
    if asked.limit is not None and receipt.uses > asked.limit:
        yield disputed("uses", expected=f"at most {asked.limit}, as agreed", got=str(receipt.uses))
    if receipt.uses > asked.jobs:
        yield disputed("uses", expected=f"at most {asked.jobs}, the jobs signed under this agreement", got=str(receipt.uses))
    if asked.counted:
        yield disputed("uses", expected="a use that no other receipt counts", got=str(receipt.uses))
    remaining = None if asked.limit is None else asked.limit - receipt.uses
    if receipt.remaining != remaining:
        yield disputed("remaining", expected=_number(remaining), got=_number(receipt.remaining))


def _number(value: int | None) -> str:
    return "no limit" if value is None else str(value)


def _short(value: object, path: str) -> str:
    found = text(value, path)
    if len(found) > _MAX_TEXT:
        raise wrong(path, expected=f"a text of at most {_MAX_TEXT} characters", got=f"one of {len(found)}")
    return found
