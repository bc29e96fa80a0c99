"""What an evidence pack proves and what it does not, in words and as values."""

from dataclasses import dataclass
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint
from chengshu.evidence.packs.case import Case, JudgedUse
from chengshu.evidence.use import Finding, is_use_proved
from chengshu.evidence.verify import KEY_WORDS, LIMITS, KeySource, LogVerdict
from chengshu.kernel.text import Language, Text


@dataclass(frozen=True, slots=True)
class PackVerdict:
    """A pack was found good: every listed file is the signed one, every entry stands in the log under the signed root.

    ``asked`` says that one use was asked for, which then must be proved; ``whole_log`` is what the log in the pack proves, if it is
    there; ``unlisted`` names files beside the pack's, which nothing signed covers.
    """

    case: Case
    checkpoint: Checkpoint
    vkey: str
    key_source: KeySource
    uses: tuple[JudgedUse, ...]
    asked: bool
    documents: tuple[str, ...]
    receipts: int
    whole_log: LogVerdict | None
    unlisted: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing in the pack contradicts a use, and the use that was asked for is proved."""
        contradicted = any(claim.finding is Finding.CONTRADICTED for use in self.uses for claim in use.claims)
        return not contradicted and (not self.asked or all(is_use_proved(use.claims) for use in self.uses))

    def words(self, language: Language = "en") -> list[str]:
        """Return what is proved and what is not, one sentence each."""
        return [text.of(language) for text in (*self.proved(), *self._judged(), *self.limits())]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "ok": self.holds,
            "what": "evidence-pack",
            "case": self.case.id,
            "case_kind": self.case.kind.value,
            "origin": self.checkpoint.origin,
            "size": self.checkpoint.size,
            "root": self.checkpoint.root_text,
            "vkey": self.vkey,
            "key_source": self.key_source.value,
            "whole_log": self.whole_log is not None,
            "entries": [
                {"index": one.index, "kind": one.kind, "subject": one.subject, "at": one.at.isoformat()} for one in self.case.entries
            ],
            "documents": list(self.documents),
            "unlisted": list(self.unlisted),
            "uses": [
                {
                    "product": use.product,
                    "job": use.job,
                    "ok": is_use_proved(use.claims),
                    "claims": [one.as_dict(language) for one in use.claims],
                }
                for use in self.uses
            ],
            "words": self.words(language),
        }

    def proved(self) -> tuple[Text, ...]:
        """Return the sentences about the pack itself."""
        count, origin, size = len(self.case.entries), self.checkpoint.origin, self.checkpoint.size
        return (
            Text(
                f"Proved: each of the {count} entries about {self.case.id} stands at its place in the log {origin} of {size} entries.",
                f"已证明：关于 {self.case.id} 的 {count} 条记录均位于日志 {origin}（共 {size} 条）的相应位置。",
            ),
            Text(
                f"Proved: every file of the pack is the one that was signed; {self.receipts} COSE receipt(s) hold.",
                f"已证明：存证包内每个文件均为签署时的文件；{self.receipts} 份 COSE 回执有效。",
            ),
            KEY_WORDS[self.key_source],
            Text(
                f"Proved: {len(self.documents)} document(s) are the ones whose digests the entries name.",
                f"已证明：{len(self.documents)} 份文档与条目所载摘要一致。",
            ),
            *self._completeness(),
        )

    def limits(self) -> tuple[Text, ...]:
        """Return the sentences about what is not proved."""
        texts = LIMITS if self.whole_log is not None else (_NOT_ALL, *LIMITS)
        if not self.unlisted:
            return texts
        count, first = len(self.unlisted), self.unlisted[0]
        return (
            *texts,
            Text(
                f"Not judged: {count} file(s) that the pack does not list, from {first} on.",
                f"未判定：{count} 个未列入存证包的文件，自 {first} 起。",
            ),
        )

    def _completeness(self) -> tuple[Text, ...]:
        if self.whole_log is None:
            return ()
        all_of_it = Text(
            "Proved: these are all the entries about the case; the pack was compared with the whole log.",
            "已证明：这些就是该案件的全部条目；存证包已与完整日志比对。",
        )
        return (self.whole_log.proved()[0], all_of_it)

    def _judged(self) -> tuple[Text, ...]:
        """The claims of every use, each use named first when there is more than one."""
        texts: list[Text] = []
        for use in self.uses:
            if len(self.uses) > 1:
                texts.append(Text(f"Use of {use.product} by {use.job}:", f"作业 {use.job} 对 {use.product} 的使用："))
            texts.extend(claim.text for claim in use.claims)
        return tuple(texts)


_NOT_ALL = Text(
    "Not proved: that the pack holds every entry about the case, so not that something was done only once; the whole log shows that.",
    "未证明：存证包包含该案件的全部条目，因而未证明某事仅发生一次；完整日志可证明。",
)
