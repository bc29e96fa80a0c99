"""Who takes part in one sum: each holder's keys for this one job, signed with the key that it is known by."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from chengshu.cleanroom.ports import IsSignedBy
from chengshu.cleanroom.reading import mapping, text, wrong
from chengshu.cleanroom.secure_aggregation.fitting import LEAST_HOLDERS
from chengshu.cleanroom.secure_aggregation.masks import threshold
from chengshu.cleanroom.secure_aggregation.packing import packed, unpacked
from chengshu.kernel.canonical import Digests, canonical
from chengshu.kernel.crypto import Signer
from chengshu.kernel.errors import Denied
from chengshu.kernel.text import Text

_DIGEST = r"[a-z0-9]+:[0-9a-f]{64}"
_FIELDS = ("provider", "pair_key", "seal_key", "commitment", "signature")


@dataclass(frozen=True, slots=True)
class Card:
    """What a holder shows the others: a key for masks in common, one that its shares are sealed to, and the digest of its own secret."""

    provider: str
    pair_key: bytes
    seal_key: bytes
    commitment: str
    signature: bytes = b""

    def signed_by(self, signer: Signer, *, job: str) -> "Card":
        """Return the card with its holder's signature for the job of this digest."""
        return Card(self.provider, self.pair_key, self.seal_key, self.commitment, signer.sign(self._said(job)))

    def check(self, *, job: str, is_signed_by: IsSignedBy) -> None:
        """Raise Denied unless its holder signed it for the job of this digest: a room could put its own keys in their place."""
        if not is_signed_by(self.provider, self.signature, self._said(job)):
            raise Denied(
                "secure-aggregation.card",
                f"expected the keys of {self.provider} for this job under its own signature, got others",
                hint=Text("Ask the room's operator; nothing has gone out.", "请联系净室运营方；尚无任何数据发出。"),
            )

    def as_document(self) -> dict[str, str]:
        """Return the card as JSON values."""
        return {**self._fields(), "signature": packed(self.signature)}

    @classmethod
    def parse(cls, document: object, path: str = "card") -> "Card":
        """Return the card that ``document`` describes; raise Invalid naming the field."""
        found = mapping(document, path, required=_FIELDS)
        raw = {name: unpacked(found[name], f"{path}.{name}") for name in ("pair_key", "seal_key", "signature")}
        commitment = text(found["commitment"], f"{path}.commitment", pattern=_DIGEST, expected="a digest")
        return cls(text(found["provider"], f"{path}.provider"), raw["pair_key"], raw["seal_key"], commitment, raw["signature"])

    def _fields(self) -> dict[str, str]:
        return {
            "provider": self.provider,
            "pair_key": packed(self.pair_key),
            "seal_key": packed(self.seal_key),
            "commitment": self.commitment,
        }

    def _said(self, job: str) -> bytes:
        return canonical({"format": "chengshu-sum-card-1", "job": job, **self._fields()})


@dataclass(frozen=True, slots=True)
class Roster:
    """The cards of all who take part, in the order of their names; ``job`` is the digest of the job that they are for.

    ``outside`` are the asker and the room, who may hold products too: what they know counts as known to one another.
    """

    job: str
    cards: tuple[Card, ...]
    outside: frozenset[str]

    @classmethod
    def of(cls, cards: Iterable[Card], *, job: str, outside: Collection[str]) -> "Roster":
        """Return the roster of these cards; raise Invalid where one comes twice, or for fewer than there must be."""
        found = tuple(sorted(cards, key=lambda one: one.provider))
        roster = cls(job, found, frozenset(outside))
        if len({one.provider for one in found}) != len(found):
            raise wrong("cards", expected="each holder once", got="one of them twice")
        if not roster.suffices(roster.members):
            raise wrong("cards", expected=f"{LEAST_HOLDERS} holders or more beside the asker and the room", got="fewer")
        return roster

    @property
    def members(self) -> tuple[str, ...]:
        """Return who takes part."""
        return tuple(one.provider for one in self.cards)

    @property
    def least(self) -> int:
        """How many of the members must be there to the end."""
        return max(threshold(len(self.cards)), LEAST_HOLDERS)

    def suffices(self, some: Collection[str]) -> bool:
        """Whether these members are enough to add up: more than two thirds, three of whom are neither asker nor room."""
        return len(some) >= self.least and len(set(some) - self.outside) >= LEAST_HOLDERS

    def place(self, member: str) -> int:
        """Return a member's place from 0 on; raise Invalid for whoever takes no part."""
        if member not in self.members:
            raise wrong("member", expected="a holder that takes part", got="another party")
        return self.members.index(member)

    def card(self, member: str) -> Card:
        """Return a member's card; raises as :meth:`place`."""
        return self.cards[self.place(member)]

    def digest(self, digests: Digests) -> str:
        """Return the digest by which masks, shares and signatures are bound to exactly this job and these keys."""
        return digests.of({"job": self.job, "cards": [one.as_document() for one in self.cards]})

    def share_context(self, *, giver: str, taker: str, digests: Digests) -> bytes:
        """Return what a sealed share is bound to."""
        return canonical({"format": "chengshu-sum-share-1", "roster": self.digest(digests), "from": giver, "to": taker})

    def survivors_said(self, dealers: Collection[str], survivors: Collection[str], *, digests: Digests) -> bytes:
        """Return what members sign: whose masks are in the sums (``dealers``), and whose sums have come (``survivors``)."""
        lists = {"dealers": sorted(dealers), "survivors": sorted(survivors)}
        return canonical({"format": "chengshu-sum-survivors-1", "roster": self.digest(digests), **lists})

    def signatures(
        self,
        found: Mapping[str, bytes],
        *,
        dealers: Collection[str],
        survivors: Collection[str],
        is_signed_by: IsSignedBy,
        digests: Digests,
    ) -> dict[str, bytes]:
        """Return those of the signatures ``found`` that are the survivors' own, over exactly these lists."""
        said = self.survivors_said(dealers, survivors, digests=digests)
        return {one: signature for one, signature in found.items() if one in survivors and is_signed_by(one, signature, said)}
