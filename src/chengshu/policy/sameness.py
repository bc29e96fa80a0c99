"""Whether two policy documents state the same rules, where one of them has been through a connector that rewrites JSON-LD.

The protocol asks that a policy comes back structurally unchanged. Eclipse EDC reads a policy into values of its own and writes it anew:
IRIs of ODRL become compact (``odrl:count``), typed literals lose their type, an array of one becomes its element, a longer one becomes the
text of a JSON array. What is compared here is what all of these forms say alike; nothing is decided or signed on such a form.
"""

from collections.abc import Mapping
from typing import Any

from chengshu.kernel.canonical import canonical
from chengshu.policy.literals import members

_ODRL = ("http://www.w3.org/ns/odrl/2/", "odrl:")
_WORDS = frozenset({"action", "leftOperand", "operator"})


def same_rules(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two documents without their envelopes state the same rules in the same order."""
    return canonical(_uniform(dict(one), "")) == canonical(_uniform(dict(other), ""))


def _uniform(value: Any, key: str) -> Any:
    match value:
        case {"@value": literal}:
            return literal
        case {"@id": str(name), **rest} if not rest:
            return _word(name)
        case dict():
            return {name: _uniform(part, name) for name, part in value.items() if part != []}
        case list() if key == "rightOperand":
            return _set([_uniform(part, "") for part in value])
        case list():
            return [_uniform(part, "") for part in value]
        case str() if key == "rightOperand":
            return _set(members(value))
        case str() if key in _WORDS:
            return _word(value)
        case _:
            return value


def _word(name: str) -> str:
    """A term of ODRL without its namespace, anything else as it is."""
    return next((name.removeprefix(prefix) for prefix in _ODRL if name.startswith(prefix)), name)


def _set(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
