"""A JSON document read key by key: every refusal names the path, what was expected and what kind of thing came."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

T = TypeVar("T")
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "an object"),
)
_HINT = Text("Correct the document at the path named; nothing of it was accepted.", "请按所示路径修正文件；文件未被接受。")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def kind_of(value: object) -> str:
    """Name the kind of a JSON value without showing it."""
    if value is None:
        return "null"
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "something that is not JSON")


def invalid(path: str, expected: str, got: str, *, code: str = "permit.invalid", hint: Text = _HINT) -> Invalid:
    """Return the error for one place of the document; ``got`` is a kind of thing, never a value."""
    return Invalid(code, f"{path}: expected {expected}, got {got}", hint=hint, facts={"path": path})


@dataclass(frozen=True, slots=True)
class Node:
    """One object of the document and the path that leads to it."""

    value: Mapping[str, Any]
    path: str

    @classmethod
    def of(cls, value: object, path: str) -> "Node":
        """Wrap an object; raise Invalid for anything else."""
        if not isinstance(value, Mapping):
            raise invalid(path, "an object", kind_of(value))
        return cls(value, path)

    def only(self, keys: Collection[str]) -> None:
        """Refuse every key that is not one of ``keys``, by name: a rule that is not understood must not look obeyed."""
        unknown = sorted(str(key) for key in self.value if key not in keys)
        if unknown:
            raise invalid(self.path, f"only the keys {', '.join(sorted(keys))}", f"the unknown key {', '.join(unknown)}")

    def at(self, key: str) -> str:
        """The path of a key of this object."""
        return f"{self.path}.{key}"

    def has(self, key: str) -> bool:
        """Say whether the key is there and not null."""
        return self.value.get(key) is not None

    def get(self, key: str) -> Any:
        """Return what is under a key that must be there."""
        if key not in self.value:
            raise invalid(self.at(key), "the key to be there", "nothing")
        return self.value[key]

    def node(self, key: str) -> "Node":
        """Return the object under a key."""
        return Node.of(self.get(key), self.at(key))

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            raise invalid(self.at(key), "a text that is not empty", "an empty text" if value == "" else kind_of(value))
        return value

    def word(self, key: str, words: Collection[str]) -> str:
        """Return one of a closed list of words."""
        value = self.get(key)
        if not isinstance(value, str) or value not in words:
            got = "another word" if isinstance(value, str) else kind_of(value)
            raise invalid(self.at(key), f"one of {', '.join(sorted(words))}", got)
        return value

    def flag(self, key: str) -> bool:
        """Return true or false; a missing key is false."""
        value = self.value.get(key, False)
        if not isinstance(value, bool):
            raise invalid(self.at(key), "true or false", kind_of(value))
        return value

    def whole(self, key: str, *, least: int) -> int:
        """Return a whole number of at least ``least``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            got = f"a whole number below {least}" if isinstance(value, int) and not isinstance(value, bool) else kind_of(value)
            raise invalid(self.at(key), f"a whole number of at least {least}", got)
        return value

    def number(self, key: str, *, above: float = 0.0) -> float:
        """Return a finite number greater than ``above``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise invalid(self.at(key), f"a number above {above:g}", kind_of(value))
        if value <= above:
            raise invalid(self.at(key), f"a number above {above:g}", "a number that is not")
        return float(value)

    def maybe(self, key: str, read: Callable[[str], T]) -> T | None:
        """Return ``read(key)`` where the key is there and not null, else None."""
        return read(key) if self.has(key) else None

    def items(self, key: str, *, least: int = 0) -> list[tuple[Any, str]]:
        """Return a list's members with their paths."""
        value = self.get(key)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise invalid(self.at(key), "a list", kind_of(value))
        if len(value) < least:
            raise invalid(self.at(key), f"a list of at least {least}", f"a list of {len(value)}")
        return [(item, f"{self.at(key)}[{i}]") for i, item in enumerate(value)]

    def nodes(self, key: str, *, least: int = 0) -> list["Node"]:
        """Return a list of objects."""
        return [Node.of(item, path) for item, path in self.items(key, least=least)]

    def words(self, key: str, *, least: int = 0, of: Collection[str] | None = None) -> tuple[str, ...]:
        """Return a list of different texts, each of a closed list where ``of`` gives one."""
        found: list[str] = []
        for item, path in self.items(key, least=least):
            if not isinstance(item, str) or not item or (of is not None and item not in of):
                expected = f"one of {', '.join(sorted(of))}" if of is not None else "a text that is not empty"
                raise invalid(path, expected, "another word" if isinstance(item, str) else kind_of(item))
            if item in found:
                raise invalid(path, "each entry once", "a repeated one")
            found.append(item)
        return tuple(found)

    def dates(self, key: str) -> tuple[str, ...]:
        """Return a list of calendar dates (ISO 8601, ``2026-10-01``)."""
        found = self.words(key)
        for i, text in enumerate(found):
            if not _DATE.fullmatch(text):
                raise invalid(f"{self.at(key)}[{i}]", "a date as YYYY-MM-DD", "another text")
        return found
