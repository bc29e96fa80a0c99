"""The page in an evidence pack: what the case is, what happened in order, what is proved and what is not.

One file in both languages; nothing is loaded from anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.model import Entry
from chengshu.evidence.packs.case import Case
from chengshu.evidence.use import Finding, is_use_proved
from chengshu.evidence.verify import LIMITS
from chengshu.kernel.text import Text

_SHORT = 26
_OWN_FIELDS = frozenset({"job", "product", "agreement", "negotiation", "statement"})

_FIELDS: Mapping[str, Text] = {
    "job": Text("job", "作业"),
    "product": Text("product", "产品"),
    "agreement": Text("agreement", "协议"),
    "negotiation": Text("negotiation", "协商"),
    "statement": Text("statement", "结算单"),
    "provider": Text("provider", "提供方"),
    "consumer": Text("consumer", "使用方"),
    "counterparty": Text("counterparty", "对方"),
    "role": Text("own role", "本方角色"),
    "recipient": Text("recipient", "接收方"),
    "holder": Text("holder", "持有方"),
    "room": Text("clean room", "计算环境"),
    "version": Text("version", "版本"),
    "state": Text("state", "状态"),
    "before": Text("before", "变更前"),
    "after": Text("after", "变更后"),
    "rule": Text("rule", "规则"),
    "rows": Text("rows", "行数"),
    "bytes": Text("bytes", "字节数"),
    "uses": Text("uses", "次数"),
    "policy_digest": Text("policy digest", "策略摘要"),
    "contract_digest": Text("data contract digest", "数据合同摘要"),
    "agreement_digest": Text("agreement digest", "协议摘要"),
    "data_digest": Text("data digest", "数据摘要"),
    "receipt_digest": Text("receipt digest", "回执摘要"),
    "statement_digest": Text("statement digest", "结算单摘要"),
    "message": Text("message digest", "消息摘要"),
    "document": Text("document digest", "文档摘要"),
}
"""The fields that a timeline shows, by name; a body's other fields are in the entry's own file."""

_PAPERS: Mapping[str, Text] = {
    "policy_digest": Text("Usage policy", "使用策略"),
    "contract_digest": Text("Data contract", "数据合同"),
    "agreement_digest": Text("Agreement", "协议"),
}

_FINDINGS: Mapping[Finding, Text] = {
    Finding.PROVED: Text("proved", "已证明"),
    Finding.NOT_SHOWN: Text("not shown", "未显示"),
    Finding.CONTRADICTED: Text("contradicted", "相悖"),
}

_CLAIMS: Mapping[str, Text] = {
    "agreement-before-use": Text("The agreement was signed before the use", "协议先于使用签署"),
    "job-vetted": Text("The job was vetted before it ran", "作业运行前已通过审查"),
    "data-released": Text("Data were released", "数据已放行"),
    "metered-once": Text("The use was metered once", "该次使用计量一次"),
}


@dataclass(frozen=True, slots=True)
class Paper:
    """A document that an entry names by digest: the field that names it, where the pack keeps it, and its canonical bytes."""

    digest: str
    field: str
    path: str
    data: bytes

    @property
    def title(self) -> Text:
        """What kind of document it is."""
        return _PAPERS[self.field]


def summary_page(case: Case, checkpoint: Checkpoint, *, vkey: str, papers: Sequence[Paper], absent: int, whole_log: bool) -> bytes:
    """Return the page as HTML; the same case under the same checkpoint gives the same bytes. It shows ids, digests and counts only."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  # a serving node writes no summaries

    environment = Environment(
        loader=PackageLoader("chengshu.evidence.packs"), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    uses = case.uses()
    page = environment.get_template("pack_summary.html.j2").render(
        case=case,
        checkpoint=checkpoint,
        vkey=vkey,
        papers=papers,
        absent=absent,
        whole_log=whole_log,
        uses=[_use(use.product, use.job, use.claims) for use in uses],
        days=_days(case.entries),
        limits=LIMITS,
        first=case.entries[0],
        last=case.entries[-1],
    )
    return page.encode()


def _use(product: str, job: str, claims: Sequence[Any]) -> dict[str, Any]:
    contradicted = any(claim.finding is Finding.CONTRADICTED for claim in claims)
    verdict = (
        ("is-against", Text("The entries contradict this use", "条目与该次使用相悖"))
        if contradicted
        else ("is-proved", Text("The entries prove this use", "条目证明了该次使用"))
        if is_use_proved(claims)
        else ("is-open", Text("The entries do not show all of this use", "条目未完整显示该次使用"))
    )
    return {
        "product": product,
        "job": job,
        "standing": verdict[0],
        "verdict": verdict[1],
        "claims": [
            {
                "finding": claim.finding.value,
                "word": _FINDINGS[claim.finding],
                "title": _CLAIMS.get(claim.name, Text(claim.name, claim.name)),
                "text": claim.text,
                "indexes": claim.indexes,
            }
            for claim in claims
        ],
    }


def _days(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The timeline: days, and what happened on each, in the log's order."""
    days: list[dict[str, Any]] = []
    for entry in entries:
        day = entry.at.strftime("%Y-%m-%d")
        if not days or days[-1]["day"] != day:
            days.append({"day": day, "acts": []})
        days[-1]["acts"].append({"entry": entry, "clock": entry.at.strftime("%H:%M:%S"), "facts": _facts(entry)})
    return days


def _facts(entry: Entry) -> list[dict[str, Any]]:
    facts = []
    for field, name in _FIELDS.items():
        value = entry.body.get(field)
        if isinstance(value, str | int) and not isinstance(value, bool) and not (field in _OWN_FIELDS and value == entry.subject):
            facts.append({"name": name, "value": str(value), "short": short(str(value))})
    return facts


def short(text: str) -> str:
    """Return a long identifier or digest with its middle left out; the template keeps the whole in its title."""
    return text if len(text) <= _SHORT else f"{text[:15]}…{text[-8:]}"
