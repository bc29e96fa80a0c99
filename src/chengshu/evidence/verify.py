"""What a log's files prove, in words: the whole log, or one use of one product. Works offline on a copied folder.

Needs the standard library and ``cryptography`` only.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_vkey
from chengshu.evidence.fsck import Visit, check_files
from chengshu.evidence.model import Entry, InclusionProof
from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.tiles import TileNodes
from chengshu.evidence.tree import inclusion_path
from chengshu.evidence.use import Claim, is_use_proved, judge_use
from chengshu.kernel.errors import Invalid, NotFound, Tampered
from chengshu.kernel.text import Language, Text

LIMITS = (
    Text(
        "Not proved: that what the entries say happened did happen, or that the data were true.",
        "未证明：条目所述之事确实发生，或数据本身真实。",
    ),
    Text(
        "Not proved: that no other log exists; compare checkpoints with a witness or with the other party.",
        "未证明：不存在另一份日志；请与见证方或合约对方比对检查点。",
    ),
)


class KeySource(StrEnum):
    """Where the key that the checkpoint was checked with came from."""

    TRUSTED = "trusted"
    WITH_LOG = "with-log"


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """A whole log was found intact: entries, tiles and signed root agree; ``kinds`` counts the entries by kind.

    ``unsigned_files`` lie beyond the checkpoint (an interrupted publication); nothing signed covers them.
    """

    checkpoint: Checkpoint
    vkey: str
    key_source: KeySource
    kinds: Mapping[str, int]
    unsigned_files: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is proved that was asked: always so, since a log that is not intact raises."""
        return True

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        return [text.of(language) for text in (*self.proved(), *LIMITS)]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "ok": True,
            "origin": self.checkpoint.origin,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root_text,
            "vkey": self.vkey,
            "cryptography": self.checkpoint.key.suite.name,
            "key_source": self.key_source.value,
            "kinds": dict(self.kinds),
            "unsigned_files": list(self.unsigned_files),
            "words": self.words(language),
        }

    def proved(self) -> list[Text]:
        """Return the sentences about the log itself, without the limits that hold for every log."""
        origin, size = self.checkpoint.origin, self.checkpoint.size
        texts = [
            Text(
                f"Proved: the log {origin} holds {size} entries; every entry, every tile and the signed root agree.",
                f"已证明：日志 {origin} 含 {size} 条记录；每条记录、每个分块与签名根一致。",
            ),
            KEY_WORDS[self.key_source],
            self._profile(),
        ]
        if self.unsigned_files:
            count, first = len(self.unsigned_files), self.unsigned_files[0]
            texts.append(
                Text(
                    f"Not judged: {count} file(s) beyond the checkpoint, which nothing signed covers yet, from {first} on.",
                    f"未判定：{count} 个文件超出检查点，尚无签名覆盖，自 {first} 起。",
                )
            )
        return texts

    def _profile(self) -> Text:
        title = self.checkpoint.key.suite.title
        return Text(f"Checked with the key's cryptography, {title.en}.", f"按公钥所属密码体系核验，{title.zh}。")


KEY_WORDS = {
    KeySource.TRUSTED: Text(
        "Proved: the checkpoint was signed with the key that you gave.",
        "已证明：检查点由您提供的公钥所对应的私钥签署。",
    ),
    KeySource.WITH_LOG: Text(
        "Not proved: who wrote it. The key came with the log: this proves consistency, not who wrote it.",
        "未证明：由谁写入。公钥随日志而来：这只证明一致性，不证明由谁写入。",
    ),
}


@dataclass(frozen=True, slots=True)
class UseVerdict:
    """What an intact log says about one job's use of one product; each entry's inclusion proof was built and found to hold."""

    log: LogVerdict
    product: str
    job: str
    claims: tuple[Claim, ...]
    entries: tuple[Entry, ...]
    proofs: tuple[InclusionProof, ...]

    @property
    def holds(self) -> bool:
        """Whether the use is proved: signed for before and metered once, and nothing in the log speaks against it."""
        return is_use_proved(self.claims)

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        return [
            *(text.of(language) for text in self.log.proved()),
            *(claim.text.of(language) for claim in self.claims),
            *(text.of(language) for text in LIMITS),
        ]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values, with every entry's inclusion proof in hexadecimal."""
        return self.log.as_dict(language) | {
            "ok": self.holds,
            "product": self.product,
            "job": self.job,
            "claims": [claim.as_dict(language) for claim in self.claims],
            "entries": [_entry_as_dict(entry, proof) for entry, proof in zip(self.entries, self.proofs, strict=True)],
            "words": self.words(language),
        }


def _pass_over(_entry: Entry) -> None:
    """Look at nothing more than the check does."""


