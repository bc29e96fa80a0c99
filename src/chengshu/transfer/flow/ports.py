"""What the data plane needs from outside: control planes to report to, and the way to others' endpoints."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from chengshu.transfer.flow.model import DataFlow, Endpoint
from chengshu.transfer.flow.renewable import Renewal, Tokens


class Control(Protocol):
    """The control plane of a flow; told in the transaction that also keeps what it is told."""

    def completed(self, tx: Connection, flow: DataFlow) -> None:
        """Everything of a finite flow went out."""
        ...

    def errored(self, tx: Connection, flow: DataFlow, *, code: str, reason: str) -> None:
        """A flow cannot go on."""
        ...


@dataclass(frozen=True, slots=True)
class Incoming:
    """A product on its way in: the media type that its sender names, and its bytes."""

    media_type: str | None
    chunks: Iterator[bytes]


class Carrier(Protocol):
    """The way to another party's endpoint; each refuses addresses that are not the party's to name.

    ``party`` is None where a registered control plane named the endpoint, which may name any that this node calls at all.
    """

    def close(self) -> None:
        """Close the connections that are kept open."""
        ...

    def check(self, party: str | None, endpoint: Endpoint) -> None:
        """Raise Denied where the party may not have this node call that endpoint."""
        ...

    def pull(self, party: str | None, endpoint: Endpoint, *, accept: str) -> AbstractContextManager[Incoming]:
        """Open what is at an endpoint.

        Raises Denied for an endpoint that is not the party's to name and as the party answers, Unavailable where trying again may help.
        """
        ...

    def renew(self, party: str | None, renewal: Renewal, *, proof: str) -> Tokens:
        """Ask for another access token (OAuth 2.0, RFC 6749 section 6), with ``proof`` as the ``Authorization``.

        Raises Denied where the other side does not renew, Invalid for an answer that is none, and Unavailable as :meth:`pull`.
        """
        ...

    def push(self, party: str | None, endpoint: Endpoint, chunks: Iterable[bytes], *, media_type: str) -> None:
        """Send bytes to an endpoint and wait until it has taken them; raises as :meth:`pull`."""
        ...
