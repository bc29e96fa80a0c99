"""One door for whatever a stranger was handed: a log's folder, an evidence pack (zip or folder) or a proof of use."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chengshu.evidence.packs.pack import is_pack, verify_pack
from chengshu.evidence.packs.pack_verdict import PackVerdict
from chengshu.evidence.packs.unpack import unpacked
from chengshu.evidence.packs.use_proof import MAX_BYTES, UseProofVerdict, verify_use_proof
from chengshu.evidence.verify import LogVerdict, UseVerdict, verify_log, verify_use
from chengshu.evidence.witnessing.counted import Counted, count, key_to_trust
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Language, Text

_ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Weighed:
    """What evidence proves, and whether the checkpoint that it rests on counts by a witness policy."""

    verdict: LogVerdict | UseVerdict | PackVerdict
    counted: Counted

    @property
    def holds(self) -> bool:
        """Whether everything is proved and enough witnesses cosigned."""
        return self.verdict.holds and self.counted.met

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        return [*self.verdict.words(language), *(text.of(language) for text in self.counted.texts())]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return self.verdict.as_dict(language) | {"ok": self.holds, "quorum": self.counted.as_dict(language)}


Verdict = LogVerdict | UseVerdict | PackVerdict | UseProofVerdict | Weighed


def examine(
    path: Path, vkey: str | None = None, *, product: str | None = None, job: str | None = None, policy: Path | None = None
) -> Verdict:
    """Check what lies at ``path`` and return what it proves; with ``product`` and ``job``, about that one use.

    With ``policy``, a C2SP tlog-policy file, the verdict also says whether enough witnesses cosigned the checkpoint; a key that the policy
    lists counts as given. Raises NotFound where there is nothing, Tampered, which names the file, and Invalid for what cannot be
    understood.
    """
    if path.is_dir():
        return _folder(path, vkey, product=product, job=job, policy=policy)
    if not path.is_file():
        raise NotFound("evidence.no-file", f"{path.name}: expected a folder or a file, got none", hint=_GIVE, facts={"file": path.name})
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
    if start == _ZIP:
        with unpacked(path) as folder:
            return _folder(folder, vkey, product=product, job=job, policy=policy)
    if policy is not None:
        raise Invalid(
            "evidence.no-cosignatures",
            f"{path.name}: expected a log or a pack with --policy, got a proof of use, which carries no cosignatures",
            hint=_GIVE,
        )
    return _use_proof(path, vkey, product=product, job=job)


def _folder(path: Path, vkey: str | None, *, product: str | None, job: str | None, policy: Path | None) -> Verdict:
    key = key_to_trust(path, policy, vkey)
    verdict: LogVerdict | UseVerdict | PackVerdict
    if is_pack(path):
        verdict = verify_pack(path, key, product=product, job=job)
    elif product is not None and job is not None:
        verdict = verify_use(path, product=product, job=job, vkey=key)
    else:
        verdict = verify_log(path, key)
    if policy is None:
        return verdict
    about = verdict.log if isinstance(verdict, UseVerdict) else verdict
    return Weighed(verdict, count(path, policy, checkpoint=about.checkpoint, vkey=about.vkey))


def _use_proof(path: Path, vkey: str | None, *, product: str | None, job: str | None) -> UseProofVerdict:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Invalid("evidence.file-size", f"{path.name}: expected at most {MAX_BYTES} bytes, got more", hint=_GIVE)
    verdict = verify_use_proof(data, file=path.name, vkey=vkey)
    if product is not None and (verdict.product, verdict.job) != (product, job):
        raise NotFound(
            "evidence.no-such-use",
            f"expected a proof about product {product} and job {job}, got one about {verdict.product} and {verdict.job}",
            hint=_GIVE,
            facts={"product": product, "job": str(job)},
        )
    return verdict


_GIVE = Text(
    "Give a log's folder, an evidence pack (.zip or unpacked), or a proof of use made by 'chengshu evidence receipt'.",
    "请给出日志文件夹、存证包（.zip 或已解压），或由 chengshu evidence receipt 生成的使用证明。",
)
