"""The schemes of one node put together: what it proves itself with, and what it believes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chengshu.identity.claims.client import ClientProofs
from chengshu.identity.claims.fetching import Fetching
from chengshu.identity.claims.holder import Holder
from chengshu.identity.claims.self_issued import SelfIssued
from chengshu.identity.claims.verifier import TYPE_SCOPE, Trust, Verifier
from chengshu.identity.credentials.chosen import ChosenCredentials
from chengshu.identity.credentials.dcp import DcpCredentials
from chengshu.identity.credentials.static import StaticCredentials
from chengshu.identity.credentials.token import TokenCredentials
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.keys.shared import SharedSecrets
from chengshu.identity.model import Scheme
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.ids import NewId


@dataclass(frozen=True, slots=True)
class Claims:
    """What the operator chose for the Decentralized Claims Protocol; without scopes, one is asked for each required type."""

    did: str
    issuers: Mapping[str, frozenset[str]]
    required: frozenset[str]
    scopes: tuple[str, ...] = ()

    def trust(self) -> Trust:
        """Return what a verifier needs of it."""
        return Trust(self.issuers, self.required, self.scopes or tuple(f"{TYPE_SCOPE}:{one}:read" for one in sorted(self.required)))


@dataclass(frozen=True, slots=True)
class Proving:
    """A node's credentials of every scheme, its shared secrets, for claims its key and its wallet, and by what it renews tokens."""

    credentials: CredentialSource
    secrets: SharedSecrets
    claims_key: DcpKey | None
    holder: Holder | None
    proofs: ClientProofs


def assemble(identity: Identity, keys: Path, *, claims: Claims | None, digests: Digests, clock: Clock, new_id: NewId) -> Proving:
    """Return what a node with these ``keys`` proves itself with; claims are switched off where nothing was chosen for them."""
    secrets = SharedSecrets(keys)
    schemes: dict[Scheme, CredentialSource] = {
        Scheme.TOKEN: TokenCredentials(identity, digests=digests, clock=clock, new_id=new_id),
        Scheme.STATIC: StaticCredentials(identity, secrets=secrets),
    }
    key = holder = None
    if claims is not None:
        key, fetching = DcpKey(keys, did=claims.did), Fetching(identity.outgoing)
        tokens = SelfIssued(identity, key=key, fetching=fetching, clock=clock, new_id=new_id)
        holder = Holder(keys.parent, tokens)
        verifier = Verifier(fetching, own=claims.did, trust=claims.trust(), clock=clock)
        schemes[Scheme.DCP] = DcpCredentials(tokens, holder=holder, verifier=verifier)
    proofs = ClientProofs(identity, fetching=Fetching(identity.outgoing), key=key, clock=clock, new_id=new_id)
    return Proving(ChosenCredentials(identity, schemes=schemes), secrets, key, holder, proofs)
