"""An evidence pack: what a log says about one case, in files that stand alone, and the check of them.

A pack is a folder, or a zip of it. Two files cover the others: ``pack``, a signed note by the log's key, names the case and the digest
of ``files.txt``, which lists every other file with its SHA-256 as ``sha256sum -c`` reads it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey, open_checkpoint, open_note
from chengshu.evidence.model import Entry, parse_entry
from chengshu.evidence.packs.case import Case, CaseKind, select_case
from chengshu.evidence.packs.cose import Receipt, open_receipt
from chengshu.evidence.packs.pack_verdict import PackVerdict
from chengshu.evidence.packs.tlog_proof import read_proof
from chengshu.evidence.storage.files import CHECKPOINT, FileTiles
from chengshu.evidence.tiles import TILE_WIDTH, decode_bundle, tile_at
from chengshu.evidence.verify import LogVerdict, key_for, verify_log
from chengshu.kernel.crypto import Suite
from chengshu.kernel.errors import NotFound, Tampered
from chengshu.kernel.text import Text

FORMAT = "chengshu evidence pack v1"
NOTE = "pack"
FILES = "files.txt"
ENTRIES = "entries"
DOCUMENTS = "documents"
WHOLE_LOG = "log"
WITNESS = "witness"
_COVERED_FOLDERS = (ENTRIES, DOCUMENTS, WHOLE_LOG, WITNESS)
_ENTRY = re.compile(r"entries/(\d{9,18})\.json", re.ASCII)
_LISTED = re.compile(r"([0-9a-f]{64})  ([^\x00-\x1f\x7f]+)")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """What a pack's signed note says: which case, of which log, and the digest of the list of its files."""

    case: str
    kind: CaseKind
    origin: str
    size: int
    files: str

    @property
    def text(self) -> bytes:
        """The note's text, before it is signed."""
        lines = (FORMAT, f"case {self.case}", f"kind {self.kind.value}", f"log {self.origin}", f"size {self.size}", f"files {self.files}")
        return "".join(f"{line}\n" for line in lines).encode()


def entry_path(index: int, ending: str) -> str:
    """Return where a pack keeps something about an entry: ``json`` the entry itself, ``cose`` its receipt, ``tlog-proof`` its proof."""
    return f"{ENTRIES}/{index:09d}.{ending}"


def document_path(digest: str) -> str:
    """Return where a pack keeps the document with the digest ``sha256:…`` or ``sm3:…``."""
    return f"{DOCUMENTS}/{digest.rpartition(':')[2]}.json"


