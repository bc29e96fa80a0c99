"""Hostile servers and hostile names: what may be called, and what is done with the answers."""

import gc
import gzip
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chengshu.kernel.errors import ChengshuError, Denied, Invalid
from chengshu.kernel.outgoing import Outgoing, bounded, host_of, is_loopback, networks_of, outgoing_of, parsed_url

DEVELOPMENT = Outgoing(development=True)
STRICT = Outgoing(development=False)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LIMIT = 100_000
Say = Callable[[socket.socket], None]


@contextmanager
def server(say: Say, *, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback that reads the head of each request and then says what the test wants it to."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_now: list[socket.socket] = []

    def talk(connection: socket.socket) -> None:
        try:
            spoken = connection if context is None else context.wrap_socket(connection, server_side=True)
            open_now.append(spoken)
            while spoken.recv(65536):
                say(spoken)
        except (OSError, ValueError):
            pass  # the client hung up, as it should

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_now.append(connection)
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in open_now:
            one.close()


def said(*parts: bytes, every_s: float = 0) -> Say:
    def say(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(every_s)

    return say


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def fetched(outgoing: Outgoing, url: str, *, patience_s: float = 1.0) -> tuple[int, bytes]:
    with outgoing.client(timeout_s=0.5, patience_s=patience_s) as client, client.stream("GET", url) as response:
        return response.status_code, bounded(response, limit=LIMIT, until=time.monotonic() + patience_s)


def test_an_answer_comes_in() -> None:
    with server(said(OK)) as port:
        assert fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/x?a=b") == (200, b"{}")


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with server(said(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")) as port:
        assert fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/") == (302, b"")


def test_an_endless_body_is_cut_off() -> None:
    with server(endless) as port, pytest.raises(Invalid) as caught:
        fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/")
    assert caught.value.code == "peer.answer"


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"gzip, gzip"])
def test_a_compressed_answer_is_refused_unread(encoding: bytes) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with server(said(head, bomb)) as port, pytest.raises(Invalid) as caught:
        fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/")
    assert caught.value.code == "peer.answer"


@pytest.mark.parametrize(
    "parts",
    [
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 100],  # a body that trickles
        [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100],  # a head that trickles
        [b"HTTP/1.1 200 OK\r\n", *[b"X-%d: x\r\n" % number for number in range(100)]],  # a head without an end
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 100,
    ],
)
def test_an_answer_that_trickles_is_given_up_in_time(parts: list[bytes]) -> None:
    began = time.monotonic()
    with server(said(*parts, every_s=0.05)) as port, pytest.raises(httpx.TransportError):
        fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/", patience_s=0.6)
    assert time.monotonic() - began < 3


def test_a_server_that_says_nothing_is_given_up() -> None:
    with server(said()) as port, pytest.raises(httpx.TimeoutException):
        fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("noise", [b"\x00\x01\x02", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"\n" * 1000])
def test_noise_is_an_error_of_the_connection(noise: bytes) -> None:
    def say(connection: socket.socket) -> None:
        connection.sendall(noise)
        connection.close()

    with server(say) as port, pytest.raises((httpx.TransportError, ChengshuError)):
        fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/")


# --- names --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://user@host.example/",
        "http://user:secret@host.example/",
        "http://@host.example/",
        "http://good.example@evil.example/",
        "https://host.example./x",
        "https://host..example/",
        "https://ⓗost.example/",
        "https://hоst.example/",  # a Cyrillic о
        "https://host.example/\n",
        "https://host.example\\@evil.example/",
        "https://host.example/#part",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://127.0.0.1.2/",
        "https://host_name.example/",
        "https://127.0.0%2e1/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https:///x",
        "https://host.example:0/",
        "https://host.example:99999/",
        "ftp://host.example/",
        "file:///etc/passwd",
        "gopher://host.example/",
        "//host.example/",
        "host.example",
        "",
        "https://host.example/" + "x" * 20_000,
    ],
)
@pytest.mark.parametrize("outgoing", [DEVELOPMENT, STRICT])
def test_a_url_with_two_meanings_is_refused_in_every_mode(url: str, outgoing: Outgoing) -> None:
    with pytest.raises(Denied) as caught:
        outgoing.check(url)
    assert caught.value.code in {"outgoing.form", "outgoing.host"}


