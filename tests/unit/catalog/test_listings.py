"""What is listed is shown page by page: to whom it may be, in one order, whatever changes while somebody reads."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from chengshu.catalog import listing_store as store
from chengshu.catalog.listing import (
    LONGEST_GUEST_LIST,
    OWN,
    Asked,
    Listed,
    Listing,
    Member,
    Order,
    Page,
    Place,
    Wanted,
)
from chengshu.catalog.listings import MAX_LOOKS, Listings
from chengshu.kernel.database import Database, metadata
from databases import database_at

ANNA, BORIS = "did:key:zAnna", "did:key:zBoris"
NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
OFFER = {"@id": "urn:offer", "@type": "Offer", "permission": [{"action": "use"}]}
HIDDEN = {"@id": "urn:hidden"}


def judge(listed: Listed, audience: str) -> Sequence[dict[str, Any]]:
    """Shows every offer but the hidden one; the catalog's index may only ever leave out more than this, never less."""
    del audience
    return [dict(policy) for policy in listed.policies if policy != HIDDEN]


def listing(name: str, *, audience: frozenset[str] | None = None, policy: dict[str, Any] = OFFER, **changes: Any) -> Listing:
    members = {Member.TITLE: f"Title of {name}", Member.VERSION: "1.0.0", Member.PUBLISHER: "road", Member.NAME: "counts"}
    words = f"{name} {members[Member.TITLE]} vehicles 车辆".casefold()
    made = Listing(name, members, (), NOW, words, {"@id": name}, (policy,), audience)
    return replace(made, **changes)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with_tables = opened(tmp_path)
    yield with_tables
    with_tables.close()


def opened(folder: Path) -> Database:
    database = database_at(folder / "node.db")
    with database.write() as tx:
        metadata.create_all(tx)
    return database


def room(database: Database) -> Listings:
    return Listings(database, clock=lambda: NOW, formats={"HttpData-PULL"})


def put(database: Database, *many: Listing) -> None:
    with database.write() as tx:
        for one in many:
            store.put(tx, one)


def ask(database: Database, asked: Asked, audience: str = ANNA) -> Page:
    with database.read() as tx:
        return room(database).page(tx, asked, audience=audience, judge=judge)


def names(page: Page) -> list[str]:
    return [one.listed.dataset for one in page.shown]


def walk(database: Database, asked: Asked, audience: str = ANNA) -> list[list[str]]:
    """Every page from the one asked for to the last."""
    pages = []
    while True:
        page = ask(database, asked, audience)
        pages.append(names(page))
        following = page.after if asked.order is Order.ONWARDS else page.before
        if following is None:
            return pages
        asked = replace(asked, beyond=following)


def test_a_catalog_is_read_in_pages_forth_and_back(database: Database) -> None:
    put(database, *(listing(f"urn:{number}") for number in range(7)))
    assert walk(database, Asked(Wanted(), 3)) == [["urn:0", "urn:1", "urn:2"], ["urn:3", "urn:4", "urn:5"], ["urn:6"]]
    last = ask(database, Asked(Wanted(), 3, Place(OWN, "urn:5")))
    assert (last.before, last.after) == (Place(OWN, "urn:6"), None)
    back = Asked(Wanted(), 3, last.before, Order.BACKWARDS)
    assert walk(database, back) == [["urn:3", "urn:4", "urn:5"], ["urn:0", "urn:1", "urn:2"]]


def test_only_a_page_that_is_there_is_linked_to(database: Database) -> None:
    put(database, listing("urn:1"), listing("urn:2"), listing("urn:3", policy=HIDDEN), listing("urn:4", audience=frozenset({BORIS})))
    whole = ask(database, Asked(Wanted(), 2))
    assert (names(whole), whole.before, whole.after) == (["urn:1", "urn:2"], None, None)
    assert ask(database, Asked(Wanted(), 2), BORIS).after == Place(OWN, "urn:2")
    empty = ask(database, Asked(Wanted(), 2, Place(OWN, "urn:9")))
    assert (names(empty), empty.before, empty.after) == ([], None, None)


