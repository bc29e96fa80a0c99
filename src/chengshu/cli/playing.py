"""Playing a pack from the command line: progress on the way, summary and report at the end, nothing left behind when interrupted."""

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from chengshu import __version__, plugins
from chengshu.cli.compiling import compile_methods, is_compiled, unpack
from chengshu.cli.output import Output
from chengshu.cli.stage import ProcessStage, claimed
from chengshu.kernel.clock import iso, system_clock
from chengshu.kernel.text import Language, Text
from chengshu.methods.projection import LocalFrame
from chengshu.scenario.model import Pack, find, load
from chengshu.scenario.play import Play, check_bindings, label_of
from chengshu.scenario.report import write_report
from chengshu.scenario.summary import summarise

MARK = ".chengshu-run"
REPORT = "report.html"
RESULT = "result.json"
STEPS = 10
COMPILING = Text("compiling the methods' hot loops, once", "正在一次性编译方法中的热点循环")


@dataclass(frozen=True, slots=True)
class Bindings:
    """A user's own files by product, and whether the rest of the sample is left out."""

    files: Mapping[str, Path]
    only_bound: bool


def play_pack(name: str, *, bindings: Bindings, folder: Path, output: Output) -> dict[str, Any]:
    """Play a pack, write its report, show the result to a program or its summary to a person, and return it.

    Raises Invalid for bindings that cannot be used, before anything is started or removed.
    """
    pack = load(find(plugins.pack_roots(), name))
    check_bindings(pack, bindings.files)
    if not is_compiled(pack):
        output.say(COMPILING)
        compile_methods(pack)
    with claimed(folder, mark=MARK):
        try:
            result = _played(pack, bindings=bindings, folder=folder, output=output)
        except KeyboardInterrupt:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    if output.as_json:
        output.show(result)
        return result
    for line in summarise(result, pack, output.language):
        output.console.print(line, markup=False)
    report, seconds = result["report"], result["run"]["seconds"]
    output.say(Text(f"Report: {report}   ({seconds} s)", f"报告：{report}   （{seconds} 秒）"))
    return result


def _played(pack: Pack, *, bindings: Bindings, folder: Path, output: Output) -> dict[str, Any]:
    started_at, began = system_clock(), time.monotonic()
    with ProcessStage(folder) as stage, _progress(output, steps=STEPS + len(pack.jobs)) as steps:
        play = Play(pack, stage=stage, unpack=partial(unpack, pack), progress=steps, folder=folder)
        bill = play.perform(bindings=bindings.files, only_bound=bindings.only_bound)
        steps.step(Text("Writing the report", "生成报告"))
    seconds = round(time.monotonic() - began, 1)
    label = asdict(label_of(pack, bill.products))
    result = {**asdict(bill), "run": {"seconds": seconds, "started_at": iso(started_at), "version": __version__, "label": label}}
    (folder / RESULT).write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    report = _report(pack, result, bindings=bindings, folder=folder, language=output.language)
    return {**result, "report": str(report)}


def sample_of(name: str, folder: Path) -> list[dict[str, Any]]:
    """Write the recorded sample as one file a product, and return what was written."""
    pack = load(find(plugins.pack_roots(), name))
    return [{"product": product, "file": str(file), "label": pack.label.en} for product, file in unpack(pack, folder).items()]


def _report(pack: Pack, result: Mapping[str, Any], *, bindings: Bindings, folder: Path, language: Language) -> Path:
    frame = LocalFrame(pack.map.proj, *pack.map.net_offset) if pack.map else None
    zones = _zones(pack, bindings)
    return write_report(
        result, pack=pack, lanes=_lanes(pack, bindings, folder), frame=frame, zones=zones, language=language, path=folder / REPORT
    )


def _lanes(pack: Pack, bindings: Bindings, folder: Path) -> pa.Table | None:
    if pack.map is None:
        return None
    file = bindings.files.get(pack.map.product, folder / "observed" / f"{pack.map.product}.parquet")
    return pq.read_table(file) if file.suffix == ".parquet" and file.is_file() else None


def _zones(pack: Pack, bindings: Bindings) -> Mapping[str, Any] | None:
    document = next((part.document for part in pack.products if part.id == pack.permit), None)
    file = bindings.files.get(pack.permit, document) if pack.permit else None
    if file is None or not file.is_file():
        return None
    zones: Mapping[str, Any] | None = json.loads(file.read_text(encoding="utf-8")).get("zones")
    return zones


class _Steps:
    """Names each step on a progress display, or nowhere when a program reads the output."""

    def __init__(self, bar: Progress | None, total: int, language: Language) -> None:
        self._bar = bar
        self._language = language
        self._task = bar.add_task("", total=total) if bar else None

    def step(self, text: Text) -> None:
        if self._bar is not None and self._task is not None:
            done = self._bar.tasks[self._task].completed
            self._bar.update(self._task, description=text.of(self._language), completed=done)
            self._bar.print(f"· {text.of(self._language)}") if not self._bar.console.is_terminal else None
            self._bar.advance(self._task)


@contextmanager
def _progress(output: Output, *, steps: int) -> Iterator[_Steps]:
    if output.as_json:
        yield _Steps(None, steps, output.language)
        return
    console = Console(file=sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=console.is_terminal) as bar:
        yield _Steps(bar, steps, output.language)
