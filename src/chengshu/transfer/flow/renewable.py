"""Addresses whose token is renewed: the HTTP profile of Data Plane Signaling (release candidate 3) and its profile of token renewal."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeGuard

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text
from chengshu.transfer.flow.model import BEARER, Document, endpoint_of, listed_properties, properties_of

HTTP_PULL = "https://w3id.org/dspace-sig/profile/http-pull"
"""The profile whose addresses carry a token of a short life, and what renews it."""

HTTP_PUSH = "https://w3id.org/dspace-sig/profile/http-push"
"""Its other direction, whose addresses carry a token that lasts with the flow."""

TOKEN_LIFE = timedelta(minutes=5)
"""How long an access token of ours is good for where it can be renewed."""

_SECONDS = re.compile(r"[0-9]{1,9}")
MAX_TOKEN = 16 * 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token, for how long it is good, and the token that renews it; None where the one before goes on doing so."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    life: timedelta


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the holder of an address needs to renew its token, and where it asks."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    life: timedelta
    url: str

    @property
    def margin(self) -> timedelta:
        """So long before its end a token is renewed: the way to the provider takes time too."""
        return min(timedelta(seconds=10), self.life / 2)


def renewable_address(url: str, tokens: Tokens, *, refresh_url: str) -> dict[str, Any]:
    """Return the DataAddress of a pull by the HTTP profile; it names no property that the profile's schema does not."""
    properties = {
        "authorization": tokens.access,
        "authType": BEARER,
        "refreshToken": tokens.refresh or "",
        "expiresIn": str(int(tokens.life.total_seconds())),
        "refreshEndpoint": refresh_url,
    }
    return {"@type": "DataAddress", "endpointType": HTTP_PULL, "endpoint": url, "endpointProperties": listed_properties(properties)}


def push_address(url: str, token: str) -> dict[str, Any]:
    """Return the DataAddress of a push by the HTTP profile."""
    properties = {"authorization": token, "authType": BEARER}
    return {"@type": "DataAddress", "endpointType": HTTP_PUSH, "endpoint": url, "endpointProperties": listed_properties(properties)}


def renewal_of(document: Document) -> Renewal | None:
    """Return how the token of an address that came is renewed, None where the address does not say so.

    Without a ``refreshEndpoint`` it is the endpoint itself (Token Renewal, "The Refresh Token").
    """
    found = properties_of(document)
    access, refresh, life = (found.get(name) for name in ("authorization", "refreshToken", "expiresIn"))
    url = found.get("refreshEndpoint", document.get("endpoint"))
    scheme = found.get("authType", BEARER)
    if not (is_token(access) and is_token(refresh) and isinstance(life, str) and _SECONDS.fullmatch(life)):
        return None
    if not (isinstance(scheme, str) and scheme.lower() == BEARER and isinstance(url, str) and url.startswith(("http://", "https://"))):
        return None
    return Renewal(access, refresh, timedelta(seconds=int(life)), url)


def profiled(document: Document) -> Renewal:
    """Return how the token of a pull by the HTTP profile is renewed; raise Invalid for an address that is not as the profile has it."""
    renewal, is_typed = renewal_of(document), document.get("endpointType") == HTTP_PULL and isinstance(document.get("endpoint"), str)
    if not is_typed or "authType" not in properties_of(document) or renewal is None:
        raise Invalid(
            "signaling.address",
            "expected a dataAddress of the type http-pull with authorization, authType bearer, refreshToken and expiresIn, got another",
            hint=Text("See the HTTP profile in docs/reference/signaling.md.", "请参阅 docs/reference/signaling.md 中的 HTTP 配置。"),
        )
    endpoint_of(document)
    return renewal


def renewed(document: Document, tokens: Tokens) -> dict[str, Any]:
    """Return an address with the tokens that its provider gave in place of those before."""
    fresh: dict[str, Any] = {"authorization": tokens.access, "expiresIn": str(int(tokens.life.total_seconds()))}
    if tokens.refresh is not None:
        fresh["refreshToken"] = tokens.refresh
    kept = [
        {**one, "value": fresh[one["name"]]} if isinstance(one, dict) and one.get("name") in fresh else one
        for one in document["endpointProperties"]
    ]
    return {**document, "endpointProperties": kept}


def is_token(value: object) -> TypeGuard[str]:
    """Say whether a value can stand in an ``Authorization`` header and in a form."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TOKEN and value.isascii() and value.isprintable()
