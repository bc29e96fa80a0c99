"""Attacks as files: what stands in one, and when it has learned its secret. How to write one is in ``corpus/README.md``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
_REQUIRED = ("attack", "reference", "source", "wants", "succeeds", "stopped-by")
_OPTIONAL = ("protection", "rho")
_CRITERIA = (
    r"shows (?P<shown>.+)",
    r"adds up (?P<signs>(?:[+-]\d+ )+)= (?P<total>-?[\d.]+)",
    r"differs without (?P<absent>\w+)",
    r"differs where (?P<fare>[\d.]+) is (?P<other>[\d.]+)",
    r"answers differ",
    r"error shows (?P<told>.+)",
    r"returns more than (?P<rows>\d+) rows",
    r"exhausts",
    r"leaves (?P<file>[\w.]+)",
)


@dataclass(frozen=True)
class Answer:
    """What an asker gets to see: a verdict's word, rows, and whatever else is said; and whether the engine ran out of time or memory."""

    verdict: str
    rows: tuple[tuple[Any, ...], ...] = ()
    said: str = ""
    is_exhausted: bool = False

    def shows(self, value: str) -> bool:
        return any(_is_shown(value, cell) for row in self.rows for cell in row)

    @property
    def number(self) -> Decimal | None:
        """The last number of the first row."""
        numbers = [cell for cell in (self.rows[0] if self.rows else ()) if isinstance(cell, int | float | Decimal)]
        return Decimal(str(numbers[-1])) if numbers else None


@dataclass(frozen=True)
class Attack:
    """One attack: what it asks, in order; ``stopped_by`` says of each question which verdicts, any of them, it must get."""

    path: Path
    header: dict[str, str]
    questions: tuple[str, ...]
    stopped_by: tuple[frozenset[str], ...]

    @property
    def rho(self) -> Decimal | None:
        """The noise that the victim's owner asks for, if any."""
        return Decimal(self.header["rho"]) if "rho" in self.header else None

    @property
    def criterion(self) -> re.Match[str]:
        """When the attack has succeeded."""
        matches = [found for one in _CRITERIA if (found := re.fullmatch(one, self.header["succeeds"]))]
        assert len(matches) == 1, f"{self.path.name}: expected one of the criteria of README.md, got {self.header['succeeds']}"
        return matches[0]

    @property
    def is_against_noise(self) -> bool:
        """Whether the attack is on noise itself, so that the plain database must have some too."""
        return self.criterion.string == "answers differ"

    @property
    def other_world(self) -> tuple[str, str] | None:
        """How the second world differs, of an attack that tells two apart: (victim, "") is missing, or one fare is another."""
        found = self.criterion.groupdict()
        if found.get("absent"):
            return found["absent"], ""
        return (found["fare"], found["other"]) if found.get("fare") else None

    def succeeds(self, answers: Sequence[Answer], others: Sequence[Answer], folder: Path) -> bool:
        """Whether these answers tell the secret; ``others`` are those in the second world, and files would be left in ``folder``."""
        found = self.criterion.groupdict()
        match self.criterion.string.split(" ")[0]:
            case "shows":
                return any(one.shows(found["shown"]) for one in answers)
            case "adds":
                return _adds_up(answers, found["signs"].split(), Decimal(found["total"]))
            case "differs":
                return list(answers) != list(others)
            case "answers":
                return len(set(answers)) > 1
            case "error":
                return any(found["told"] in one.said for one in answers)
            case "returns":
                return any(len(one.rows) > int(found["rows"]) for one in answers)
            case "exhausts":
                return any(one.is_exhausted for one in answers)
            case _:
                return (folder / found["file"]).exists()


def attacks() -> list[Attack]:
    """Return every attack of the corpus, in the order of their paths."""
    return [read(path) for path in sorted(CORPUS.rglob("*.sql"))]


def read(path: Path) -> Attack:
    """Return the attack of a file; AssertionError says what is wrong with it."""
    lines = path.read_text(encoding="utf-8").split("\n")
    head = next((place for place, line in enumerate(lines) if not line.startswith("-- ")), len(lines))
    header = dict(line[3:].split(": ", 1) for line in lines[:head] if ": " in line)
    missing = [name for name in _REQUIRED if name not in header]
    unknown = [name for name in header if name not in (*_REQUIRED, *_OPTIONAL)]
    assert (missing, unknown, len(header)) == ([], [], head), f"{path.name}: missing {missing}, unknown {unknown}, or a key twice"
    questions = tuple(one.strip() for one in re.split(r"(?m)^-- then$", "\n".join(lines[head:])))
    verdicts = [frozenset(one.strip().split("|")) for one in header["stopped-by"].split(",")]
    verdicts = verdicts * len(questions) if len(verdicts) == 1 else verdicts
    assert len(verdicts) == len(questions), f"{path.name}: expected a verdict for each of {len(questions)} questions, got {len(verdicts)}"
    answered = all("answered" in one for one in verdicts)
    assert answered == ("protection" in header), f"{path.name}: expected a protection where every question is answered, and only there"
    attack = Attack(path, header, questions, tuple(verdicts))
    assert attack.criterion
    return attack


def _adds_up(answers: Sequence[Answer], signs: Sequence[str], total: Decimal) -> bool:
    terms = [(1 if sign.startswith("+") else -1, answers[int(sign[1:]) - 1].number) for sign in signs]
    if any(number is None for _, number in terms):
        return False
    found = sum((sign * number for sign, number in terms if number is not None), Decimal(0))
    return abs(found - total) <= abs(total) / 10_000


def _is_shown(value: str, cell: Any) -> bool:
    if isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        return value.replace(".", "", 1).isdigit() and abs(float(cell) - float(value)) <= 1e-6 * float(value)
    return value in str(cell)
