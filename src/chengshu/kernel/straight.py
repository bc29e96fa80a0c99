"""An answer that is read straight from its socket: for bytes by the gigabyte, which a client made for messages copies four times over."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from chengshu.kernel.outgoing import Outgoing


class Answer:
    """What came back: its status, its media type (empty where none is said), and its body, which is read once."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.media_type = response.getheader("Content-Type", "")

    def readinto(self, into: memoryview) -> int:
        """Fill ``into`` and return how many bytes have come for it: fewer where the answer ends; raise as :func:`posted` does."""
        with _told():
            return self._response.readinto(into)

    def read(self, most: int) -> bytes:
        """Return at most so many bytes; raise as :func:`posted` does."""
        with _told():
            return self._response.read(most)


@contextmanager
def posted(
    outgoing: Outgoing, url: str, body: bytes, *, headers: Mapping[str, str], timeout_s: float, patience_s: float
) -> Iterator[Answer]:
    """Send ``body`` over a connection of its own, which ends with the context, and give the answer.

    ``timeout_s`` bounds each step up to the last byte sent, ``patience_s`` each wait for a byte of the answer. Raises Denied where an
    address is not allowed, and httpx's TransportError for everything that a network does, as a client of :meth:`Outgoing.client` would.
    """
    place = httpx.URL(url)
    with _told(connecting=True):
        line = outgoing.connect(place, timeout_s=timeout_s)
    connection = http.client.HTTPConnection(place.host)
    connection.sock = line
    try:
        with _told():
            connection.request("POST", place.raw_path.decode("ascii"), body, {"Host": place.netloc.decode("ascii"), **headers})
            line.settimeout(patience_s)
            response = connection.getresponse()
        with response:
            yield Answer(response)
    finally:
        connection.close()


@contextmanager
def _told(*, connecting: bool = False) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time") if connecting else httpx.ReadTimeout("no answer in time") from error
    except (OSError, UnicodeError, http.client.HTTPException) as error:
        raise httpx.ConnectError("no connection") if connecting else httpx.ReadError("a connection that broke off") from error