def list_files(digests: Mapping[str, str]) -> bytes:
    """Return the text of ``files.txt``: one line a file, in the order of their names."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()


def verify_pack(folder: Path, vkey: str | None = None, *, product: str | None = None, job: str | None = None) -> PackVerdict:
    """Check an unpacked pack from its files alone and return what they prove; any changed byte of a listed file is found.

    With ``product`` and ``job`` the verdict is about that one use. Without ``vkey`` the pack's own ``log.vkey`` is used, and the
    verdict says so. Raises Tampered, which names the file; NotFound when the pack has no such use or is none.
    """
    files = FileTiles(folder)
    key, source = key_for(files, vkey)
    head = _head(files, key)
    listed, unlisted = _check_listed(files, head)
    checkpoint = _checkpoint(files, head, key=key)
    kept = (_entry(files, path, checkpoint=checkpoint, key=key) for path in sorted(listed) if path.startswith(f"{ENTRIES}/"))
    entries = tuple(entry for entry in kept if entry is not None)
    case = _case(head, entries)
    uses = tuple(use for use in case.uses() if product is None or (use.product, use.job) == (product, job))
    if product is not None and not uses:
        raise _no_such_use(product, str(job))
    return PackVerdict(
        case=case,
        checkpoint=checkpoint,
        vkey=str(key),
        key_source=source,
        uses=uses,
        asked=product is not None,
        documents=_check_documents(files, listed, entries, suite=key.suite),
        receipts=sum(path.endswith(".cose") for path in listed),
        whole_log=_whole_log(folder, case, checkpoint, vkey=str(key)) if f"{WHOLE_LOG}/{CHECKPOINT}" in listed else None,
        unlisted=unlisted,
    )


def is_pack(folder: Path) -> bool:
    """Say whether a folder is a pack rather than a log."""
    return (folder / NOTE).is_file()


def _head(files: FileTiles, key: VerifierKey) -> Head:
    note = files.read(NOTE)
    if note is None:
        raise _tampered(NOTE, "the pack's signed note", "no such file")
    lines = open_note(note, key=key, file=NOTE).decode().split("\n")
    fields = dict(line.partition(" ")[::2] for line in lines[1:-1])
    try:
        head = Head(fields["case"], CaseKind(fields["kind"]), fields["log"], int(fields["size"]), fields["files"])
    except (KeyError, ValueError) as error:
        raise _tampered(NOTE, f"a note that begins with {FORMAT!r}", "another note") from error
    if head.text != "\n".join(lines).encode() or head.origin != key.name:
        raise _tampered(NOTE, f"a note that begins with {FORMAT!r}", "another note")
    return head


def _check_listed(files: FileTiles, head: Head) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The listed files with their digests, once each is what the list says; and the files beside them that nothing covers."""
    listing = files.read(FILES)
    if listing is None or hashlib.sha256(listing).hexdigest() != head.files:
        raise _tampered(FILES, "the list of files that the signed note names", "another list" if listing is not None else "none")
    listed: dict[str, str] = {}
    for line in listing.decode().splitlines():
        match = _LISTED.fullmatch(line)
        if match is None or ".." in match[2].split("/") or match[2].startswith("/"):
            raise _tampered(FILES, "lines of digest and path", "another line")
        listed[match[2]] = match[1]
    for path, digest in listed.items():
        _check_digest(files.folder / path, path, digest)
    unlisted = tuple(path for path in _paths(files.folder) if path not in listed and path not in {NOTE, FILES})
    for path in unlisted:
        if path.startswith(tuple(f"{folder}/" for folder in _COVERED_FOLDERS)):
            raise _tampered(path, "only files that the pack lists", "one that it does not")
    return listed, unlisted


def _check_digest(file: Path, path: str, digest: str) -> None:
    try:
        with file.open("rb") as opened:
            hasher = hashlib.sha256()
            while piece := opened.read(_READ_BYTES):
                hasher.update(piece)
    except OSError as error:
        raise _tampered(path, "a file that the pack lists", "none") from error
    if hasher.hexdigest() != digest:
        raise _tampered(path, f"the file with SHA-256 {digest[:16]}…, as listed and signed", "another one")


def _paths(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())


def _checkpoint(files: FileTiles, head: Head, *, key: VerifierKey) -> Checkpoint:
    note = files.read(CHECKPOINT)
    if note is None:
        raise _tampered(CHECKPOINT, "the log's checkpoint", "none")
    checkpoint = open_checkpoint(note, key=key)
    if checkpoint.size != head.size:
        raise _tampered(CHECKPOINT, f"the checkpoint of {head.size} entries", f"one of {checkpoint.size}")
    return checkpoint


