"""SM2 signatures and encryption on the curve recommended for it (GB/T 32918.2-2016, 32918.4-2016, 32918.5-2017), in plain Python.

There is no maintained library with SM2 for all platforms that the rest runs on, hence this one. It is NOT constant-time: whoever can
time this process closely may learn something of the key. It is a software profile and not certified; a key that needs more belongs
in a hardware module behind the same :class:`~chengshu.kernel.crypto.suite.Signer`.
"""

import hmac
from collections.abc import Callable, Iterable
from functools import lru_cache

from chengshu.kernel.crypto.sm3 import sm3

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
DEFAULT_ID = b"1234567812345678"
"""The signer's id where the parties agreed on none (GM/T 0009-2012 section 10)."""

PUBLIC_BYTES = 33
SIGNATURE_BYTES = 64

Point = tuple[int, int]
_Jacobian = tuple[int, int, int]
"""(X, Y, Z) for the point (X / Z**2, Y / Z**3); Z is 0 for the point at infinity."""

_INFINITY: _Jacobian = (1, 1, 0)
_WINDOW_BITS = 4
_DIGITS = 1 << _WINDOW_BITS
_WINDOWS = 256 // _WINDOW_BITS


def public_point(private_key: int) -> Point:
    """Return the public key of a private key; raise ValueError unless ``1 <= private_key <= n - 2`` (GB/T 32918.1 section 6.1)."""
    if not 1 <= private_key <= N - 2:
        raise ValueError("expected a private key from 1 to n - 2, got a number outside")
    return _affine(_times_base(private_key))


def compress(point: Point) -> bytes:
    """Return a point as 33 bytes: 02 or 03 by the parity of y, then x (GB/T 32918.1 section 4.2.9)."""
    return bytes([2 + (point[1] & 1)]) + point[0].to_bytes(32, "big")


