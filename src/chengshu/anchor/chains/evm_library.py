"""The optional library ``web3`` (``chengshu[anchor]``): imported when a chain is first asked, so that nobody else needs it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from chengshu.kernel.errors import Invalid, Unavailable
from chengshu.kernel.text import Text

TIMEOUT_S = 8.0

Web3 = Any
"""A connection of the library's, whose types are there only where it is installed."""

SEE = Text("See docs/reference/anchor.md.", "见 docs/reference/anchor.md。")


def connect(url: str) -> Web3:
    """Return a connection to a chain's node over HTTP: bounded in time, no redirects, no proxies from the environment.

    Raises Unavailable, with the command that installs it, where the library is not there; Invalid for a URL that is none.
    """
    parts = library()
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Invalid("anchor.url", "expected a URL that begins with http, got another", hint=SEE)
    session = parts.session()
    session.trust_env = False
    session.max_redirects = 0
    provider = parts.http(url, request_kwargs={"timeout": TIMEOUT_S}, session=session, exception_retry_configuration=None)
    web3 = parts.web3(provider)
    web3.middleware_onion.inject(parts.proof_of_authority, layer=0)  # consortium chains put signatures into a block's extra data
    return web3


class Library:
    """The parts of the optional libraries that are used."""

    def __init__(self) -> None:
        import requests  # noqa: PLC0415  # an optional extra
        from eth_account import Account as Accounts  # noqa: PLC0415  # an optional extra
        from web3 import Web3 as Connection  # noqa: PLC0415  # an optional extra
        from web3.exceptions import TransactionNotFound  # noqa: PLC0415  # an optional extra
        from web3.middleware import ExtraDataToPOAMiddleware  # noqa: PLC0415  # an optional extra

        self.session: Any = requests.Session
        self.accounts: Any = Accounts
        self.web3: Any = Connection
        self.http: Any = Connection.HTTPProvider
        self.proof_of_authority: Any = ExtraDataToPOAMiddleware
        self.not_found: Any = TransactionNotFound


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Undo what is done to this process's recursion limit inside.

    The libraries raise it to 100,000 when they are imported; a document nested that deep would then crash the node that reads it,
    where it is refused otherwise.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def library() -> Library:
    """Return the parts of the libraries; raise Unavailable, with the command that installs them, where they are not there."""
    try:
        with recursion_limit_kept():
            return Library()
    except ImportError as error:
        raise Unavailable(
            "anchor.no-library",
            "expected the library web3, got none",
            hint=Text("pip install 'chengshu[anchor]'", "pip install 'chengshu[anchor]'"),
        ) from error
