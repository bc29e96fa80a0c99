"""Bearer tokens for closed networks: a compact JWS that binds sender, receiver, request and a minute of time.

Form: RFC 7515 compact serialisation; ``alg`` is the one of the issuer's key, Ed25519 (RFC 9864) or SM2. Claims: ``iss``, ``aud``,
``iat``, ``exp``, ``jti`` (RFC 7519), ``htm`` and ``htu`` (the names of RFC 9449, here with the path only, since proxies change hosts)
and ``body``, the digest of the body.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chengshu.identity.compact import compact
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.model import public_key_of
from chengshu.identity.service import Identity
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import Clock
from chengshu.kernel.crypto import is_signed_by
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.ids import NewId
from chengshu.kernel.text import Text

LIFE = timedelta(seconds=60)
SKEW = timedelta(seconds=30)
MAX_LENGTH = 4096
_FORM = re.compile(r"Bearer ([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TEXTS = ("iss", "aud", "jti", "htm", "htu", "body")
_TIMES = ("iat", "exp")


@dataclass(frozen=True, slots=True)
class _Token:
    algorithm: Any
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def moment(self, claim: str) -> datetime:
        return datetime.fromtimestamp(self.claims[claim], UTC)


class TokenCredentials:
    """Issues tokens signed with this node's key and accepts those of parties on the trust list, each once."""

    def __init__(self, identity: Identity, *, digests: Digests, clock: Clock, new_id: NewId) -> None:
        self._identity = identity
        self._digests = digests
        self._clock = clock
        self._new_id = new_id

    def issue(self, audience: str, request: SignedRequest) -> str:
        """Return ``Bearer …`` for one request to ``audience``, good for a minute from now."""
        now = int(self._clock().timestamp())
        claims = {
            "iss": self._identity.did,
            "aud": audience,
            "iat": now,
            "exp": now + int(LIFE.total_seconds()),
            "jti": self._new_id(),
            "htm": request.method,
            "htu": request.path,
            "body": self._digests.of_bytes(request.body),
        }
        head = {"alg": self._identity.signer.public_key.algorithm.value, "kid": self._identity.did, "typ": "JWT"}
        return f"Bearer {compact(head, claims, sign=self._identity.signer.sign)}"

    def verify(self, header: str | None, request: SignedRequest) -> str:
        """Return the sender's id.

        Raises Unidentified with one code for each fault: ``identity.token-missing``, ``-malformed``, ``-signature``, ``-audience``,
        ``-not-yet-valid``, ``-expired``, ``-request`` (method or path), ``-body``, ``-replayed``, and ``identity.unknown-party``.
        """
        token = _parsed(header)
        sender = str(token.claims["iss"])
        if not self._identity.knows(sender):
            raise _fault("identity.unknown-party", "expected a sender on the trust list, got one that is not")
        key = public_key_of(sender)
        if token.algorithm != key.algorithm:
            raise _malformed(f"expected alg {key.algorithm}, which the sender's key has, got another")
        if not is_signed_by(key, signature=token.signature, message=token.signed):
            raise _fault("identity.token-signature", "expected a token signed by its issuer's key, got another signature")
        if token.claims["aud"] != self._identity.did:
            raise _fault("identity.token-audience", "expected a token for this node, got one for another")
        self._check_time(token)
        _check_request(token.claims, request, body=self._digests.of_bytes(request.body))
        self._identity.take_once(sender, jti=token.claims["jti"], until=token.moment("exp") + SKEW, replayed=_replayed)
        return sender

    def _check_time(self, token: _Token) -> None:
        now = self._clock()
        if token.moment("iat") > now + SKEW:
            raise _fault("identity.token-not-yet-valid", f"expected a token issued by now (±{SKEW.seconds} s), got one from the future")
        if token.moment("exp") + SKEW < now:
            raise _fault("identity.token-expired", f"expected a token of the last {LIFE.seconds} s (±{SKEW.seconds} s), got an older one")


def _check_request(claims: dict[str, Any], request: SignedRequest, *, body: str) -> None:
    if (claims["htm"], claims["htu"]) != (request.method, request.path):
        raise _fault("identity.token-request", "expected a token for this method and path, got one for another request")
    if claims["body"] != body:
        raise _fault("identity.token-body", "expected the body that the token was made for, got another")


def _parsed(header: str | None) -> _Token:
    if header is None:
        raise _fault("identity.token-missing", "expected an Authorization header, got none")
    form = _FORM.fullmatch(header) if len(header) <= MAX_LENGTH else None
    if form is None:
        raise _malformed("expected 'Bearer' and a compact JWS, got another form")
    head, body, signature = form.groups()
    claims = _json(body)
    if any(not isinstance(claims.get(name), str) for name in _TEXTS) or any(type(claims.get(name)) is not int for name in _TIMES):
        raise _malformed(f"expected the claims {', '.join(_TEXTS + _TIMES)}, got one missing or of another kind")
    # The span is bounded both ways: a long life would outlive the memory of used tokens, a huge number is not a date.
    if not (0 < claims["exp"] - claims["iat"] <= LIFE.total_seconds() and 0 <= claims["iat"] < 2**37):
        raise _malformed(f"expected a life of at most {LIFE.seconds} s, got another")
    if not 0 < len(claims["jti"]) <= 200 or not all(claims[name].isprintable() for name in ("iss", "jti")):
        raise _malformed("expected a jti of 1 to 200 characters, and in iss and jti none that no database keeps, got another text")
    return _Token(_json(head).get("alg"), claims, signed=f"{head}.{body}".encode(), signature=_decode(signature))


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decode(part))
    except (ValueError, RecursionError) as error:
        raise _malformed("expected JSON in header and claims, got something else") from error
    if not isinstance(value, dict):
        raise _malformed("expected a JSON object in header and claims, got something else")
    return value


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise _malformed("expected base64url parts, got something else") from error


def _replayed() -> Unidentified:
    return _fault("identity.token-replayed", "expected a token that was not used before, got one that was")


def _malformed(message: str) -> Unidentified:
    return _fault("identity.token-malformed", message)


def _fault(code: str, message: str) -> Unidentified:
    return Unidentified(
        code,
        message,
        hint=Text(
            "Check that both nodes list each other, that their clocks agree and that nothing between them changes requests.",
            "请确认双方节点互相列入信任名单、时钟一致，且中间设备不改写请求。",
        ),
    )