def test_everyone_sees_what_is_open_and_what_names_them_and_nothing_else(database: Database) -> None:
    many = frozenset(f"did:key:z{number}" for number in range(LONGEST_GUEST_LIST + 1))
    put(
        database,
        listing("urn:open"),
        listing("urn:anna", audience=frozenset({ANNA})),
        listing("urn:both", audience=frozenset({ANNA, BORIS})),
        listing("urn:core", audience=frozenset()),
        listing("urn:crowd", audience=many),
    )
    assert walk(database, Asked(Wanted(), 9), ANNA) == [["urn:anna", "urn:both", "urn:crowd", "urn:open"]]
    assert walk(database, Asked(Wanted(), 9), BORIS) == [["urn:both", "urn:crowd", "urn:open"]]
    with database.read() as tx:
        assert room(database).entry(tx, "urn:core", audience=ANNA) is None
        assert room(database).entry(tx, "urn:anna", audience=BORIS) is None
        assert room(database).entry(tx, "urn:anna", audience=ANNA) == Listed(OWN, "urn:anna", {"@id": "urn:anna"}, (OFFER,))
        kept = tx.execute(select(store.listings.c.audience).where(store.listings.c.dataset == "urn:crowd")).scalars().all()
    assert kept == [""]  # a long guest list is judged dataset by dataset, by its policy


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["urn:a", "urn:b"]),
        (Wanted(words=("vehicles", "urn:b")), ["urn:b"]),
        (Wanted(words=("车",)), ["urn:a", "urn:b"]),
        (Wanted(words=("%",)), []),
        (Wanted(words=("_",)), []),
        (Wanted(equal=((Member.ID, "urn:a"),)), ["urn:a"]),
        (Wanted(equal=((Member.PUBLISHER, "road"), (Member.VERSION, "2.0.0"))), ["urn:b"]),
        (Wanted(equal=((Member.VERSION, "1.0.0"), (Member.VERSION, "2.0.0"))), []),
        (Wanted(formats=("HttpData-PULL",)), ["urn:a", "urn:b"]),
        (Wanted(formats=("AmazonS3-PUSH",)), []),
        (Wanted(since=NOW), ["urn:a", "urn:b"]),
        (Wanted(since=NOW + timedelta(milliseconds=1)), ["urn:b"]),
    ],
)
def test_a_question_finds_what_answers_it(database: Database, wanted: Wanted, found: list[str]) -> None:
    newer = listing("urn:b", updated_at=NOW + timedelta(hours=1))
    put(database, listing("urn:a"), replace(newer, members={**newer.members, Member.VERSION: "2.0.0"}))
    assert walk(database, Asked(wanted, 5)) == [found]


def test_what_is_put_again_takes_the_place_of_what_was_there(database: Database) -> None:
    put(database, listing("urn:a", audience=frozenset({ANNA, BORIS})))
    put(database, listing("urn:a", audience=frozenset({BORIS})))
    assert (walk(database, Asked(Wanted(), 5), ANNA), walk(database, Asked(Wanted(), 5), BORIS)) == ([[]], [["urn:a"]])
    with database.write() as tx:
        store.remove(tx, "urn:a")
    with database.read() as tx:
        assert store.count(tx) == 0
    assert walk(database, Asked(Wanted(), 5), BORIS) == [[]]


def test_a_catalog_that_is_mostly_not_the_askers_is_looked_at_in_bounded_pieces(database: Database) -> None:
    hidden = [listing(f"urn:{number:05}", policy=HIDDEN) for number in range(2 * MAX_LOOKS + 10)]
    with database.write() as tx:
        store.add(tx, [*hidden, listing("urn:zz")], party=OWN, generation=0)
    first = ask(database, Asked(Wanted(), 5))
    assert (names(first), first.after) == ([], Place(OWN, f"urn:{MAX_LOOKS - 1:05}"))
    assert walk(database, Asked(Wanted(), 5)) == [[], [], ["urn:zz"]]


