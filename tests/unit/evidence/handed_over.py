"""A log with one job's use of one product among other acts, and what is handed over of it."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chengshu.evidence.checkpoint import sign_note
from chengshu.evidence.packs.export import Exports
from chengshu.evidence.packs.pack import Head, list_files
from chengshu.evidence.service import Evidence
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL, MemorySigner, Signer
from chengshu.kernel.database import Database, metadata
from databases import database_at

SIGNER = MemorySigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
digest = Digests(INTERNATIONAL).of
ORIGIN = "node.example/log"
POLICY = {"@type": "Agreement", "permission": [{"action": "use"}]}
CONTRACT = {"kind": "DataContract", "id": "counts", "version": "1.0.0"}
USE = {"job": "job-1", "product": "counts", "agreement": "agr-1"}

ACTS: list[tuple[str, str, dict[str, Any]]] = [
    ("node.started", "did:key:z1", {"handle": "node"}),
    ("product.published", "counts", {"product": "counts", "version": "1.0.0", "contract_digest": digest(CONTRACT), "rows": 40}),
    ("product.published", "trips", {"product": "trips", "version": "1.0.0", "contract_digest": digest({"absent": 1}), "rows": 9}),
    ("negotiation.requested", "neg-1", {"negotiation": "neg-1", "product": "counts", "state": "REQUESTED"}),
    ("negotiation.agreed", "neg-1", {"negotiation": "neg-1", "product": "counts", "agreement": "agr-1", "state": "AGREED"}),
    (
        "agreement.signed",
        "agr-1",
        {"agreement": "agr-1", "product": "counts", "policy_digest": digest(POLICY), "provider": "road", "consumer": "firm"},
    ),
    (
        "agreement.signed",
        "agr-2",
        {"agreement": "agr-2", "product": "trips", "policy_digest": "sha256:00", "provider": "f", "consumer": "g"},
    ),
    ("job.vetted", "job-1", USE),
    ("job.approved", "job-1", USE),
    ("job.vetted", "job-2", {**USE, "job": "job-2"}),
    ("transfer.started", "job-1", USE),
    ("transfer.completed", "job-1", {**USE, "rows": 40}),
    ("use.metered", "job-1", {**USE, "uses": 1}),
    ("job.released", "job-1", {"job": "job-1", "receipt_digest": "sha256:aa"}),
    ("settlement.computed", "job-1", {"job": "job-1", "statement": "st-1", "statement_digest": "sha256:bb"}),
    ("permit.approved", "permit-1", {"verb": "approve", "before": "SUBMITTED", "after": "APPROVED"}),
    ("checkpoint.anchored", "anchor-1", {"size": 16, "transaction": "0x1"}),
    ("token.issued", "permit-1", {"token": "t1", "expires": "2026-03-02T00:00:00Z"}),
]
OF_JOB = [1, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 16]


def papers(_entries: Sequence[Any]) -> list[Mapping[str, Any]]:
    return [POLICY, CONTRACT, {"named": "by no entry"}]


@dataclass
class Handed:
    """A published log with its exporter."""

    evidence: Evidence
    database: Database
    exports: Exports
    folder: Path
    vkey: str

    def append(self, *acts: tuple[str, str, dict[str, Any]]) -> None:
        with self.database.write() as tx:
            for kind, subject, body in acts:
                self.evidence.append(tx, kind, subject, body)


def hand_over(root: Path, *, fill: int = 0, signer: Signer = SIGNER) -> Handed:
    root.mkdir(parents=True, exist_ok=True)
    database = database_at(root / "node.sqlite")
    metadata.create_all(database.engine)
    looks = iter(range(1_000_000))
    evidence = Evidence(
        database, signer, ORIGIN, root / "log", lambda: datetime(2026, 3, 1, 8, tzinfo=UTC) + timedelta(minutes=next(looks))
    )
    exports = Exports(root / "log", signer=signer, origin=ORIGIN, papers=papers, witness_policy=root / "witness.policy")
    handed = Handed(evidence, database, exports, root / "log", evidence.vkey)
    handed.append(*ACTS, *(("token.issued", f"t{number}", {"token": f"t{number}"}) for number in range(fill)))
    evidence.publish()
    return handed


def unzip(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def sign_again(folder: Path, *, signer: Signer = SIGNER, change: Callable[[Head], Head] = lambda head: head) -> None:
    """List the pack's files as they are now and sign the list: what an attacker can do who holds the log's key."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    listing = list_files({name: sha256((folder / name).read_bytes()).hexdigest() for name in names if name not in {"pack", "files.txt"}})
    (folder / "files.txt").write_bytes(listing)
    fields = dict(line.partition(" ")[::2] for line in (folder / "pack").read_text().splitlines()[1:6])
    head = Head(fields["case"], fields["kind"], fields["log"], int(fields["size"]), sha256(listing).hexdigest())  # type: ignore[arg-type]  # the kind is read as it stands there
    text = change(head)
    lines = f"chengshu evidence pack v1\ncase {text.case}\nkind {text.kind}\nlog {text.origin}\nsize {text.size}\nfiles {text.files}\n"
    (folder / "pack").write_bytes(sign_note(signer, name=ORIGIN, text=lines.encode()))
