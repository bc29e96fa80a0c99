"""Shared secrets for closed networks: who sends the secret agreed with a party is that party.

A secret vouches for a sender and for nothing else: neither the request nor its moment is bound, so whoever reads one request can send
others. Use it inside TLS and a network of one's own.
"""

from hmac import compare_digest

from chengshu.identity.credentials.request import SignedRequest
from chengshu.identity.keys.shared import MAX_LENGTH, SharedSecrets
from chengshu.identity.model import Scheme
from chengshu.identity.service import Identity
from chengshu.kernel.errors import Unidentified
from chengshu.kernel.text import Text


class StaticCredentials:
    """Sends the secret shared with a party and accepts those of the parties on the trust list that have one."""

    def __init__(self, identity: Identity, *, secrets: SharedSecrets) -> None:
        self._identity = identity
        self._secrets = secrets

    def issue(self, audience: str, _request: SignedRequest) -> str:
        """Return ``Bearer`` and the secret that ``audience`` expects of us; raises NotFound where there is none."""
        return f"Bearer {self._secrets.get(audience).sends}"

    def verify(self, header: str | None, _request: SignedRequest) -> str:
        """Return the id of the party whose secret the header is, bare or after ``Bearer``.

        Raises Unidentified with ``identity.token-missing`` or ``identity.secret-unknown``.
        """
        if header is None:
            raise _fault("identity.token-missing", "expected an Authorization header, got none")
        given = header.removeprefix("Bearer ").encode()
        found = None
        for party, shared in self._secrets.every().items():  # to the end, so that the time says nothing about which one matched
            if compare_digest(shared.expects.encode(), given):
                found = party
        if found is None or len(given) > MAX_LENGTH or self._identity.scheme_of(found) is not Scheme.STATIC:
            raise _fault("identity.secret-unknown", "expected a secret shared with a party on the trust list, got another text")
        return found


def _fault(code: str, message: str) -> Unidentified:
    return Unidentified(
        code,
        message,
        hint=Text(
            "Compare the secret with the party's, and add the party again with --secret.",
            "请与对方核对共享密钥，并用 --secret 再次添加该参与方。",
        ),
    )
