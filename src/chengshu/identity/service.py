"""The node's own id and the list of parties that it knows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from chengshu.identity import store
from chengshu.identity.model import Party, Scheme, checked_address, checked_id, did_key, public_key_of, signs
from chengshu.identity.ports import Evidence
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import PublicKey, Signer, suite_of
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Conflict, Invalid, NotFound, Unidentified
from chengshu.kernel.outgoing import Outgoing, outgoing_of
from chengshu.kernel.text import Text

SWEEP = timedelta(seconds=30)
"""So often tokens that are void by now are forgotten, while others come."""


class Identity:
    """Knows who this node is, where it is reached (its own versioned Dataspace Protocol base URL), and whom its operator trusts.

    Ids are pinned by the operator, never fetched.
    """

    def __init__(
        self, database: Database, *, signer: Signer, address: str, evidence: Evidence, clock: Clock, outgoing: Outgoing | None = None
    ) -> None:
        """``outgoing`` says whom this node calls; without one, only a node that is itself on loopback calls what is on loopback."""
        self._database = database
        self._evidence = evidence
        self._clock = clock
        self.signer = signer
        self.address = checked_address(address)
        self.outgoing = outgoing or outgoing_of(self.address)
        self.did = did_key(signer.public_key)
        self._known: dict[str, Party] = {}
        self._swept: datetime | None = None

    def add(
        self,
        did: str,
        *,
        name_en: str,
        name_zh: str,
        address: str,
        roles: Sequence[str] = (),
        handle: str | None = None,
        scheme: Scheme = Scheme.TOKEN,
    ) -> Party:
        """Add a party to the trust list and return it; adding it again unchanged changes nothing.

        Raises Invalid for an id that is not of the scheme's kind, an address that is no URL or an empty name, and Conflict where the id
        or a name is already another party's, or the party's key is of another profile of cryptography than ours.
        """
        if signs(checked_id(did, scheme)):
            self._check_same_profile(public_key_of(did))
        party = Party(did, _named(name_en), _named(name_zh), checked_address(address), tuple(roles), self._clock(), handle, scheme)
        with self._database.write() as tx:
            known = store.get(tx, did)
            if known is not None and _same(known, party):
                return known
            names = (party.did, party.name_en, party.name_zh)
            if known is not None or any(store.find(tx, one) or store.get(tx, one) for one in names) or not store.add(tx, party):
                raise Conflict(
                    "identity.party-known",
                    "expected an id and names that no party on the trust list has, got one that is taken",
                    hint=Text("List the known parties and choose another name.", "请查看已知参与方，并改用其他名称。"),
                )
            body = {"party": party.did, "address": party.address, "roles": list(party.roles), "scheme": party.scheme.value}
            self._evidence.append(tx, "peer.added", party.did, body)
        return party

    def changed(self, did: str, what: str) -> None:
        """Write into the log that ``what`` of a party's particulars is another now; never its value."""
        with self._database.write() as tx:
            self._evidence.append(tx, "peer.changed", did, {"party": did, "changed": what})

    def _check_same_profile(self, key: PublicKey) -> None:
        ours, theirs = suite_of(self.signer.public_key.algorithm), suite_of(key.algorithm)
        if ours is not theirs:
            raise Conflict(
                "identity.other-cryptography",
                f"expected a party of the {ours.name} profile, which this node's space has, got one of the {theirs.name} profile",
                hint=Text(
                    "A space has one profile of cryptography: ask the party for a node that was made with the same one.",
                    "同一空间只使用一种密码体系：请对方使用以相同体系创建的节点。",
                ),
                facts={"expected": ours.name, "got": theirs.name},
            )

    def get(self, did: str) -> Party:
        """Return the party with this id; raise NotFound where it is not on the trust list."""
        party = self._listed(did)
        if party is None:
            raise _unknown("id")
        return party

    def knows(self, did: str) -> bool:
        """Say whether ``did`` is on the trust list."""
        return self._listed(did) is not None

    def _listed(self, did: str) -> Party | None:
        """The party with this id. It is read once: what is listed stays listed, and as it is (:meth:`add` refuses anything else)."""
        party = self._known.get(did)
        if party is None:
            with self._database.read() as tx:
                party = store.get(tx, did)
            if party is not None:
                self._known[did] = party
        return party

    def scheme_of(self, did: str) -> Scheme | None:
        """Return the scheme that a party is listed with, None for one that is not on the trust list; one's own is the signed token."""
        if did == self.did:
            return Scheme.TOKEN
        party = self._listed(did)
        return None if party is None else party.scheme

    def may_name(self, did: str, url: str) -> bool:
        """Say whether a party may make us call ``url``: one of its own origin, or of a host that the operator listed; raises NotFound."""
        return self.get(did).owns(url) or self.outgoing.lists(url)

    def find(self, text: str) -> Party:
        """Return the party with this id, name or handle; raise NotFound where there is none."""
        with self._database.read() as tx:
            party = store.get(tx, text)
        return party or self.find_by_name(text)

    def find_by_name(self, name: str) -> Party:
        """Return the party with this English or Chinese name or handle; raise NotFound where there is none."""
        with self._database.read() as tx:
            found = store.find(tx, name)
        if not found:
            raise _unknown("name")
        return found[0]

    def list(self) -> list[Party]:
        """Return every party on the trust list in the order they were added."""
        with self._database.read() as tx:
            return store.every(tx)

    def take_once(self, did: str, *, jti: str, until: datetime, replayed: Callable[[], Unidentified]) -> None:
        """Remember this token of ``did`` until it is void anyway; raise what ``replayed`` returns where it was seen before.

        Within ``Database.together`` both happen in the transaction of what the token vouches for.
        """

        def take(tx: Connection) -> None:
            if not self._remember(tx, did, jti=jti, until=until):
                raise replayed()

        self._database.first(take)

    def first_sight(self, did: str, *, jti: str, until: datetime) -> bool:
        """Say at once whether this token of ``did`` is seen for the first time, and remember it until it is void anyway."""
        with self._database.write() as tx:
            return self._remember(tx, did, jti=jti, until=until)

    def _remember(self, tx: Connection, did: str, *, jti: str, until: datetime) -> bool:
        now = self._clock()
        if self._swept is None or abs(now - self._swept) >= SWEEP:
            store.forget_void(tx, now=now)
            self._swept = now
        return store.remember(tx, did, jti=jti, until=until)


def _named(name: str) -> str:
    trimmed = name.strip()
    if not 0 < len(trimmed) <= 120:
        raise Invalid(
            "identity.name",
            f"expected a name of 1 to 120 characters, got {len(trimmed)}",
            hint=Text("Give the party a name in both languages.", "请为参与方填写中英文名称。"),
        )
    return trimmed


def _same(known: Party, party: Party) -> bool:
    return replace(known, added_at=party.added_at) == party


def _unknown(key: str) -> NotFound:
    return NotFound(
        "identity.party-unknown",
        f"expected the {key} of a party on the trust list, got one that is not there",
        hint=Text("Add the party with its id and address first.", "请先添加该参与方的身份标识与地址。"),
    )
