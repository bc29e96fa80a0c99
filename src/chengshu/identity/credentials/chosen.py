"""The scheme of each exchange: outwards the one that the party is listed with, inwards the one that the header has the form of."""

import base64
import json
import re
from collections.abc import Mapping

from chengshu.identity.claims.faults import unproved
from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.model import Scheme
from chengshu.identity.ports import CredentialSource
from chengshu.identity.service import Identity
from chengshu.kernel.errors import Conflict, Unidentified
from chengshu.kernel.text import Text

_TOKEN = re.compile(r"Bearer [A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_LONGEST = 64 * 1024


class ChosenCredentials:
    """Every scheme that this node has behind one face; a party is believed only by the scheme that it is listed with."""

    def __init__(self, identity: Identity, *, schemes: Mapping[Scheme, CredentialSource]) -> None:
        self._identity = identity
        self._schemes = dict(schemes)

    def issue(self, audience: str, request: SignedRequest) -> str:
        """Return the header for ``request`` by the scheme of ``audience``.

        Raises NotFound for a party that is not on the trust list, and Conflict where this node does not have its scheme.
        """
        scheme = self._identity.scheme_of(audience) or self._identity.get(audience).scheme
        if scheme not in self._schemes:
            raise Conflict(
                "identity.scheme-off",
                f"expected a scheme that this node has, got {scheme}, which is switched off here",
                hint=Text("Fill the section [identity] of chengshu.toml.", "请填写 chengshu.toml 的 [identity] 部分。"),
            )
        return self._schemes[scheme].issue(audience, request)

    def verify(self, header: str | None, request: SignedRequest) -> str:
        """Return the id of the party that sent ``request``.

        Raises Unidentified as the scheme does that the header has the form of, and ``identity.scheme`` where the party is listed with
        another one, or this node does not have it. What is wrong with claims is for this node's log alone: outwards it is
        ``identity.unproved``.
        """
        scheme = scheme_of(header)
        if scheme not in self._schemes:
            raise _other(f"got {scheme}, which is switched off here")
        try:
            sender = self._schemes[scheme].verify(header, request)
        except Unidentified as error:
            if scheme is not Scheme.DCP:
                raise
            raise unproved(error) from error
        listed = self._identity.scheme_of(sender)
        if listed is not scheme:
            raise _other(f"which is {listed}, got {scheme}")
        return sender


def scheme_of(header: str | None) -> Scheme:
    """Return the scheme that a header has the form of.

    A signed token is of ours where it names a method (``htm``), which tokens of the Decentralized Claims Protocol do not; whatever is no
    signed token can only be a shared secret. No header at all is for ours to refuse.
    """
    form = None if header is None or len(header) > _LONGEST else _TOKEN.fullmatch(header)
    if form is None:
        return Scheme.TOKEN if header is None else Scheme.STATIC
    try:
        claims = json.loads(base64.urlsafe_b64decode(form[1] + "=" * (-len(form[1]) % 4)))
    except (ValueError, RecursionError):
        return Scheme.TOKEN
    return Scheme.DCP if isinstance(claims, dict) and "htm" not in claims else Scheme.TOKEN


def _other(got: str) -> Unidentified:
    return Unidentified(
        "identity.scheme",
        f"expected the scheme that the party is listed with, {got}",
        hint=Text("List the party with the scheme that it uses.", "请按对方所用的凭证方式登记该参与方。"),
    )
