"""Where documents of identifiers are, and the documents that identifiers are themselves."""

import base64

import pytest
from wallet import Key

from chengshu.identity.claims.documents import key_document, web_address
from chengshu.identity.model import base58_encode
from chengshu.kernel.errors import Unidentified


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    ("did", "address"),
    [
        ("did:web:firm.example", "https://firm.example/.well-known/did.json"),
        ("did:web:firm.example%3A8443", "https://firm.example:8443/.well-known/did.json"),
        ("did:web:firm.example:a:b", "https://firm.example/a/b/did.json"),
        ("did:web:localhost%3A80:x", "http://localhost:80/x/did.json"),
    ],
)
def test_a_web_identifier_has_one_address(did: str, address: str) -> None:
    assert web_address(did, development=True) == address
    assert web_address(did, development=False) == address.replace("http://", "https://")


@pytest.mark.parametrize(
    "did",
    [
        *(
            "did:web:",
            "did:web:a/b",
            "did:web:a.example:..",
            "did:web:a.example:%2e%2e",
            "did:web:a.example:b%2Fc",
            "did:web:user@a.example",
        ),
        *(
            "did:web:127.1",
            "did:web:0x7f.1",
            "did:web:a.example.",
            "did:web:[::1]",
            "did:web:a.example%3A",
            "did:web:a.example%3A99999",
            "did:key:z",
        ),
    ],
)
def test_an_identifier_with_two_meanings_has_none(did: str) -> None:
    with pytest.raises(Unidentified):
        web_address(did, development=True)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "Ed25519"])
def test_a_key_identifier_is_its_own_document(algorithm: str) -> None:
    key = Key(algorithm)
    jwk, codec = key.jwk(), {"ES256": b"\x80\x24", "ES384": b"\x81\x24", "Ed25519": b"\xed\x01"}[algorithm]
    x = _decoded(jwk["x"])
    raw = x if algorithm == "Ed25519" else bytes([2 + _decoded(jwk["y"])[-1] % 2]) + x
    did = f"did:key:z{base58_encode(codec + raw)}"
    assert key_document(did).key(None, purpose="capabilityInvocation") == jwk
    for broken in (did[:-2], did + "1", "did:key:z", "did:key:zz0", "did:key:u123", f"did:key:z{base58_encode(codec + bytes(33))}"):
        with pytest.raises(Unidentified):
            key_document(broken)
