"""A method in a process of its own, so that its memory goes when it ends and a crash of it is not a crash of the node."""

import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu import plugins
from chengshu.kernel.errors import ChengshuError, Invalid
from chengshu.kernel.memory import give_back_early
from chengshu.kernel.text import Text

_SPAWN = multiprocessing.get_context("spawn")


class ProcessEngine:
    """Runs one sealed method at a time in a fresh process, stopped when it takes longer than ``timeout_s`` seconds."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def run(self, method: str, *, files: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, pa.Table]:
        """Return what ``method`` returns for the tables in ``files`` (Arrow files by product name, mapped and not copied).

        Raises Invalid with a code of its own when the method left by one of our errors, when it crashed, or when it took too
        long; no text of a foreign exception passes, for it could carry a data value.
        """
        ours, theirs = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_work, args=(theirs, method, dict(files), dict(parameters)), daemon=True)
        process.start()
        theirs.close()
        try:
            return self._outcome(ours)
        finally:
            ours.close()
            process.kill()
            process.join()

    def _outcome(self, ours: Connection) -> dict[str, pa.Table]:
        if not ours.poll(self._timeout_s):
            raise _stopped("method-timeout", f"expected the method to end within {self._timeout_s:g} s, got no result")
        try:
            kind, value = ours.recv()
        except EOFError as error:
            raise _stopped("method-crashed", "expected a result, got a process that ended without one") from error
        if kind == "tables":
            return dict(value)
        code, message = value
        raise _stopped(code, message)


def _work(out: Connection, method: str, files: dict[str, Path], parameters: dict[str, Any]) -> None:
    give_back_early()
    try:
        tables = {name: open_table(path) for name, path in files.items()}
        outcome = ("tables", dict(plugins.method(method).load()(tables, parameters)))
    except ChengshuError as error:
        outcome = ("error", (error.code, error.message))  # type: ignore[assignment]  # the other arm of the pair
    except Exception as error:  # noqa: BLE001  # a foreign exception's text may carry a data value: only its type passes
        outcome = ("error", ("method-failed", f"expected a result, got {type(error).__name__}"))  # type: ignore[assignment]  # as above
    out.send(outcome)
    out.close()


def open_table(path: Path) -> pa.Table:
    """Return the table in an Arrow file; its columns stay in the file and are read as they are used."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _stopped(code: str, message: str) -> Invalid:
    return Invalid(
        f"cleanroom.{code}" if "." not in code else code,
        message,
        hint=Text(
            "Look at the inputs' quality reports, then at the limits in chengshu.toml.",
            "请先查看输入数据的质量报告，再查看 chengshu.toml 中的限额。",
        ),
    )
