import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.identity.keys.file import FileKeys
from chengshu.identity.keys.pkcs8 import sm2_pem, sm2_private_key
from chengshu.identity.model import base58_decode, base58_encode, checked_address, did_key, public_key_of
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL, SUITES, Algorithm, PublicKey, Sm2MemorySigner, Suite, is_signed_by, sm2
from chengshu.kernel.errors import Conflict, Invalid, NotFound

OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="the comparison needs the openssl program")
BOTH = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES.keys())


@BOTH
def test_a_key_that_was_made_is_loaded_again(tmp_path: Path, suite: Suite) -> None:
    made = FileKeys(tmp_path / "keys").create(suite)
    loaded = FileKeys(tmp_path / "keys").load()
    assert loaded.public_key == made.public_key
    assert is_signed_by(made.public_key, signature=loaded.sign(b"x"), message=b"x")


@BOTH
def test_a_key_file_is_readable_by_its_owner_only(tmp_path: Path, suite: Suite) -> None:
    keys = FileKeys(tmp_path / "keys")
    keys.create(suite)
    keys.data_key(suite)
    assert stat.S_IMODE(keys.data_path.stat().st_mode) == 0o600
    assert sorted(path.name for path in keys.path.parent.iterdir()) == ["data.key", "node.key"]
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    keys = FileKeys(tmp_path)
    keys.create(INTERNATIONAL)
    keys.path.chmod(mode)
    with pytest.raises(Invalid) as caught:
        keys.load()
    assert caught.value.code == "identity.key-readable"
    assert "chmod 600" in caught.value.hint.en
    assert "chmod 600" in caught.value.hint.zh


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    made = keys.create(INTERNATIONAL)
    with pytest.raises(Conflict):
        keys.create(INTERNATIONAL)
    assert keys.load().public_key == made.public_key


@BOTH
def test_a_data_key_stays_the_same_and_has_its_ciphers_length(tmp_path: Path, suite: Suite) -> None:
    keys = FileKeys(tmp_path)
    assert keys.data_key(suite) == FileKeys(tmp_path).data_key(suite)
    assert len(keys.data_key(suite)) == len(suite.new_data_key())
    keys.data_path.chmod(0o640)
    with pytest.raises(Invalid) as caught:
        keys.data_key(suite)
    assert caught.value.code == "identity.key-readable"


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=True).stdout


@OPENSSL
def test_openssl_reads_an_sm2_key_of_ours(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    signer = keys.create(NATIONAL)
    shown = openssl("pkey", "-in", str(keys.path), "-pubout", "-outform", "DER")
    x, y = sm2.decompress(signer.public_key.raw)
    assert shown.endswith(b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))


@OPENSSL
def test_an_sm2_key_of_openssls_is_read_by_us(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.path.write_bytes(openssl("genpkey", "-algorithm", "SM2"))
    keys.path.chmod(0o600)
    signer = keys.load()
    assert signer.public_key.algorithm is Algorithm.SM2
    x, y = sm2.decompress(signer.public_key.raw)
    assert openssl("pkey", "-pubout", "-outform", "DER", given=keys.path.read_bytes())[-64:] == x.to_bytes(32, "big") + y.to_bytes(
        32, "big"
    )


@OPENSSL
def test_openssl_verifies_an_sm2_signature_of_ours(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    signature = keys.create(NATIONAL).sign(b"agreed")
    for name, content in {"message": b"agreed", "other": b"agreeD", "signature": der_of(signature)}.items():
        (tmp_path / name).write_bytes(content)
    judged = {}
    for name in ("message", "other"):
        key_and_id = ["-inkey", str(keys.path), "-pkeyopt", "distid:1234567812345678"]
        command = ["openssl", "pkeyutl", "-verify", *key_and_id, "-rawin", "-digest", "sm3", "-in", name, "-sigfile", "signature"]
        judged[name] = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode
    assert judged == {"message": 0, "other": 1}


def der_of(signature: bytes) -> bytes:
    """SEQUENCE { r, s } as GM/T 0009 and OpenSSL write a signature."""
    numbers = [int.from_bytes(half, "big") for half in (signature[:32], signature[32:])]
    texts = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers]
    body = b"".join(bytes([2, len(text)]) + text for text in texts)
    return bytes([0x30, len(body)]) + body


@given(st.integers(1, sm2.N - 2))
@settings(max_examples=15, deadline=None)
def test_a_pem_file_gives_its_sm2_key_back_and_no_altered_one_does(private_key: int) -> None:
    pem = sm2_pem(private_key)
    assert sm2_private_key(pem) == private_key
    lines = pem.split(b"\n")
    altered = b"\n".join([lines[0], lines[1][:-8] + bytes(reversed(lines[1][-8:])), *lines[2:]])
    assert sm2_private_key(altered) in {None, private_key}
    assert Sm2MemorySigner(private_key).private_bytes() == private_key.to_bytes(32, "big")


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


def test_an_sm2_did_key_carries_the_registered_multicodec_and_the_compressed_point() -> None:
    key = Sm2MemorySigner(1).public_key
    did = did_key(key)
    assert base58_decode(did.removeprefix("did:key:z")) == b"\x86\x24" + sm2.compress(sm2.G)  # 0x1206 as an unsigned varint
    assert public_key_of(did) == key


@pytest.mark.parametrize("raw", [b"\x86\x24\x02" + b"\xff" * 32, b"\x86\x24\x04" + bytes(32), b"\x86\x24" + bytes(31)])
def test_an_id_with_no_point_of_the_curve_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        public_key_of("did:key:z" + base58_encode(raw))
    assert caught.value.code == "identity.did"


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
