"""What can be asked of everything that is listed: a page of datasets for one asker, and the catalogs of other parties."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from chengshu.catalog import listing_store as store
from chengshu.catalog.listing import OWN, Asked, Federated, Judge, Listed, Listing, Member, Order, Page, Place, Shown, Wanted
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database

MAX_LOOKS = 1_000
"""So many datasets are looked at for one page at the most, so that one request stays cheap where most are not the asker's to see."""

FEW_LOOKS = 20
"""So many for the question whether there is a page before."""


class Listings:
    """Shows a catalog page by page from what is kept; never reads it whole."""

    def __init__(self, database: Database, *, clock: Clock, formats: Collection[str]) -> None:
        """``formats`` are those in which this node's own datasets can be had."""
        self._database = database
        self._clock = clock
        self._formats = frozenset(formats)

    def page(self, tx: Connection, asked: Asked, *, audience: str, judge: Judge) -> Page:
        """Return one page in the caller's transaction.

        A page is shorter than asked for where :data:`MAX_LOOKS` datasets were looked at and few were the audience's to see; where to read
        on is then still told.
        """
        search = _Search(tx, asked, audience=audience, judge=judge, sections=store.others(tx), formats=self._formats)
        shown, on = search.collect(asked.order, asked.beyond, asked.limit)
        ordered = shown if asked.order is Order.ONWARDS else shown[::-1]
        back = search.is_there(asked.order.other, shown[0].listed.place) if shown and asked.beyond else None
        before, after = (back, on) if asked.order is Order.ONWARDS else (on, back)
        return Page(tuple(ordered), before, after)

    def entry(self, tx: Connection, dataset: str, *, audience: str) -> Listed | None:
        """Return one dataset of this node's own that may be ``audience``'s to see, or None, in the caller's transaction."""
        wanted = Wanted(equal=((Member.ID, dataset),))
        found = store.candidates(tx, wanted, audience=audience, section=None, beyond=None, order=Order.ONWARDS, limit=1)
        return found[0] if found else None

    def federated(self, tx: Connection) -> list[Federated]:
        """Return every catalog of another party that is kept, in the caller's transaction."""
        return store.others(tx)

    def tried(self, tx: Connection, party: str) -> None:
        """Remember in the caller's transaction that a party's catalog is being fetched now."""
        known = next((one for one in store.others(tx) if one.party == party), Federated(party, 0, ""))
        store.save_other(tx, replace(known, tried_at=self._clock()))

    # --- other parties' catalogs --------------------------------------------------------------------------------------------------

    def begin(self, party: str) -> Federated:
        """Begin to keep a new copy of a party's catalog beside the one that is shown; what an earlier attempt left is removed."""
        with self._database.write() as tx:
            known = next((one for one in store.others(tx) if one.party == party), Federated(party, 0, ""))
            store.forget(tx, party, but=known.generation)
            begun = replace(known, tried_at=self._clock())
            store.save_other(tx, begun)
        return begun

    def keep(self, begun: Federated, many: Iterable[Listing]) -> None:
        """Keep further datasets of the new copy; a dataset that came before is replaced."""
        with self._database.write() as tx:
            for one in many:
                store.put(tx, one, party=begun.party, generation=begun.generation + 1)

    def conclude(self, begun: Federated) -> None:
        """Show the new copy from now on, with its age, and keep nothing of the one before."""
        done = replace(begun, generation=begun.generation + 1, fetched_at=begun.tried_at, trouble=None)
        with self._database.write() as tx:
            store.save_other(tx, done)
            store.forget(tx, done.party, but=done.generation)

    def fail(self, party: str, trouble: str) -> None:
        """Keep why a party's catalog could not be fetched; the copy that is shown stays, with its age."""
        with self._database.write() as tx:
            store.save_trouble(tx, party, trouble)

    def forget(self, party: str) -> None:
        """Keep nothing of a party's catalog."""
        with self._database.write() as tx:
            store.forget(tx, party)


@dataclass(slots=True)
class _Search:
    """One page's way through the sections of the catalog: this node's own datasets first, then each other party's."""

    tx: Connection
    asked: Asked
    audience: str
    judge: Judge
    sections: list[Federated]
    formats: frozenset[str]

    def collect(self, order: Order, beyond: Place | None, limit: int) -> tuple[list[Shown], Place | None]:
        """Return up to ``limit`` datasets beyond a place, in that order, and the place to read on from where there is more."""
        shown: list[Shown] = []
        last = beyond
        for looks, listed in enumerate(self._candidates(order, beyond, limit + 1)):
            if looks == MAX_LOOKS:
                return shown, last
            offers = tuple(self.judge(listed, self.audience))
            if offers and len(shown) == limit:
                return shown, shown[-1].listed.place
            if offers:
                shown.append(Shown(listed, offers))
            last = listed.place
        return shown, None

    def is_there(self, order: Order, beyond: Place) -> Place | None:
        """Return ``beyond`` where the audience may see something beyond it, or so much that is not is there that we stopped looking."""
        for looks, listed in enumerate(self._candidates(order, beyond, 2)):
            if looks == FEW_LOOKS or self.judge(listed, self.audience):
                return beyond
        return None

    def _candidates(self, order: Order, beyond: Place | None, batch: int) -> Iterator[Listed]:
        parties: list[Federated | None] = [None, *self.sections]
        for section in parties if order is Order.ONWARDS else reversed(parties):
            party = OWN if section is None else section.party
            if beyond is not None and (party < beyond.party if order is Order.ONWARDS else party > beyond.party):
                continue
            yield from self._of(section, order, beyond.dataset if beyond is not None and beyond.party == party else None, batch)

    def _of(self, section: Federated | None, order: Order, beyond: str | None, batch: int) -> Iterator[Listed]:
        wanted = self.asked.wanted
        if section is None and not self.formats.issuperset(wanted.formats):
            return
        if section is None:
            wanted = replace(wanted, formats=())
        while True:
            found = store.candidates(self.tx, wanted, audience=self.audience, section=section, beyond=beyond, order=order, limit=batch)
            yield from found
            if len(found) < batch:
                return
            beyond = found[-1].dataset
