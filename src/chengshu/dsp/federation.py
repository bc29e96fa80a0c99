"""Other parties' catalogs, fetched now and then and kept, so that this node can show them inside its own with their age."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chengshu.catalog.listing import Document, Federated, Listing, Member
from chengshu.catalog.listings import Listings
from chengshu.dsp.client import DspPeers
from chengshu.identity.service import Identity
from chengshu.kernel.clock import Clock, from_iso
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Invalid
from chengshu.kernel.tasks import Handler, OnFailed, Tasks
from chengshu.kernel.text import Text
from chengshu.policy.odrl import from_odrl

REFRESH_TASK = "catalog.refresh"
MOST_DATASETS = 100_000
MOST_WORDS = 4_096
_LEFT_OUT = frozenset({"@context", "@type", "hasPolicy"})


class Federation:
    """Keeps the catalogs of the parties that the operator chose; what they hold of further parties is not passed on."""

    def __init__(
        self,
        database: Database,
        *,
        listings: Listings,
        tasks: Tasks,
        identity: Identity,
        peers: DspPeers,
        parties: Sequence[str],
        every: timedelta,
        clock: Clock,
    ) -> None:
        """``parties`` are given by id, handle or name."""
        self._database = database
        self.listings = listings
        self._tasks = tasks
        self._identity = identity
        self._peers = peers
        self._parties = tuple(parties)
        self._every = every
        self._clock = clock

    def handlers(self) -> dict[str, Handler]:
        """Return what the worker calls for each kind of task."""
        return {REFRESH_TASK: self.refresh}

    def on_failed(self) -> dict[str, OnFailed]:
        """Return what the worker calls when it gives a task up."""
        return {REFRESH_TASK: self.failed}

    def refresh_due(self) -> int:
        """Put off the fetching of every catalog that was not tried for a while, and forget those of parties no longer chosen.

        Returns how many are to be fetched. Raises NotFound where a chosen party is not on the trust list.
        """
        chosen = {party.did: party.name_en for party in (self._identity.find(name) for name in self._parties)}
        if not chosen and not self.known():
            return 0
        with self._database.write() as tx:
            known = {one.party: one for one in self.listings.federated(tx)}
            due = [party for party in chosen if not self._is_fresh(known.get(party))]
            for party in due:
                self.listings.tried(tx, party)
                self._tasks.defer(tx, REFRESH_TASK, {"party": party}, lane=f"{REFRESH_TASK} {party}", waits_for=chosen[party])
        for party in known.keys() - chosen.keys():
            self.listings.forget(party)
        return len(due)

    def known(self) -> list[Federated]:
        """Return what is known of every catalog that is kept."""
        with self._database.read() as tx:
            return self.listings.federated(tx)

    def refresh(self, payload: Mapping[str, Any]) -> None:
        """Fetch a party's catalog whole, page by page, and show it from then on; raises as :meth:`DspPeers.catalog_pages`."""
        party = str(payload["party"])
        begun, count = self.listings.begin(party), 0
        for page in self._peers.catalog_pages(party):
            if page["participantId"] != party:
                raise _not_theirs("expected the catalog of the party itself, got another participant's")
            datasets = page.get("dataset", [])
            count += len(datasets)
            if count > MOST_DATASETS:
                raise _not_theirs(f"expected at most {MOST_DATASETS} datasets, got more")
            if not begun.catalog:
                services = page.get("service", [])
                begun = replace(begun, services=tuple(services if isinstance(services, list) else [services]))
            begun = replace(begun, catalog=page["@id"])
            self.listings.keep(begun, [_listing(party, one, self._clock()) for one in datasets])
        self.listings.conclude(begun)

    def failed(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """Keep why a catalog could not be fetched; the copy that is there stays, with its age."""
        self.listings.fail(str(payload["party"]), f"{error.code}: {error.message}")

    def _is_fresh(self, known: Federated | None) -> bool:
        return known is not None and known.tried_at is not None and self._clock() - known.tried_at < self._every


def _listing(party: str, dataset: Document, now: datetime) -> Listing:
    members = {member: text for member in Member if isinstance(text := dataset.get(member.value), str)}
    texts = [text for text in dataset.values() if isinstance(text, str)]
    policies = tuple(policy for policy in dataset["hasPolicy"] if isinstance(policy, dict))
    return Listing(
        dataset=str(dataset["@id"]),
        members={Member.PUBLISHER: party, **members},
        formats=tuple(dict.fromkeys(str(one["format"]) for one in dataset["distribution"])),
        updated_at=_modified(dataset, now),
        words=" ".join(texts).casefold()[:MOST_WORDS],
        document={name: value for name, value in dataset.items() if name not in _LEFT_OUT},
        policies=policies,
        audience=_audience(policies),
    )


def _audience(policies: Sequence[Document]) -> frozenset[str] | None:
    """Whom a dataset may be shown to: everyone that one of its offers names; offers that are not understood are passed on to nobody."""
    named: set[str] = set()
    for policy in policies:
        try:
            one = from_odrl(policy).named()
        except Invalid:
            continue
        if one is None:
            return None
        named |= one
    return frozenset(named)


def _modified(dataset: Document, now: datetime) -> datetime:
    try:
        return from_iso(str(dataset.get("modified")))
    except (ValueError, OverflowError):
        return now


def _not_theirs(problem: str) -> Invalid:
    return Invalid("catalog.federated", problem, hint=Text("Ask the party's operator.", "请联系对方运营人员。"))
