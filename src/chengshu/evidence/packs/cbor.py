"""A small CBOR codec: one way to write each value, and nothing else is read (RFC 8949 section 4.2.1, core deterministic encoding).

It knows what COSE receipts need: integers, byte and text strings, arrays, maps, tags, false, true and null. No floats, no streams.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

MAX_DEPTH = 16
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES: Mapping[int, bool | None] = {20: False, 21: True, 22: None}
_LARGEST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with its tag number (RFC 8949 section 3.4)."""

    tag: int
    value: Any


def encode(value: Any) -> bytes:
    """Return the deterministic encoding of ``value``: shortest heads, map keys in the order of their encoded bytes.

    Raises Invalid for a value that this codec does not know (floats, integers beyond 64 bits, other classes).
    """
    match value:
        case bool() | None:
            simple = next(number for number, known in _SIMPLE_VALUES.items() if known is value)
            return _head(_SIMPLE, simple)
        case int():
            return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            data = value.encode()
            return _head(_TEXT, len(data)) + data
        case Tagged(tag=tag, value=inner):
            return _head(_TAG, tag) + encode(inner)
        case Mapping():
            pairs = sorted((encode(key), encode(item)) for key, item in value.items())
            return _head(_MAP, len(pairs)) + b"".join(key + item for key, item in pairs)
        case Sequence():
            return _head(_ARRAY, len(value)) + b"".join(encode(item) for item in value)
        case _:
            raise _invalid("a value of integers, strings, arrays, maps and tags", f"a {type(value).__name__}", 0)


def decode(data: bytes, *, any_order: bool = False) -> Any:
    """Return the one value that ``data`` encodes, arrays as lists and maps as dicts.

    Raises Invalid, which names the byte, for indefinite lengths, heads that are not the shortest, map keys out of order or twice,
    trailing bytes, more than 16 levels, and values that this codec does not know: so two byte strings never mean the same. With
    ``any_order`` map keys may stand in any order, as COSE allows its headers (RFC 9052 section 9); each still comes once.
    """
    reader = _Reader(data, any_order=any_order)
    value = reader.value(0)
    if reader.position != len(data):
        reader.refuse("the end after one value", "more bytes")
    return value


class _Reader:
    """Where reading has come to in the bytes."""

    def __init__(self, data: bytes, *, any_order: bool) -> None:
        self.data = data
        self._any_order = any_order
        self.position = 0

    def value(self, depth: int) -> Any:
        """Read one value."""
        if depth > MAX_DEPTH:
            self.refuse(f"at most {MAX_DEPTH} levels", "more")
        major, argument = self._read_head()
        if major in {_ARRAY, _MAP, _TAG}:
            return self._holder(major, argument, depth)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self._take(argument)
            case 3:
                return self._text(argument)
            case _:
                return self._simple(argument)

    def _holder(self, major: int, argument: int, depth: int) -> Any:
        """A value that holds others."""
        if major == _TAG:
            return Tagged(argument, self.value(depth + 1))
        count = self._count(argument)
        return self._map(count, depth) if major == _MAP else [self.value(depth + 1) for _ in range(count)]

    def refuse(self, expected: str, got: str) -> NoReturn:
        """Leave with what was expected here."""
        raise _invalid(expected, got, self.position)

    def _read_head(self) -> tuple[int, int]:
        start = self.position
        first = self._take(1)[0]
        major, low = first >> 5, first & 31
        if low < 24:
            return major, low
        if low > 27 or major == _SIMPLE:
            self.position = start
            self.refuse("a definite length, an integer, false, true or null", f"the byte 0x{first:02x}")
        width = 1 << (low - 24)
        argument = int.from_bytes(self._take(width), "big")
        if argument < 24 or (width > 1 and argument < 1 << (4 * width)):
            self.position = start
            self.refuse("the shortest form of a number", f"one of {width} byte(s)")
        return major, argument

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            self.refuse(f"{count} more byte(s)", f"{len(self.data) - self.position}")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _count(self, count: int) -> int:
        """A number of items; each takes a byte at least, so that a short text cannot ask for a large memory."""
        if count > len(self.data) - self.position:
            self.refuse(f"{count} item(s)", f"{len(self.data) - self.position} byte(s)")
        return count

    def _text(self, length: int) -> str:
        start = self.position
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            self.position = start
            self.refuse("UTF-8 text", "other bytes")

    def _map(self, count: int, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        before = b""
        seen: set[bytes] = set()
        for _ in range(count):
            start = self.position
            key = self.value(depth + 1)
            written = self.data[start : self.position]
            in_order = written not in seen if self._any_order else written > before
            if not isinstance(key, int | str | bytes) or isinstance(key, bool) or not in_order:
                self.position = start
                self.refuse("map keys that are integers or strings, each once and in order", "another key")
            found[key] = self.value(depth + 1)
            before = written
            seen.add(written)
        return found

    def _simple(self, number: int) -> bool | None:
        if number not in _SIMPLE_VALUES:
            self.position -= 1
            self.refuse("false, true or null", f"simple value {number}")
        return _SIMPLE_VALUES[number]


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    if argument > _LARGEST:
        raise _invalid("an integer of at most 64 bits", "a larger one", 0)
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << (8 * width))
    return bytes([major << 5 | 23 + width.bit_length()]) + argument.to_bytes(width, "big")


def _invalid(expected: str, got: str, position: int) -> Invalid:
    return Invalid(
        "evidence.cbor",
        f"byte {position}: expected {expected}, got {got}",
        hint=Text("The file is damaged or of another kind; get it again from its sender.", "文件已损坏或类型不符，请向发送方重新索取。"),
        facts={"offset": position},
    )
