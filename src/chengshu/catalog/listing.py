"""What a catalog shows of a dataset and how one asks for it: frozen values and pure decisions, no database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.catalog.model import DataContract, Grade, Product
from chengshu.kernel.clock import iso
from chengshu.policy.odrl import from_odrl

Document = Mapping[str, Any]

OWN = ""
"""The party of this node's own datasets; those of others carry the party's id."""

EVERYBODY = ""
"""The audience of a dataset that is open to all, or whose audience only a look at its policy tells."""

LONGEST_GUEST_LIST = 64
"""A dataset with more named recipients than this is looked at for every asker instead of being kept once for each."""


class Member(StrEnum):
    """The members of a dataset's description that a question may compare with a text."""

    ID = "@id"
    TITLE = "title"
    TITLE_ZH = "title_zh"
    NAME = "name"
    VERSION = "version"
    PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True)
class Listing:
    """One dataset as it is kept for showing: what can be asked of it, whom it may be shown to, and the documents themselves.

    ``policies`` are the offers it stands under; ``audience`` names who may see it, None where that is everybody or only the policies tell,
    and is empty where it is nobody.
    """

    dataset: str
    members: Mapping[Member, str]
    formats: tuple[str, ...]
    updated_at: datetime
    words: str
    document: Document
    policies: tuple[Document, ...]
    audience: frozenset[str] | None

    @property
    def audiences(self) -> frozenset[str]:
        """Return the names under which the dataset is kept."""
        if self.audience is None or len(self.audience) > LONGEST_GUEST_LIST:
            return frozenset({EVERYBODY})
        return self.audience


@dataclass(frozen=True, slots=True)
class Listed:
    """One dataset as it was kept: whose it is, its description, and the offers it stands under."""

    party: str
    dataset: str
    document: Document
    policies: tuple[Document, ...]

    @property
    def place(self) -> "Place":
        """Where it stands in the catalog."""
        return Place(self.party, self.dataset)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question to the catalog; everything in it must hold.

    ``words`` (casefolded) each occur somewhere in the description, ``equal`` members have exactly that text, each of ``formats`` is one of
    the dataset's, and it was updated at ``since`` or later.
    """

    words: tuple[str, ...] = ()
    equal: tuple[tuple[Member, str], ...] = ()
    formats: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the catalog's order, which is by party and then by id; what stands there may have gone since."""

    party: str
    dataset: str


class Order(StrEnum):
    """In which direction a catalog is read."""

    ONWARDS = "n"
    BACKWARDS = "p"

    @property
    def other(self) -> "Order":
        """The opposite direction."""
        return Order.BACKWARDS if self is Order.ONWARDS else Order.ONWARDS


@dataclass(frozen=True, slots=True)
class Asked:
    """One page that is asked for: at most ``limit`` datasets in ``order`` from ``beyond`` (None: from the beginning)."""

    wanted: Wanted
    limit: int
    beyond: Place | None = None
    order: Order = Order.ONWARDS


@dataclass(frozen=True, slots=True)
class Shown:
    """A dataset with the offers that the asker may see."""

    listed: Listed
    offers: tuple[Document, ...]


Judge = Callable[[Listed, str], Sequence[Document]]
"""Returns the offers for a dataset that an audience may see; none keeps the dataset from it."""


@dataclass(frozen=True, slots=True)
class Page:
    """Datasets in the catalog's order; ``before`` and ``after`` are where to read on, None where there is nothing further."""

    shown: tuple[Shown, ...] = ()
    before: Place | None = None
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Federated:
    """Another party's catalog as it was fetched: when, which of its kept copies counts, and what went wrong at the last attempt."""

    party: str
    generation: int
    catalog: str
    services: tuple[Document, ...] = field(default=())
    fetched_at: datetime | None = None
    tried_at: datetime | None = None
    trouble: str | None = None


def listing_of(product: Product, grade: Grade) -> Listing:
    """Return what is shown of a product; a core one is shown to nobody. Raises Invalid for a policy that this node does not understand."""
    contract = product.contract
    members = {
        Member.TITLE: contract.name.en,
        Member.TITLE_ZH: contract.name.zh,
        Member.NAME: contract.table,
        Member.VERSION: product.version,
        Member.PUBLISHER: contract.owner,
    }
    document = {
        Member.ID.value: product.id,
        **{member.value: text for member, text in members.items()},
        "description": contract.description,
        "modified": iso(product.published_at),
        "contract_digest": product.contract_digest,
        "rows": product.rows,
    }
    return Listing(
        dataset=product.id,
        members=members,
        formats=(),
        updated_at=product.published_at,
        words=words_of(contract),
        document=document,
        policies=(product.policy,),
        audience=frozenset() if grade is Grade.CORE else from_odrl(product.policy).named(),
    )


def words_of(contract: DataContract) -> str:
    """Return the text that a product is searched in: its id, names, description, owner and columns, casefolded."""
    columns = (f"{column.name} {column.description}" for column in contract.columns)
    parts = (contract.id, contract.table, contract.name.en, contract.name.zh, contract.owner, contract.description, *columns)
    return " ".join(parts).casefold()
