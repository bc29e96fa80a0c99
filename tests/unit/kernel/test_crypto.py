"""Both profiles: published vectors, a second implementation, and what must not verify or open."""

import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import ECB
from gmssl.sm2 import CryptSM2
from gmssl.sm3 import sm3_hash
from gmssl.sm4 import SM4_ENCRYPT, CryptSM4
from hypothesis import given, settings
from hypothesis import strategies as st

from chengshu.kernel.crypto import (
    INTERNATIONAL,
    NATIONAL,
    NOT_CERTIFIED,
    SUITES,
    Algorithm,
    PublicKey,
    Sm2MemorySigner,
    Suite,
    is_signed_by,
    sm2,
    suite_of,
)
from chengshu.kernel.crypto.sm3 import PortableSm3
from chengshu.kernel.crypto.suite import SEAL_BYTES
from chengshu.kernel.errors import Invalid, Tampered

BOTH = pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES.keys())
messages = st.binary(max_size=300)
private_keys = st.integers(1, sm2.N - 2)

SM3_VECTORS = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]
"""GB/T 32905-2016, appendix A."""

PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
PUBLIC = (
    0x09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020,
    0xCCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13,
)
E = 0xF0B43E94BA45ACCAACE692ED534382EB17E6AB5A19CE7B31F4486FDFC0D28640
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
SIGNATURE = (
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)
"""The signature example on the recommended curve, GB/T 32918.5-2017 appendix A.2: user 1234567812345678, "message digest"."""

SM4_KEY = bytes.fromhex("0123456789abcdeffedcba9876543210")
SM4_ONCE = "681edf34d206965e86b3e94f536e4246"
SM4_MILLION = "595298c7c6fd271f0402f804c33d3f66"
"""GB/T 32907-2016, appendix A: the key encrypted under itself, once and 1,000,000 times."""

GCM_IV = "00001234567800000000abcd"
GCM_CONTEXT = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
GCM_PLAIN = bytes.fromhex("".join(digit * 16 for digit in "ABCDEFEA"))
GCM_SEALED = (
    "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
    "83de3541e4c2b58177e065a9bf7b62ec"
)
"""RFC 8998, appendix A.1."""


@pytest.mark.parametrize(("data", "expected"), SM3_VECTORS)
def test_sm3_gives_the_hashes_of_the_standard(data: bytes, expected: str) -> None:
    assert NATIONAL.hash(data).hex() == expected


@given(messages)
@settings(max_examples=25)
def test_sm3_agrees_with_two_other_implementations(data: bytes) -> None:
    assert NATIONAL.hash(data) == PortableSm3(data).digest() == bytes.fromhex(sm3_hash(list(data)))


@given(st.lists(messages, max_size=4))
def test_a_portable_sm3_is_fed_and_read_as_pythons_own(pieces: list[bytes]) -> None:
    one, other = hashlib.new("sm3", b"first"), PortableSm3(b"first")
    for piece in pieces:
        one.update(piece)
        other.update(piece)
        assert (one.digest(), one.hexdigest()) == (other.digest(), other.hexdigest())


def test_sm2_gives_the_key_digest_and_signature_of_the_standard() -> None:
    signature = sm2.sign(PRIVATE, b"message digest", nonce=lambda: NONCE)
    assert (sm2.public_point(PRIVATE), sm2.digest_to_sign(PUBLIC, b"message digest"), signature.hex()) == (PUBLIC, E, SIGNATURE)
    assert sm2.is_signature(PUBLIC, signature=signature, message=b"message digest")


@given(messages.filter(bool))
@settings(max_examples=8, deadline=None)
def test_sm2_signatures_are_accepted_by_the_other_implementation_both_ways(message: bytes) -> None:
    point = "".join(f"{number:064x}" for number in PUBLIC)
    other = CryptSM2(private_key=f"{PRIVATE:064x}", public_key=point)
    signer = Sm2MemorySigner(PRIVATE)
    assert other.verify_with_sm3(signer.sign(message).hex(), message) is True
    theirs = bytes.fromhex(other.sign_with_sm3(message, f"{NONCE:064x}"))
    assert NATIONAL.is_signed_by(signer.public_key, signature=theirs, message=message)


@given(private_keys)
@settings(max_examples=15, deadline=None)
def test_a_compressed_point_gives_the_point_back(private_key: int) -> None:
    point = sm2.public_point(private_key)
    assert sm2.decompress(sm2.compress(point)) == point


