"""Who renews a token: the client's signature over the token that it renews (Data Plane Signaling, Token Renewal profile)."""

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chengshu.identity.claims.faults import fault, unproved
from chengshu.identity.claims.fetching import Fetching
from chengshu.identity.claims.jws import Signed, check_signature, read
from chengshu.identity.claims.self_issued import SKEW, check_times
from chengshu.identity.compact import compact
from chengshu.identity.keys.dcp import DcpKey
from chengshu.identity.service import Identity
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import Algorithm
from chengshu.kernel.errors import Conflict, Unidentified
from chengshu.kernel.ids import NewId
from chengshu.kernel.text import Text

LIFE = timedelta(minutes=1)
_BEARER = "Bearer "
Sign = Callable[[Mapping[str, Any]], str]


class ClientProofs:
    """Signs for this node when it renews a token, and checks the signatures of those who renew ours, each once.

    Whoever renews need not be on the trust list: the control plane that ordered the flow said by which DID its counterparty is known.
    """

    def __init__(self, identity: Identity, *, fetching: Fetching, key: DcpKey | None, clock: Clock, new_id: NewId) -> None:
        self._identity = identity
        self._fetching = fetching
        self._key = key
        self._clock = clock
        self._new_id = new_id

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._fetching.close()

    def issue(self, client: str | None, *, audience: str, access: str) -> str:
        """Return the ``Authorization`` by which ``client`` renews the token ``access`` of ``audience``, good for a minute.

        None is this node itself, by its DID for claims where it has one. Raises Conflict where this node has no key of ``client``.
        """
        own = self._identity.did if self._key is None else self._key.did
        did = own if client is None else client
        now = int(self._clock().timestamp())
        claims = {"iss": did, "sub": did, "aud": audience, "jti": self._new_id(), "iat": now, "exp": now + int(LIFE.total_seconds())}
        return _BEARER + self._signing(did)(claims | {"token": access})

    def check(self, header: str | None, *, client: str, audience: str | None, access: str) -> None:
        """Return where ``header`` is signed by ``client``, for ``audience``, about the token ``access``, now and for the first time.

        Raises Unidentified ``identity.unproved``; why is for this node's own log alone.
        """
        try:
            token = _claimed(header, client=client, audience=audience, access=access)
            check_times(token, now=self._clock())
            check_signature(token, self._fetching.key(client, token.header.get("kid"), purpose="authentication"))
            until = datetime.fromtimestamp(int(token.claims["exp"]), UTC) + SKEW
            if not self._identity.first_sight(client, jti=str(token.claims["jti"]), until=until):
                raise fault("replayed", "expected a token that was not used before, got one that was")
        except Unidentified as error:
            raise unproved(error) from error

    def _signing(self, did: str) -> Sign:
        if self._key is not None and did == self._key.did:
            return self._key.sign
        if did == self._identity.did and self._identity.signer.public_key.algorithm is Algorithm.ED25519:
            return self._sign_by_key
        raise Conflict(
            "identity.client-key",
            "expected to renew a token as a participant whose key this node has, got another participant",
            hint=Text(
                "Have the control plane name this node's DID as participantId, or set did in [identity].",
                "请让控制平面以本节点的 DID 作为 participantId，或在 [identity] 中设置 did。",
            ),
        )

    def _sign_by_key(self, claims: Mapping[str, Any]) -> str:
        """A compact JWS by the node's own Ed25519 key (RFC 8037), which its ``did:key`` is the document of."""
        did = self._identity.did
        head = {"alg": "EdDSA", "kid": f"{did}#{did.removeprefix('did:key:')}", "typ": "JWT"}
        return compact(head, claims, sign=self._identity.signer.sign)


def _claimed(header: str | None, *, client: str, audience: str | None, access: str) -> Signed:
    """The token of a header that says what it must; nothing of it is believed yet, and nothing was fetched."""
    given = header or ""
    token = read(given.removeprefix(_BEARER) if given.startswith(_BEARER) else "")
    if token.claims.get("iss") != client or token.claims.get("sub") != client:
        raise fault("client", "expected iss and sub to be the DID that the refresh token is bound to, got another")
    named = token.claims.get("aud")
    if audience is None or audience not in (named if isinstance(named, list) else [named]):
        raise fault("audience", "expected a token for the participant that provides, got one for another")
    if not hmac.compare_digest((token.text("token") or "").encode(), access.encode()):
        raise fault("access", "expected the claim token to be the access token that is renewed, got another or none")
    return token
