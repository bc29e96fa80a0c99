"""Two parties' logs held against each other: their records of their common contracts agree, or the first difference is named.

Works offline on two copied folders. Both logs are verified whole first, so that a difference is between what the two parties signed, never
between what somebody did to a file. Needs the standard library and ``cryptography`` only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from chengshu.evidence.model import Entry
from chengshu.evidence.reconciling.account import Account, ContractAccount, read_account, receipt_of, text_of, use_of
from chengshu.evidence.reconciling.reconciliation import NOTHING, Difference, Reconciliation, Says, Waiting
from chengshu.kernel.errors import Invalid, NotFound
from chengshu.kernel.text import Text

_SENT_BY_CONSUMER = frozenset({"negotiation.requested", "negotiation.accepted", "negotiation.verified"})


def reconcile(a: Path, b: Path, *, vkey_a: str | None = None, vkey_b: str | None = None) -> Reconciliation:
    """Verify two parties' logs whole and hold their records of their common contracts against each other.

    Raises Tampered, as :func:`chengshu.evidence.verify.verify_log` does, before anything is compared; Invalid for two logs of one party;
    NotFound where neither log holds a contract between the two.
    """
    return compare(read_account(a, vkey_a), read_account(b, vkey_b))


def compare(one: Account, other: Account) -> Reconciliation:
    """Return what two verified logs show of the contracts between their owners."""
    if one.owner == other.owner:
        raise Invalid(
            "evidence.same-party",
            "expected the logs of two parties, got two logs of one",
            hint=Text("Give the log of the other party as well.", "请给出另一参与方的日志。"),
        )
    common = list(dict.fromkeys([*one.contracts_with(other.owner), *other.contracts_with(one.owner)]))
    if not common:
        raise NotFound(
            "evidence.no-common-contract",
            f"expected a contract between the parties of {one.origin} and {other.origin}, got none in either log",
            hint=Text("Check whose logs these are.", "请核对日志所属的参与方。"),
        )
    tally = _Tally()
    difference = next((found for agreement in common for found in _Pair(one, other, agreement, tally).differences()), None)
    waiting = tuple(tally.waiting)
    return Reconciliation((one, other), tally.contracts, tally.steps, tally.uses, tally.receipts, waiting, difference)


@dataclass(slots=True)
class _Tally:
    """What was found alike so far."""

    contracts: int = 0
    steps: int = 0
    uses: int = 0
    receipts: int = 0
    waiting: list[Waiting] = field(default_factory=list)


class _Pair:
    """One contract as its provider's and its consumer's logs tell it."""

    def __init__(self, one: Account, other: Account, agreement: str, tally: _Tally) -> None:
        sides = {one.owner: one, other.owner: other}
        signed = one.about(agreement).signed or other.about(agreement).signed
        provider = text_of(signed.body, "provider") if signed is not None else ""
        self._provider = sides.get(provider, one)
        self._consumer = other if self._provider is one else one
        self._agreement = agreement
        self._tally = tally
        self._theirs: ContractAccount = self._provider.about(agreement)
        self._ours: ContractAccount = self._consumer.about(agreement)
        self._said = self._provider.steps(self._theirs.negotiations or self._ours.counterparts)
        self._heard = self._consumer.steps(self._ours.negotiations or self._theirs.counterparts)

    def differences(self) -> Iterator[Difference]:
        """Yield every difference, the first one first: the signature, the steps that led to it, the receipts, the uses."""
        yield from self._signature()
        yield from self._steps()
        yield from self._receipts()
        yield from self._uses()
        self._tally.contracts += 1

    def _signature(self) -> Iterator[Difference]:
        provider, consumer = self._theirs.signed, self._ours.signed
        if provider is None and consumer is not None and not self._consumer_goes_on():
            why = Text("the consumer signed the agreement, the provider has not concluded it", "使用方已签署合约，提供方尚未完成")
            self._wait(self._provider, consumer, why)
        elif provider is None or consumer is None:
            yield self._difference("agreement", (provider, _signing(provider)), (consumer, _signing(consumer)))
        else:
            for name in ("policy_digest", "product", "provider", "consumer"):
                yield from self._field("agreement", name, provider, consumer)

    def _steps(self) -> Iterator[Difference]:
        for provider, consumer in zip_longest(self._said, self._heard):
            if provider is None or consumer is None:
                yield from self._missing_step(provider, consumer)
            elif _step(provider) != _step(consumer):
                yield self._difference("negotiation", (provider, _telling(provider)), (consumer, _telling(consumer)))
            else:
                self._tally.steps += 1

    def _missing_step(self, provider: Entry | None, consumer: Entry | None) -> Iterator[Difference]:
        """A message that its receiver's log does not have may be under way; one that its sender's log does not have is a difference."""
        entry = provider or consumer
        assert entry is not None  # noqa: S101  # one of the two logs goes on
        sent_by_consumer = entry.kind in _SENT_BY_CONSUMER
        under_way = entry.kind == "negotiation.terminated" or sent_by_consumer == (provider is None)
        if under_way:
            receiver = self._provider if provider is None else self._consumer
            self._wait(receiver, entry, Text(f"{entry.title.en}: the message is under way", f"{entry.title.zh}：消息在途"))
        else:
            yield self._difference("negotiation", (provider, _telling(provider)), (consumer, _telling(consumer)))

    def _receipts(self) -> Iterator[Difference]:
        issued = self._theirs.of("receipt.issued")
        yield from self._repeats(self._provider, issued)
        yield from self._repeats(self._provider, self._theirs.of("receipt.countersigned"))
        yield from self._repeats(self._consumer, self._ours.of("receipt.countersigned"))
        taken = {receipt_of(entry): entry for entry in self._theirs.of("receipt.countersigned")}
        given = {receipt_of(entry): entry for entry in self._ours.of("receipt.countersigned")}
        for entry in issued:
            digest = receipt_of(entry)
            yield from self._receipt(entry, given=given.pop(digest, None), taken=taken.pop(digest, None))
        for entry in given.values():
            yield self._difference("receipt", (None, NOTHING), (entry, _telling(entry)))
        for entry in taken.values():
            yield self._difference("receipt", (entry, _telling(entry)), (None, NOTHING))
        known = {receipt_of(entry) for entry in issued}
        for entry in self._ours.disputes:
            if receipt_of(entry) not in known:
                yield self._difference("receipt", (None, NOTHING), (entry, _disputing(entry)))

    def _receipt(self, issued: Entry, *, given: Entry | None, taken: Entry | None) -> Iterator[Difference]:
        if given is not None:
            for name in ("job", "product", "policy_digest", "uses"):
                yield from self._field("receipt", name, issued, given)
            if taken is None:
                why = Text("the consumer countersigned, the provider has not taken it yet", "使用方已会签，提供方尚未收到")
                self._wait(self._provider, given, why)
            else:
                self._tally.receipts += 1
        elif taken is not None:
            yield self._difference("receipt", (taken, _telling(taken)), (None, NOTHING))
        else:
            yield from self._unsigned(issued)

    def _unsigned(self, issued: Entry) -> Iterator[Difference]:
        told, raised = (_about(side.disputes, receipt_of(issued)) for side in (self._theirs, self._ours))
        if told is None and raised is None:
            self._wait(self._consumer, issued, Text("a use receipt is issued and not countersigned yet", "使用回执已签发，尚未会签"))
        else:
            yield self._difference("receipt", (told or issued, _telling(issued)), (raised, _disputing(raised or told)))

    def _uses(self) -> Iterator[Difference]:
        metered: dict[tuple[str, str], Entry] = {}
        for entry in self._theirs.of("use.metered"):
            if use_of(entry) in metered:
                first = metered[use_of(entry)].index
                yield self._difference("use", (entry, _again(entry, first)), (None, Text("one use at most", "至多一次使用")))
            metered[use_of(entry)] = entry
        receipts = {use_of(entry): entry for entry in self._theirs.of("receipt.issued")}
        for use, entry in receipts.items():
            if use not in metered:
                yield self._difference(
                    "use", (entry, Text("a receipt for a use that was not metered", "未计量使用的回执")), (None, NOTHING)
                )
        for use, entry in metered.items():
            yield from self._metered(entry, receipts.get(use))

    def _metered(self, metered: Entry, receipt: Entry | None) -> Iterator[Difference]:
        if receipt is not None:
            self._tally.uses += 1
            return
        end = self._theirs.ended(use_of(metered))
        if end is None:
            self._wait(self._provider, metered, Text("a use is metered, its job has not ended yet", "使用已计量，作业尚未结束"))
            return
        text = Text(
            f"a use is metered and its job ended at entry {end.index}, without a receipt",
            f"使用已计量且作业已在第 {end.index} 条结束，但没有回执",
        )
        yield self._difference("use", (metered, text), (None, NOTHING))

    def _repeats(self, account: Account, entries: Sequence[Entry]) -> Iterator[Difference]:
        seen: dict[tuple[str, str], int] = {}
        for entry in entries:
            first = seen.setdefault(use_of(entry), entry.index)
            if first != entry.index:
                again = (entry, _again(entry, first))
                once: tuple[Entry | None, Text] = (None, Text("one receipt for one use", "一次使用一份回执"))
                yield self._difference("receipt", *((again, once) if account is self._provider else (once, again)))

    def _field(self, matter: str, name: str, provider: Entry, consumer: Entry) -> Iterator[Difference]:
        theirs, ours = text_of(provider.body, name), text_of(consumer.body, name)
        if theirs != ours:
            texts = [Text(f"{name} {value or '-'}", f"{name} {value or '-'}") for value in (theirs, ours)]
            yield self._difference(f"{matter}, {name}", (provider, texts[0]), (consumer, texts[1]))

    def _consumer_goes_on(self) -> bool:
        """Whether the consumer's log shows more of the contract than its own signature: the provider must have concluded it before."""
        kinds = {entry.kind for entry in (*self._ours.entries, *self._heard)}
        return not kinds.isdisjoint({"negotiation.finalized", "receipt.countersigned"})

    def _wait(self, party: Account, entry: Entry, why: Text) -> None:
        self._tally.waiting.append(Waiting(self._agreement, party.origin, entry.index, why))

    def _difference(self, matter: str, provider: tuple[Entry | None, Text], consumer: tuple[Entry | None, Text]) -> Difference:
        says = [
            Says(account.origin, None if entry is None else entry.index, text)
            for account, (entry, text) in ((self._provider, provider), (self._consumer, consumer))
        ]
        return Difference(self._agreement, matter, *says)


def _about(entries: Sequence[Entry], receipt: str) -> Entry | None:
    return next((entry for entry in entries if receipt_of(entry) == receipt), None)


def _step(entry: Entry) -> tuple[str, str]:
    return entry.kind, text_of(entry.body, "message")


def _telling(entry: Entry | None) -> Text:
    if entry is None:
        return NOTHING
    what = text_of(entry.body, "message") or receipt_of(entry)
    return Text(f"{entry.title.en}, {what}", f"{entry.title.zh}，{what}")


def _signing(entry: Entry | None) -> Text:
    if entry is None:
        return NOTHING
    policy = text_of(entry.body, "policy_digest")
    return Text(f"{entry.title.en}, policy_digest {policy}", f"{entry.title.zh}，policy_digest {policy}")


def _again(entry: Entry, first: int) -> Text:
    return Text(f"{entry.title.en} for the use that entry {first} is about already", f"{entry.title.zh}，与第 {first} 条为同一次使用")


def _disputing(entry: Entry | None) -> Text:
    field_name = "" if entry is None else text_of(entry.body, "field")
    return Text(f"the receipt is disputed for its field {field_name}", f"对回执字段 {field_name} 有争议")