def test_a_number_outside_of_the_range_is_no_private_key() -> None:
    for outside in (0, -1, sm2.N - 1, sm2.N):
        with pytest.raises(ValueError, match="from 1 to n - 2"):
            sm2.public_point(outside)
    last = sm2.public_point(sm2.N - 2)
    twice = sm2.public_point(2)
    assert last == (twice[0], sm2.P - twice[1])


@pytest.mark.parametrize(
    "r_s",
    [(0, 1), (1, 0), (sm2.N, 1), (1, sm2.N), (1, sm2.N - 1), (2**256 - 1, 2**256 - 1)],
    ids=["r-zero", "s-zero", "r-n", "s-n", "sum-zero", "beyond"],
)
def test_sm2_numbers_outside_of_their_range_are_no_signature(r_s: tuple[int, int]) -> None:
    signature = b"".join(number.to_bytes(32, "big") for number in r_s)
    assert not sm2.is_signature(PUBLIC, signature=signature, message=b"message digest")


def test_sm4_gives_the_blocks_of_the_standard() -> None:
    other = CryptSM4()
    other.set_key(SM4_KEY, SM4_ENCRYPT)
    assert bytes(other.one_round(other.sk, SM4_KEY)).hex() == SM4_ONCE
    encryptor = Cipher(SM4(SM4_KEY), ECB()).encryptor()  # noqa: S305  # the standard gives single blocks
    block = encryptor.update(SM4_KEY)
    assert block.hex() == SM4_ONCE
    for _ in range(999_999):
        block = encryptor.update(block)
    assert block.hex() == SM4_MILLION


def test_sm4_gcm_opens_what_the_rfc_sealed() -> None:
    assert NATIONAL.open(SM4_KEY, bytes.fromhex(GCM_IV + GCM_SEALED), context=GCM_CONTEXT) == GCM_PLAIN


@BOTH
def test_a_signature_holds_for_its_message_and_key_alone(suite: Suite) -> None:
    signer, other = suite.generate(), suite.generate()
    signature = signer.sign(b"agreed")
    assert is_signed_by(signer.public_key, signature=signature, message=b"agreed")
    assert not is_signed_by(signer.public_key, signature=signature, message=b"agreeD")
    assert not is_signed_by(other.public_key, signature=signature, message=b"agreed")
    for place in range(64):
        altered = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        assert not is_signed_by(signer.public_key, signature=altered, message=b"agreed")
    for wrong in (b"", signature[:-1], signature + b"\0"):
        assert not is_signed_by(signer.public_key, signature=wrong, message=b"agreed")


def test_no_profile_takes_the_others_key() -> None:
    for suite, other in ((INTERNATIONAL, NATIONAL), (NATIONAL, INTERNATIONAL)):
        signer = suite.generate()
        assert not other.is_signed_by(signer.public_key, signature=signer.sign(b"x"), message=b"x")
        assert suite_of(signer.public_key.algorithm) is suite


@pytest.mark.parametrize(
    ("algorithm", "raw"),
    [
        (Algorithm.ED25519, b"short"),
        (Algorithm.SM2, bytes(32)),
        (Algorithm.SM2, b"\x04" + bytes(32)),
        (Algorithm.SM2, b"\x02" + b"\xff" * 32),
        (Algorithm.SM2, b"\x02" + (2).to_bytes(32, "big")),
    ],
    ids=["short", "no-prefix", "uncompressed", "beyond-p", "off-the-curve"],
)
def test_bytes_that_are_no_public_key_are_refused(algorithm: Algorithm, raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        PublicKey(algorithm, raw)
    assert caught.value.code == "crypto.public-key"


@given(st.sampled_from(sorted(SUITES)), messages, st.binary(max_size=40))
def test_what_is_sealed_opens_with_the_same_key_and_context(name: str, plaintext: bytes, context: bytes) -> None:
    suite = SUITES[name]
    key = suite.new_data_key()
    sealed = suite.seal(key, plaintext, context=context)
    assert suite.open(key, sealed, context=context) == plaintext
    assert suite.seal(key, plaintext, context=context) != sealed


def _flip(sealed: bytes) -> list[bytes]:
    return [sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :] for place in range(len(sealed))]


@BOTH
@pytest.mark.parametrize("cut", [lambda sealed: [sealed[:length] for length in range(len(sealed))], _flip], ids=["cut", "flipped"])
def test_altered_sealed_bytes_do_not_open(suite: Suite, cut: Callable[[bytes], list[bytes]]) -> None:
    key = suite.new_data_key()
    for altered in cut(suite.seal(key, b"outcome", context=b"job 1")):
        with pytest.raises(Tampered) as caught:
            suite.open(key, altered, context=b"job 1")
        assert caught.value.code == "crypto.sealed"


