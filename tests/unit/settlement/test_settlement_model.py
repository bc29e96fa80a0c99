"""Statements: payments that sum to the price whatever the game, and no change of a document that recomputing does not find."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Invalid
from chengshu.kernel.money import Fen
from chengshu.settlement.model import CoalitionCount, Order, differences, parse, settle

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
DIGESTS = Digests(INTERNATIONAL)
NAMES = ("ant", "bee", "cat", "dog")


def coalitions(players: tuple[str, ...]) -> list[frozenset[str]]:
    """Every set of players, the empty one first."""
    return [frozenset(members) for size in range(len(players) + 1) for members in combinations(players, size)]


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """A monotone game of one to four parties: each case is seen by whoever holds one of its keys."""
    players = NAMES[: draw(st.integers(1, 4))]
    cases = draw(st.lists(st.sets(st.sampled_from(players)), min_size=1, max_size=12))
    counts = tuple(CoalitionCount(one, sum(bool(one & seers) for seers in cases), len(cases)) for one in coalitions(players))
    return Order("s", "j", "payer", Fen(draw(st.integers(0, 10_000_000))), counts)


def game(**seen: int) -> Order:
    """A game of ant and bee over ten cases, worth one yuan."""
    counts = [CoalitionCount(frozenset(name.split("_")) if name != "none" else frozenset(), count, 10) for name, count in seen.items()]
    return Order("s", "j", "payer", Fen(100), tuple(counts))


@given(orders())
def test_payments_sum_to_the_price_and_none_is_negative(order: Order) -> None:
    statement = settle(order, at=AT)
    achieved = any(count.seen for count in order.coalitions)
    assert sum(statement.payments.values()) == (order.price if achieved else 0)
    assert all(payment >= 0 for payment in statement.payments.values())


@given(orders())
def test_shares_sum_to_what_all_achieved_together(order: Order) -> None:
    whole = max(order.coalitions, key=lambda count: len(count.members))
    assert sum(settle(order, at=AT).shares.values(), Fraction(0)) == whole.value


@given(orders(), st.randoms(use_true_random=False))
def test_the_order_in_which_coalitions_were_counted_changes_nothing(order: Order, random: Any) -> None:
    mixed = list(order.coalitions)
    random.shuffle(mixed)
    again = Order(order.statement, order.job, order.payer, order.price, tuple(mixed))
    assert settle(again, at=AT).digest(DIGESTS) == settle(order, at=AT).digest(DIGESTS)


@given(orders())
def test_a_statement_survives_being_written_and_read_and_then_has_no_difference(order: Order) -> None:
    document = settle(order, at=AT).as_document()
    assert parse(document).as_document() == document
    assert differences(document) == []


@given(orders(), st.data())
def test_a_changed_payment_is_named(order: Order, data: st.DataObject) -> None:
    document = settle(order, at=AT).as_document()
    party = data.draw(st.sampled_from(sorted(document["payments_fen"])))
    document["payments_fen"][party] += data.draw(st.integers(1, 1000))
    assert [one for one in differences(document) if one.startswith(f"payment to {party}: ")] != []


@given(orders(), st.data())
def test_fen_moved_from_one_party_to_another_are_found_although_the_sum_is_right(order: Order, data: st.DataObject) -> None:
    document = settle(order, at=AT).as_document()
    if len(document["payments_fen"]) > 1:
        giver, taker = data.draw(st.permutations(sorted(document["payments_fen"])))[:2]
        document["payments_fen"][giver] -= 1
        document["payments_fen"][taker] += 1
        assert len(differences(document)) == 2


@given(orders(), st.data())
def test_a_changed_share_is_named(order: Order, data: st.DataObject) -> None:
    document = settle(order, at=AT).as_document()
    party = data.draw(st.sampled_from(sorted(document["shares"])))
    document["shares"][party] = str(Fraction(document["shares"][party]) + Fraction(1, data.draw(st.integers(2, 1000))))
    assert [one for one in differences(document) if one.startswith(f"share of {party}: ")] != []


WORTH = game(none=0, ant=6, bee=4, ant_bee=8)


def changed(**parts: Any) -> dict[str, Any]:
    """The statement of a small game with some parts of its document in other words."""
    return {**deepcopy(settle(WORTH, at=AT).as_document()), **parts}


def test_the_small_game_is_worth_what_it_should_be() -> None:
    statement = settle(WORTH, at=AT)
    assert dict(statement.shares) == {"ant": Fraction(1, 2), "bee": Fraction(3, 10)}
    assert dict(statement.payments) == {"ant": 63, "bee": 37}  # 62.5 and 37.5: the odd fen goes by name


TAMPERED = {
    "another price": changed(price_fen=101),
    "a party that is paid and does not exist": changed(payments_fen={"ant": 63, "bee": 37, "cat": 1}),
    "a party that is not paid": changed(payments_fen={"ant": 63}),
    "a party without a share": changed(shares={"ant": "1/2"}),
    "a party with a share that does not exist": changed(shares={"ant": "1/2", "bee": "3/10", "cat": "1/5"}),
    "more seen by one coalition": changed(
        coalitions=[
            {"members": [], "seen": 0, "n": 10},
            {"members": ["ant"], "seen": 7, "n": 10},
            {"members": ["bee"], "seen": 4, "n": 10},
            {"members": ["ant", "bee"], "seen": 8, "n": 10},
        ]
    ),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_document_that_was_tampered_with_does_not_follow(how: str) -> None:
    assert differences(TAMPERED[how]) != []


def with_a_copy(order: Order, of: str) -> Order:
    """The same game with another party that brings one party's data once more."""
    players = (*sorted(frozenset[str]().union(*(count.members for count in order.coalitions))), "copy")
    counts = {count.members: count for count in order.coalitions}
    again = []
    for members in coalitions(players):
        count = counts[members - {"copy"} | ({of} if "copy" in members else set())]
        again.append(CoalitionCount(members, count.seen, count.n))
    return replace(order, coalitions=tuple(again), sharing=frozenset({frozenset({of, "copy"})}))


