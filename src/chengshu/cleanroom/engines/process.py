"""A method in a cell of its own: a process that has nothing but its inputs, watched over by another one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu import plugins
from chengshu.cleanroom.cell.order import Layer, MethodLimits, Order, Sealing, unframed
from chengshu.cleanroom.cell.words import refusal
from chengshu.cleanroom.streams import from_stream
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text

GRACE_S = 15.0
"""So much longer than the method a warden may take, to start it and to tell of its end."""
_KEPT = ("LD_LIBRARY_PATH", "MKL_NUM_THREADS", "NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What of the node's environment a cell is given: how many threads libraries start, and where machine code lies."""
_SET = {"HOME": "/", "OPENSSL_CONF": os.devnull}
"""So that libraries look for no settings of a person's, nor of the machine's."""
_START = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from chengshu.cleanroom.cell.warden import main; main()"
_PROBE = "chengshu.cleanroom.cell.probe:run"


class ProcessEngine:
    """Runs sealed methods, each in a fresh process without network, files, environment or other processes, within limits.

    Nothing is read below ``hidden``, the node's own folder. Where the kernel does not offer what the seal needs, methods are refused,
    unless ``sealing`` says that what is offered will do.
    """

    def __init__(self, *, limits: MethodLimits, sealing: Sealing, hidden: Path | None) -> None:
        self._limits = limits
        self._sealing = sealing
        self._hidden = "" if hidden is None else str(hidden)

    def run(self, method: str, *, files: Mapping[str, Path], parameters: Mapping[str, Any]) -> dict[str, pa.Table] | Refused:
        """Return what ``method`` returns for the tables in ``files`` (Arrow files by product name, mapped and not copied), or its refusal.

        Raises Invalid with a code of its own when the method left by an error or crashed. No text that the method wrote passes, for
        it could carry a data value: of its errors only the codes that it declares.
        """
        declared = plugins.method(method)
        codes = tuple(sorted(declared.codes))
        with _opened(files) as inputs:
            header, rest = _kept(Order(declared.run, parameters, inputs, codes, self._limits, self._sealing, self._hidden))
        match header:
            case {"end": "tables", "sizes": sizes}:
                return _tables(sizes, rest)
            case {"end": "refused", "rule": rule, "call": call}:
                return refusal(rule, call=call, missing=header.get("missing", ""), limits=self._limits)
            case {"end": "failed", "code": code}:
                raise _failed(f"an error ({code})" if code else "an error")
        raise _crashed()

    def layers(self) -> tuple[frozenset[Layer], str]:
        """Return the walls that stand round a method on this machine, and what the seal lacks, nothing where it is whole."""
        header, _ = _kept(Order(_PROBE, {}, {}, (), self._limits, Sealing.REQUIRED, ""))
        return frozenset(Layer(one) for one in header.get("layers", ())), str(header.get("missing", ""))


def open_table(path: Path) -> pa.Table:
    """Return the table in an Arrow file; its columns stay in the file and are read as they are used."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _kept(order: Order) -> tuple[dict[str, Any], memoryview]:
    """Have a warden see to an order, and return what it says."""
    path = json.dumps([one for one in sys.path if Path(one).is_absolute()])
    with subprocess.Popen(  # noqa: S603  # this interpreter
        [sys.executable, "-I", "-B", "-c", _START, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_SET | {name: os.environ[name] for name in _KEPT if name in os.environ},
        pass_fds=tuple(order.inputs.values()),
        start_new_session=True,
    ) as warden:
        try:
            told, _ = warden.communicate(order.as_bytes(), timeout=order.limits.time_s + GRACE_S)
            return unframed(told)
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise _crashed() from error
        finally:
            warden.kill()


@contextmanager
def _opened(files: Mapping[str, Path]) -> Iterator[dict[str, int]]:
    inputs: dict[str, int] = {}
    try:
        for name, path in files.items():
            inputs[name] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        yield inputs
    finally:
        for file in inputs.values():
            os.close(file)


def _tables(sizes: Any, rest: memoryview) -> dict[str, pa.Table]:
    """Return the tables of a result, each looked through to its last value: whoever wrote these bytes may have meant them to harm."""
    tables: dict[str, pa.Table] = {}
    try:
        for name, size in sizes:
            part, rest = rest[:size], rest[size:]
            tables[str(name)] = from_stream(part)
            tables[str(name)].validate(full=True)
    except (pa.ArrowException, ValueError, TypeError, OSError) as error:
        raise _crashed() from error
    return tables


def _failed(got: str) -> Invalid:
    return Invalid("cleanroom.method-failed", f"expected a result, got {got}", hint=_HINT)


def _crashed() -> Invalid:
    return Invalid("cleanroom.method-crashed", "expected a result, got a process that ended without one", hint=_HINT)


_HINT = Text(
    "Look at the inputs' quality reports, then at the limits in chengshu.toml.",
    "请先查看输入数据的质量报告，再查看 chengshu.toml 中的限额。",
)
