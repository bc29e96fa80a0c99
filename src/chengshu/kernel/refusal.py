"""A refusal that is part of the game: a value, never an exception."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chengshu.kernel.errors import Fact
from chengshu.kernel.text import Language, Text


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked is not allowed: the rule by name, why, and what would pass.

    ``rule`` is a stable kebab-case name (``group-too-small``); ``message`` names the clause or column;
    no data value is in any field.
    """

    rule: str
    message: str
    would_pass: Text
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the refusal as JSON-ready values."""
        return {
            "rule": self.rule,
            "message": self.message,
            "would_pass": self.would_pass.of(language),
            "facts": dict(self.facts),
        }