@lru_cache(maxsize=1024)
def decompress(raw: bytes) -> Point:
    """Return the point that :func:`compress` wrote; raise ValueError for bytes that are no point of the curve."""
    x = int.from_bytes(raw[1:], "big")
    if len(raw) != PUBLIC_BYTES or raw[0] not in {2, 3} or x >= P:
        raise ValueError("expected 33 bytes of a compressed point, got other bytes")
    square = (x * x * x + A * x + B) % P
    y = pow(square, (P + 1) // 4, P)  # p is 3 modulo 4
    if y * y % P != square:
        raise ValueError("expected a point of the curve, got one outside of it")
    return (x, y if y & 1 == raw[0] & 1 else P - y)


def digest_to_sign(public: Point, message: bytes, *, signer_id: bytes = DEFAULT_ID) -> int:
    """Return e = SM3(Z_A || M), where Z_A binds the signer's id, the curve and the key (GB/T 32918.2 sections 5.5 and 6.1)."""
    about = len(signer_id * 8).to_bytes(2, "big") + signer_id
    about += b"".join(number.to_bytes(32, "big") for number in (A, B, *G, *public))
    return int.from_bytes(sm3(sm3(about) + message), "big")


def sign(private_key: int, message: bytes, *, nonce: Callable[[], int]) -> bytes:
    """Return the 64 bytes r || s of a signature (GB/T 32918.2 section 6.1).

    ``nonce`` MUST return a fresh secret number from 1 to n - 1 at every call, from the operating system's randomness: one that is
    used twice, or known, gives the private key away.
    """
    e = digest_to_sign(public_point(private_key), message)
    while True:
        k = nonce()
        r = (e + _affine(_times_base(k))[0]) % N
        s = pow(1 + private_key, -1, N) * (k - r * private_key) % N
        if r and s and r + k != N:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def is_signature(public: Point, *, signature: bytes, message: bytes) -> bool:
    """Say whether ``signature`` (r || s) over ``message`` was made with the private key of ``public`` (GB/T 32918.2 section 7.1)."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if not (1 <= r < N and 1 <= s < N and t):
        return False
    sum_ = _add(_times_base(s), _times(t, public))
    return sum_[2] != 0 and (digest_to_sign(public, message) + _affine(sum_)[0]) % N == r


def encrypt(public: Point, message: bytes, *, nonce: Callable[[], int]) -> bytes:
    """Return C1 || C3 || C2 (GB/T 32918.4 section 6.1): an uncompressed point, 32 bytes of SM3, and as many bytes as ``message`` has."""
    while True:
        k = nonce()
        shared = _affine(_times(k, public))
        mask = _derived(shared, len(message))
        if any(mask) or not message:
            return b"\x04" + _wide(*_affine(_times_base(k))) + _tag(shared, message) + _masked(message, mask)


def decrypt(private_key: int, sealed: bytes) -> bytes:
    """Return what :func:`encrypt` encrypted to this key; raise ValueError for bytes that are not that (section 7.1)."""
    if len(sealed) < _C2_AT or sealed[0] != 4:  # the mark of an uncompressed point
        raise ValueError("expected an SM2 ciphertext, got other bytes")
    x, y = int.from_bytes(sealed[1:33], "big"), int.from_bytes(sealed[33:65], "big")
    if x >= P or y >= P or (y * y - x * x * x - A * x - B) % P:
        raise ValueError("expected a point of the curve, got one outside of it")
    shared = _affine(_times(private_key, (x, y)))
    body = sealed[_C2_AT:]
    message = _masked(body, _derived(shared, len(body)))
    if not hmac.compare_digest(_tag(shared, message), sealed[65:_C2_AT]):
        raise ValueError("expected an SM2 ciphertext for this key, got another")
    return message


def shared(private_key: int, public: Point) -> bytes:
    """Return the 64 bytes of the point that a key and another's public point come to: the curve has no points of small order."""
    return _wide(*_affine(_times(private_key, public)))


_C2_AT = 1 + 64 + 32


def _derived(shared: Point, length: int) -> bytes:
    """The key derivation function over x2 || y2 (GB/T 32918.4 section 5.4.3)."""
    blocks = (sm3(_wide(*shared) + counter.to_bytes(4, "big")) for counter in range(1, 1 + -(-length // 32)))
    return b"".join(blocks)[:length]


def _tag(shared: Point, message: bytes) -> bytes:
    return sm3(_wide(shared[0]) + message + _wide(shared[1]))


def _masked(message: bytes, mask: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(message, mask, strict=True))


def _wide(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def _times_base(number: int) -> _Jacobian:
    """``number`` times G: one mixed addition for every four bits, from a table made once."""
    total = _INFINITY
    for window, multiples in enumerate(_base_table()):
        digit = number >> (_WINDOW_BITS * window) & (_DIGITS - 1)
        if digit:
            total = _add_affine(total, multiples[digit - 1])
    return total


@lru_cache(maxsize=1)
def _base_table() -> list[list[Point]]:
    """For every window the multiples 1 to 15 of 16**window times G."""
    rows: list[list[_Jacobian]] = []
    first: _Jacobian = (*G, 1)
    for _ in range(_WINDOWS):
        row = _multiples(first)
        rows.append(row)
        first = _double(row[_DIGITS // 2 - 1])
    points = _affines(point for row in rows for point in row)
    return [points[i : i + _DIGITS - 1] for i in range(0, len(points), _DIGITS - 1)]


def _times(number: int, point: Point) -> _Jacobian:
    """``number`` times a point, four bits at a time from the left."""
    multiples = _affines(_multiples((*point, 1)))
    total = _INFINITY
    for window in reversed(range(_WINDOWS)):
        for _ in range(_WINDOW_BITS):
            total = _double(total)
        digit = number >> (_WINDOW_BITS * window) & (_DIGITS - 1)
        if digit:
            total = _add_affine(total, multiples[digit - 1])
    return total


def _multiples(point: _Jacobian) -> list[_Jacobian]:
    row = [point, _double(point)]
    while len(row) < _DIGITS - 1:
        row.append(_add(row[-1], point))
    return row


def _double(point: _Jacobian) -> _Jacobian:
    """Twice a point, for a curve with a = -3 (Explicit-Formulas Database, dbl-2001-b)."""
    x, y, z = point
    if not z:
        return point
    delta, gamma = z * z % P, y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    doubled = (alpha * alpha - 8 * beta) % P
    return (doubled, (alpha * (4 * beta - doubled) - 8 * gamma * gamma) % P, 2 * y * z % P)


def _add(left: _Jacobian, right: _Jacobian) -> _Jacobian:
    return left if not right[2] else _add_affine(left, _affine(right))


def _add_affine(left: _Jacobian, right: Point) -> _Jacobian:
    """The sum of a point and an affine one (IEEE 1363-2000 section A.10.5 with Z of the second 1)."""
    x, y, z = left
    if not z:
        return (*right, 1)
    squared = z * z % P
    across = (right[0] * squared - x) % P
    up = (right[1] * squared * z - y) % P
    if not across:
        return _double(left) if not up else _INFINITY
    across_2 = across * across % P
    across_3 = across * across_2 % P
    foot = x * across_2 % P
    new_x = (up * up - across_3 - 2 * foot) % P
    return (new_x, (up * (foot - new_x) - y * across_3) % P, z * across % P)


def _affine(point: _Jacobian) -> Point:
    inverse = pow(point[2], -1, P)
    squared = inverse * inverse % P
    return (point[0] * squared % P, point[1] * squared * inverse % P)


def _affines(points: Iterable[_Jacobian]) -> list[Point]:
    return [_affine(point) for point in points]
