"""The seven ways to leave, and nothing else.

    ChengshuError
    ├── Invalid        what came cannot be understood or is against its own schema
    ├── Unidentified   who is asking could not be established
    ├── Denied         who is asking is known, and may not
    ├── NotFound       what was asked for is not here (or may not be revealed)
    ├── Conflict       what was asked for does not fit the present state
    ├── Unavailable    something outside did not answer; trying again may help
    └── Tampered       evidence, a signature or a digest does not match

A refusal that is part of the game (policy, rule, budget) is not an error: see :mod:`chengshu.kernel.refusal`.
"""

from collections.abc import Mapping
from json import JSONDecodeError
from typing import Any

from chengshu.kernel.text import Language, Text

Fact = str | int
_NO_FACTS: Mapping[str, Fact] = {}


class ChengshuError(Exception):
    """An operation was left; ``code`` is stable, ``facts`` are safe to show to a peer, no data value is in it.

    ``message`` says what was expected and what came; ``hint`` says what to do, in both languages.
    """

    def __init__(self, code: str, message: str, *, hint: Text, facts: Mapping[str, Fact] = _NO_FACTS) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.facts = dict(facts)

    @property
    def kind(self) -> str:
        """The name of the error's kind, one of the seven."""
        return type(self).__name__

    def as_dict(self, language: Language = "en") -> dict[str, Any]:
        """Return the error as JSON-ready values for ``--json`` output and API bodies."""
        return {
            "kind": self.kind,
            "code": self.code,
            "message": self.message,
            "hint": self.hint.of(language),
            "facts": self.facts,
        }


def in_words(error: Exception) -> str:
    """Return what a foreign exception says went wrong, as the end of "expected …, got …"; never its text, which may hold a data value."""
    match error:
        case FileNotFoundError():
            return "no such file"
        case IsADirectoryError() | NotADirectoryError():
            return "a path that is no file"
        case PermissionError():
            return "a file that may not be read"
        case UnicodeDecodeError():
            return "bytes that are not text in UTF-8"
        case JSONDecodeError():
            return f"text that is not JSON from line {error.lineno} on"
        case OSError() if error.strerror:
            return f"a failure of the system ({error.strerror})"
        case OSError():
            return "a failure of the system"
        case _:
            return "content of another form"


class Invalid(ChengshuError):
    """What came cannot be understood, or is against its own schema."""


class Unidentified(ChengshuError):
    """Who is asking could not be established."""


class Denied(ChengshuError):
    """Who is asking is known, and may not."""


class NotFound(ChengshuError):
    """What was asked for is not here, or its existence may not be revealed."""


class Conflict(ChengshuError):
    """What was asked for does not fit the present state."""


class Unavailable(ChengshuError):
    """Something outside did not answer; trying again may help."""


class Tampered(ChengshuError):
    """Evidence, a signature or a digest does not match what it should."""
