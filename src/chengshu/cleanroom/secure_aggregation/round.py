"""One holder's part in one sum, from its keys to the opening: what it says at each step, and what it refuses to say twice."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from chengshu.cleanroom.ports import IsSignedBy
from chengshu.cleanroom.secure_aggregation.masks import SECRET_BYTES, own_mask, paired, shared_mask, shares
from chengshu.cleanroom.secure_aggregation.roster import Card, Roster
from chengshu.cleanroom.secure_aggregation.words import Words
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import Signer
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.errors import Conflict, Denied, Tampered
from chengshu.kernel.text import Text


class Stage(IntEnum):
    """How far a round has come."""

    JOINED = 0
    SHARED = 1
    CONTRIBUTED = 2
    CONFIRMED = 3
    OPENED = 4


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this member is, and how it tells who the others are."""

    party: str
    signer: Signer
    is_signed_by: IsSignedBy
    is_known: Callable[[str], bool]
    """Whether a party is on this node's trust list: parties that the room made up could not keep anything from it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What takes the masks away: the member's own secret, and its shares: of the others' own secrets, or of the keys of who dropped out."""

    secret: bytes
    secrets: Mapping[str, bytes]
    keys: Mapping[str, bytes]


class Round:
    """A member's secrets for one round; each step is taken once, in its order."""

    def __init__(self, who: Identity, *, job: str, holders: Collection[str], outside: Collection[str], digests: Digests) -> None:
        """``job`` is the digest of the signed job, ``holders`` those that it names, ``outside`` its asker and room."""
        self._who = who
        self._job = job
        self._holders = frozenset(holders)
        self._outside = frozenset(outside)
        self._digests = digests
        self._suite = digests.suite
        self._pair_key = self._suite.new_exchange_key()
        self._seal_key = ExchangeKey(self._suite)
        self._secret = secrets.token_bytes(SECRET_BYTES)
        card = Card(who.party, self._suite.exchange_public(self._pair_key), self._seal_key.public, digests.of_bytes(self._secret))
        self.card = card.signed_by(who.signer, job=job)
        self._stage = Stage.JOINED
        self._roster: Roster | None = None
        self._dealt: dict[str, bytes] = {}
        self._survivors: frozenset[str] = frozenset()

    def share(self, cards: Sequence[Card]) -> dict[str, bytes]:
        """Return this member's secrets in shares, each sealed to the member that it is for.

        Raises Denied for members that the job does not name, that are not known here, or whose keys they did not sign.
        """
        self._expect(Stage.JOINED)
        roster = Roster.of(cards, job=self._job, outside=self._outside)
        self._check(roster)
        dealt = shares(self._pair_key, least=roster.least, among=len(roster.cards))
        told = shares(self._secret, least=roster.least, among=len(roster.cards))
        found = {
            card.provider: self._suite.wrap(card.seal_key, key + secret, context=self._context(roster, self._who.party, card.provider))
            for card, key, secret in zip(roster.cards, dealt, told, strict=True)
            if card.provider != self._who.party
        }
        self._roster, self._stage = roster, Stage.SHARED
        return found

    def contribute(self, sealed: Mapping[str, bytes], words: Words) -> Words:
        """Return this member's figures, ``words``, under its own mask and one with each member whose shares are in ``sealed``.

        Raises Tampered for shares that were not sealed to this member by those whose names they bear, Denied where there are too few.
        """
        self._expect(Stage.SHARED)
        roster = self._known()
        if self._who.party in sealed or not roster.suffices([*sealed, self._who.party]):
            raise _denied("too-few", "the shares of every other member, or of enough of them", "fewer")
        opened = {
            giver: self._seal_key.unwrap(one, context=self._context(roster, roster.card(giver).provider, self._who.party))
            for giver, one in sealed.items()
        }
        if any(len(one) != 2 * SECRET_BYTES for one in opened.values()):
            raise Tampered("secure-aggregation.share", "expected a share of two secrets, got another length", hint=_NOTHING_OUT)
        masked = words.plus(own_mask(self._suite, self._secret, words.size))
        about = roster.digest(self._digests).encode()
        for other in sealed:
            mask = shared_mask(self._suite, self._pair_key, roster.card(other).pair_key, about=about, size=words.size)
            masked = paired(masked, mask, holder=self._who.party, other=other)
        self._dealt, self._stage = opened, Stage.CONTRIBUTED
        return masked

    def confirm(self, survivors: Collection[str]) -> bytes:
        """Return the signature over whose sums have come, as the room says; another list is never signed.

        Raises Denied for a list that lacks this member, that is too short, or that names somebody without a mask in this member's sums.
        """
        self._expect(Stage.CONTRIBUTED)
        roster, dealers = self._known(), self._dealers()
        if self._who.party not in survivors or not set(survivors) <= dealers or not roster.suffices(frozenset(survivors)):
            raise _denied("survivors", "enough of the members, this one among them", "another list")
        self._survivors, self._stage = frozenset(survivors), Stage.CONFIRMED
        return self._who.signer.sign(roster.survivors_said(dealers, survivors, digests=self._digests))

    def open(self, signatures: Mapping[str, bytes]) -> Opening:
        """Return what takes the masks away, once more than two thirds of the members have signed the same list as this one.

        Of each other member that is one share: of its own secret where its sums have come, else of its key, never of both.
        """
        self._expect(Stage.CONFIRMED)
        roster = self._known()
        lists = {"dealers": self._dealers(), "survivors": self._survivors}
        right = roster.signatures(signatures, **lists, is_signed_by=self._who.is_signed_by, digests=self._digests)
        if len(right) < roster.least:
            raise _denied("signatures", f"the signatures of {roster.least} members over the list that this one signed", "fewer")
        others = sorted(self._dealt)
        self._stage = Stage.OPENED
        return Opening(
            self._secret,
            {one: self._dealt[one][SECRET_BYTES:] for one in others if one in self._survivors},
            {one: self._dealt[one][:SECRET_BYTES] for one in others if one not in self._survivors},
        )

    @property
    def stage(self) -> Stage:
        """How far this round has come."""
        return self._stage

    @property
    def members(self) -> tuple[str, ...]:
        """Return who takes part, once the room has said so."""
        return () if self._roster is None else self._roster.members

    def _check(self, roster: Roster) -> None:
        if roster.card(self._who.party) != self.card:
            raise _denied("card", "this member's own keys among those of all", "others under its name")
        for card in roster.cards:
            if card.provider not in self._holders or not (card.provider == self._who.party or self._who.is_known(card.provider)):
                raise _denied("unknown-member", "holders that the job names and that this node knows", f"{card.provider}")
            card.check(job=self._job, is_signed_by=self._who.is_signed_by)

    def _context(self, roster: Roster, giver: str, taker: str) -> bytes:
        return roster.share_context(giver=giver, taker=taker, digests=self._digests)

    def _dealers(self) -> frozenset[str]:
        return frozenset({self._who.party, *self._dealt})

    def _known(self) -> Roster:
        assert self._roster is not None  # noqa: S101  # the stage says so
        return self._roster

    def _expect(self, stage: Stage) -> None:
        if self._stage is not stage:
            raise Conflict(
                "secure-aggregation.order",
                f"expected the step after {self._stage.name.lower()}, got that after {stage.name.lower()}, or another than before",
                hint=Text("Each step is taken once; sign a new job.", "每个步骤只执行一次；请签署新的作业。"),
            )


def _denied(what: str, expected: str, got: str) -> Denied:
    return Denied(f"secure-aggregation.{what}", f"expected {expected}, got {got}", hint=_NOTHING_OUT)


_NOTHING_OUT = Text("Ask the room's operator; nothing readable has gone out.", "请联系净室运营方；尚无任何可读数据发出。")
