"""What a warden makes of each call that is told: most end the method, a few pass, and files are opened by the warden itself.

The method gets a file that its warden has opened and judged by its real path, never leave to open a path: what stands at a path, or in
the method's memory, could change between the judgement and the kernel's own look (seccomp_unotify(2), "Caveats").
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chengshu.cleanroom.cell import linux
from chengshu.cleanroom.cell.reach import Reach
from chengshu.cleanroom.cell.syscalls import told_by_number

MOST_THREADS = 512
_LONGEST_PATH = 4096
_CWD = -100
_THREAD, _NEW_SPACES = 0x00010000, 0x7E020000
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_TMPFILE & ~os.O_DIRECTORY
_KEPT = os.O_DIRECTORY | os.O_NONBLOCK
_SURROUNDINGS = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Tried:
    """A method asked for what it may not have: by which rule, and in which call; never its arguments, which may hold data."""

    rule: str
    call: str


class Judge:
    """Answers the calls of one process on one listener."""

    def __init__(self, listener: int, *, process: int, memory: int, reach: Reach) -> None:
        self.listener = listener
        self._process = process
        self._memory = memory
        self._reach = reach
        self._told = told_by_number(linux.machine())
        self._own_number = _number_inside(process)
        self._verdicts: dict[str, Callable[[linux.Call], Tried | None]] = {
            "openat": lambda call: self._open(call, folder=_signed(call.arguments[0]), at=call.arguments[1], flags=call.arguments[2]),
            "open": lambda call: self._open(call, folder=_CWD, at=call.arguments[0], flags=call.arguments[1]),
            "clone": self._thread,
            "tgkill": self._signal,
            "kill": self._signal,
        }

    def answer(self) -> Tried | None:
        """Take the next call and answer it; return what was tried where that ends the method, which then is left standing in its call."""
        try:
            call = linux.next_call(self.listener)
        except OSError:
            return None  # who asked is gone
        rule, name = self._told[call.number]
        verdict = self._verdicts.get(name)
        try:
            tried = Tried(rule, name) if verdict is None else verdict(call)
        except OSError:
            return None  # as above, before the answer
        return tried

    def _open(self, call: linux.Call, *, folder: int, at: int, flags: int) -> Tried | None:
        path = self._path(call, folder, at)
        if path is None:
            linux.deny(self.listener, call, errno.EFAULT)
            return None
        if path != os.devnull and flags & _WRITES:
            return _tried_path(path, "openat")
        try:
            found = os.open(path, os.O_PATH | os.O_CLOEXEC | flags & (os.O_NOFOLLOW | os.O_DIRECTORY))
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EPERM}:
                return _tried_path(path, "openat")
            linux.deny(self.listener, call, error.errno or errno.EACCES)
            return None
        try:
            return self._hand(call, found, flags)
        finally:
            os.close(found)

    def _hand(self, call: linux.Call, found: int, flags: int) -> Tried | None:
        real, kind = str(Path(f"/proc/self/fd/{found}").readlink()), os.fstat(found).st_mode
        if not self._reach.allows(real, folder=stat.S_ISDIR(kind)) or not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISCHR(kind)):
            return _tried_path(real, "openat")
        access = os.O_ACCMODE & flags if real == os.devnull else os.O_RDONLY
        opened = os.open(f"/proc/self/fd/{found}", access | flags & _KEPT | os.O_CLOEXEC)
        try:
            linux.hand_in(self.listener, call, file=opened, closing=bool(flags & os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.EMFILE:  # the method's limit of open files, not the warden's
                linux.deny(self.listener, call, errno.EMFILE)
        finally:
            os.close(opened)
        return None

    def _path(self, call: linux.Call, folder: int, at: int) -> str | None:
        """Return the absolute path that a call names, None where its memory holds none; a method never leaves the folder ``/``."""
        try:
            raw = os.pread(self._memory, _LONGEST_PATH, at)
        except (OSError, OverflowError):
            return None
        text, end, _ = raw.partition(b"\0")
        if not end or not text:
            return None
        path = os.fsdecode(text)
        if path.startswith("/"):
            return path
        return f"/{path}" if folder == _CWD else f"{Path(f'/proc/{call.thread}/fd/{folder}').readlink()}/{path}"

    def _thread(self, call: linux.Call) -> Tried | None:
        flags = call.arguments[0]
        threads = sum(1 for _ in Path(f"/proc/{self._process}/task").iterdir())
        if not flags & _THREAD or flags & _NEW_SPACES or threads >= MOST_THREADS:
            return Tried("method-process", "clone")
        linux.let_go_on(self.listener, call)  # its flags are in the caller's registers, which nobody can change meanwhile
        return None

    def _signal(self, call: linux.Call) -> Tried | None:
        if _signed(call.arguments[0]) != self._own_number:
            return Tried("method-process", "kill")
        linux.let_go_on(self.listener, call)  # as above
        return None


def _tried_path(path: str, name: str) -> Tried:
    about = any(path == one or path.startswith(f"{one}/") for one in _SURROUNDINGS) and not path.startswith("/dev/shm/")  # noqa: S108  # judged, not used
    return Tried("method-environment" if about else "method-files", name)


def _signed(value: int) -> int:
    """The kernel reads these arguments as an int."""
    low = value & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def _number_inside(process: int) -> int:
    """The process's own number as it sees it: another than ours where it has a namespace of its own (proc(5), NSpid)."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return int(next(line for line in lines if line.startswith("NSpid:")).split()[-1])
