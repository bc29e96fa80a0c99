"""What a policy says of a sealed method's parameters: comparisons of single ones, held against those that a use states."""

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Invalid

_TEST = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*(=|<>|<=|>=|<|>)\s*(\S.*?)\s*", re.ASCII | re.DOTALL)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNORDERED = frozenset({"=", "<>"})
_EXPECTED = "expected a comparison of a parameter with a number, a text or a truth value, such as cell_m >= 50"


@dataclass(frozen=True, slots=True)
class ParameterTest:
    """A comparison of one parameter with a constant, such as ``cell_m >= 50`` or ``mode = "coarse"``; a dot leads into an object.

    Its text is the same for equal tests: the constant is canonical JSON.
    """

    name: str
    comparison: str
    constant: str

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.constant}"

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Say whether it holds: never where the parameter is not stated, or is of another kind than the constant."""
        found: Any = parameters
        for part in self.name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        left, right = _comparable(found), _comparable(json.loads(self.constant))
        return left is not None and type(left) is type(right) and _COMPARISONS[self.comparison](left, right)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters that a use states, as canonical JSON."""

    written: str

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Parameters":
        """Return the parameters of a job."""
        return cls(canonical(dict(parameters)).decode())

    def meet(self, test: ParameterTest) -> bool:
        """Say whether a test holds of them."""
        return test.holds(json.loads(self.written))

    def __str__(self) -> str:
        """Their names alone."""
        return ", ".join(sorted(json.loads(self.written))) or "none"


def read_test(text: str) -> ParameterTest:
    """Return the test that a text states; raise ValueError for another text, and for an order of what is no number."""
    match = _TEST.fullmatch(text)
    try:
        constant = None if match is None else json.loads(match[3])
    except (ValueError, RecursionError):
        constant = None
    comparable = _comparable(constant)
    if match is None or comparable is None or not (isinstance(comparable, Decimal) or match[2] in _UNORDERED):
        raise ValueError(_EXPECTED)
    try:
        return ParameterTest(match[1], match[2], canonical(constant).decode())
    except Invalid as error:  # a whole number that JSON does not carry exactly
        raise ValueError(_EXPECTED) from error


def _comparable(value: object) -> "Decimal | str | bool | None":
    """A value as it is compared: numbers exactly, whatever their form; nothing for lists, objects and no value."""
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):  # noqa: PLR0124  # not a number
        return Decimal(repr(value))
    return None
