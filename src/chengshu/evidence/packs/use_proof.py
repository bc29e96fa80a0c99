"""A proof of use: one small file with the entries that one use rests on, each with the log's COSE receipt for it.

It is a COSE_Sign1 by the log's key (a SCITT signed statement, RFC 9943) whose payload carries the entries, their receipts and the
checkpoint. They are not in the ``receipts`` header (394): that is for receipts about the statement itself, and these are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from chengshu.evidence.model import Entry, parse_entry
from chengshu.evidence.packs.cbor import decode, encode
from chengshu.evidence.packs.cose import (
    CONTENT_TYPE,
    CWT_CLAIMS,
    ISSUER,
    KID,
    SUBJECT,
    Receipt,
    Sign1,
    check_sign1,
    kid_of,
    open_receipt,
    read_sign1,
    sign1,
)
from chengshu.evidence.use import Claim, is_use_proved, judge_use
from chengshu.evidence.verify import KEY_WORDS, LIMITS, KeySource
from chengshu.kernel.crypto import Signer
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.kernel.text import Language, Text

FORMAT = "chengshu proof of use 1"
MEDIA_TYPE = "application/cbor"
MAX_BYTES = 64 * 1024 * 1024
_FIELDS = {"format", "product", "job", "vkey", "checkpoint", "entries"}

NOT_THE_WHOLE_LOG = Text(
    "Not proved: that the log holds no other entry about this use, so not that it was metered only once; the whole log shows that.",
    "未证明：日志中不存在该次使用的其他条目，因而未证明仅计量一次；完整日志可证明。",
)


@dataclass(frozen=True, slots=True)
class Attested:
    """An entry and the receipt file that proves it to be in the log."""

    entry: Entry
    receipt: bytes


@dataclass(frozen=True, slots=True)
class UseProofVerdict:
    """A proof of use was found good: every entry in it stands in the log at its place under the signed root."""

    vkey: str
    key_source: KeySource
    checkpoint: Checkpoint
    product: str
    job: str
    claims: tuple[Claim, ...]
    entries: tuple[Entry, ...]

    @property
    def holds(self) -> bool:
        """Whether the entries prove the use: signed for before and metered, and nothing in them speaks against it."""
        return is_use_proved(self.claims)

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        texts = (self._proved(), KEY_WORDS[self.key_source], *(claim.text for claim in self.claims), NOT_THE_WHOLE_LOG, *LIMITS)
        return [text.of(language) for text in texts]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "ok": self.holds,
            "what": "proof-of-use",
            "origin": self.checkpoint.origin,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root_text,
            "vkey": self.vkey,
            "key_source": self.key_source.value,
            "product": self.product,
            "job": self.job,
            "claims": [claim.as_dict(language) for claim in self.claims],
            "entries": [{"index": one.index, "kind": one.kind, "subject": one.subject, "at": one.at.isoformat()} for one in self.entries],
            "words": self.words(language),
        }

    def _proved(self) -> Text:
        count, origin, size = len(self.entries), self.checkpoint.origin, self.checkpoint.size
        return Text(
            f"Proved: each of the {count} entries in this file stands at its place in the log {origin} of {size} entries, by its receipt.",
            f"已证明：凭其回执，文件内 {count} 条记录均位于日志 {origin}（共 {size} 条）的相应位置。",
        )


def write_use_proof(signer: Signer, *, product: str, job: str, checkpoint: Checkpoint, attested: Sequence[Attested]) -> bytes:
    """Return the file for one use; every receipt MUST be of the size and root of ``checkpoint``."""
    key = VerifierKey(checkpoint.origin, signer.public_key)
    content = {
        "format": FORMAT,
        "product": product,
        "job": job,
        "vkey": str(key),
        "checkpoint": checkpoint.note,
        "entries": [[one.entry.data, one.receipt] for one in attested],
    }
    protected = {CONTENT_TYPE: MEDIA_TYPE, KID: kid_of(key), CWT_CLAIMS: {ISSUER: key.name, SUBJECT: job}}
    return sign1(signer, protected=protected, unprotected={}, payload=encode(content), detached=False)


def verify_use_proof(data: bytes, *, file: str, vkey: str | None = None) -> UseProofVerdict:
    """Check a proof of use and return what it proves; without ``vkey`` the key in it is used, and the verdict says so.

    Raises Tampered, which names ``file`` and the entry, and NotFound when no entry in it is about the product and the job it names.
    """
    message = read_sign1(data, file=file)
    content = _content(message, file)
    key, source = _key(content, vkey, file)
    checkpoint = open_checkpoint(content["checkpoint"], key=key, file=file)
    entries = tuple(
        _entry(entry, receipt, checkpoint=checkpoint, key=key, file=f"{file}, entry {number} of {len(content['entries'])}")
        for number, (entry, receipt) in enumerate(content["entries"], 1)
    )
    check_sign1(message, key=key, payload=message.payload or b"", file=file)  # after the entries, so that a bad one is named
    _check_header(message, content, key=key, file=file)
    if sorted({entry.index for entry in entries}) != [entry.index for entry in entries]:
        raise _tampered(file, "entries in the log's order, each once", "another order")
    claims, _ = judge_use(entries, product=content["product"], job=content["job"])
    return UseProofVerdict(str(key), source, checkpoint, content["product"], content["job"], claims, entries)


def _entry(data: bytes, receipt: bytes, *, checkpoint: Checkpoint, key: VerifierKey, file: str) -> Entry:
    proved = open_receipt(receipt, entry=data, key=key, file=file)
    if proved != Receipt(proved.index, checkpoint.size, checkpoint.root):
        raise _tampered(file, f"a receipt under the root of {checkpoint.size} entries", f"one under the root of {proved.size}")
    return parse_entry(proved.index, data)


def _content(message: Sign1, file: str) -> Mapping[str, Any]:
    try:
        content = decode(message.payload or b"")
    except Invalid as error:
        raise _tampered(file, "a payload of deterministic CBOR", error.message) from error
    if message.unprotected or not isinstance(content, dict) or set(content) != _FIELDS or content["format"] != FORMAT:
        raise _tampered(file, f"a {FORMAT!r} without unsigned headers", "another kind of file")
    texts = all(isinstance(content[name], str) for name in ("product", "job", "vkey")) and isinstance(content["checkpoint"], bytes)
    if not texts or not isinstance(content["entries"], list) or not all(_is_pair(pair) for pair in content["entries"]):
        raise _tampered(file, "product, job, key, checkpoint and pairs of entry and receipt", "other types")
    return content


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair)


def _key(content: Mapping[str, Any], vkey: str | None, file: str) -> tuple[VerifierKey, KeySource]:
    if vkey is not None:
        key = parse_vkey(vkey)
        if content["vkey"] != str(key):
            raise _tampered(file, "a file of the key that you gave", "one of another key")
        return key, KeySource.TRUSTED
    try:
        return parse_vkey(content["vkey"]), KeySource.WITH_LOG
    except Invalid as error:
        raise _tampered(file, "a verifier key", "something else") from error


def _check_header(message: Sign1, content: Mapping[str, Any], *, key: VerifierKey, file: str) -> None:
    claims = {ISSUER: key.name, SUBJECT: content["job"]}
    if message.protected.get(KID) != kid_of(key) or message.protected.get(CWT_CLAIMS) != claims:
        raise _tampered(file, "a header that names the log's key and the job", "another header")


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.use-proof",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Keep this copy as it is, and ask its sender or the log's operator for another.",
            "请原样保留此副本，并向发送方或日志运营方另取一份。",
        ),
        facts={"file": file},
    )
