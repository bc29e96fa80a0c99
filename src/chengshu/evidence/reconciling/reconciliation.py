"""What holding two parties' logs against each other has shown, in words: agreement with its counts, what is waited for, the difference."""

from dataclasses import dataclass
from typing import Any

from chengshu.evidence.reconciling.account import Account
from chengshu.kernel.text import Language, Text

NOTHING = Text("no such entry", "没有相应记录")
_LIMITS = (
    Text(
        "Not proved: that what both logs say happened did happen; two parties can agree on an untruth.",
        "未证明：双方日志所述之事确实发生；双方也可能共同作伪。",
    ),
    Text(
        "What was recorded after a copy was taken is not in it: where one is older, take a new one and reconcile again.",
        "副本不含其生成之后的记录：若一份副本早于另一份，请重新获取后再次对账。",
    ),
)


@dataclass(frozen=True, slots=True)
class Says:
    """What one log says about the matter in question; ``entry`` is the index it says it at, None where it says nothing."""

    origin: str
    entry: int | None
    text: Text

    def of(self, language: Language) -> str:
        """Return the statement as half a sentence."""
        if self.entry is None:
            return f"日志 {self.origin}：{self.text.zh}" if language == "zh" else f"the log {self.origin}: {self.text.en}"
        place = f"第 {self.entry} 条" if language == "zh" else f"entry {self.entry}"
        return f"日志 {self.origin} {place}：{self.text.zh}" if language == "zh" else f"the log {self.origin}, {place}: {self.text.en}"

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the statement as JSON-ready values."""
        return {"log": self.origin, "entry": self.entry, "says": self.text.of(language)}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing about a contract that the provider's and the consumer's logs do not say alike."""

    agreement: str
    matter: str
    provider: Says
    consumer: Says

    def text(self) -> Text:
        """Return the difference in one sentence."""
        en = f"Differs in {self.matter}, contract {self.agreement}: {self.provider.of('en')}; {self.consumer.of('en')}."
        zh = f"不一致（{self.matter}），合约 {self.agreement}：{self.provider.of('zh')}；{self.consumer.of('zh')}。"
        return Text(en, zh)

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the difference as JSON-ready values."""
        sides = {"provider": self.provider.as_dict(language), "consumer": self.consumer.as_dict(language)}
        return {"agreement": self.agreement, "matter": self.matter, **sides, "text": self.text().of(language)}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that one party still has to do; not a difference."""

    agreement: str
    waits_for: str
    entry: int
    why: Text

    def text(self) -> Text:
        """Return what is waited for in one sentence."""
        return Text(
            f"Waiting for {self.waits_for}, contract {self.agreement}: {self.why.en} (entry {self.entry}).",
            f"等待 {self.waits_for}，合约 {self.agreement}：{self.why.zh}（第 {self.entry} 条）。",
        )

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {"agreement": self.agreement, "waits_for": self.waits_for, "entry": self.entry, "why": self.why.of(language)}


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What two logs show of the contracts between their owners: everything alike, or the first difference.

    ``steps`` of negotiations, ``uses`` metered and ``receipts`` signed by both sides count what was found alike before any difference.
    """

    accounts: tuple[Account, Account]
    contracts: int
    steps: int
    uses: int
    receipts: int
    waiting: tuple[Waiting, ...]
    difference: Difference | None

    @property
    def holds(self) -> bool:
        """Whether the two logs agree; what one side still has to do is no difference."""
        return self.difference is None

    def words(self, language: Language = "en") -> list[str]:
        """Return what was found, one sentence each."""
        found = [self._verdict(), *(one.text() for one in self.waiting), *(_rests_on(one) for one in self.accounts), *_LIMITS]
        return [text.of(language) for text in found]

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "ok": self.holds,
            "contracts": self.contracts,
            "steps": self.steps,
            "uses": self.uses,
            "receipts": self.receipts,
            "waiting": [one.as_dict(language) for one in self.waiting],
            "difference": None if self.difference is None else self.difference.as_dict(language),
            "logs": [{"party": one.owner, **one.log.as_dict(language)} for one in self.accounts],
            "words": self.words(language),
        }

    def _verdict(self) -> Text:
        if self.difference is not None:
            return self.difference.text()
        return Text(
            f"Agree: common contracts {self.contracts}, steps of negotiation {self.steps}, uses metered {self.uses}, "
            f"receipts signed by both sides {self.receipts}.",
            f"一致：共同合约 {self.contracts} 份，协商步骤 {self.steps} 步，计量使用 {self.uses} 次，双方会签回执 {self.receipts} 份。",
        )


def _rests_on(account: Account) -> Text:
    checkpoint = account.log.checkpoint
    return Text(
        f"Rests on the checkpoint of {account.origin} with {checkpoint.size} entries and root {checkpoint.root_text}, "
        f"signed by {account.owner}; {_SOURCES[account.log.key_source.value].en}.",
        f"依据 {account.origin} 的检查点：{checkpoint.size} 条记录，根 {checkpoint.root_text}，由 {account.owner} 签署；"
        f"{_SOURCES[account.log.key_source.value].zh}。",
    )


_SOURCES = {
    "trusted": Text("you gave the key", "公钥由您提供"),
    "with-log": Text(
        "the key came with the log and is the one of this id: compare the id with the one you know",
        "公钥随日志提供，且与该标识一致：请核对该标识",
    ),
}