@BOTH
@pytest.mark.parametrize("plaintext", [b"", b"outcome", b"row" * 100_000], ids=["nothing", "a word", "a piece"])
def test_what_is_sealed_in_place_is_what_is_sealed(suite: Suite, plaintext: bytes) -> None:
    key, place, back = suite.new_data_key(), memoryview(bytearray(len(plaintext) + SEAL_BYTES)), memoryview(bytearray(len(plaintext)))
    suite.seal_into(key, memoryview(plaintext), place, context=b"job 1")
    assert suite.open(key, bytes(place), context=b"job 1") == plaintext
    suite.open_into(key, memoryview(suite.seal(key, plaintext, context=b"job 1")), back, context=b"job 1")
    assert back == plaintext
    place[-1] ^= 1
    for other_key, context in ((key, b"job 1"), (key, b"job 2"), (suite.new_data_key(), b"job 1")):
        with pytest.raises(Tampered) as caught:
            suite.open_into(other_key, place, back, context=context)
        assert caught.value.code == "crypto.sealed"


@BOTH
def test_another_key_or_context_does_not_open(suite: Suite) -> None:
    key = suite.new_data_key()
    sealed = suite.seal(key, b"outcome", context=b"job 1")
    for other_key, context in ((suite.new_data_key(), b"job 1"), (key, b"job 2")):
        with pytest.raises(Tampered):
            suite.open(other_key, sealed, context=context)


SM2_SEALED = (
    "0404ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0"
    "59983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766"
    "21886ca989ca9c7d58087307ca93092d651efa"
)
"""The encryption example on the recommended curve, GB/T 32918.5-2017 appendix A.3: "encryption standard", in the order C1 C3 C2."""


def test_sm2_encrypts_as_the_standard_does() -> None:
    sealed = sm2.encrypt(PUBLIC, b"encryption standard", nonce=lambda: NONCE)
    assert sealed.hex() == SM2_SEALED
    assert sm2.decrypt(PRIVATE, sealed) == b"encryption standard"


def test_another_implementation_opens_what_sm2_encrypted() -> None:
    other = CryptSM2(private_key=f"{PRIVATE:064x}", public_key="".join(f"{one:064x}" for one in PUBLIC), mode=1)
    assert other.decrypt(sm2.encrypt(PUBLIC, b"a data key", nonce=lambda: NONCE)[1:]) == b"a data key"


@BOTH
def test_a_wrapped_data_key_is_unwrapped_by_the_one_key_in_the_one_context(suite: Suite) -> None:
    private, data_key = suite.new_exchange_key(), suite.new_data_key()
    wrapped = suite.wrap(suite.exchange_public(private), data_key, context=b"job 1")
    assert suite.unwrap(private, wrapped, context=b"job 1") == data_key
    assert suite.wrap(suite.exchange_public(private), data_key, context=b"job 1") != wrapped
    for other, context in ((suite.new_exchange_key(), b"job 1"), (private, b"job 2")):
        with pytest.raises(Tampered):
            suite.unwrap(other, wrapped, context=context)


@BOTH
@pytest.mark.parametrize("cut", [lambda wrapped: [wrapped[:length] for length in range(0, len(wrapped), 9)], _flip], ids=["cut", "flipped"])
def test_altered_wrapped_bytes_do_not_unwrap(suite: Suite, cut: Callable[[bytes], list[bytes]]) -> None:
    private = suite.new_exchange_key()
    for altered in cut(suite.wrap(suite.exchange_public(private), suite.new_data_key(), context=b"job 1")):
        with pytest.raises(Tampered):
            suite.unwrap(private, altered, context=b"job 1")


@BOTH
@pytest.mark.parametrize("public", [b"", b"short", bytes(32), bytes(33)], ids=["nothing", "short", "small-order", "no-point"])
def test_nothing_is_wrapped_to_bytes_that_are_no_public_key(suite: Suite, public: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        suite.wrap(public, suite.new_data_key(), context=b"job 1")
    assert caught.value.code == "crypto.public-key"


@BOTH
def test_a_profile_never_shows_itself_without_saying_that_it_is_not_certified(suite: Suite) -> None:
    assert NOT_CERTIFIED.en in suite.title.en
    assert NOT_CERTIFIED.zh in suite.title.zh


def test_digests_say_which_hash_made_them() -> None:
    assert {suite.hash_name: suite.hash(b"").hex() for suite in SUITES.values()} == {
        "sha256": hashlib.sha256(b"").hexdigest(),
        "sm3": "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
    }