@pytest.mark.parametrize(
    "url", ["https://host.example", "https://xn--hst-sna.example:8443/a@b?c=d@e", "https://8.8.8.8/", "https://[2001:db8::1]/"]
)
def test_a_plain_url_is_fit_to_be_called(url: str) -> None:
    assert str(STRICT.check(url)).startswith(url.split("?", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://host.example/", "outgoing.scheme"),
        ("https://host.example:22/", "outgoing.port"),
        ("https://host.example:80/", "outgoing.port"),
        ("https://host.example:1023/", "outgoing.port"),
    ],
)
def test_outside_of_development_only_https_on_a_fit_port_is_called(url: str, code: str) -> None:
    with pytest.raises(Denied) as caught:
        STRICT.check(url)
    assert caught.value.code == code
    assert DEVELOPMENT.check(url).host == "host.example"


INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",  # noqa: S104  # nothing listens here
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
NEVER = ["169.254.169.254", "fe80::1", "fe80::1%1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "224.0.0.1", "ff02::1"]


def resolving(*addresses: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


@pytest.mark.parametrize("address", [*INSIDE, *NEVER])
def test_a_name_that_leads_inside_is_not_called(address: str) -> None:
    for addresses in ([address], ["8.8.8.8", address]):
        with pytest.raises(Denied) as caught:
            Outgoing(development=False, resolve=resolving(*addresses)).addresses("party.example", 443)
        assert caught.value.code == "outgoing.address"


@pytest.mark.parametrize("address", NEVER)
def test_link_local_and_multicast_addresses_are_not_called_even_in_development(address: str) -> None:
    with pytest.raises(Denied):
        Outgoing(development=True, resolve=resolving(address)).addresses("party.example", 443)


@pytest.mark.parametrize("address", [*INSIDE, "8.8.8.8"])
def test_in_development_the_own_machine_and_network_are_called(address: str) -> None:
    assert Outgoing(development=True, resolve=resolving(address)).addresses("party.example", 80) == [address]


def test_a_listed_network_is_called_and_its_neighbour_is_not() -> None:
    policy = Outgoing(development=False, networks=networks_of(["10.1.0.0/16"]), resolve=resolving("10.1.2.3"))
    assert policy.addresses("party.example", 443) == ["10.1.2.3"]
    with pytest.raises(Denied):
        Outgoing(development=False, networks=policy.networks, resolve=resolving("10.2.0.1")).addresses("party.example", 443)


def test_the_own_address_is_called_wherever_it_lies() -> None:
    policy = Outgoing(development=False, own="http://10.0.0.5:8700", resolve=resolving("10.0.0.5"))
    assert policy.check("http://10.0.0.5:8700/room/jobs").port == 8700
    assert policy.addresses("10.0.0.5", 8700) == ["10.0.0.5"]
    with pytest.raises(Denied):
        policy.addresses("10.0.0.5", 8701)


def test_only_listed_hosts_are_listed() -> None:
    policy = Outgoing(development=False, hosts=frozenset({"data.example", "other.example:8443"}))
    fit = ["https://data.example/x", "https://data.example:9443/", "https://other.example:8443/"]
    unfit = ["https://other.example/", "https://x.data.example/", "https://data.example./", "https://data.example@evil.example/", "x"]
    assert [policy.lists(url) for url in [*fit, *unfit]] == [True] * 3 + [False] * 5


def test_a_name_that_resolves_elsewhere_a_moment_later_gains_nothing() -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    policy = Outgoing(development=True, resolve=rebinding)
    with server(said(OK)) as port:
        with policy.client(timeout_s=1) as client:
            assert client.get(f"http://party.example:{port}/").status_code == 200
            assert asked == ["party.example"]  # once: the connection went to the very address that was checked
        with policy.client(timeout_s=1) as client, pytest.raises(Denied):
            client.get(f"http://party.example:{port}/")


def test_a_denied_address_is_told_by_the_client_itself() -> None:
    with server(said(OK)) as port, Outgoing(development=True, resolve=resolving("169.254.1.1")).client(timeout_s=1) as client:
        with pytest.raises(Denied):
            client.get(f"http://party.example:{port}/")
        with pytest.raises(Denied):
            client.get(f"http://127.1:{port}/")


def test_a_client_that_is_closed_while_it_connects_hangs_up_too() -> None:
    """Its pool knows of no connection yet when it is closed: what is made a moment later would be nobody's."""
    clients: list[httpx.Client] = []
    hung_up = threading.Event()

    def closing(host: str, port: int) -> Sequence[str]:
        del host, port
        clients.pop().close()
        return ["127.0.0.1"]

    def answer(connection: socket.socket) -> None:
        connection.sendall(OK)
        if connection.recv(1) == b"":
            hung_up.set()

    with server(answer) as port:
        client = Outgoing(development=True, resolve=closing).client(timeout_s=5.0)
        clients.append(client)
        assert client.get(f"http://peer.example:{port}/").content == b"{}"
        del client
        gc.collect()
        assert hung_up.wait(5.0)


def test_a_client_that_is_only_forgotten_hangs_up() -> None:
    hung_up = threading.Event()

    def answer(connection: socket.socket) -> None:
        connection.sendall(OK)
        if connection.recv(1) == b"":
            hung_up.set()

    with server(answer) as port:
        client = DEVELOPMENT.client(timeout_s=5.0)
        assert client.get(f"http://127.0.0.1:{port}/").content == b"{}"
        del client
        gc.collect()
        assert hung_up.wait(5.0)


def test_the_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(said(OK)) as port, server(said(b"HTTP/1.1 418 Proxy\r\nContent-Length: 0\r\n\r\n")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        assert fetched(DEVELOPMENT, f"http://127.0.0.1:{port}/")[0] == 200


# --- TLS ----------------------------------------------------------------------------------------------------------------------------


def certified(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for ``host``, and the file of the authority that vouches for it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    certificate, private = folder / "certificate.pem", folder / "private.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return context, certificate


def test_tls_speaks_to_the_host_by_its_name_at_the_checked_address(tmp_path: Path) -> None:
    context, authority = certified(tmp_path, "party.example")
    inside = networks_of(["127.0.0.1/32"])
    with server(said(OK), context=context) as port:
        policy = Outgoing(development=False, certificates=authority, networks=inside, resolve=resolving("127.0.0.1"))
        assert fetched(policy, f"https://party.example:{port}/") == (200, b"{}")
        with pytest.raises(httpx.ConnectError):
            fetched(policy, f"https://other.example:{port}/")
        untrusting = Outgoing(development=False, networks=inside, resolve=resolving("127.0.0.1"))
        with pytest.raises(httpx.ConnectError):
            fetched(untrusting, f"https://party.example:{port}/")


# --- what is not configured -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:8700", True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("https://road.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_a_node_that_only_its_own_machine_reaches_is_in_development(address: str, expected: bool) -> None:
    assert outgoing_of(address).development is expected


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("a.example", False)])
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@given(st.text(max_size=60) | st.text(alphabet="htps:/@.[]0x127aé%#\\?", max_size=30).map(lambda rest: f"https://{rest}"))
@example("https://[::ffff:127.0.0.1]/")
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_plain_url_or_denied(text: str) -> None:
    try:
        host = host_of(parsed_url(text))
    except Denied:
        return
    assert host.isascii()
    assert "@" not in host
    assert host.rsplit(".", maxsplit=1)[-1].isdigit() is (_is_address(host) and "." in host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