def verify_log(folder: Path, vkey: str | None = None, *, visit: Visit = _pass_over) -> LogVerdict:
    """Check a log from its files alone and return what they prove; any changed byte below the checkpoint's size is found.

    ``visit`` sees every entry in order; what it saw counts only when this function returns. Without ``vkey`` the key in the folder's
    ``log.vkey`` is used, and the verdict says so. Raises Tampered, which names the file and the first bad entry; NotFound when there is no
    log; Invalid for a key that is none. Source: RFC 9162, C2SP tlog-tiles.
    """
    return _verify(FileTiles(folder), vkey, visit=visit)


def verify_use(folder: Path, *, product: str, job: str, vkey: str | None = None) -> UseVerdict:
    """Check a log and return what it proves about the use of ``product`` by ``job``.

    The whole log is checked first, because "metered once" is a statement about all entries. Raises NotFound when no entry is about
    that job and product, and what :func:`verify_log` raises.
    """
    files = FileTiles(folder)
    candidates: list[Entry] = []

    def collect(entry: Entry) -> None:
        if entry.body.get("job") == job or (entry.kind == "agreement.signed" and entry.body.get("product") == product):
            candidates.append(entry)

    log = _verify(files, vkey, visit=collect)
    claims, entries = judge_use(candidates, product=product, job=job)
    return UseVerdict(log, product, job, claims, entries, _prove(files, log.checkpoint, entries))


def _verify(files: FileTiles, vkey: str | None, *, visit: Visit) -> LogVerdict:
    key, source = key_for(files, vkey)
    note = files.read(CHECKPOINT)
    if note is None:
        raise no_log(CHECKPOINT)
    checkpoint = open_checkpoint(note, key=key)
    kinds: Counter[str] = Counter()

    def count(entry: Entry) -> None:
        kinds[entry.kind] += 1
        visit(entry)

    unsigned = check_files(files, checkpoint, visit=count)
    return LogVerdict(checkpoint, str(key), source, dict(sorted(kinds.items())), unsigned)


def key_for(files: FileTiles, vkey: str | None) -> tuple[VerifierKey, KeySource]:
    """Return the key to check with and where it came from; a ``log.vkey`` beside the files must be the same line.

    Raises Tampered when it is another one, NotFound when there is neither, Invalid for a key that is none.
    """
    beside = files.read(VKEY)
    if vkey is not None:
        key = parse_vkey(vkey)
        if beside is not None and beside != f"{key}\n".encode():
            raise _bad_key_file("the key that you gave")
        return key, KeySource.TRUSTED
    if beside is None:
        raise no_log(VKEY)
    try:
        key = parse_vkey(beside.decode().removesuffix("\n"))
    except (Invalid, UnicodeDecodeError) as error:
        raise _bad_key_file("one line with a verifier key") from error
    if beside != f"{key}\n".encode():
        raise _bad_key_file("one line with a verifier key")
    return key, KeySource.WITH_LOG


def _prove(files: FileTiles, checkpoint: Checkpoint, entries: tuple[Entry, ...]) -> tuple[InclusionProof, ...]:
    hashing = checkpoint.hashing
    nodes = TileNodes(checkpoint.size, lambda name: files.tile(name)[1], hashing)
    proofs = tuple(
        InclusionProof(
            entry.index, entry.leaf(hashing), inclusion_path(entry.index, checkpoint.size, nodes=nodes, hashing=hashing), checkpoint
        )
        for entry in entries
    )
    for proof in proofs:
        if not proof.holds:
            raise Tampered(
                "evidence.tampered",
                f"expected entry {proof.index} to be included under the signed root, got another root",
                hint=Text("The files changed while they were read; verify again.", "文件在读取过程中发生变化，请重新校验。"),
                facts={"index": proof.index},
            )
    return proofs


def _entry_as_dict(entry: Entry, proof: InclusionProof) -> dict[str, Any]:
    return {
        "index": entry.index,
        "kind": entry.kind,
        "subject": entry.subject,
        "at": entry.at.isoformat(),
        "leaf": proof.leaf.hex(),
        "inclusion": [step.hex() for step in proof.path],
    }


def no_log(file: str) -> NotFound:
    """Return the error for a folder in which ``file`` is missing."""
    return NotFound(
        "evidence.no-log",
        f"expected a log's folder with the file {file}, got none",
        hint=Text(
            "Give the folder that holds checkpoint and tile/; give the key with --vkey when log.vkey is not there.",
            "请给出包含 checkpoint 与 tile/ 的文件夹；若无 log.vkey，请用 --vkey 提供公钥。",
        ),
        facts={"file": file},
    )


def _bad_key_file(expected: str) -> Tampered:
    return Tampered(
        "evidence.key-file",
        f"{VKEY}: expected {expected}, got something else",
        hint=Text(
            "Get the key from the log's operator by another way, and keep this copy as it is.",
            "请通过其他途径向日志运营方索取公钥，并原样保留此副本。",
        ),
        facts={"file": VKEY},
    )
