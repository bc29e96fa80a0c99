"""The scheme of the Decentralized Claims Protocol 1.0: self-issued tokens, and presentations that stand behind them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chengshu.identity.claims.faults import fault
from chengshu.identity.claims.fetching import Fetching
from chengshu.identity.claims.jws import Signed, check_signature, read
from chengshu.identity.claims.verifier import Verifier
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.model import Scheme
from chengshu.identity.service import Identity
from chengshu.kernel.clock import Clock
from chengshu.kernel.ids import NewId

LIFE = timedelta(minutes=5)
MAX_LIFE = timedelta(minutes=15)
"""How long a token may live: its ``jti`` is remembered for that long."""

SKEW = timedelta(seconds=30)


class DcpCredentials:
    """Believes a party on the trust list whose self-issued token holds and whose presentations satisfy the verifier.

    Every fault refuses, each with its code; outwards it looks as if nothing were there.
    """

    def __init__(self, identity: Identity, *, key: DcpKey, fetching: Fetching, verifier: Verifier, clock: Clock, new_id: NewId) -> None:
        self._identity = identity
        self._key = key
        self._fetching = fetching
        self._verifier = verifier
        self._clock = clock
        self._new_id = new_id

    def issue(self, audience: str, _request: SignedRequest) -> str:
        """Return ``Bearer`` and a self-issued token for ``audience``, good for five minutes; no presentations stand behind it."""
        return f"Bearer {self._self_issued(audience, {})}"

    def verify(self, header: str | None, _request: SignedRequest) -> str:
        """Return the sender's DID.

        Raises Unidentified: ``identity.token-missing``, ``identity.unknown-party``, and one of the codes ``identity.dcp-…`` that the
        reference of identity lists.
        """
        token = read((header or "").removeprefix("Bearer ") if (header or "").startswith("Bearer ") else "")
        sender = token.text("iss")
        if sender is None or token.claims.get("sub") != sender:
            raise fault("claims", "expected iss and sub to name the same sender, got two or none")
        self._check_known(sender)  # before anything of a stranger's is fetched
        self._check_claims(token)
        check_signature(token, self._fetching.key(sender, token.header.get("kid"), purpose="capabilityInvocation"))
        until = datetime.fromtimestamp(int(token.claims["exp"]), UTC) + SKEW
        if not self._identity.first_sight(sender, jti=str(token.claims["jti"]), until=until):
            raise fault("replayed", "expected a token that was not used before, got one that was")
        access = token.text("token")
        if access is None:
            raise fault("claims", "expected an access token in the claim token, got none")
        self._verifier.check_presented(sender, authorization=f"Bearer {self._self_issued(sender, {'token': access})}")
        return sender

    def _check_known(self, sender: str) -> None:
        if self._identity.scheme_of(sender) is not Scheme.DCP:
            raise fault("unknown-party", "expected a party on the trust list with the scheme dcp, got another")

    def _check_claims(self, token: Signed) -> None:
        audience = token.claims.get("aud")
        if self._key.did not in (audience if isinstance(audience, list) else [audience]):
            raise fault("audience", "expected a token for this node's DID, got one for another")
        jti, issued, ends, starts = token.text("jti"), token.moment("iat"), token.moment("exp"), token.moment("nbf")
        if jti is None or len(jti) > 200 or issued is None or ends is None:
            raise fault("claims", "expected jti, iat and exp, got one missing or of another kind")
        now = self._clock()
        if max(issued, starts or 0) > (now + SKEW).timestamp():
            raise fault("not-yet-valid", "expected a token that holds already, got one that will")
        if ends <= (now - SKEW).timestamp():
            raise fault("expired", "expected a token that still holds, got one that has expired")
        if not 0 < ends - issued <= MAX_LIFE.total_seconds():
            raise fault("claims", f"expected a life of at most {MAX_LIFE.seconds} s, got another")

    def _self_issued(self, audience: str, more: dict[str, Any]) -> str:
        now = int(self._clock().timestamp())
        claims = {"iss": self._key.did, "sub": self._key.did, "aud": audience, "jti": self._new_id(), "iat": now}
        return self._key.sign(claims | {"exp": now + int(LIFE.total_seconds())} | more)
