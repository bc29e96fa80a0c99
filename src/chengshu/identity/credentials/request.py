"""The part of a request that a credential vouches for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """Method, path as it is on the wire (percent-encoded, with the query if there is one), and the body's bytes."""

    method: str
    path: str
    body: bytes = b""
