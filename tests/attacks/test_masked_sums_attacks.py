"""A room that wants one holder's sums out of masked ones: it succeeds with holders that believe any signature, and not with ours."""

from dataclasses import replace

import pytest

from chengshu.cleanroom.secure_aggregation.masks import own_mask, secret_of, shared_mask
from chengshu.cleanroom.secure_aggregation.roster import Card
from chengshu.cleanroom.secure_aggregation.words import Words
from chengshu.kernel.errors import Denied
from masked_sums import JOB, Table, party, seated

OWN = [Words.of([100 + place, 90 + place], [(7 + place) << 60]) for place in range(4)]
CREDULOUS = pytest.mark.parametrize("believes_anything", [True, False], ids=["the control", "ours"])
"""What makes the attacks fail is the signatures: the control's holders take any for right."""


def _seated(*, believes_anything: bool) -> Table:
    table = seated(OWN)
    if believes_anything:
        for round_ in table.rounds.values():
            round_._who = replace(round_._who, is_signed_by=lambda *_: True)  # the control
    return table


def _plain(table: Table, victim: str) -> tuple[list[int], list[int]]:
    return table.own[victim].numbers()


@CREDULOUS
def test_it_says_that_somebody_dropped_out_whose_sums_it_has(believes_anything: bool) -> None:
    """Bonawitz et al. (CCS 2017), section 6.2: of the victim the room wants both the own secret and the key."""
    table = _seated(believes_anything=believes_anything)
    victim, *others = table.members
    table.share()
    table.contribute()
    signatures = {one: table.rounds[one].confirm(others) for one in others}
    signatures[victim] = table.rounds[victim].confirm(table.members)
    openings = {one: table.rounds[one].open(signatures) for one in others}  # three of four: they have signed one list
    key = secret_of({table.roster.place(one): opening.keys[victim] for one, opening in openings.items()}, least=table.roster.least)
    if not believes_anything:
        with pytest.raises(Denied, match="over the list that this one signed"):
            table.rounds[victim].open(signatures)
        return
    secret = table.rounds[victim].open(signatures).secret
    assert _unmasked(table, victim, secret, {one: table.roster.card(one).pair_key for one in others}, key).numbers() == _plain(
        table, victim
    )


@CREDULOUS
def test_it_puts_keys_of_its_own_in_the_others_places(believes_anything: bool) -> None:
    """Whoever has the other ends of all masks in common takes these away, and asks the others for the victim's own secret as it should."""
    table = _seated(believes_anything=believes_anything)
    victim, *others = table.members
    suite = table.digests.suite
    keys = {one: suite.new_exchange_key() for one in others}
    rooms_own = party()
    false = [
        Card(one, suite.exchange_public(keys[one]), suite.exchange_public(keys[one]), table.roster.card(one).commitment).signed_by(
            rooms_own.signer, job=JOB
        )
        for one in others
    ]
    cards = [table.rounds[victim].card, *false]
    if not believes_anything:
        with pytest.raises(Denied, match="under its own signature"):
            table.rounds[victim].share(cards)
        return
    sealed = table.rounds[victim].share(cards)
    forged = replace(table.roster, cards=tuple(sorted(cards, key=lambda one: one.provider)))
    contexts = {one: forged.share_context(giver=victim, taker=one, digests=table.digests) for one in others}
    shares = {forged.place(one): suite.unwrap(keys[one], sealed[one], context=contexts[one])[32:] for one in others}
    given = {
        one: suite.wrap(
            forged.card(victim).seal_key, bytes(64), context=forged.share_context(giver=one, taker=victim, digests=table.digests)
        )
        for one in others
    }
    masked = table.rounds[victim].contribute(given, table.own[victim])
    secret = secret_of(shares, least=forged.least)
    words = masked.minus(own_mask(suite, secret, masked.size))
    about = forged.digest(table.digests).encode()
    for one in others:
        mask = shared_mask(suite, keys[one], forged.card(victim).pair_key, about=about, size=masked.size)
        words = words.minus(mask) if victim < one else words.plus(mask)
    assert words.numbers() == _plain(table, victim)


def _unmasked(table: Table, victim: str, secret: bytes, publics: dict[str, bytes], key: bytes) -> Words:
    masked, suite = table.masked[victim], table.digests.suite
    words = masked.minus(own_mask(suite, secret, masked.size))
    about = table.roster.digest(table.digests).encode()
    for one, public in publics.items():
        mask = shared_mask(suite, key, public, about=about, size=masked.size)
        words = words.minus(mask) if victim < one else words.plus(mask)
    return words
