"""DID documents (W3C DID Core 1.0), and where ``did:web`` keeps them; a ``did:key`` is its own document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric import ec

from chengshu.identity.claims.faults import fault
from chengshu.identity.compact import base64url
from chengshu.identity.model import base58_decode
from chengshu.kernel.errors import Denied
from chengshu.kernel.outgoing import host_of, is_loopback, parsed_url

MAX_METHODS = 50
SERVICE = "CredentialService"
_WEB = re.compile(r"did:web:([A-Za-z0-9.-]+)(?:%3[Aa]([0-9]{1,5}))?((?::[A-Za-z0-9._~%-]+)*)")
_ED25519 = b"\xed\x01"
_POINTS: Mapping[bytes, tuple[str, ec.EllipticCurve]] = {b"\x80\x24": ("P-256", ec.SECP256R1()), b"\x81\x24": ("P-384", ec.SECP384R1())}
"""ed25519-pub, p256-pub and p384-pub as unsigned varints (github.com/multiformats/multicodec, table.csv)."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a DID document says that is needed here: keys by their absolute id, what each may do, and where credentials are asked for."""

    did: str
    keys: Mapping[str, Mapping[str, Any]]
    relationships: Mapping[str, frozenset[str]]
    service: str | None

    def key(self, kid: Any, *, purpose: str) -> Mapping[str, Any]:
        """Return the key that a header's ``kid`` names for ``purpose``; a fault where there is none.

        Without a ``kid`` there must be exactly one. A document that names keys for the purpose allows those alone, and the key of a
        self-issued token MUST be one for ``capabilityInvocation`` (Decentralized Claims Protocol 1.0, section 4.3.3) unless the document
        names no purpose of any key at all.
        """
        name = next(iter(self.keys)) if kid is None and len(self.keys) == 1 else _absolute(self.did, kid)
        if name not in self.keys:
            raise fault("key", "expected a key that the document of the signer holds, got another or none")
        allowed = self.relationships.get(purpose)
        if allowed is None and purpose == "capabilityInvocation" and self.relationships:
            allowed = frozenset()
        if allowed is not None and name not in allowed:
            raise fault("key", f"expected a key that its document names for {purpose}, got one that it does not")
        return self.keys[name]


def web_address(did: str, *, development: bool) -> str:
    """Return where a ``did:web`` keeps its document (did:web method, section 3.2); a fault for another text.

    Always https, but in development mode, where a host on loopback is asked by http.
    """
    form = _WEB.fullmatch(did)
    if form is None:
        raise fault("document", "expected a did:web, got another form")
    host, port, rest = form[1], form[2], form[3]
    segments = [unquote(part) for part in rest.split(":")[1:]]
    if any(part in {".", ".."} or not re.fullmatch(r"[A-Za-z0-9._~-]+", part) for part in segments):
        raise fault("document", "expected a path of plain names in a did:web, got another")
    scheme = "http" if development and is_loopback(host) else "https"
    path = "/".join([*segments, "did.json"]) if segments else ".well-known/did.json"
    url = f"{scheme}://{host.lower()}{f':{port}' if port else ''}/{path}"
    try:
        return url if host_of(parsed_url(url)) else ""
    except Denied as error:
        raise fault("document", "expected a host in a did:web, got another text") from error


def own_document(did: str, kid: str, jwk: Mapping[str, Any], *, service: str) -> dict[str, Any]:
    """Return the document of this node's own DID: what others check its tokens with, and the credential service that they may ask."""
    method = {"id": kid, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": dict(jwk)}
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1"],
        "id": did,
        "verificationMethod": [method],
        "authentication": [kid],
        "capabilityInvocation": [kid],
        "service": [{"id": f"{did}#credentials", "type": SERVICE, "serviceEndpoint": service}],
    }


def parsed(did: str, value: Mapping[str, Any]) -> Document:
    """Return the document of ``did``; a fault where it is another's or not of the form."""
    if value.get("id") != did:
        raise fault("document", "expected the document of the identifier that was asked for, got another's")
    methods = value.get("verificationMethod")
    if not isinstance(methods, list) or not 0 < len(methods) <= MAX_METHODS:
        raise fault("document", f"expected 1 to {MAX_METHODS} verification methods, got another number")
    keys = dict(_method(did, one) for one in methods)
    if len(keys) != len(methods):
        raise fault("document", "expected an id of its own for each verification method, got one twice")
    purposes = ("authentication", "assertionMethod", "capabilityInvocation")
    relationships = {purpose: _names(did, value[purpose]) for purpose in purposes if purpose in value}
    return Document(did, keys, relationships, _service(value.get("service")))


def key_document(did: str) -> Document:
    """Return the document that a ``did:key`` of an Ed25519, P-256 or P-384 key is; a fault for another."""
    body = did.removeprefix("did:key:")
    raw = base58_decode(body[1:]) if body.startswith("z") else None
    jwk = None if raw is None else _jwk(raw)
    if jwk is None:
        raise fault("document", "expected a did:key of an Ed25519, P-256 or P-384 key, got another")
    return Document(did, {f"{did}#{body}": jwk}, {}, None)


def _method(did: str, value: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or value.get("controller", did) != did:
        raise fault("document", "expected verification methods that the identifier controls itself, got another")
    jwk, multibase = value.get("publicKeyJwk"), value.get("publicKeyMultibase")
    if isinstance(multibase, str) and multibase.startswith("z") and jwk is None:
        jwk = _jwk(base58_decode(multibase[1:]) or b"")
    if not isinstance(jwk, dict) or "d" in jwk:
        jwk = {}  # a key of another kind may stand in a document; it signs nothing that is believed here
    return _absolute(did, value.get("id")), jwk


def _absolute(did: str, name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 1024:
        raise fault("key", "expected the id of a key, got none")
    if name.startswith("#"):
        return did + name
    return name if name.startswith("did:") else f"{did}#{name}"


def _names(did: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise fault("document", "expected a list of keys for each purpose, got another kind")
    return frozenset(_absolute(did, one.get("id") if isinstance(one, dict) else one) for one in value)


def _service(value: Any) -> str | None:
    found = [one for one in value if isinstance(one, dict) and one.get("type") == SERVICE] if isinstance(value, list) else []
    endpoint = found[0].get("serviceEndpoint") if len(found) == 1 else None
    return endpoint.rstrip("/") if isinstance(endpoint, str) else None


def _jwk(raw: bytes) -> Mapping[str, Any] | None:
    if raw.startswith(_ED25519) and len(raw) == 34:
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw[2:])}
    name, curve = _POINTS.get(raw[:2], ("", None))
    if curve is None:
        return None
    try:
        numbers = ec.EllipticCurvePublicKey.from_encoded_point(curve, raw[2:]).public_numbers()
    except ValueError:
        return None
    size = (curve.key_size + 7) // 8
    return {"kty": "EC", "crv": name, "x": base64url(numbers.x.to_bytes(size, "big")), "y": base64url(numbers.y.to_bytes(size, "big"))}
