"""The way out to other hosts: each connection is checked where it is made, on the address that it is made to.

Addresses come from other parties: in callbacks, catalogs, documents of identifiers. Whoever names one can try to make this node call
itself, its neighbours or a cloud's metadata service (server-side request forgery, CWE-918). So a name is resolved once, what it resolves
to is checked, and the connection goes to exactly that: a name that resolves to another address a moment later (DNS rebinding) gains
nothing. Redirects are not followed, proxies of the environment not used, compressed answers not accepted.
"""

import ipaddress
import re
import socket
import ssl
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx

from chengshu.kernel.errors import Denied, Invalid
from chengshu.kernel.text import Text

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host, as texts; raises OSError where there are none."""

MAX_URL = 16 * 1024
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_USER = re.compile(r"https?://[^/?#]*@", re.IGNORECASE)


def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return what the system's resolver knows of a host."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Which addresses this node calls.

    Never: link-local and multicast addresses, whatever the mode. Outside ``development``: only https, only the ports 443 and from 1024
    up, and no loopback, private, shared, reserved or unspecified address but in one of ``networks``. ``own`` is this node's own origin,
    which it calls wherever it lies. ``hosts`` (``name`` or ``name:port``) are those that a party may name beside its own origin;
    ``certificates`` is the file of the authorities (PEM) that a closed network trusts in place of the public ones.
    """

    development: bool
    own: str = ""
    certificates: Path | None = None
    hosts: frozenset[str] = frozenset()
    networks: tuple[IpNetwork, ...] = ()
    resolve: Resolve = field(default=system_addresses, repr=False)

    def check(self, url: str) -> httpx.URL:
        """Return the URL that a party named; raise Denied where this node does not call it, before anything is resolved."""
        parsed = parsed_url(url)
        if self._is_own(parsed.scheme, host_of(parsed), _port(parsed)) or self.development:
            return parsed
        if parsed.scheme != "https":
            raise _denied("scheme", "expected an address with https outside of development mode, got http")
        if _port(parsed) != 443 and _port(parsed) < 1024:
            raise _denied("port", "expected the port 443 or one from 1024 up, got another")
        return parsed

    def lists(self, url: str) -> bool:
        """Say whether the operator listed the URL's host among those that parties may name beside their own."""
        try:
            parsed = parsed_url(url)
        except Denied:
            return False
        return not self.hosts.isdisjoint({host_of(parsed), f"{host_of(parsed)}:{_port(parsed)}"})

    def client(self, *, timeout_s: float, patience_s: float | None = None, accept: str = "application/json") -> httpx.Client:
        """Return a client that calls only what this policy allows.

        ``timeout_s`` bounds each step, ``patience_s`` the time from the end of a request to the end of its answer. Its requests raise
        Denied where an address is not allowed, and httpx's TransportError for everything that a network does.
        """
        return httpx.Client(
            transport=_Transport(self, patience_s),
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": accept, "Accept-Encoding": "identity"},
        )

    def connect(self, url: httpx.URL, *, timeout_s: float) -> socket.socket:
        """Return a connection to where ``url`` is, with TLS where it says https; each step of it may take so long.

        Raises Denied where an address is not allowed, and OSError or UnicodeError where there is no connection.
        """
        self.check(str(url))
        failure = OSError("no address")
        for address in self.addresses(host_of(url), _port(url)):
            try:
                line = socket.create_connection((address, _port(url)), timeout_s)
            except OSError as error:
                failure = error
                continue
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a body does not wait for the word that its head came
            if url.scheme != "https":
                return line
            try:
                return _trust(self.certificates).wrap_socket(line, server_hostname=host_of(url))
            except OSError as error:
                failure = error
                line.close()
        raise failure

    def addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of them allowed; raise Denied where one is not, OSError where there are none."""
        found = list(dict.fromkeys(self.resolve(host, port)))
        for text in found:
            if not (self._is_own("http", host, port) or self._is_own("https", host, port) or self._allows(_unwrapped(text))):
                raise _denied("address", "expected an address outside of this machine and its own networks, got one inside")
        return found

    def _allows(self, address: IpAddress) -> bool:
        if address.is_link_local or address.is_multicast:
            return False
        if self.development or any(address in network for network in self.networks):
            return True
        return address.is_global and not address.is_reserved

    def _is_own(self, scheme: str, host: str, port: int) -> bool:
        own = httpx.URL(self.own) if self.own else None
        return own is not None and (own.scheme, host_of(own), _port(own)) == (scheme, host, port)


def parsed_url(url: str) -> httpx.URL:
    """Return a plain http(s) URL; raise Denied for any form in which two readers could see two hosts.

    Refused are user names, fragments, control characters, hosts that are not plain ASCII (write them in Punycode) or end in a dot, and
    IPv4 addresses in any form but four decimal numbers.
    """
    try:
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
            raise _denied("form", "expected a URL of visible ASCII characters, got another text")
        parsed = httpx.URL(url)
        port_is_fit = parsed.port is None or 0 < parsed.port <= 65535
    except (httpx.InvalidURL, ValueError) as error:
        raise _denied("form", "expected a URL, got another text") from error
    if parsed.scheme not in {"http", "https"} or not parsed.raw_host or not port_is_fit or _USER.match(url) or "#" in url:
        raise _denied("form", "expected http or https, a host, and no user name or fragment, got another form")
    if not _is_plain_host(host_of(parsed)):
        raise _denied("host", "expected a host by name or address in its plain form, got another form")
    return parsed


def bounded(response: httpx.Response, *, limit: int, until: float) -> bytes:
    """Return an answer's body; raise Invalid for more than ``limit`` bytes or a compressed one, ReadTimeout after ``until``."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise _broken("expected an answer without compression, got one with")
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit:
            raise _broken(f"expected an answer of at most {limit} bytes, got more")
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer as a whole took too long")
    return bytes(body)


