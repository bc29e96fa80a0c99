"""A sentence in the two languages the house speaks."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in English and in Chinese; promises that neither is empty."""

    en: str
    zh: str

    def __post_init__(self) -> None:
        if not (self.en and self.zh):
            raise ValueError("expected a sentence in both languages, got an empty one")

    def of(self, language: Language) -> str:
        """Return the sentence in ``language``."""
        return self.zh if language == "zh" else self.en
