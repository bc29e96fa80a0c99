"""Compiling a pack's methods ahead: in the room they run where nothing can be written, so what they compile there is not kept."""

import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chengshu import plugins
from chengshu.cleanroom.cell.compiled import PLACE
from chengshu.cleanroom.engines.process import open_table
from chengshu.kernel.memory import give_back_early
from chengshu.scenario.model import Pack, SourcePart
from chengshu.scenario.play import write_sample


def compile_methods(pack: Pack) -> list[dict[str, Any]]:
    """Run every method of a pack once on its public sample, in a process of its own that may write, so that its compiled code is kept."""
    compiled = []
    with TemporaryDirectory() as folder:
        files = unpack(pack, Path(folder)) | {part.id: part.document for part in pack.products if part.document}
        for job in pack.jobs:
            began = time.monotonic()
            inputs = {product: _as_arrow(files[product], Path(folder) / f"{product}.arrow") for product in job.products}
            with _another_process() as pool:
                pool.submit(_run, job.method, inputs, dict(job.parameters)).result()
            compiled.append({"method": job.method, "seconds": round(time.monotonic() - began, 1)})
    return compiled


def is_compiled(pack: Pack) -> bool:
    """Return whether compiled code has been kept since the pack's methods, with the packages that they are in, were last changed."""
    places = {place for job in pack.jobs for place in _places(plugins.method(job.method).run)}
    hot = [file for place in places for file in place.rglob("*.py") if "numba" in file.read_text(encoding="utf-8")]
    chosen = os.environ.get(PLACE)
    kept = [file for place in ([Path(chosen)] if chosen else places) for file in place.rglob("*.nbi")]
    return _newest(kept) >= _newest(hot)


def unpack(pack: Pack, folder: Path) -> dict[str, Path]:
    """Write a pack's sample into ``folder`` from a process of its own, whose memory goes when it is done."""
    with _another_process() as pool:
        return pool.submit(_unpack, pack.source, folder).result()


def _another_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))


def _unpack(source: SourcePart, folder: Path) -> dict[str, Path]:
    give_back_early()
    return write_sample(source.recording, source.parameters, observe=plugins.source(source.method), folder=folder)


def _run(method: str, files: Mapping[str, Path], parameters: Mapping[str, Any]) -> None:
    give_back_early()
    plugins.method(method).load()({name: open_table(path) for name, path in files.items()}, parameters)


def _as_arrow(file: Path, into: Path) -> Path:
    document = pa.table({"document": [file.read_text(encoding="utf-8")]}) if file.suffix == ".json" else None
    table = pq.read_table(file) if document is None else document
    with pa.ipc.new_file(into, table.schema) as writer:
        writer.write_table(table)
    return into


def _places(run: str) -> Iterator[Path]:
    """The folder of the package that a method's function is in, without the outermost one where there is one further in."""
    package = ".".join(run.partition(":")[0].split(".")[:2])
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent


def _newest(files: Iterable[Path]) -> float:
    return max((file.stat().st_mtime for file in files), default=0.0)