def outgoing_of(address: str) -> Outgoing:
    """Return the policy of a node at ``address`` that nobody configured: development mode where that is on loopback."""
    return Outgoing(development=is_loopback(httpx.URL(address).host), own=address)


def networks_of(texts: Iterable[str]) -> tuple[IpNetwork, ...]:
    """Return networks from their texts (``10.1.0.0/16``); raise ValueError for another text."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_loopback(host: str) -> bool:
    """Say whether a host that one listens on is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(url: httpx.URL) -> str:
    """Return a URL's host as it is asked for: in ASCII, an IPv6 address without its brackets."""
    return url.raw_host.decode("ascii")


def _is_plain_host(host: str) -> bool:
    try:
        if "%" in host:  # a zone of IPv6 is this machine's own affair
            return False
        ipaddress.ip_address(host)
    except ValueError:
        # a name whose last part is a number is an address in disguise: 0177.0.0.1, 2130706433, 127.1 (WHATWG URL, host parsing)
        return _HOST.fullmatch(host) is not None and _NUMBER.fullmatch(host.rsplit(".", 1)[-1]) is None
    return True


def _unwrapped(text: str) -> IpAddress:
    """An address as the packets will have it: IPv4 inside of IPv6 taken out."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _trust(certificates: Path | None) -> ssl.SSLContext:
    return _read_trust(certificates, 0 if certificates is None else certificates.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read_trust(certificates: Path | None, _changed: int) -> ssl.SSLContext:
    """Read the authorities once for all clients of this process: to read those that come with httpx takes longer than a message."""
    if certificates is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=str(certificates))


class _Transport(httpx.HTTPTransport):
    """httpx's own transport with a pool whose connections are made by :class:`_Connections`."""

    def __init__(self, outgoing: Outgoing, patience_s: float | None) -> None:
        trust = _trust(outgoing.certificates)
        super().__init__(verify=trust, trust_env=False)
        if not isinstance(self._pool, httpcore.ConnectionPool):  # a pool of another kind would not ask our connections
            raise TypeError("expected httpx to keep its connections in a pool of httpcore")
        self._outgoing = outgoing
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust,
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=5.0,
            network_backend=_Connections(outgoing, patience_s),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._outgoing.check(str(request.url))
        return super().handle_request(request)


class _Connections(httpcore.NetworkBackend):
    """Connects to what a host resolves to, once that is allowed; TLS still speaks to the host by its name."""

    def __init__(self, outgoing: Outgoing, patience_s: float | None) -> None:
        self._outgoing = outgoing
        self._patience_s = patience_s
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._outgoing.addresses(host.strip("[]"), port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("no address") from error
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return _Patient(self._plain.connect_tcp(address, port, timeout, local_address, socket_options), self._patience_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Patient(httpcore.NetworkStream):
    """A connection on which an answer, its header included, must have come in time: a byte now and then does not keep us waiting."""

    def __init__(self, stream: httpcore.NetworkStream, patience_s: float | None) -> None:
        self._stream = stream
        self._patience_s = patience_s
        self._until: float | None = None
        # A client that is only forgotten hangs up too, and so does one that is closed while it connects: its pool knows of nothing then.
        weakref.finalize(self, stream.close)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = None if self._until is None else self._until - time.monotonic()
        if left is not None and left <= 0:
            raise httpcore.ReadTimeout("the answer as a whole took too long")
        return self._stream.read(max_bytes, min((one for one in (timeout, left) if one is not None), default=None))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._until = None if self._patience_s is None else time.monotonic() + self._patience_s
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Patient(self._stream.start_tls(ssl_context, server_hostname, timeout), self._patience_s)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _denied(what: str, message: str) -> Denied:
    return Denied(
        f"outgoing.{what}",
        message,
        hint=Text(
            "Ask the party for another address, or see the outgoing policy in the reference of identity.",
            "请对方改用其他地址，或查阅身份参考文档中的外联策略。",
        ),
    )


def _broken(message: str) -> Invalid:
    return Invalid("peer.answer", message, hint=Text("Ask the party's operator.", "请联系对方运营人员。"))
