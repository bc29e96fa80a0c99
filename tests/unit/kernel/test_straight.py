"""Answers that are read straight from their socket: whole however they are sent, and what a network does is told as of any other."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from certificates import Papers, papers
from chengshu.kernel.errors import Denied
from chengshu.kernel.outgoing import Outgoing
from chengshu.kernel.straight import Answer, posted

HERE = Outgoing(development=True)
BODY = bytes(range(256)) * 400
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n"
WHOLE = HEAD + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@contextmanager
def _answering(answer: bytes, *, then_wait: bool = False, shown: Papers | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """Listen for one request, answer it with these bytes, and hang up, or first wait until the other side has; give the address.

    With papers ``shown``, over TLS.
    """
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            near, _ = listener.accept()
            with near, suppress(ssl.SSLError), near if shown is None else _shows(shown).wrap_socket(near, server_side=True) as line:
                heard.append(b"")
                while not heard[0].endswith(b"{}"):
                    heard[0] += line.recv(65_536)
                line.sendall(answer)
                while then_wait and line.recv(1):
                    pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"{'http' if shown is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}/room/data", heard
        thread.join(timeout=10)


def _shows(shown: Papers) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(shown.certificate, shown.key)
    return tls


def _asked(url: str, use: Callable[[Answer], object], *, patience_s: float = 10.0, outgoing: Outgoing = HERE) -> object:
    headers = {"Content-Type": "application/json"}
    with posted(outgoing, url, b"{}", headers=headers, timeout_s=10.0, patience_s=patience_s) as answer:
        return use(answer)


def _all(answer: Answer, *, step: int = 1000) -> bytes:
    came, into = b"", memoryview(bytearray(step))
    while size := answer.readinto(into):
        came += into[:size]
    return came


@pytest.mark.parametrize(
    "answer",
    [WHOLE, CHUNKED + _chunk(BODY) + b"0\r\n\r\n", CHUNKED + b"".join(map(_chunk, (BODY[:1], BODY[1:700], BODY[700:]))) + b"0\r\n\r\n"],
    ids=["at once", "a chunk", "chunks"],
)
def test_a_body_comes_whole_however_it_is_sent(answer: bytes) -> None:
    with _answering(answer) as (url, heard):
        assert _asked(url, lambda told: (told.status, told.media_type, _all(told))) == (200, "x/y", BODY)
    assert heard[0].startswith(b"POST /room/data HTTP/1.1\r\n")
    assert heard[0].count(b"\r\nHost: 127.0.0.1:") == 1
    assert heard[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "answer",
    [WHOLE[:5], CHUNKED + _chunk(BODY)[:-900], CHUNKED + _chunk(BODY), CHUNKED + b"no length\r\n"],
    ids=["no head", "half a chunk", "no end", "no chunk"],
)
def test_an_answer_that_breaks_off_is_no_shorter_one(answer: bytes) -> None:
    with _answering(answer) as (url, _), pytest.raises(httpx.TransportError):
        _asked(url, _all)


def test_a_silent_other_side_is_waited_for_so_long_and_hung_up_on() -> None:
    with _answering(CHUNKED + _chunk(BODY), then_wait=True) as (url, _), pytest.raises(httpx.ReadTimeout):
        _asked(url, _all, patience_s=0.2)


def test_where_nobody_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        _asked(f"http://127.0.0.1:{port}/", _all)


@pytest.mark.parametrize(("url", "code"), [("http://198.51.100.7/", "outgoing.scheme"), ("https://inside.example/", "outgoing.address")])
def test_an_address_that_this_node_does_not_call_is_not_called(url: str, code: str) -> None:
    strict = Outgoing(development=False, resolve=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(Denied) as caught:
        _asked(url, _all, outgoing=strict)
    assert caught.value.code == code


def test_a_body_comes_whole_over_tls_from_whom_the_authority_vouches_for(tmp_path: Path) -> None:
    shown = papers(tmp_path, host="127.0.0.1")
    with _answering(CHUNKED + _chunk(BODY) + b"0\r\n\r\n", shown=shown) as (url, _):
        assert _asked(url, _all, outgoing=Outgoing(development=True, certificates=shown.authority)) == BODY


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another authority", "another name"])
def test_nobody_else_is_told_anything(tmp_path: Path, host: str) -> None:
    shown, others = papers(tmp_path / "own", host=host), papers(tmp_path / "other")
    trusted = others.authority if host == "127.0.0.1" else shown.authority
    with _answering(WHOLE, shown=shown) as (url, heard), pytest.raises(httpx.ConnectError):
        _asked(url, _all, outgoing=Outgoing(development=True, certificates=trusted))
    assert heard == []