@given(orders(), st.data())
def test_a_copied_source_does_not_raise_what_the_pair_is_paid_even_beside_a_substitute(order: Order, data: st.DataObject) -> None:
    players = sorted(frozenset[str]().union(*(count.members for count in order.coalitions)))
    of = data.draw(st.sampled_from(players))
    alone, copied = settle(order, at=AT), settle(with_a_copy(order, of), at=AT)
    assert copied.shares[of] + copied.shares["copy"] == alone.shares[of]
    assert copied.payments[of] + copied.payments["copy"] <= alone.payments[of] + 1  # the odd fen goes by the names there are
    assert {name: copied.shares[name] for name in players if name != of} == {name: alone.shares[name] for name in players if name != of}


def test_an_honest_source_that_sees_the_same_is_paid_as_one_of_its_own() -> None:
    same = {"none": 0, "ant": 6, "bee": 6, "ant_bee": 6}
    assert dict(settle(game(**same), at=AT).payments) == {"ant": 50, "bee": 50}
    copied = settle(with_a_copy(game(**same), "ant"), at=AT)
    assert dict(copied.payments) == {"ant": 25, "bee": 50, "copy": 25}


def test_a_copy_that_leaves_a_case_out_is_a_source_of_its_own() -> None:
    """A known limit: only what is exactly the same is told."""
    nearly = {"none": 0, "ant": 6, "copy": 5, "bee": 6, "ant_copy": 6, "ant_bee": 6, "bee_copy": 6, "ant_bee_copy": 6}
    order = replace(game(**nearly), sharing=frozenset({frozenset({"ant", "copy"})}))
    paid = settle(order, at=AT).payments
    assert paid["ant"] + paid["copy"] > 50


def test_who_adds_nothing_is_paid_nothing() -> None:
    assert settle(game(none=0, ant=6, bee=0, ant_bee=6), at=AT).payments == {"ant": 100, "bee": 0}


def test_who_does_harm_is_paid_nothing_and_the_price_is_still_shared_in_full() -> None:
    statement = settle(game(none=0, ant=8, bee=0, ant_bee=4), at=AT)
    assert statement.shares["bee"] < 0
    assert dict(statement.payments) == {"ant": 100, "bee": 0}


def test_where_nothing_was_achieved_nobody_is_paid() -> None:
    assert dict(settle(game(none=0, ant=0, bee=0, ant_bee=0), at=AT).payments) == {"ant": 0, "bee": 0}


WRONG = {
    "a coalition is missing": (game(none=0, ant=6, bee=4), "all 4 coalitions"),
    "a coalition is there twice": (
        Order("s", "j", "p", Fen(1), (*WORTH.coalitions, CoalitionCount(frozenset({"ant"}), 5, 10))),
        "every coalition once",
    ),
    "more was seen than there is": (game(none=0, ant=11, bee=4, ant_bee=8), "seen ≤ n"),
    "fewer than none was seen": (game(none=0, ant=-1, bee=4, ant_bee=8), "0 ≤ seen"),
    "there were no cases": (Order("s", "j", "p", Fen(1), (CoalitionCount(frozenset({"ant"}), 0, 0),)), "n ≥ 1"),
    "the price is negative": (Order("s", "j", "p", Fen(-1), WORTH.coalitions), "a price of zero or more"),
}


@pytest.mark.parametrize("how", WRONG)
def test_counts_that_cannot_be_settled_are_refused_with_what_was_expected(how: str) -> None:
    order, expected = WRONG[how]
    with pytest.raises(Invalid) as caught:
        settle(order, at=AT)
    assert caught.value.code == "settlement.bad-counts"
    assert expected in caught.value.message


def test_the_coalition_of_nobody_cannot_be_counted_twice_or_be_worth_something() -> None:
    for nobody in (CoalitionCount(frozenset(), 0, 10), CoalitionCount(frozenset(), 3, 10)):
        with pytest.raises(Invalid):
            settle(Order("s", "j", "p", Fen(1), (*WORTH.coalitions, nobody)), at=AT)
    with pytest.raises(Invalid) as caught:
        settle(Order("s", "j", "p", Fen(1), (CoalitionCount(frozenset(), 3, 10), *WORTH.coalitions[1:])), at=AT)
    assert "nothing seen by nobody" in caught.value.message


def test_the_coalition_of_nobody_may_be_left_out() -> None:
    assert settle(Order("s", "j", "payer", Fen(100), WORTH.coalitions[1:]), at=AT).payments == settle(WORTH, at=AT).payments


@pytest.mark.parametrize(
    "document",
    [
        {},
        changed(price_fen="much"),
        changed(coalitions=None),
        changed(coalitions=[{"members": ["ant"]}]),
        changed(shares={"ant": "1/0"}),
        changed(shares=["ant"]),
        changed(payments_fen={"ant": "1.5"}),
        changed(computed_at="2026-01-01"),
    ],
    ids=["nothing", "price", "no coalitions", "no counts", "a share by zero", "shares in a list", "parts of a fen", "no offset"],
)
def test_a_document_of_another_shape_is_said_to_be_one(document: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        differences(document)
    assert caught.value.code == "settlement.malformed"
