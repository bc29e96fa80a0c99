"""What this node needs to prove who it is to others, and who others are."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import Connection

from chengshu.identity.credentials.request import SignedRequest


class Evidence(Protocol):
    """The node's log."""

    def append(self, tx: Connection, kind: str, subject: str, body: Mapping[str, Any]) -> int:
        """Write one entry in the caller's transaction and return its index."""
        ...


class CredentialSource(Protocol):
    """A scheme by which requests between nodes prove their sender (RFC 9110 ``Authorization``)."""

    def issue(self, audience: str, request: SignedRequest) -> str:
        """Return the header's value for ``request`` to the party ``audience``."""
        ...

    def verify(self, header: str | None, request: SignedRequest) -> str:
        """Return the id of the known party that sent ``request``; raise Unidentified naming the fault."""
        ...
