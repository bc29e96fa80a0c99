import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from chengshu.identity.keys.file import FileKeys
from chengshu.identity.model import base58_decode, base58_encode, checked_address, did_key, public_key_of
from chengshu.kernel.crypto import Algorithm, PublicKey, is_signed_by
from chengshu.kernel.errors import Conflict, Invalid, NotFound


def test_a_key_that_was_made_is_loaded_again(tmp_path: Path) -> None:
    made = FileKeys(tmp_path / "keys").create()
    loaded = FileKeys(tmp_path / "keys").load()
    assert loaded.public_key == made.public_key
    assert is_signed_by(made.public_key, signature=loaded.sign(b"x"), message=b"x")


def test_a_key_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path / "keys")
    keys.create()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    keys = FileKeys(tmp_path)
    keys.create()
    keys.path.chmod(mode)
    with pytest.raises(Invalid) as caught:
        keys.load()
    assert caught.value.code == "identity.key-readable"
    assert "chmod 600" in caught.value.hint.en
    assert "chmod 600" in caught.value.hint.zh


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    made = keys.create()
    with pytest.raises(Conflict):
        keys.create()
    assert keys.load().public_key == made.public_key


def test_an_absent_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        FileKeys(tmp_path).load()


def test_another_kind_of_key_and_rubbish_are_refused(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (other, b"rubbish", b""):
        keys.path.write_bytes(content)
        keys.path.chmod(0o600)
        with pytest.raises(Invalid) as caught:
            keys.load()
        assert caught.value.code == "identity.key-broken"


def test_a_did_key_is_the_published_example() -> None:
    # RFC 8032, section 7.1, test 1; did:key of it as the method's registry encodes it (0xed01, base58btc).
    public_key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert did_key(PublicKey(Algorithm.ED25519, public_key)) == "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"


@given(st.binary(min_size=32, max_size=32))
def test_a_did_gives_its_key_back(public_key: bytes) -> None:
    key = PublicKey(Algorithm.ED25519, public_key)
    assert public_key_of(did_key(key)) == key


@given(st.binary(max_size=40))
def test_base58_gives_its_bytes_back(raw: bytes) -> None:
    assert base58_decode(base58_encode(raw)) == raw


@pytest.mark.parametrize(
    "did", ["", "did:key:z", "did:web:example.com", "did:key:z6MkO0Il", "did:key:zQ3shokFTS3brHcD", "did:key:z" + "1" * 300]
)
def test_other_ids_are_refused(did: str) -> None:
    with pytest.raises(Invalid):
        public_key_of(did)


@pytest.mark.parametrize(
    "address", ["", "ftp://x", "http://", "http://user@host/x", "http://host/?q=1", "http://host/#f", "http://h:99999", "//h"]
)
def test_an_address_that_is_no_plain_url_is_refused(address: str) -> None:
    with pytest.raises(Invalid):
        checked_address(address)


def test_an_address_loses_its_trailing_slash() -> None:
    assert checked_address("https://host:8443/2025-1/") == "https://host:8443/2025-1"
