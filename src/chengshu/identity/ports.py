"""What this node needs to prove who it is to others, and who others are."""

from typing import Protocol

from chengshu.identity.credentials.request import SignedRequest


class CredentialSource(Protocol):
    """A scheme by which requests between nodes prove their sender (RFC 9110 ``Authorization``)."""

    def issue(self, audience: str, request: SignedRequest) -> str:
        """Return the header's value for ``request`` to the party ``audience``."""
        ...

    def verify(self, header: str | None, request: SignedRequest) -> str:
        """Return the id of the known party that sent ``request``; raise Unidentified naming the fault."""
        ...
