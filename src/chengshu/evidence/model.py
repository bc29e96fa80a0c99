"""What an entry of the log is: a closed list of kinds, frozen entries, and the proofs about them.

The obligation on everyone who appends: a body carries identifiers, digests, counts and money. It MUST NOT carry data values (cell
contents, positions, names of persons), because entries are published for good and cannot be taken back.

Conventions that a proof of use relies on: bodies of ``job.*``, ``transfer.*`` and ``use.metered`` carry ``job``, and ``product`` and
``agreement`` where they apply; the body of ``agreement.signed`` is ``{agreement, product, policy_digest, provider, consumer}``,
with ``unsigned``, the id of the party that did not sign, where one does not.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.tree import TreeHash, is_consistent, is_included
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

ENTRY_VERSION = 1
MAX_ENTRY_BYTES = 65_535
"""The largest entry that an entry bundle can carry (C2SP tlog-tiles, uint16 length)."""

KINDS: Mapping[str, Text] = MappingProxyType(
    {
        "node.started": Text("Node started", "节点启动"),
        "peer.added": Text("Peer added", "添加对端节点"),
        "peer.changed": Text("Peer changed", "变更对端节点"),
        "product.published": Text("Data product published", "数据产品发布"),
        "product.withdrawn": Text("Data product withdrawn", "数据产品下架"),
        "grade.set": Text("Grade set", "分级设定"),
        "offer.made": Text("Offer made", "要约发出"),
        "source.quarantined": Text("Source quarantined", "数据来源隔离"),
        "negotiation.requested": Text("Contract requested", "合约请求"),
        "negotiation.offered": Text("Contract offered", "合约报价"),
        "negotiation.accepted": Text("Contract offer accepted", "合约报价接受"),
        "negotiation.agreed": Text("Contract agreed", "合约达成"),
        "negotiation.verified": Text("Contract agreement verified", "合约协议核验"),
        "negotiation.finalized": Text("Contract negotiation finalized", "合约协商完成"),
        "negotiation.terminated": Text("Contract negotiation terminated", "合约协商终止"),
        "agreement.signed": Text("Agreement signed", "协议签署"),
        "agreement.expired": Text("Agreement expired", "协议到期"),
        "agreement.superseded": Text("Agreement superseded", "协议被替代"),
        "agreement.terminated": Text("Agreement terminated", "协议终止"),
        "job.submitted": Text("Job submitted", "作业提交"),
        "job.vetted": Text("Job vetted", "作业审查通过"),
        "job.refused": Text("Job refused", "作业拒绝"),
        "job.approved": Text("Job approved", "作业批准"),
        "job.run": Text("Job run", "作业运行"),
        "method.stopped": Text("Method stopped", "方法中止"),
        "job.released": Text("Job result released", "作业结果放行"),
        "job.cleared": Text("What a job was given deleted", "作业所获数据已删除"),
        "job.cancelled": Text("Job cancelled by its asker", "作业由使用方取消"),
        "job.failed": Text("Job failed", "作业失败"),
        "transfer.started": Text("Transfer started", "传输开始"),
        "transfer.completed": Text("Transfer completed", "传输完成"),
        "transfer.stopped": Text("Transfer stopped", "传输中止"),
        "transfer.refused": Text("Transfer refused", "传输拒绝"),
        "delivery.requested": Text("Delivery requested", "交付请求"),
        "delivery.started": Text("Delivery started", "交付启动"),
        "delivery.suspended": Text("Delivery suspended", "交付暂停"),
        "delivery.completed": Text("Delivery completed", "交付完成"),
        "delivery.terminated": Text("Delivery terminated", "交付终止"),
        "delivery.received": Text("Delivery received", "交付接收"),
        "delivery.renewed": Text("Access of a delivery renewed", "交付访问续期"),
        "sum.contributed": Text("Masked sums of own rows handed over", "本方数据的掩码合计已提交"),
        "use.metered": Text("Use metered", "使用计量"),
        "use.revoked": Text("Use no longer allowed", "使用许可失效"),
        "budget.spent": Text("Budget spent", "额度消耗"),
        "budget.reserved": Text("Privacy budget reserved", "隐私预算预留"),
        "budget.committed": Text("Privacy budget committed", "隐私预算确认"),
        "duty.fulfilled": Text("Duty fulfilled", "义务履行"),
        "event.begun": Text("Event begun", "事件开始"),
        "event.ended": Text("Event ended", "事件结束"),
        "receipt.issued": Text("Use receipt issued", "使用回执签发"),
        "receipt.countersigned": Text("Use receipt countersigned", "使用回执会签"),
        "permit.submitted": Text("Permit applied for", "许可申请"),
        "permit.approved": Text("Permit approved", "许可批准"),
        "permit.published": Text("Permit published", "许可发布"),
        "permit.refused": Text("Permit step refused", "许可步骤拒绝"),
        "permit.restricted": Text("Permit restricted", "许可限制"),
        "permit.lifted": Text("Permit restriction lifted", "许可限制解除"),
        "permit.suspended": Text("Permit suspended", "许可暂停"),
        "permit.reinstated": Text("Permit reinstated", "许可恢复"),
        "permit.terminated": Text("Permit terminated", "许可终止"),
        "permit.expired": Text("Permit expired", "许可到期"),
        "directive.issued": Text("Temporary directive issued", "临时管控指令发布"),
        "directive.lifted": Text("Temporary directive lifted", "临时管控指令解除"),
        "token.issued": Text("Admission token issued", "准入令牌签发"),
        "token.presented": Text("Admission token presented", "准入令牌出示"),
        "token.refused": Text("Admission token refused", "准入令牌拒绝"),
        "settlement.computed": Text("Settlement computed", "结算计算"),
        "payment.recorded": Text("Payment recorded", "付款入账"),
        "checkpoint.anchored": Text("Checkpoint anchored on a chain", "检查点上链锚定"),
        "alert.raised": Text("Alert raised", "告警"),
    }
)
"""Every kind of act that the log knows, by name, with its title."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, at its place in the log; ``data`` is the exact bytes that the tree commits to."""

    index: int
    kind: str
    subject: str
    at: datetime
    body: Mapping[str, Any]
    data: bytes

    @property
    def title(self) -> Text:
        """The kind's title; the kind's own name for a kind that this version does not know."""
        return KINDS.get(self.kind, Text(self.kind, self.kind))

    def leaf(self, hashing: TreeHash) -> bytes:
        """Return the entry's leaf hash in a tree that hashes so."""
        return hashing.leaf(self.data)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """The hashes that prove one entry to be at ``index`` of the log at ``checkpoint`` (RFC 9162 section 2.1.3)."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def holds(self) -> bool:
        """Whether the hashes lead from the leaf to the checkpoint's root."""
        size, root, hashing = self.checkpoint.size, self.checkpoint.root, self.checkpoint.hashing
        return is_included(self.leaf, index=self.index, size=size, path=self.path, root=root, hashing=hashing)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The hashes that prove the log at ``new`` entries to be the log at ``old`` entries plus appended ones (RFC 9162 section 2.1.4)."""

    old: int
    old_root: bytes
    new: int
    new_root: bytes
    path: tuple[bytes, ...]
    hashing: TreeHash

    @property
    def holds(self) -> bool:
        """Whether the hashes lead to both roots."""
        old, old_root, new, new_root = self.old, self.old_root, self.new, self.new_root
        return is_consistent(old=old, old_root=old_root, new=new, new_root=new_root, path=self.path, hashing=self.hashing)


def entry_fields(kind: str, subject: str, *, at: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON fields of an entry; raise Invalid for a kind outside of :data:`KINDS` or an empty subject."""
    if kind not in KINDS:
        raise Invalid(
            "evidence.kind",
            f"expected one of the {len(KINDS)} kinds of entry, got {kind!r}",
            hint=Text("Use a kind of chengshu.evidence.model.KINDS.", "请使用 chengshu.evidence.model.KINDS 中的类型。"),
            facts={"kind": kind},
        )
    if not subject:
        raise Invalid(
            "evidence.subject",
            f"expected the identifier that the {kind} entry is about, got an empty text",
            hint=Text("Name the product, job or agreement.", "请给出产品、作业或协议的标识。"),
        )
    return {"v": ENTRY_VERSION, "kind": kind, "subject": subject, "at": at, "body": dict(body)}


def parse_entry(index: int, data: bytes) -> Entry:
    """Return the entry that ``data`` encodes; raise Invalid, which names the index, when it is not an entry of version 1."""
    try:
        return _entry(index, data, fields=json.loads(data, object_pairs_hook=_without_duplicates))
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(
            "evidence.entry",
            f"entry {index}: expected JSON fields v (1), kind, subject, at and body, got something else",
            hint=Text("The log was written by another program or version.", "该日志由其他程序或版本写入。"),
            facts={"index": index},
        ) from error


def _entry(index: int, data: bytes, *, fields: Any) -> Entry:
    if set(fields) != {"v", "kind", "subject", "at", "body"} or fields["v"] != ENTRY_VERSION:
        raise ValueError("other fields or version")
    kind, subject, body = fields["kind"], fields["subject"], fields["body"]
    if not (isinstance(kind, str) and kind and isinstance(subject, str) and isinstance(body, dict)):
        raise TypeError("other types")
    at = datetime.fromisoformat(fields["at"])
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    return Entry(index, kind, subject, at, MappingProxyType(body), data)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name that comes twice")
    return fields