def _entry(files: FileTiles, path: str, *, checkpoint: Checkpoint, key: VerifierKey) -> Entry | None:
    """The entry kept at ``path``, once its proof and its receipt hold; None for a proof or a receipt, which are read with their entry."""
    match = _ENTRY.fullmatch(path)
    if match is None:
        stem = path.rpartition(".")[0]
        if path.endswith((".cose", ".tlog-proof")) and files.read(f"{stem}.json") is not None:
            return None
        raise _tampered(path, "an entry, or the receipt or proof of one", "something else")
    index = int(match[1])
    data = files.read(path) or b""
    at = entry_path(index, "tlog-proof")
    proof = read_proof(files.read(at) or b"", leaf=key.hashing.leaf(data), key=key, file=at)
    if (proof.index, proof.checkpoint.note) != (index, checkpoint.note):
        raise _tampered(at, f"a proof that entry {index} is under the pack's checkpoint", "a proof of something else")
    at = entry_path(index, "cose")
    receipt = files.read(at)
    if receipt is not None:
        proved = open_receipt(receipt, entry=data, key=key, file=at)
        if proved != Receipt(index, checkpoint.size, checkpoint.root):
            raise _tampered(at, f"a receipt for entry {index} under the pack's checkpoint", "a receipt for something else")
    return parse_entry(index, data)


def _case(head: Head, entries: Iterable[Entry]) -> Case:
    """The case, once the pack holds nothing that is foreign to it."""
    held = tuple(sorted(entries, key=lambda entry: entry.index))
    case = select_case(lambda: held, head.case)
    if case.entries != held:
        foreign = next(entry for entry in held if entry not in case.entries)
        raise _tampered(entry_path(foreign.index, "json"), "an entry that belongs to the case", "another one")
    return Case(case.id, head.kind, held)


def _check_documents(files: FileTiles, listed: Mapping[str, str], entries: Iterable[Entry], *, suite: Suite) -> tuple[str, ...]:
    """The digests of the documents, once each is what an entry names."""
    named = {value for entry in entries for value in entry.body.values() if isinstance(value, str)}
    found = []
    for path in sorted(listed):
        if path.startswith(f"{DOCUMENTS}/"):
            digest = f"{suite.hash_name}:{suite.hash(files.read(path) or b'').hex()}"
            if digest not in named or path != document_path(digest):
                raise _tampered(path, "a document whose digest an entry of the case names", "another document")
            found.append(digest)
    return tuple(found)


def _whole_log(folder: Path, case: Case, checkpoint: Checkpoint, *, vkey: str) -> LogVerdict:
    """What the whole log proves, once the pack is found to hold every entry of the case and no other."""
    log = FileTiles(folder / WHOLE_LOG)
    verdict = verify_log(log.folder, vkey)
    if verdict.checkpoint != checkpoint:
        raise _tampered(f"{WHOLE_LOG}/{CHECKPOINT}", "the pack's checkpoint", "another one")
    whole = select_case(lambda: read_entries(log, checkpoint.size), case.id)
    missing = sorted(set(whole.indexes) - set(case.indexes))
    if missing:
        raise _tampered(entry_path(missing[0], "json"), "every entry of the case that the log holds", f"none for entry {missing[0]}")
    return verdict


def read_entries(files: FileTiles, size: int) -> Iterator[Entry]:
    """Yield the first ``size`` entries of a log's files in order; they are as good as the check of the log that came before."""
    for number in range(-(-size // TILE_WIDTH)):
        name = tile_at(size, level=None, index=number)
        if name is not None:
            entries, _ = decode_bundle(files.tile(name)[1])
            for index, data in enumerate(entries[: name.width], number * TILE_WIDTH):
                yield parse_entry(index, data)


def _no_such_use(product: str, job: str) -> NotFound:
    return NotFound(
        "evidence.no-such-use",
        f"expected entries about product {product} and job {job}, got none in this pack",
        hint=Text("Check both identifiers, or ask the sender for a pack about that job.", "请核对两个标识，或向发送方索取该作业的存证包。"),
        facts={"product": product, "job": job},
    )


def _tampered(file: str, expected: str, got: str) -> Tampered:
    return Tampered(
        "evidence.pack",
        f"{file}: expected {expected}, got {got}",
        hint=Text(
            "Keep this pack as it is: it is evidence. Ask its sender, the other party or the log's operator for another, and compare.",
            "请原样保留此存证包，它本身就是证据。请向发送方、合约对方或日志运营方另取一份并比对。",
        ),
        facts={"file": file},
    )
