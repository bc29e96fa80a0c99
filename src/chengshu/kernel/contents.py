"""What messages of a process say, as JSON-ready values and back: what waits in an outbox, and what a repeat is recognised by."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def written(content: "DataclassInstance") -> dict[str, Any]:
    """Return a content, a frozen value of one of the kinds that its process has, as JSON-ready values."""
    return {"kind": type(content).__name__} | asdict(content)


def read(kinds: Sequence[type[C]], values: Mapping[str, Any]) -> C:
    """Return the content of one of ``kinds`` that :func:`written` made; a list is read as a tuple, and what is not there by its default."""
    kind = next(kind for kind in kinds if kind.__name__ == values["kind"])
    named = {field.name: values[field.name] for field in fields(kind) if field.name in values}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in named.items()})
