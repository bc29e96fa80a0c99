"""Handing evidence to a stranger: a pack about one case, or a proof of one use, made from the log's published files."""

import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, sign_note
from chengshu.evidence.model import Entry, InclusionProof
from chengshu.evidence.packs.case import Case, select_case
from chengshu.evidence.packs.cose import can_sign, sign_receipt
from chengshu.evidence.packs.pack import (
    FILES,
    NOTE,
    WHOLE_LOG,
    WITNESS,
    Head,
    document_path,
    entry_path,
    list_files,
    read_entries,
    verify_pack,
)
from chengshu.evidence.packs.readme import readme
from chengshu.evidence.packs.standalone import verifier_bytes
from chengshu.evidence.packs.summary import Paper, summary_page
from chengshu.evidence.packs.tlog_proof import write_proof
from chengshu.evidence.packs.unpack import unpacked
from chengshu.evidence.packs.use_proof import Attested, verify_use_proof, write_use_proof
from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.tiles import TileNodes, decode_bundle, encode_bundle, levels, tile_at
from chengshu.evidence.tree import HASH_BYTES, inclusion_path
from chengshu.evidence.use import judge_use
from chengshu.evidence.witnessing.mirror import WITNESSED
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import Signer
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from chengshu.kernel.text import Text

Papers = Callable[[Sequence[Entry]], Iterable[Mapping[str, Any]]]
"""Returns the JSON documents that the entries may name by digest: policies, agreements, data contracts."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
_PLAIN_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the file, the case or use it is about, and how much is in it; ``absent`` counts documents named and not kept."""

    path: Path
    about: str
    size: int
    entries: int
    documents: int
    absent: int
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """Return the values as JSON carries them."""
        return {
            "file": str(self.path),
            "about": self.about,
            "log_size": self.size,
            "entries": self.entries,
            "documents": self.documents,
            "documents_absent": self.absent,
            "digest": self.digest,
        }


