"""Sums whose parts nobody sees: they are the pooled answer, they survive holders that drop out, and a room that lies learns nothing."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.cleanroom.gate.release import let_out, release
from chengshu.cleanroom.model import Aggregate, ColumnType, ProductTerms
from chengshu.cleanroom.secure_aggregation.fixed import fitting, numbers_of, words_of
from chengshu.cleanroom.secure_aggregation.form import Figure, Form
from chengshu.cleanroom.secure_aggregation.masks import secret_of, shares, threshold
from chengshu.cleanroom.secure_aggregation.packing import packed_bits, unpacked_bits
from chengshu.cleanroom.secure_aggregation.roster import Card, Roster
from chengshu.cleanroom.secure_aggregation.words import Size, Words
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, Tampered
from chengshu.kernel.refusal import Refused
from masked_sums import ASKER, ENGINE, JOB, ROOM, Table, asked, figures, party, schema, seated, vectors

NAMES = ("north.rides", "south.rides", "east.rides", "west.rides")
SUITES = pytest.mark.parametrize("suite", [INTERNATIONAL, NATIONAL], ids=lambda one: one.name)
FORM = Form.of(asked("COUNT(*) AS n, AVG(fare) AS a", NAMES, {one: ProductTerms(schema(one, ColumnType.DOUBLE)) for one in NAMES}))
OWN = [Words.of([1000 + place, -50 - place, 91 + 7 * place], [(7 + place) << 60, -(1 << 100) - place]) for place in range(7)]
"""What seven holders have: numbers of 64 bits, and of 128."""


def expected(*places: int) -> tuple[list[int], list[int]]:
    """What some of them have together."""
    narrow, wide = zip(*(OWN[place].numbers() for place in places), strict=True)
    return [sum(one) for one in zip(*narrow, strict=True)], [sum(one) for one in zip(*wide, strict=True)]


def gone(table: Table, *places: int) -> list[str]:
    dids = list(table.own)
    return [dids[place] for place in places]


numbers = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5)
large = st.lists(st.integers(-(2**127), 2**127 - 1), min_size=1, max_size=5)


@given(numbers, numbers, large, large)
def test_words_add_and_subtract_as_whole_numbers_that_wrap_round(
    left: list[int], right: list[int], wide: list[int], other: list[int]
) -> None:
    narrow, both = min(len(left), len(right)), min(len(wide), len(other))
    one, two = Words.of(left[:narrow], wide[:both]), Words.of(right[:narrow], other[:both])

    def wrapped(value: int, bits: int) -> int:
        return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)

    for result, sign in ((one.plus(two), 1), (one.minus(two), -1)):
        found = result.numbers()
        assert found[0] == [wrapped(x + sign * y, 64) for x, y in zip(left[:narrow], right[:narrow], strict=True)]
        assert found[1] == [wrapped(x + sign * y, 128) for x, y in zip(wide[:both], other[:both], strict=True)]
    assert Words.parse(one.as_bytes(), one.size).numbers() == one.numbers()
    assert one.size.bytes == len(one.as_bytes()) == 8 * narrow + 16 * both


def test_words_of_another_length_are_none() -> None:
    with pytest.raises(ValueError, match="expected 24 bytes, got 16"):
        Words.parse(bytes(16), Size(1, 1))


@given(st.binary(min_size=32, max_size=32), st.integers(3, 9), st.data())
@settings(max_examples=10)
def test_a_secret_comes_back_from_any_shares_that_are_enough_and_from_no_fewer(secret: bytes, members: int, data: st.DataObject) -> None:
    least = threshold(members)
    found = shares(secret, least=least, among=members)
    places = data.draw(st.lists(st.integers(0, members - 1), min_size=least, max_size=members, unique=True))
    assert secret_of({place: found[place] for place in places}, least=least) == secret
    assert secret_of({place: found[place] for place in places[: least - 1]}, least=least) != secret


def test_more_than_two_thirds_of_the_members_are_needed() -> None:
    assert [threshold(members) for members in range(3, 10)] == [3, 3, 4, 5, 5, 6, 7]


@SUITES
@pytest.mark.parametrize(
    ("after_join", "after_share", "after_sums", "after_confirming"),
    [((), (), (), ()), ((), (5,), (), ()), ((4,), (), (3,), ()), ((), (), (0,), ()), ((), (), (), (2,)), ((), (2,), (), (1,))],
)
def test_who_stays_is_added_up_exactly_whoever_drops_out(
    suite: Any, after_join: tuple[int, ...], after_share: tuple[int, ...], after_sums: tuple[int, ...], after_confirming: tuple[int, ...]
) -> None:
    table = seated(OWN, suite=suite)
    table.share(without=gone(table, *after_join))
    table.contribute(without=gone(table, *after_share))
    signatures = table.confirm(without=gone(table, *after_sums))
    total = table.total(table.open(signatures, without=gone(table, *after_confirming)))
    there = [place for place in range(7) if place not in {*after_join, *after_share}]
    assert total.numbers() == expected(*there)


def test_what_a_holder_hands_over_is_never_the_same_and_never_what_it_has() -> None:
    tables = [seated(OWN[:3]) for _ in range(2)]
    for table in tables:
        table.share()
        table.contribute()
    plain = {number for own in OWN[:3] for part in own.numbers() for number in part}
    seen = [number for table in tables for words in table.masked.values() for part in words.numbers() for number in part]
    assert len(set(seen)) == len(seen)
    assert not plain & set(seen)


def test_three_holders_are_too_few_to_lose_one() -> None:
    table = seated(OWN[:3])
    table.share()
    table.contribute(without=gone(table, 2))
    with pytest.raises(Denied, match="enough of the members"):
        table.confirm()


def test_two_holders_beside_the_asker_are_too_few_to_begin() -> None:
    parties = [party() for _ in range(2)]
    cards = [one.round([one.did], _digests()).card for one in parties]
    with pytest.raises(Invalid, match="3 holders or more beside the asker and the room"):
        Roster.of([*cards, Card(ASKER, b"", b"", JOB)], job=JOB, outside={ASKER, ROOM})
    with pytest.raises(Invalid, match="each holder once"):
        Roster.of([*cards, cards[0]], job=JOB, outside={ASKER, ROOM})


def _digests() -> Any:
    return seated(OWN[:3]).digests


def test_keys_that_the_room_has_put_in_a_holders_place_are_refused() -> None:
    table = seated(OWN[:4])
    one, victim = table.members[:2]
    false = party()
    forged = Card(victim, *(getattr(false.round([], table.digests).card, name) for name in ("pair_key", "seal_key", "commitment")))
    cards = [forged.signed_by(false.signer, job=JOB) if card.provider == victim else card for card in table.cards]
    with pytest.raises(Denied, match="under its own signature"):
        table.rounds[one].share(cards)


def test_a_card_of_another_job_is_refused() -> None:
    table = seated(OWN[:4])
    one, other = table.members[:2]
    parties = {did: round_ for did, round_ in table.rounds.items() if did == other}
    old = parties[other].card.signed_by(parties[other]._who.signer, job="sha256:" + "b" * 64)  # what it signed for another job
    cards = [old if card.provider == other else card for card in table.cards]
    with pytest.raises(Denied, match="for this job"):
        table.rounds[one].share(cards)


def test_members_that_the_job_does_not_name_or_that_are_not_known_are_refused() -> None:
    table = seated(OWN[:4])
    one = table.members[0]
    made_up = party()
    stranger = made_up.round([made_up.did], table.digests).card
    with pytest.raises(Denied, match="holders that the job names and that this node knows"):
        table.rounds[one].share([*table.cards, stranger])
    suspicious = party()
    suspicious.known = set(table.members[:2])
    careful = suspicious.round([*table.members, suspicious.did], table.digests)
    with pytest.raises(Denied, match="that this node knows"):
        careful.share([*table.cards, careful.card])


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_bits_come_back_as_they_went_and_others_are_refused(bits: list[bool]) -> None:
    raw = packed_bits(bits)
    if any(bits):
        assert unpacked_bits(raw, len(bits), "common") == bits
    wrong = [raw + b"\0", raw[:-1], bytes(len(raw))]
    for one in wrong:
        with pytest.raises(Invalid, match="common: expected"):
            unpacked_bits(one, len(bits), "common")


def test_a_share_that_was_meant_for_another_is_refused() -> None:
    table = seated(OWN[:4])
    table.share()
    one, two, three, _ = table.members
    sealed = table.sealed_for(one)
    with pytest.raises(Tampered):
        table.rounds[one].contribute({**sealed, two: table.dealt[two][three]}, table.own[one])


def test_a_holder_masks_with_enough_others_or_with_nobody() -> None:
    table = seated(OWN[:4])
    table.share()
    one, two, *_ = table.members
    with pytest.raises(Denied, match="shares of every other member, or of enough"):
        table.rounds[one].contribute({two: table.dealt[two][one]}, table.own[one])


def test_each_step_is_taken_once() -> None:
    table = seated(OWN[:4])
    one = table.members[0]
    with pytest.raises(Conflict, match="expected the step after joined"):
        table.rounds[one].confirm(table.members)
    table.share()
    table.contribute()
    with pytest.raises(Conflict, match="expected the step after contributed"):
        table.rounds[one].contribute(table.sealed_for(one), table.own[one])
    table.confirm()
    with pytest.raises(Conflict, match="expected the step after confirmed"):
        table.rounds[one].confirm(table.members[:3])


def _own_secrets(table: Table) -> None:
    """Somebody opens another secret than it has masked with."""
    one = next(iter(table.rounds))
    table.rounds[one]._secret = bytes(32)  # a liar


@pytest.mark.parametrize("lie", [_own_secrets])
def test_a_holder_that_opens_other_secrets_than_it_masked_with_is_told(lie: Callable[[Table], None]) -> None:
    table = seated(OWN[:4])
    table.share()
    table.contribute()
    signatures = table.confirm()
    lie(table)
    with pytest.raises(Tampered, match=r"the secret of .*'s card"):
        table.total(table.open(signatures))


def test_totals_that_no_rows_have_are_not_taken_for_an_answer() -> None:
    words = Words.of([-5, 1, 1, 1], [0, 0])
    with pytest.raises(Tampered, match="counts that groups can have"):
        FORM.totals(words, pa.table({"g0": ["gate", "hill"]}))


# what a question comes to

SELECTS = st.sampled_from(
    [
        "COUNT(*) AS n",
        "COUNT(fare) AS n",
        "SUM(fare) AS s",
        "AVG(fare) AS a",
        "COUNT(*) AS n, SUM(fare) AS s, AVG(fare) AS a",
        "ROUND(AVG(fare), 1) AS a, RANK() OVER (ORDER BY SUM(fare) DESC) AS r",
        "SUM(CASE WHEN zone = 'gate' THEN fare END) AS s",
        "COUNT(*) FILTER (WHERE zone = 'gate') AS n",
    ]
)
ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["gate", "hill", None]), st.one_of(st.none(), st.integers(-8, 40))), max_size=24
)
KINDS = {ColumnType.INTEGER: pa.int64(), ColumnType.DOUBLE: pa.float64(), ColumnType.DECIMAL: pa.decimal128(12, 2)}


@settings(max_examples=60)
@given(st.lists(ROWS, min_size=3, max_size=4), SELECTS, st.sampled_from(list(KINDS)), st.booleans(), st.sampled_from([None, 10]))
def test_masked_sums_are_the_answer_of_the_pooled_rows(
    rows: list[list[tuple[str, str | None, int | None]]], select: str, kind: ColumnType, bounded: bool, dominance: int | None
) -> None:
    names = NAMES[: len(rows)]
    bounds: dict[str, Any] = {"lower": Decimal(0), "upper": Decimal(30)} if bounded else {}
    query = asked(select, names, {one: ProductTerms(schema(one, kind, dominance=dominance, **bounds)) for one in names})
    tables = {name: _rides(some, KINDS[kind]) for name, some in zip(names, rows, strict=True)}
    pooled = release(ENGINE.run(query, tables), query=query)
    form = Form.of(query)
    own, groups = vectors(form, figures(query, tables))
    if isinstance(pooled, Refused):
        assert (pooled.rule, groups.num_rows) == ("group-too-small", 0)
        return
    answer = let_out(form.totals(_added(own), groups), query=query)
    assert not isinstance(answer, Refused)
    assert sorted(map(repr, answer.table.to_pylist())) == sorted(map(repr, pooled.table.to_pylist()))


def _added(own: list[Words]) -> Words:
    table = seated(own)
    table.share()
    table.contribute()
    return table.total(table.open(table.confirm()))


def _rides(rows: list[tuple[str, str | None, int | None]], kind: pa.DataType) -> pa.Table:
    vehicles, zones, fares = zip(*rows, strict=True) if rows else ((), (), ())
    fares_ = pa.array([None if one is None else Decimal(one) if pa.types.is_decimal(kind) else one for one in fares], kind)
    return pa.table({"vehicle": pa.array(vehicles, pa.string()), "zone": pa.array(zones, pa.string()), "fare": fares_})


@pytest.mark.parametrize(("value", "fits"), [(float("inf"), False), (float("nan"), False), (2.0**70, False), (2.0**66, True), (None, True)])
def test_a_group_whose_sum_does_not_fit_is_left_out_at_its_holder(value: float | None, fits: bool) -> None:
    result = pa.table({"g0": ["gate", "hill"], "a0": [3, 4], "a1": [3, 4], "a2": pa.array([value, 1.5], pa.float64())})
    own = FORM.own(result)
    assert own.groups.column("g0").to_pylist() == (["gate", "hill"] if fits else ["hill"])
    assert FORM.totals(own.vector([True] * own.groups.num_rows), own.groups).column("a1").to_pylist()[-1] == 1.5 / 4


WIDE = st.one_of(st.floats(-(2.0**67), 2.0**67), st.floats(-1e-9, 1e-9), st.integers(-(2**40), 2**40).map(float))


@given(st.lists(WIDE, min_size=1), st.data())
def test_doubles_are_added_up_to_the_last_of_fifty_two_places_behind_the_point(values: list[float], data: st.DataObject) -> None:
    others = data.draw(st.lists(WIDE, min_size=len(values), max_size=len(values)))
    words = [words_of(pa.chunked_array([pa.array(one, pa.float64())]), is_wide=True) for one in (values, others)]
    total = words[0].plus(words[1])
    exact = [round(Fraction(x) * 2**52) + round(Fraction(y) * 2**52) for x, y in zip(values, others, strict=True)]
    assert total.numbers()[1] == exact
    found = numbers_of(total.lower, total.upper, is_whole=False)
    assert found.tolist() == pytest.approx([float(Fraction(one, 2**52)) for one in exact], rel=1e-15, abs=0)


@given(st.lists(st.integers(-(2**67), 2**67), min_size=1))
def test_whole_numbers_are_added_up_exactly_though_they_need_more_than_a_word(values: list[int]) -> None:
    column = pa.chunked_array([pa.array([Decimal(one) for one in values], pa.decimal128(38, 0))])
    words = words_of(column, is_wide=True)
    total = words.plus(words)
    assert numbers_of(total.lower, total.upper, is_whole=True).tolist() == [2 * one for one in values]
    assert fitting(column, is_wide=True).all()


def test_what_one_holder_has_in_two_products_is_added_up_for_the_groups_of_both() -> None:
    north, south = (
        FORM.own(pa.table({"g0": zones, "a0": numbers, "a1": numbers, "a2": list(map(float, numbers))}))
        for zones, numbers in ((["a", "b", None], [1, 2, 3]), ([None, "c", "b"], [10, 20, 30]))
    )
    both = north.plus(south, groups=1)
    assert both.groups.column("g0").to_pylist() == ["b", None]
    assert both.vector([True, True]).numbers() == ([32, 13, 32, 13], [32 << 52, 13 << 52])


def test_sums_of_small_whole_numbers_take_half_the_room() -> None:
    def sizes(kind: ColumnType, **bounds: Any) -> list[bool]:
        known = {one: ProductTerms(schema(one, kind, **bounds)) for one in NAMES}
        found: tuple[Figure, ...] = Form.of(asked("SUM(fare) AS s", NAMES, known)).figures
        return [one.is_wide for one in found]

    small, large = {"lower": Decimal(0), "upper": Decimal(1000)}, {"lower": Decimal(0), "upper": Decimal(10**9)}
    assert sizes(ColumnType.INTEGER, **small) == [False]
    assert sizes(ColumnType.INTEGER, **large) == sizes(ColumnType.INTEGER) == sizes(ColumnType.DOUBLE, **small) == [True]


def test_a_sum_of_no_values_is_none_where_nothing_rules_that_out() -> None:
    query = asked("SUM(fare) AS s", NAMES, {one: ProductTerms(schema(one, ColumnType.INTEGER, least=1)) for one in NAMES})
    tables = {name: _rides([("a", "gate", None), ("b", "hill", 4 if name == "west.rides" else None)], pa.int64()) for name in NAMES}
    form = Form.of(query)
    assert [one.measure.function for one in form.figures] == [Aggregate.COUNT, Aggregate.SUM]
    own, groups = vectors(form, figures(query, tables))
    assert sorted(form.totals(_added(own), groups).column("a0").to_pylist(), key=str) == [4, None]


def test_every_refusal_of_a_round_is_one_of_ours() -> None:
    table = seated(OWN[:3])
    with pytest.raises(ChengshuError) as found:
        table.rounds[table.members[0]].open({})
    assert found.value.code == "secure-aggregation.order"
