"""What a log's entries say about one use of one product: four claims, each proved, not shown or contradicted.

Order is the log's order, never the clock's: a clock may go backwards, the log cannot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chengshu.evidence.model import Entry
from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Language, Text

USES = frozenset({"job.run", "job.released", "transfer.started", "transfer.completed", "use.metered"})
"""The kinds of entry that are a use: before the first of them the agreement must be signed."""


class Finding(StrEnum):
    """What the log says about a claim; NOT_SHOWN also when another node's log would hold it."""

    PROVED = "proved"
    NOT_SHOWN = "not-shown"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about a use, the finding, and the entries it rests on; a ``required`` one must be proved for the use to be."""

    name: str
    finding: Finding
    text: Text
    indexes: tuple[int, ...]
    required: bool

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the claim as JSON-ready values."""
        return {
            "name": self.name,
            "finding": self.finding.value,
            "text": self.text.of(language),
            "entries": list(self.indexes),
        }


def judge_use(entries: Sequence[Entry], *, product: str, job: str) -> tuple[tuple[Claim, ...], tuple[Entry, ...]]:
    """Return the four claims about the use of ``product`` by ``job`` and the entries they rest on, in the log's order.

    ``entries`` are the log's entries about the job and its ``agreement.signed`` entries about the product, in order; others do no
    harm. Raises NotFound when none of them is about both the job and the product.
    """
    about = [entry for entry in entries if entry.body.get("job") == job and entry.body.get("product", product) == product]
    naming = [entry for entry in about if "product" in entry.body]
    if not naming:
        raise NotFound(
            "evidence.no-such-use",
            f"expected entries about product {product} and job {job}, got none in this log",
            hint=Text("Check both identifiers, or ask the other party's log.", "请核对两个标识，或查询合约对方的日志。"),
            facts={"product": product, "job": job},
        )
    agreements = {entry.body["agreement"] for entry in naming if isinstance(entry.body.get("agreement"), str)}
    signed = [entry for entry in entries if _signs(entry, product=product) and entry.body["agreement"] in agreements]
    claims = (_agreement(signed, about, agreements=agreements), _vetting(about), _release(about), _metering(naming))
    rests_on = {entry.index: entry for entry in (*signed, *about)}
    return claims, tuple(rests_on[index] for index in sorted(rests_on))


def is_use_proved(claims: Sequence[Claim]) -> bool:
    """Say whether the claims amount to a proved use: the required ones are proved and none is contradicted."""
    against = any(claim.finding is Finding.CONTRADICTED for claim in claims)
    return not against and all(claim.finding is Finding.PROVED for claim in claims if claim.required)


def _signs(entry: Entry, *, product: str) -> bool:
    named = entry.kind == "agreement.signed" and entry.body.get("product") == product
    return named and isinstance(entry.body.get("agreement"), str)


def _agreement(signed: Sequence[Entry], about: Sequence[Entry], *, agreements: set[str]) -> Claim:
    uses = [entry.index for entry in about if entry.kind in USES]
    first_signed: dict[str, int] = {}
    for entry in signed:
        first_signed.setdefault(entry.body["agreement"], entry.index)
    indexes = tuple(sorted(first_signed.values()))
    if not uses or not agreements or set(first_signed) != agreements:
        text = Text(
            "Not shown: an agreement about the product, signed before the use, is not in this log.",
            "未显示：本日志中没有使用前签署的该产品协议。",
        )
        return Claim("agreement-before-use", Finding.NOT_SHOWN, text, indexes, required=True)
    if max(indexes) > min(uses):
        text = Text(
            f"Contradicted: the use began at entry {min(uses)}, before the agreement of entry {max(indexes)} was signed.",
            f"相悖：使用始于第 {min(uses)} 条，早于第 {max(indexes)} 条的协议签署。",
        )
        return Claim("agreement-before-use", Finding.CONTRADICTED, text, indexes, required=True)
    text = Text(
        f"Proved: the agreement was signed (entry {_list(indexes)}) before the use began (entry {min(uses)}).",
        f"已证明：协议已签署（第 {_list(indexes)} 条），早于使用开始（第 {min(uses)} 条）。",
    )
    return Claim("agreement-before-use", Finding.PROVED, text, indexes, required=True)


def _vetting(about: Sequence[Entry]) -> Claim:
    runs = [entry.index for entry in about if entry.kind in {"job.run", "job.released"}]
    first_run = runs[0] if runs else None
    decisions = [entry for entry in about if entry.kind in {"job.vetted", "job.refused"} and (first_run is None or entry.index < first_run)]
    if decisions and decisions[-1].kind == "job.vetted":
        vetted = decisions[-1].index
        text = Text(f"Proved: the job was vetted (entry {vetted}).", f"已证明：作业已通过审查（第 {vetted} 条）。")
        return Claim("job-vetted", Finding.PROVED, text, (vetted,), required=False)
    if first_run is not None:
        text = Text(
            f"Contradicted: the job ran (entry {first_run}) without being vetted before.",
            f"相悖：作业运行（第 {first_run} 条）之前未通过审查。",
        )
        return Claim("job-vetted", Finding.CONTRADICTED, text, (first_run,), required=False)
    text = Text("Not shown: this log has no vetting of the job.", "未显示：本日志中没有该作业的审查记录。")
    return Claim("job-vetted", Finding.NOT_SHOWN, text, (), required=False)


def _release(about: Sequence[Entry]) -> Claim:
    indexes = tuple(entry.index for entry in about if entry.kind in {"job.released", "transfer.completed"})
    if indexes:
        text = Text(f"Proved: data were released (entry {_list(indexes)}).", f"已证明：数据已放行（第 {_list(indexes)} 条）。")
        return Claim("data-released", Finding.PROVED, text, indexes, required=False)
    text = Text("Not shown: this log has no release of data by the job.", "未显示：本日志中没有该作业的数据放行记录。")
    return Claim("data-released", Finding.NOT_SHOWN, text, (), required=False)


def _metering(naming: Sequence[Entry]) -> Claim:
    indexes = tuple(entry.index for entry in naming if entry.kind == "use.metered")
    if len(indexes) == 1:
        text = Text(f"Proved: the use was metered once (entry {indexes[0]}).", f"已证明：该次使用计量一次（第 {indexes[0]} 条）。")
        return Claim("metered-once", Finding.PROVED, text, indexes, required=True)
    if indexes:
        text = Text(
            f"Contradicted: the use was metered {len(indexes)} times (entries {_list(indexes)}).",
            f"相悖：该次使用计量 {len(indexes)} 次（第 {_list(indexes)} 条）。",
        )
        return Claim("metered-once", Finding.CONTRADICTED, text, indexes, required=True)
    text = Text("Not shown: this log has no metering of the use.", "未显示：本日志中没有该次使用的计量记录。")
    return Claim("metered-once", Finding.NOT_SHOWN, text, (), required=True)


def _list(indexes: Sequence[int]) -> str:
    return ", ".join(str(index) for index in indexes)
