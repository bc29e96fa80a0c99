"""What happens in the process of a sealed method, from its birth to its result: it closes itself in before it imports anything foreign."""

import ctypes
import json
import mmap
import os
import resource
import socket
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from chengshu.cleanroom.cell import compiled, linux
from chengshu.cleanroom.cell.filtering import assembled
from chengshu.cleanroom.cell.order import Layer, Order, Sealing, framed

if TYPE_CHECKING:
    import pyarrow as pa

OPEN_FILES = 256
GO, GO_UNWATCHED = b"1", b"0"
"""What the warden says first: that it can watch, or that this kernel does not let it."""


def live(order: Order, *, control: socket.socket, into: int) -> NoReturn:
    """Run an order in this process, just made by a warden, and end it: what comes out goes into ``into``, the walls on ``control``."""
    try:
        _leave_behind({control.fileno(), into, *order.inputs.values()})
        if _close_in(order, control):
            write_all(into, _outcome(order))
    finally:
        os._exit(0)  # not by the usual way out, which would run what foreign code has left there to be run


def _leave_behind(kept: set[int]) -> None:
    """Keep no file but ``kept``, no folder and no terminal; what is printed goes nowhere."""
    linux.end_with_parent()
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    highest = max(kept | {nowhere})
    for file in set(range(3, highest + 1)) - kept:
        _close(file)
    os.closerange(highest + 1, os.sysconf("SC_OPEN_MAX"))


def _close_in(order: Order, control: socket.socket) -> bool:
    """Put up the walls, tell the warden which stand, and return whether the method may run behind them.

    All before the first foreign import: what an import starts, a thread for one, is behind the walls too.
    """
    compiled.read_only()
    ctypes.CFUNCTYPE(None)(_nothing)  # libffi looks at this process's memory once, for its first callback
    layers, listener, missing = [Layer.LIMITS], -1, ""
    _limit(order)
    try:
        linux.gain_nothing()
        layers.append(Layer.PRIVILEGES)
        linux.expect_filter(watched=control.recv(1) == GO)
        if version := linux.landlock_version():  # with a filter only: behind this wall files are handed in, or there are none
            linux.lock_files(version)
            layers.append(Layer.LANDLOCK)
        listener = linux.filter_calls(assembled(linux.machine(), control=control.fileno()))
        layers.append(Layer.FILTER)
    except OSError as error:
        missing = error.strerror or str(error)
    with control:
        said = json.dumps({"layers": layers, "missing": missing}).encode()
        socket.send_fds(control, [said], [] if listener < 0 else [listener])
    _close(listener)
    return not missing or order.sealing is Sealing.OFFERED


def _limit(order: Order) -> None:
    seconds = max(1, round(order.limits.cpu_s))
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_DATA: order.limits.memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    for name, value in limits.items():
        _, highest = resource.getrlimit(name)
        most = value if highest == resource.RLIM_INFINITY else min(value, highest)
        resource.setrlimit(name, (most, most))


def _outcome(order: Order) -> bytes:
    try:
        packed = _run(order)
    except MemoryError:
        return framed({"end": "memory"})
    except Exception as error:  # noqa: BLE001  # a foreign exception's text may carry a data value: a declared code passes, or a kind
        return framed({"end": "failed", "code": _declared(error, order)})
    sizes = [[name, len(data)] for name, data in packed.items()]
    return framed({"end": "tables", "sizes": sizes}, *packed.values())


def _run(order: Order) -> Mapping[str, bytes]:
    """Run the method and return its tables as streams."""
    from chengshu.cleanroom.streams import as_stream  # noqa: PLC0415  # brings Arrow, which starts threads: not before the walls are up
    from chengshu.kernel.memory import give_back_early  # noqa: PLC0415  # as above

    give_back_early()
    tables = {name: _mapped(file) for name, file in order.inputs.items()}
    module, _, function = order.run.partition(":")
    found: Mapping[str, pa.Table] = getattr(import_module(module), function)(tables, order.parameters)
    return {name: as_stream(table) for name, table in found.items()}


def _mapped(file: int) -> "pa.Table":
    """The table in an open Arrow file; its columns stay in the file and are read as they are used."""
    import pyarrow as pa  # noqa: PLC0415  # as above

    pages = mmap.mmap(file, 0, access=mmap.ACCESS_READ)  # kept open by the table
    _close(file)
    return pa.ipc.open_file(pa.py_buffer(pages)).read_all()


def _declared(error: Exception, order: Order) -> str:
    code = getattr(error, "code", None)
    return str(code) if code in order.codes else ""


def write_all(file: int, data: bytes) -> None:
    """Write all of ``data`` to an open file."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _close(file: int) -> None:
    with suppress(OSError):
        os.close(file)


def _nothing() -> None:
    """Be called back."""
