"""How a verb's result reaches a person or a program."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text as Shown

from chengshu.kernel.errors import ChengshuError
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Language, Text

REFUSED_EXIT = 3
FAILED_EXIT = 1
_UNBOUNDED = 1_000_000
YES, NO = Text("yes", "是"), Text("no", "否")
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}
"""A name or a message that came from outside steers no terminal."""


_NO_HEADINGS: Mapping[str, Text] = {}


def terminal_language(environment: Mapping[str, str] = os.environ) -> Language:
    """Return the terminal's language: Chinese where LC_ALL, LC_MESSAGES or LANG (the first that is set) says so, English elsewhere."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = environment.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


class Verdict(Protocol):
    """What a check found, in words and for a program, and whether it holds."""

    @property
    def holds(self) -> bool:
        """Whether the check passed."""
        ...

    def words(self, language: Language) -> Sequence[str]:
        """Return the findings as sentences."""
        ...

    def as_dict(self, language: Language) -> Mapping[str, Any]:
        """Return the findings JSON-ready."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """Where results go, in which language, and whether a program reads them."""

    language: Language
    as_json: bool

    @property
    def console(self) -> Console:
        """A console on standard output."""
        return Console(file=sys.stdout, highlight=False, emoji=False, soft_wrap=True)

    def say(self, text: Text) -> None:
        """Print a sentence, unless a program reads the output."""
        if not self.as_json:
            self.console.print(text.of(self.language), markup=False)

    def show(self, value: Any, *, title: Text | None = None, headings: Mapping[str, Text] = _NO_HEADINGS) -> None:
        """Print JSON-ready values: as JSON for a program, as a table or a list of fields for a person, under ``headings`` by key.

        What is shown is plain text: nothing in it is taken for markup. A table that is too wide for its longest words, such as
        parties' ids, is shown as one list of fields a row, so that every word can be copied whole.
        """
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")
            return
        if title is not None:
            self.console.print(title.of(self.language), style="bold", markup=False)
        match value:
            case [Mapping(), *_]:
                self._table([{_heading(key, headings, self.language): one for key, one in row.items()} for row in value])
            case []:
                self.console.print("—")
            case Mapping():
                self._fields(value)
            case _:
                self.console.print(self._plain(value), markup=False)

    def tell(self, found: Verdict) -> int:
        """Print what a check found, and return the exit code: 0 where it holds, 1 otherwise."""
        if self.as_json:
            self.show(found.as_dict(self.language))
        else:
            for sentence in found.words(self.language):
                self.console.print(_tame(sentence), markup=False)
        return 0 if found.holds else FAILED_EXIT

    def refuse(self, refusal: Refused) -> int:
        """Print a refusal with its rule and what would pass; return the exit code for it."""
        if self.as_json:
            sys.stdout.write(json.dumps({"refused": refusal.as_dict(self.language)}, ensure_ascii=False, indent=2) + "\n")
        else:
            word, passes = ("拒绝", "可行做法") if self.language == "zh" else ("refused", "what would pass")
            console = Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=True)
            console.print(_tame(f"{word} [{refusal.rule}]: {refusal.message}"), markup=False)
            console.print(_tame(f"{passes}: {refusal.would_pass.of(self.language)}"), markup=False)
        return REFUSED_EXIT

    def fail(self, error: ChengshuError) -> int:
        """Print an error with its code and what to do; return the exit code for it."""
        if self.as_json:
            sys.stdout.write(json.dumps({"error": error.as_dict(self.language)}, ensure_ascii=False, indent=2) + "\n")
        else:
            word, hint = ("错误", "处理办法") if self.language == "zh" else ("error", "what to do")
            console = Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=True)
            console.print(_tame(f"{word} [{error.code}]: {error.message}"), markup=False)
            console.print(_tame(f"{hint}: {error.hint.of(self.language)}"), markup=False)
        return FAILED_EXIT

    def _table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        table = Table(show_edge=False, pad_edge=False)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        for column in columns:
            table.add_column(Shown(_tame(column)), overflow="fold")
        for row in rows:
            table.add_row(*(Shown(self._plain(row.get(column))) for column in columns))
        console = self.console
        if Measurement.get(console, console.options.update_width(_UNBOUNDED), table).minimum <= console.width:
            console.print(table)
            return
        for place, row in enumerate(rows):
            if place:
                console.print()
            self._fields(row)

    def _fields(self, fields: Mapping[str, Any]) -> None:
        for key, value in fields.items():
            self.console.print(f"{_tame(key)}: {self._plain(value)}", markup=False)

    def _plain(self, value: Any) -> str:
        match value:
            case None | []:
                return "—"
            case bool():
                return (YES if value else NO).of(self.language)
            case str() | int():
                return _tame(str(value))
            case float():
                return f"{value:g}"
            case [*words] if all(isinstance(word, str) for word in words):
                return _tame(", ".join(words))
            case _:
                return _tame(json.dumps(value, ensure_ascii=False))


@contextmanager
def counting(output: Output, what: Text) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error while the block runs; what it gives is told how many are done, and how many there are."""
    with _bar(output, BarColumn(), MofNCompleteColumn()) as bar:
        task = bar.add_task(what.of(output.language), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def waiting(output: Output, what: Text) -> Iterator[Callable[[Text], None]]:
    """Show on standard error that work goes on, and for how long, while the block runs; what it gives is told what goes on now."""
    with _bar(output, BarColumn()) as bar:
        task = bar.add_task(what.of(output.language), total=None)
        yield lambda now: bar.update(task, description=_tame(now.of(output.language)))


def _bar(output: Output, *columns: BarColumn | MofNCompleteColumn) -> Progress:
    console = Console(file=sys.stderr, highlight=False, emoji=False)
    return Progress(
        TextColumn("{task.description}"), *columns, TimeElapsedColumn(), console=console, transient=True, disable=output.as_json
    )


def _heading(key: str, headings: Mapping[str, Text], language: Language) -> str:
    return headings[key].of(language) if key in headings else key


def _tame(text: str) -> str:
    return text.translate(_CONTROLS)