class Exports:
    """Writes packs and proofs of use from one node's published log; what is written was verified before it gets its name."""

    def __init__(self, folder: Path, *, signer: Signer, origin: str, papers: Papers, witness_policy: Path) -> None:
        """Stand on the log's published files below ``folder``; raise Invalid when ``origin`` cannot name a key.

        ``witness_policy`` is where the node's witness policy lies, if it has one: packs carry it.
        """
        self._files = FileTiles(folder)
        self._signer = signer
        self._key = VerifierKey(origin, signer.public_key)
        self._papers = papers
        self._witness_policy = witness_policy
        self._digests = Digests(self._key.suite)

    def pack(self, case: str, path: Path, *, whole_log: bool = False) -> Exported:
        """Write the evidence pack about ``case`` to the zip ``path``; the same log gives the same bytes.

        Raises NotFound for an identifier that no published entry names and for a log that is not published, Conflict where ``path``
        is taken, Unavailable where it cannot be written; nothing is left half written.
        """
        _refuse_control(case)
        checkpoint = self._checkpoint()
        selected = select_case(lambda: read_entries(self._files, checkpoint.size), case)
        checkpoint = self._witnessed(selected) or checkpoint
        papers, absent = self._named_papers(selected.entries)
        content = dict(self._evidence_files(selected, checkpoint))
        content |= {paper.path: paper.data for paper in papers}
        if whole_log:
            content |= {f"{WHOLE_LOG}/{name}": data for name, data in self._log_files(checkpoint)}
        content["summary.html"] = summary_page(selected, checkpoint, vkey=str(self._key), papers=papers, absent=absent, whole_log=whole_log)
        content["README.txt"] = readme(selected, checkpoint, vkey=str(self._key))
        content["verify.pyz"] = verifier_bytes()
        listing = list_files({name: hashlib.sha256(data).hexdigest() for name, data in content.items()})
        head = Head(selected.id, selected.kind, checkpoint.origin, checkpoint.size, hashlib.sha256(listing).hexdigest())
        content |= {FILES: listing, NOTE: sign_note(self._signer, name=checkpoint.origin, text=head.text)}
        with _appearing(path) as parked:
            _write_zip(parked, content)
            with unpacked(parked) as folder:
                verify_pack(folder, str(self._key))
            digest = self._digests.of_bytes(parked.read_bytes())
        return Exported(path, case, checkpoint.size, len(selected.entries), len(papers), absent, digest)

    def use_proof(self, product: str, job: str, path: Path) -> Exported:
        """Write the proof of one use to ``path``: the entries that it rests on, each with the log's COSE receipt.

        Raises NotFound when no published entry is about that product and job, Conflict where ``path`` is taken.
        """
        checkpoint = self._checkpoint()
        selected = select_case(lambda: read_entries(self._files, checkpoint.size), job)
        _, entries = judge_use(selected.entries, product=product, job=job)
        proofs = self._prove(entries, checkpoint)
        attested = [Attested(entry, sign_receipt(self._signer, proof)) for entry, proof in zip(entries, proofs, strict=True)]
        data = write_use_proof(self._signer, product=product, job=job, checkpoint=checkpoint, attested=attested)
        verify_use_proof(data, file=path.name, vkey=str(self._key))
        write_new(path, data)
        return Exported(path, f"{product} {job}", checkpoint.size, len(entries), 0, 0, self._digests.of_bytes(data))

    def _checkpoint(self) -> Checkpoint:
        note = self._files.read(CHECKPOINT)
        if note is None:
            raise NotFound(
                "evidence.not-published",
                f"expected a checkpoint of {self._key.name}, got none",
                hint=Text("Publish the log first: 'chengshu evidence publish'.", "请先发布日志：chengshu evidence publish。"),
            )
        return open_checkpoint(note, key=self._key)

    def _witnessed(self, case: Case) -> Checkpoint | None:
        """The newest checkpoint that met the quorum, where it covers the whole case: it says more than a newer one that nobody cosigned."""
        note = self._files.read(WITNESSED)
        witnessed = None if note is None else open_checkpoint(note, key=self._key, file=WITNESSED)
        return witnessed if witnessed is not None and witnessed.size > case.indexes[-1] else None

    def _prove(self, entries: Sequence[Entry], checkpoint: Checkpoint) -> list[InclusionProof]:
        """A proof an entry, all under one checkpoint, whatever is published meanwhile."""
        nodes = TileNodes(checkpoint.size, lambda name: self._files.tile(name)[1][: name.width * HASH_BYTES], checkpoint.hashing)
        paths = (inclusion_path(entry.index, checkpoint.size, nodes=nodes, hashing=checkpoint.hashing) for entry in entries)
        return [
            InclusionProof(entry.index, entry.leaf(checkpoint.hashing), path, checkpoint)
            for entry, path in zip(entries, paths, strict=True)
        ]

    def _evidence_files(self, case: Case, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
        yield CHECKPOINT, checkpoint.note
        yield VKEY, f"{self._key}\n".encode()
        if self._witness_policy.is_file():
            yield f"{WITNESS}/{self._witness_policy.name}", self._witness_policy.read_bytes()
        for entry, proof in zip(case.entries, self._prove(case.entries, checkpoint), strict=True):
            yield entry_path(entry.index, "json"), entry.data
            yield entry_path(entry.index, "tlog-proof"), write_proof(proof)
            if can_sign(self._signer):
                yield entry_path(entry.index, "cose"), sign_receipt(self._signer, proof)

    def _named_papers(self, entries: Sequence[Entry]) -> tuple[list[Paper], int]:
        """The documents whose digests the entries name as a policy or a contract, and how many of those are not kept here."""
        named = {
            value: field
            for entry in entries
            for field, value in entry.body.items()
            if isinstance(value, str) and field in {"policy_digest", "contract_digest", "agreement_digest"}
        }
        kept: dict[str, Paper] = {}
        for document in self._papers(entries):
            data = canonical(dict(document))
            digest = self._digests.of_bytes(data)
            if digest in named:
                kept[digest] = Paper(digest, named[digest], document_path(digest), data)
        return [kept[digest] for digest in sorted(kept)], len(set(named) - set(kept))

    def _log_files(self, checkpoint: Checkpoint) -> Iterator[tuple[str, bytes]]:
        """The log's files as they are at the checkpoint, even when more has been published meanwhile."""
        yield CHECKPOINT, checkpoint.note
        yield VKEY, f"{self._key}\n".encode()
        for level in (None, *range(levels(checkpoint.size))):
            index = 0
            while (name := tile_at(checkpoint.size, level=level, index=index)) is not None:
                data = self._files.tile(name)[1]
                whole = data[: name.width * HASH_BYTES] if level is not None else encode_bundle(decode_bundle(data)[0][: name.width])
                yield name.path, whole
                index += 1


def write_new(path: Path, data: bytes) -> None:
    """Write a new file, whole or not at all; raise Conflict where ``path`` is taken, Unavailable where it cannot be written."""
    with _appearing(path) as parked:
        parked.write_bytes(data)


def _write_zip(path: Path, content: Mapping[str, bytes]) -> None:
    """A zip whose bytes depend on the content alone: sorted names, no times, no compression whose output changes with its version."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = _PLAIN_FILE
            member.create_system = 3
            archive.writestr(member, content[name])


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file takes its own name, whole, only when the block is left without an error."""
    if path.exists():
        raise Conflict(
            "evidence.file-exists",
            f"{path.name}: expected a name that is free, got a file or folder that is there",
            hint=Text("Give another name with --out, or move the old file away.", "请用 --out 指定其他名称，或移走旧文件。"),
            facts={"file": path.name},
        )
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            parked = Path(file.name)
        try:
            yield parked
            with parked.open("rb") as written:
                os.fsync(written.fileno())
            parked.chmod(0o644)
            parked.replace(path)
        finally:
            parked.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(
            "evidence.export",
            f"{path.name}: expected to write the file, got: {error.strerror}",
            hint=Text("Free disk space, or give another folder with --out.", "请释放磁盘空间，或用 --out 指定其他文件夹。"),
            facts={"file": path.name},
        ) from error


def _refuse_control(case: str) -> None:
    if not case or not case.isprintable():
        raise Invalid(
            "evidence.case-id",
            "expected an identifier of printable characters, got another text",
            hint=Text("Copy the identifier from 'chengshu evidence list'.", "请从 chengshu evidence list 复制标识。"),
        )
