"""One door for whatever a stranger was handed: a log's folder, an evidence pack (zip or folder) or a proof of use."""

from pathlib import Path

from chengshu.evidence.pack import is_pack, verify_pack
from chengshu.evidence.pack_verdict import PackVerdict
from chengshu.evidence.unpack import unpacked
from chengshu.evidence.use_proof import MAX_BYTES, UseProofVerdict, verify_use_proof
from chengshu.evidence.verify import LogVerdict, UseVerdict, verify_log, verify_use
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text

Verdict = LogVerdict | UseVerdict | PackVerdict | UseProofVerdict
_ZIP = b"PK\x03\x04"


def examine(path: Path, vkey: str | None = None, *, product: str | None = None, job: str | None = None) -> Verdict:
    """Check what lies at ``path`` and return what it proves; with ``product`` and ``job``, about that one use.

    Raises NotFound where there is nothing, Tampered, which names the file, and Invalid for what cannot be understood.
    """
    if path.is_dir():
        return _folder(path, vkey, product=product, job=job)
    if not path.is_file():
        raise NotFound("evidence.no-file", f"{path.name}: expected a folder or a file, got none", hint=_GIVE, facts={"file": path.name})
    with path.open("rb") as file:
        start = file.read(len(_ZIP))
        if start != _ZIP:
            data = start + file.read(MAX_BYTES)
    if start == _ZIP:
        with unpacked(path) as folder:
            return verify_pack(folder, vkey, product=product, job=job)
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


def _folder(path: Path, vkey: str | None, *, product: str | None, job: str | None) -> Verdict:
    if is_pack(path):
        return verify_pack(path, vkey, product=product, job=job)
    if product is not None and job is not None:
        return verify_use(path, product=product, job=job, vkey=vkey)
    return verify_log(path, vkey)


_GIVE = Text(
    "Give a log's folder, an evidence pack (.zip or unpacked), or a proof of use made by 'chengshu evidence receipt'.",
    "请给出日志文件夹、存证包（.zip 或已解压），或由 chengshu evidence receipt 生成的使用证明。",
)