def test_the_order_is_by_code_point_whatever_the_ids(database: Database) -> None:
    ids = ["Z", "a", "é", "文", "\U0001f600", "urn:a/b=c:1", "a b"]
    put(database, *map(listing, ids))
    assert [name for page in walk(database, Asked(Wanted(), 2)) for name in page] == sorted(ids)


names_of = st.integers(0, 30).map(lambda number: f"urn:{number:02}")


@given(
    there=st.sets(names_of, max_size=25),
    limit=st.integers(1, 6),
    changes=st.lists(st.lists(st.tuples(st.booleans(), names_of), max_size=4), max_size=40),
)
def test_a_reader_misses_and_repeats_nothing_that_stays_whatever_changes_between_the_pages(
    tmp_path_factory: pytest.TempPathFactory, there: set[str], limit: int, changes: list[list[tuple[bool, str]]]
) -> None:
    database = opened(tmp_path_factory.mktemp("changing"))
    put(database, *map(listing, sorted(there)))
    stayed, read = set(there), []
    asked: Asked | None = Asked(Wanted(), limit)
    while asked is not None:
        page = ask(database, asked)
        read += names(page)
        asked = None if page.after is None else replace(asked, beyond=page.after)
        for is_added, name in changes.pop() if changes else []:
            stayed.discard(name)
            with database.write() as tx:
                store.put(tx, listing(name)) if is_added else store.remove(tx, name)
    database.close()
    assert read == sorted(set(read))  # in order, and nothing twice
    assert stayed <= set(read)


# --- the catalogs of others


def test_anothers_catalog_is_shown_once_it_is_whole_and_keeps_its_age(database: Database) -> None:
    put(database, listing("urn:z"))
    others = room(database)
    begun = others.begin(BORIS)
    others.keep(begun, [listing("urn:1"), listing("urn:1"), listing("urn:2", audience=frozenset({BORIS}))])
    assert walk(database, Asked(Wanted(), 1)) == [["urn:z"]]
    others.conclude(begun)
    assert walk(database, Asked(Wanted(), 1)) == [["urn:z"], ["urn:1"]]
    assert walk(database, Asked(Wanted(), 1, None, Order.BACKWARDS)) == [["urn:1"], ["urn:z"]]
    with database.read() as tx:
        (known,) = others.federated(tx)
    assert (known.party, known.fetched_at, known.trouble) == (BORIS, NOW, None)


def test_a_fetch_that_fails_leaves_the_copy_that_was_there(database: Database) -> None:
    others = room(database)
    begun = others.begin(BORIS)
    others.keep(begun, [listing("urn:1")])
    others.conclude(begun)
    again = others.begin(BORIS)
    others.keep(again, [listing("urn:2")])
    others.fail(BORIS, "peer.unreachable: silence")
    assert walk(database, Asked(Wanted(), 5)) == [["urn:1"]]
    with database.read() as tx:
        assert [one.trouble for one in others.federated(tx)] == ["peer.unreachable: silence"]
    last = others.begin(BORIS)
    others.conclude(last)
    assert walk(database, Asked(Wanted(), 5)) == [[]]
    with database.read() as tx:
        assert tx.execute(select(store.documents.c.dataset)).all() == []


def test_a_forgotten_catalog_leaves_nothing(database: Database) -> None:
    others = room(database)
    begun = others.begin(BORIS)
    others.keep(begun, [listing("urn:1")])
    others.conclude(begun)
    others.forget(BORIS)
    assert walk(database, Asked(Wanted(), 5, Place(BORIS, "urn:0"))) == [[]]
    with database.read() as tx:
        assert others.federated(tx) == []
