"""Self-issued ID tokens (Decentralized Claims Protocol 1.0, section 4.3): this node's own, and those of others checked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.fetching import Fetching
from chengshu.identity.claims.jws import Signed, check_signature, read
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.model import Scheme
from chengshu.identity.service import Identity
from chengshu.kernel.clock import Clock
from chengshu.kernel.ids import NewId

LIFE = timedelta(minutes=5)
MAX_LIFE = timedelta(minutes=15)
"""How long a token may live: its ``jti`` is remembered for that long."""

SKEW = timedelta(seconds=30)
MAX_JTI = 200
_BEARER = "Bearer "


class SelfIssued:
    """Issues tokens signed with this node's key for claims, and accepts those of parties on the trust list, each once."""

    def __init__(self, identity: Identity, *, key: DcpKey, fetching: Fetching, clock: Clock, new_id: NewId) -> None:
        self._identity = identity
        self._fetching = fetching
        self._clock = clock
        self._new_id = new_id
        self.key = key

    def issue(self, audience: str, more: Mapping[str, Any]) -> str:
        """Return a token for ``audience``, good for five minutes, with ``more`` claims."""
        now = int(self._clock().timestamp())
        claims = {"iss": self.key.did, "sub": self.key.did, "aud": audience, "jti": self._new_id(), "iat": now, "nbf": now}
        return self.key.sign(claims | {"exp": now + int(LIFE.total_seconds())} | dict(more))

    def sender(self, header: str | None) -> tuple[str, Signed]:
        """Return who sent a header, and its token; a fault where it is not of a listed party, for this node, now, for the first time."""
        given = header or ""
        token = read(given.removeprefix(_BEARER) if given.startswith(_BEARER) else "")
        sender = token.text("iss")
        if sender is None or token.claims.get("sub") != sender:
            raise fault("claims", "expected iss and sub to name the same sender, got two or none")
        if self._identity.scheme_of(sender) is not Scheme.DCP:  # before anything of a stranger's is fetched
            raise fault("unknown-party", "expected a party on the trust list with the scheme dcp, got another")
        self.check_claims(token)
        check_signature(token, self._fetching.key(sender, token.header.get("kid"), purpose="capabilityInvocation"))
        until = datetime.fromtimestamp(int(token.claims["exp"]), UTC) + SKEW
        if not self._identity.first_sight(sender, jti=str(token.claims["jti"]), until=until):
            raise fault("replayed", "expected a token that was not used before, got one that was")
        return sender, token

    def check_claims(self, token: Signed) -> None:
        """Return where a token is for this node and holds now; a fault otherwise."""
        audience = token.claims.get("aud")
        if self.key.did not in (audience if isinstance(audience, list) else [audience]):
            raise fault("audience", "expected a token for this node's DID, got one for another")
        check_times(token, now=self._clock())


def check_times(token: Signed, *, now: datetime) -> None:
    """Return where a token has an id and holds now, give or take :data:`SKEW`; a fault otherwise."""
    jti, issued, ends, starts = token.text("jti"), token.moment("iat"), token.moment("exp"), token.moment("nbf")
    if jti is None or len(jti) > MAX_JTI or issued is None or ends is None:
        raise fault("claims", "expected jti, iat and exp, got one missing or of another kind")
    if max(issued, starts or 0) > (now + SKEW).timestamp():
        raise fault("not-yet-valid", "expected a token that holds already, got one that will")
    if ends <= (now - SKEW).timestamp():
        raise fault("expired", "expected a token that still holds, got one that has expired")
    if not 0 < ends - issued <= MAX_LIFE.total_seconds():
        raise fault("claims", f"expected a life of at most {MAX_LIFE.seconds} s, got another")
