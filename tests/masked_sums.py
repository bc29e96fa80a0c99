"""Holders who add up together, without nodes: a question over their rows, and the rounds of a job that a test may lead astray."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from chengshu.cleanroom.engines.duckdb import DuckDBEngine
from chengshu.cleanroom.gate.release import passing
from chengshu.cleanroom.model import Aggregate, Column, ColumnType, ProductTerms, Role, Schema
from chengshu.cleanroom.relation.model import VettedQuery, products
from chengshu.cleanroom.secure_aggregation.adding import added
from chengshu.cleanroom.secure_aggregation.form import Form, Own, keys_of
from chengshu.cleanroom.secure_aggregation.roster import Card, Roster
from chengshu.cleanroom.secure_aggregation.round import Identity, Opening, Round
from chengshu.cleanroom.secure_aggregation.words import Words
from chengshu.cleanroom.unions.separating import separated
from chengshu.cleanroom.vetting.vetter import vet
from chengshu.identity.model import did_key
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.crypto.suite import Signer
from chengshu.kernel.refusal import Refused
from chengshu.wiring import is_signed_by_party

ENGINE = DuckDBEngine("256MB", 1, 30.0)
JOB = "sha256:" + "a" * 64
ASKER, ROOM = "did:key:zasker", "did:key:zroom"
K = 2


def schema(product: str, kind: ColumnType, *, dominance: int | None = None, least: int = K, **bounds: int) -> Schema:
    """The schema of one holder's product: vehicles, zones, and fares of a kind."""
    columns = (
        Column("vehicle", ColumnType.TEXT, Role.KEY),
        Column("zone", ColumnType.TEXT, Role.GROUP),
        Column("fare", kind, Role.MEASURE, frozenset(Aggregate), **bounds),
    )
    return Schema(product, columns, "vehicle", least, dominance)


def asked(select: str, names: Sequence[str], known: Mapping[str, ProductTerms]) -> VettedQuery:
    """``select`` of the rows of all products, FROM and GROUP BY left to this."""
    union = " UNION ALL ".join(f"SELECT zone, fare FROM {one}" for one in names)  # noqa: S608  # of the tests
    query = vet(f"SELECT zone, {select} FROM ({union}) AS d GROUP BY zone", known)  # noqa: S608  # of the tests
    assert isinstance(query, VettedQuery), query
    return query


def figures(query: VettedQuery, tables: Mapping[str, pa.Table]) -> dict[str, Own]:
    """What each product comes to under its own gates."""
    form, found = Form.of(query), {}
    for body in separated(query.summary.body):
        (name,) = products(body)
        part = form.part(query, body)
        result = ENGINE.run(part, {name: tables[name]})
        passed = passing(result, query=part)
        found[name] = form.own(result.slice(0, 0) if isinstance(passed, Refused) else passed)
    return found


def vectors(form: Form, own: Mapping[str, Own]) -> tuple[list[Words], pa.Table]:
    """The figures of the groups that all products have, product by product, and the names of these groups."""
    keys = {name: keys_of(one.groups, form.groups) for name, one in own.items()}
    shared = set.intersection(*map(set, keys.values()))
    some = {name: [key in shared for key in each] for name, each in keys.items()}
    first = next(iter(own))
    return [one.vector(some[name]) for name, one in own.items()], own[first].groups.filter(pa.array(some[first], pa.bool_()))


@dataclass
class Party:
    """A holder with a key of its own."""

    signer: Signer
    did: str
    known: set[str] | None = None

    def round(self, holders: Collection[str], digests: Digests) -> Round:
        """A new round of it."""
        who = Identity(self.did, self.signer, is_signed_by_party, lambda one: self.known is None or one in self.known)
        return Round(who, job=JOB, holders=holders, outside={ASKER, ROOM}, digests=digests)


def party(suite: object = INTERNATIONAL) -> Party:
    """A holder that has just made its key."""
    signer = suite.generate()  # type: ignore[attr-defined]  # one of the two suites
    return Party(signer, did_key(signer.public_key))


@dataclass
class Table:
    """All holders round one table: each step asks those who are still there."""

    own: Mapping[str, Words]
    """What each holder has, by its id."""
    rounds: dict[str, Round]
    digests: Digests
    roster: Roster = field(init=False)
    dealt: dict[str, dict[str, bytes]] = field(default_factory=dict)
    masked: dict[str, Words] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.roster = Roster.of(self.cards, job=JOB, outside={ASKER, ROOM})

    @property
    def cards(self) -> list[Card]:
        """The cards of all."""
        return [one.card for one in self.rounds.values()]

    @property
    def members(self) -> list[str]:
        """Who takes part, in the order of their names."""
        return sorted(self.rounds)

    def share(self, *, without: Collection[str] = ()) -> None:
        """Have everybody share its secrets but those who are gone."""
        for one in self.members:
            if one not in without:
                self.dealt[one] = self.rounds[one].share(self.cards)

    def sealed_for(self, member: str) -> dict[str, bytes]:
        """The shares that came for a member."""
        return {giver: sealed[member] for giver, sealed in self.dealt.items() if giver != member}

    def contribute(self, *, without: Collection[str] = ()) -> None:
        """Have everybody hand over its masked figures but those who are gone."""
        for one in sorted(self.dealt):
            if one not in without:
                self.masked[one] = self.rounds[one].contribute(self.sealed_for(one), self.own[one])

    def confirm(self, *, without: Collection[str] = ()) -> dict[str, bytes]:
        """The signatures over whose figures have come."""
        survivors = sorted(self.masked)
        said = {one: self.rounds[one].confirm(survivors) for one in survivors if one not in without}
        lists = {"dealers": sorted(self.dealt), "survivors": survivors}
        return self.roster.signatures(said, **lists, is_signed_by=is_signed_by_party, digests=self.digests)

    def open(self, signatures: Mapping[str, bytes], *, without: Collection[str] = ()) -> dict[str, Opening]:
        """What takes the masks away."""
        return {one: self.rounds[one].open(signatures) for one in sorted(signatures) if one not in without}

    def total(self, openings: Mapping[str, Opening]) -> Words:
        """The sum of the survivors' figures."""
        return added(self.roster, self.masked, openings, dealers=sorted(self.dealt), digests=self.digests)


def seated(own: Sequence[Words], *, suite: object = INTERNATIONAL) -> Table:
    """A holder for each of ``own``."""
    digests = Digests(suite)  # type: ignore[arg-type]  # one of the two suites
    parties = [party(suite) for _ in own]
    dids = [one.did for one in parties]
    return Table(dict(zip(dids, own, strict=True)), {one.did: one.round(dids, digests) for one in parties}, digests)
