"""What is true of a statement: contribution by exact Shapley, payments in whole 分 that add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.errors import Invalid
from chengshu.kernel.money import Fen, split_by_largest_remainder
from chengshu.kernel.text import Text
from chengshu.methods.shapley import proven_copies, shapley_with_copies

FORMAT = "chengshu-statement-1"
RULE = Text(
    "Each party's share is its exact Shapley value over all coalitions; parties that hold the same data and are worth the same share one "
    "value; negative shares are paid as zero; fen are split by largest remainder.",
    "各方份额为其在全部联盟上的精确沙普利值；持有相同数据且价值相同的各方共享一份；负份额按零支付；金额按最大余数法分配到分。",
)


@dataclass(frozen=True, slots=True)
class CoalitionCount:
    """What one coalition's data achieved: ``seen`` of ``n`` cases."""

    members: frozenset[str]
    seen: int
    n: int

    @property
    def value(self) -> Fraction:
        """The coalition's value, exact."""
        return Fraction(self.seen, self.n)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be settled: one job, its price, who pays, every coalition's count, and which parties hold one and the same data."""

    statement: str
    job: str
    payer: str
    price: Fen
    coalitions: tuple[CoalitionCount, ...]
    sharing: frozenset[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Statement:
    """One settled job: the counts it rests on, the shares that follow, the payments that follow from those."""

    order: Order
    shares: Mapping[str, Fraction]
    payments: Mapping[str, Fen]
    computed_at: datetime

    def as_document(self) -> dict[str, Any]:
        """Return the statement as JSON values; fractions are text (``3/7``), so that nothing is rounded."""
        order = self.order
        return {
            "format": FORMAT,
            "statement": order.statement,
            "job": order.job,
            "payer": order.payer,
            "price_fen": order.price,
            "rule": {"en": RULE.en, "zh": RULE.zh},
            "coalitions": [
                {"members": sorted(count.members), "seen": count.seen, "n": count.n} for count in sorted(order.coalitions, key=_order)
            ],
            "same_data": sorted(sorted(parties) for parties in order.sharing),
            "shares": {party: str(share) for party, share in sorted(self.shares.items())},
            "payments_fen": dict(sorted(self.payments.items())),
            "computed_at": iso(self.computed_at),
        }

    def digest(self, digests: Digests) -> str:
        """Return the digest of the canonical document."""
        return digests.of(self.as_document())


@dataclass(frozen=True, slots=True)
class Agreed:
    """What one party knows by itself of a job before a statement about it comes: the signed job, and what this party was shown.

    ``members`` are the ids and handles of those whose products the job named; ``counts`` is the released table, and
    ``sharing`` who holds the same data as the room found it; None for a party that was not shown them.
    """

    payer: str
    price: Fen | None
    members: frozenset[str]
    counts: frozenset[CoalitionCount] | None
    sharing: frozenset[frozenset[str]] | None


def settle(order: Order, *, at: datetime) -> Statement:
    """Return the statement that follows from ``order``: pure, the same for everyone who computes it.

    Where no coalition achieved anything there is nothing to share: every payment is zero and the payer keeps the price.
    Raises Invalid when a coalition is missing, double, or counts more than there is.
    """
    values = _values(order)
    players = sorted(frozenset[str]().union(*values))
    shares = shapley_with_copies(values, players, same=proven_copies(values, players, sharing=sorted(order.sharing, key=sorted)))
    positive = {party: max(share, Fraction(0)) for party, share in shares.items()}
    worth = any(positive.values())
    payments = split_by_largest_remainder(order.price, positive) if worth else dict.fromkeys(positive, Fen(0))
    return Statement(order=order, shares=shares, payments=payments, computed_at=at)


def parse(document: Mapping[str, Any]) -> Statement:
    """Return the statement that a document claims, unchecked beyond its shape; raise Invalid for another shape."""
    try:
        order = Order(
            statement=str(document["statement"]),
            job=str(document["job"]),
            payer=str(document["payer"]),
            price=Fen(_whole(document["price_fen"])),
            coalitions=tuple(
                CoalitionCount(frozenset(map(str, row["members"])), _whole(row["seen"]), _whole(row["n"])) for row in document["coalitions"]
            ),
            sharing=frozenset(frozenset(map(str, parties)) for parties in document["same_data"]),
        )
        return Statement(
            order=order,
            shares={party: Fraction(share) for party, share in document["shares"].items()},
            payments={party: Fen(_whole(fen)) for party, fen in document["payments_fen"].items()},
            computed_at=from_iso(document["computed_at"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise Invalid(
            "settlement.malformed",
            f"expected a statement document of format {FORMAT}, got one with a wrong or missing part ({type(error).__name__})",
            hint=Text("Ask the clean room for the statement again.", "请向净室重新索取结算单。"),
        ) from error


def differences(document: Mapping[str, Any]) -> list[str]:
    """Recompute a statement from its own counts and name every part that does not follow; an empty list means it does."""
    claimed = parse(document)
    right = settle(claimed.order, at=claimed.computed_at)
    found = [
        f"share of {party}: expected {right.shares.get(party)}, got {claimed.shares.get(party)}"
        for party in sorted(right.shares.keys() | claimed.shares.keys())
        if right.shares.get(party) != claimed.shares.get(party)
    ]
    found += [
        f"payment to {party}: expected {right.payments.get(party)} fen, got {claimed.payments.get(party)} fen"
        for party in sorted(right.payments.keys() | claimed.payments.keys())
        if right.payments.get(party) != claimed.payments.get(party)
    ]
    if not found and right.as_document() != dict(document):
        found.append("document: expected what follows from the counts and nothing else, got another part")
    return found


def objections(statement: Statement, agreed: Agreed) -> list[str]:
    """Name every part of a statement that is not what was agreed, or not what this party was shown; an empty list means none is."""
    order = statement.order
    found = []
    if order.payer != agreed.payer:
        found.append(f"payer: expected the asker {agreed.payer}, got {order.payer}")
    if order.price != agreed.price:
        found.append(f"price: expected {'none' if agreed.price is None else f'{agreed.price} fen'}, got {order.price} fen")
    strangers = sorted(party for party, fen in statement.payments.items() if fen and party not in agreed.members)
    found += [f"payment to {party}: expected one to a party whose product the job named, got a stranger" for party in strangers]
    if agreed.counts is not None and frozenset(order.coalitions) != agreed.counts:
        found.append("coalitions: expected the counts of the released table, got others")
    if agreed.sharing is not None and order.sharing != agreed.sharing:
        found.append("same_data: expected the parties that the room found to hold the same data, got others")
    return found


def _whole(value: object) -> int:
    """Return a whole number as it is; nothing is rounded, and no text is taken for one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("expected a whole number")
    return value


def _order(count: CoalitionCount) -> tuple[int, list[str]]:
    return len(count.members), sorted(count.members)


def _values(order: Order) -> dict[frozenset[str], Fraction]:
    players = frozenset[str]().union(*(count.members for count in order.coalitions))
    if order.price < 0:
        raise _wrong("a price of zero or more", "a negative one")
    values: dict[frozenset[str], Fraction] = {}
    for count in order.coalitions:
        if not 0 <= count.seen <= count.n or count.n == 0:
            raise _wrong("0 ≤ seen ≤ n and n ≥ 1 for every coalition", f"another count for {sorted(count.members)}")
        if count.members in values:
            raise _wrong("every coalition once", f"{sorted(count.members)} twice")
        if count.seen and not count.members:
            raise _wrong("nothing seen by nobody", f"{count.seen}")
        values[count.members] = count.value
    values.setdefault(frozenset(), Fraction(0))
    if len(values) != 2 ** len(players):
        raise _wrong(f"all {2 ** len(players)} coalitions of {len(players)} parties", f"{len(values)}")
    return values


def _wrong(expected: str, got: str) -> Invalid:
    return Invalid(
        "settlement.bad-counts",
        f"expected {expected}, got {got}",
        hint=Text("Run the valuation again; it must count every coalition once.", "请重新运行估值；每个联盟必须恰好计一次。"),
    )
