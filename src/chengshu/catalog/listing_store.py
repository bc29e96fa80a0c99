"""What is kept for showing: a narrow table that questions are asked of, the documents beside it, and others' catalogs as fetched."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    Select,
    String,
    Table,
    and_,
    delete,
    func,
    select,
    union_all,
    update,
)
from sqlalchemy import Text as LongText

from chengshu.catalog.listing import EVERYBODY, OWN, Federated, Listed, Listing, Member, Order, Wanted
from chengshu.kernel.clock import from_iso, iso
from chengshu.kernel.database import metadata

MAX_ID = 512
_ORDERED = String(MAX_ID).with_variant(String(MAX_ID, collation="C"), "postgresql")
"""Ids are ordered by code point on every database, as Python orders them; a locale's order would make pages skip or repeat."""

listings = Table(
    "listings",
    metadata,
    Column("audience", String(MAX_ID), primary_key=True),
    Column("party", _ORDERED, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("dataset", _ORDERED, primary_key=True),
    Column("title", LongText, nullable=False),
    Column("title_zh", LongText, nullable=False),
    Column("name", LongText, nullable=False),
    Column("version", LongText, nullable=False),
    Column("publisher", LongText, nullable=False),
    Column("formats", LongText, nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("words", LongText, nullable=False),
    Index("ix_listings_dataset", "party", "generation", "dataset"),
    sqlite_with_rowid=False,
)

documents = Table(
    "listing_documents",
    metadata,
    Column("party", _ORDERED, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("dataset", _ORDERED, primary_key=True),
    Column("document", JSON, nullable=False),
    Column("policies", JSON, nullable=False),
)

federated = Table(
    "federated_catalogs",
    metadata,
    Column("party", _ORDERED, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("catalog", String(MAX_ID), nullable=False),
    Column("services", JSON, nullable=False),
    Column("fetched_at", String(32)),
    Column("tried_at", String(32)),
    Column("trouble", LongText),
)

_COLUMNS: Mapping[Member, Column[Any]] = {
    Member.ID: listings.c.dataset,
    Member.TITLE: listings.c.title,
    Member.TITLE_ZH: listings.c.title_zh,
    Member.NAME: listings.c.name,
    Member.VERSION: listings.c.version,
    Member.PUBLISHER: listings.c.publisher,
}


def put(tx: Connection, listing: Listing, *, party: str = OWN, generation: int = 0) -> None:
    """Keep what is shown of a dataset in place of what was kept."""
    remove(tx, listing.dataset, party=party, generation=generation)
    add(tx, [listing], party=party, generation=generation)


def add(tx: Connection, many: Iterable[Listing], *, party: str, generation: int) -> None:
    """Keep datasets that are not kept yet."""
    narrow, whole = [], []
    for one in many:
        key = {"party": party, "generation": generation, "dataset": one.dataset}
        asked = {column.name: one.members.get(member, "") for member, column in _COLUMNS.items() if member is not Member.ID}
        further = {"formats": _joined(one.formats), "updated_at": iso(one.updated_at), "words": one.words}
        narrow += [{"audience": audience, **key, **asked, **further} for audience in sorted(one.audiences)]
        whole.append({**key, "document": dict(one.document), "policies": [dict(policy) for policy in one.policies]})
    if narrow:
        tx.execute(listings.insert(), narrow)
    if whole:
        tx.execute(documents.insert(), whole)


def remove(tx: Connection, dataset: str, *, party: str = OWN, generation: int = 0) -> None:
    """Keep nothing of a dataset any more."""
    for table in (listings, documents):
        tx.execute(delete(table).where(table.c.party == party, table.c.generation == generation, table.c.dataset == dataset))


def count(tx: Connection) -> int:
    """Return how many datasets of this node's own are kept."""
    found = tx.execute(select(func.count()).select_from(documents).where(documents.c.party == OWN, documents.c.generation == 0))
    return int(found.scalar_one())


def find(tx: Connection, dataset: str, *, party: str = OWN, generation: int = 0) -> Listed | None:
    """Return one dataset, whomever it may be shown to; None where it is not kept."""
    return next(iter(_listed(tx, [dataset], party=party, generation=generation)), None)


def candidates(
    tx: Connection, wanted: Wanted, *, audience: str, section: Federated | None, beyond: str | None, order: Order, limit: int
) -> list[Listed]:
    """Return up to ``limit`` datasets of one party (None: this node) that answer the question and may be an audience's to see."""
    party, generation = (OWN, 0) if section is None else (section.party, section.generation)
    ask = [_keys(wanted, name, party, generation, beyond, order).limit(limit).subquery() for name in {EVERYBODY, audience}]
    found = union_all(*(select(one.c.dataset) for one in ask)).subquery()
    rows = tx.execute(select(found.c.dataset).order_by(_sorted(found.c.dataset, order)).limit(limit)).scalars()
    return _listed(tx, list(rows), party=party, generation=generation)


def others(tx: Connection) -> list[Federated]:
    """Return every catalog of another party that is kept, in the order of the parties' ids."""
    return [_federated(row) for row in tx.execute(select(federated).order_by(federated.c.party)).mappings()]


def save_other(tx: Connection, one: Federated) -> None:
    """Keep what is known of another party's catalog in place of what was known."""
    tx.execute(delete(federated).where(federated.c.party == one.party))
    tx.execute(
        federated.insert().values(
            party=one.party,
            generation=one.generation,
            catalog=one.catalog,
            services=[dict(service) for service in one.services],
            fetched_at=None if one.fetched_at is None else iso(one.fetched_at),
            tried_at=None if one.tried_at is None else iso(one.tried_at),
            trouble=one.trouble,
        )
    )


def save_trouble(tx: Connection, party: str, trouble: str) -> None:
    """Keep why another party's catalog could not be fetched."""
    tx.execute(update(federated).where(federated.c.party == party).values(trouble=trouble))


def forget(tx: Connection, party: str, *, but: int | None = None) -> None:
    """Keep none of another party's datasets but those of one generation; None keeps nothing of its catalog at all."""
    for table in (listings, documents):
        chosen = table.c.party == party
        tx.execute(delete(table).where(chosen if but is None else and_(chosen, table.c.generation != but)))
    if but is None:
        tx.execute(delete(federated).where(federated.c.party == party))


def _keys(wanted: Wanted, audience: str, party: str, generation: int, beyond: str | None, order: Order) -> Select[Any]:
    where: list[ColumnElement[bool]] = [
        listings.c.audience == audience,
        listings.c.party == party,
        listings.c.generation == generation,
        *_conditions(wanted),
    ]
    if beyond is not None:
        where.append(listings.c.dataset > beyond if order is Order.ONWARDS else listings.c.dataset < beyond)
    return select(listings.c.dataset).where(*where).order_by(_sorted(listings.c.dataset, order))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_COLUMNS[member] == value for member, value in wanted.equal]
    conditions += [listings.c.words.contains(word, autoescape=True) for word in wanted.words]
    conditions += [listings.c.formats.contains(_joined([name]), autoescape=True) for name in wanted.formats]
    if wanted.since is not None:
        conditions.append(listings.c.updated_at >= iso(wanted.since))
    return conditions


def _sorted(column: ColumnElement[Any], order: Order) -> ColumnElement[Any]:
    return column.asc() if order is Order.ONWARDS else column.desc()


def _listed(tx: Connection, names: Sequence[str], *, party: str, generation: int) -> list[Listed]:
    """The datasets of these names, in the order of the names."""
    if not names:
        return []
    wanted = (documents.c.party == party, documents.c.generation == generation, documents.c.dataset.in_(names))
    found = {row["dataset"]: row for row in tx.execute(select(documents).where(*wanted)).mappings()}
    return [Listed(party, name, found[name]["document"], tuple(found[name]["policies"])) for name in names if name in found]


def _joined(names: Iterable[str]) -> str:
    return "\n" + "".join(f"{name}\n" for name in names)


def _federated(row: Any) -> Federated:
    return Federated(
        party=row["party"],
        generation=row["generation"],
        catalog=row["catalog"],
        services=tuple(row["services"]),
        fetched_at=None if row["fetched_at"] is None else from_iso(row["fetched_at"]),
        tried_at=None if row["tried_at"] is None else from_iso(row["tried_at"]),
        trouble=row["trouble"],
    )
