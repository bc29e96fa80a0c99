"""A holder with a wallet, an issuer, and everything that they publish, on one real server on loopback."""

import base64
import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

MEMBER = "MembershipCredential"
NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
Json = dict[str, Any]


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Key:
    """A private key of one of the algorithms of the list."""

    def __init__(self, algorithm: str = "ES256") -> None:
        self.algorithm = algorithm
        curve = ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1()
        self.private = Ed25519PrivateKey.generate() if algorithm in {"EdDSA", "Ed25519"} else ec.generate_private_key(curve)

    def jwk(self) -> Json:
        if isinstance(self.private, Ed25519PrivateKey):
            return {"kty": "OKP", "crv": "Ed25519", "x": encode(self.private.public_key().public_bytes_raw())}
        numbers, size = self.private.public_key().public_numbers(), self.private.curve.key_size // 8
        x, y = (encode(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": f"P-{self.private.curve.key_size}", "x": x, "y": y}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        head = {"alg": self.algorithm, "typ": "JWT", **header}
        signed = f"{encode(json.dumps(head).encode())}.{encode(json.dumps(claims).encode())}"
        if isinstance(self.private, Ed25519PrivateKey):
            return f"{signed}.{encode(self.private.sign(signed.encode()))}"
        size = self.private.curve.key_size // 8
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ec.ECDSA(SHA256() if size == 32 else SHA384())))
        return f"{signed}.{encode(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"


@dataclass
class Wallet:
    """What a test may bend before it asks: every document by its path, every part of what the holder says."""

    port: int
    verifier: str
    holder_key: Key = field(default_factory=Key)
    issuer_key: Key = field(default_factory=Key)
    pages: dict[str, Any] = field(default_factory=dict)
    came: list[tuple[str, Json]] = field(default_factory=list)
    status: int = 200

    def __post_init__(self) -> None:
        for name, key in (("holder", self.holder_key), ("issuer", self.issuer_key)):
            self.pages[f"/{name}/did.json"] = self.document(name, key)
        self.show(self.presentation(self.credential()))

    def did(self, name: str) -> str:
        return f"did:web:127.0.0.1%3A{self.port}:{name}"

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def document(self, name: str, key: Key, **changes: Any) -> Json:
        did = self.did(name)
        kid = f"{did}#key-1"
        method = {"id": kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": key.jwk()}
        purposes = {purpose: [kid] for purpose in ("authentication", "assertionMethod", "capabilityInvocation")}
        service = [{"id": "#cs", "type": "CredentialService", "serviceEndpoint": self.url("/cs")}]
        return {"id": did, "verificationMethod": [method], **purposes, "service": service, **changes}

    def token(self, *, header: Json | None = None, key: Key | None = None, **changes: Any) -> str:
        """The holder's self-issued token; a claim that is changed to None is left out."""
        seconds = int(NOW.timestamp())
        claims = {
            "iss": self.did("holder"),
            "sub": self.did("holder"),
            "aud": self.verifier,
            "jti": str(uuid4()),
            "iat": seconds,
            "exp": seconds + 600,
            "token": "access",
            **changes,
        }
        head = {"kid": f"{self.did('holder')}#key-1", **(header or {})}
        return (key or self.holder_key).sign({name: value for name, value in claims.items() if value is not None}, **head)

    def credential(self, *, claims: Json | None = None, header: Json | None = None, key: Key | None = None, **changes: Any) -> str:
        """A credential of the data model 1.1 as JWT."""
        inner = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiableCredential", MEMBER],
            "issuer": self.did("issuer"),
            "issuanceDate": (NOW - timedelta(days=1)).isoformat(),
            "credentialSubject": {"id": self.did("holder"), "foo": "bar"},
            **changes,
        }
        outer = {"iss": self.did("issuer"), "sub": self.did("holder"), "jti": "urn:c", "vc": inner, **(claims or {})}
        head = {"kid": f"{self.did('issuer')}#key-1", **(header or {})}
        return (key or self.issuer_key).sign({name: value for name, value in outer.items() if value is not None}, **head)

    def credential_2(self, **changes: Any) -> str:
        """A credential of the data model 2.0 as JWT: the claims are the credential."""
        claims = {
            "@context": ["https://www.w3.org/ns/credentials/v2"],
            "type": ["VerifiableCredential", MEMBER],
            "issuer": {"id": self.did("issuer"), "name": "Issuer"},
            "validFrom": (NOW - timedelta(days=1)).isoformat(),
            "credentialSubject": [{"id": self.did("holder")}],
            **changes,
        }
        return self.issuer_key.sign(claims, kid=f"{self.did('issuer')}#key-1", typ="vc+jwt")

    def presentation(
        self, *credentials: Any, claims: Json | None = None, header: Json | None = None, key: Key | None = None, **changes: Any
    ) -> str:
        inner = {"type": "VerifiablePresentation", "verifiableCredential": list(credentials), **changes}
        seconds = int(NOW.timestamp())
        outer = {"iss": self.did("holder"), "aud": self.verifier, "exp": seconds + 300, "vp": inner, **(claims or {})}
        head = {"kid": f"{self.did('holder')}#key-1", **(header or {})}
        return (key or self.holder_key).sign({name: value for name, value in outer.items() if value is not None}, **head)

    def show(self, *presentations: Any, **changes: Any) -> None:
        """What the wallet answers when it is asked for presentations."""
        self.pages["/cs/presentations/query"] = {"type": "PresentationResponseMessage", "presentation": list(presentations), **changes}

    def status_list(self, *places: int, purpose: str = "revocation", bits: int = 131_072, prefix: str = "u", **changes: Any) -> str:
        """A published list with these places set."""
        raw = bytearray(bits // 8)
        for place in places:
            raw[place // 8] |= 0x80 >> place % 8
        subject = {"type": "BitstringStatusList", "statusPurpose": purpose, "encodedList": prefix + encode(gzip.compress(bytes(raw)))}
        return self.credential(type=["VerifiableCredential", "BitstringStatusListCredential"], credentialSubject=subject, **changes)


def entry(wallet: Wallet, place: int | str, *, purpose: str = "revocation", kind: str = "BitstringStatusListEntry") -> Json:
    return {"type": kind, "statusPurpose": purpose, "statusListIndex": place, "statusListCredential": wallet.url("/status")}


class _Answering(BaseHTTPRequestHandler):
    wallet: Wallet

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.wallet.came.append(
            (self.path, {"authorization": self.headers.get("Authorization"), "body": json.loads(body) if body else None})
        )
        page = self.wallet.pages.get(self.path)
        content = page if isinstance(page, bytes) else page.encode() if isinstance(page, str) else json.dumps(page).encode()
        self.send_response(404 if page is None else self.wallet.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 -- the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name that http.server gives it
        """Say nothing."""


@contextmanager
def served_wallet(verifier: str) -> Iterator[Wallet]:
    """Serve a wallet whose presentations are for ``verifier``."""
    handler = type("Answering", (_Answering,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        wallet = Wallet(server.server_port, verifier)
        handler.wallet = wallet  # type: ignore[attr-defined]  # ours, on the handler's class
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield wallet
        finally:
            server.shutdown()
            thread.join()
