"""What the cell asks of Linux that Python does not offer; each raises OSError where the kernel refuses."""

import ctypes
import fcntl
import os
import platform
import re
import struct
from dataclasses import dataclass
from functools import cache

from chengshu.cleanroom.cell.syscalls import MACHINES, OWN, number

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _SIGKILL = 1, 38, 9
_CAPABILITY_VERSION_3 = 0x20080522
_SET_MODE_FILTER, _GET_ACTION_AVAILABLE, _NEW_LISTENER, _USER_NOTIFICATION = 1, 2, 1 << 3, 0x7FC00000
_OLDEST = (5, 14)
"""The first Linux that hands in a file and answers the call in one step (SECCOMP_ADDFD_FLAG_SEND)."""
_RECEIVE, _SEND, _ADD_FILE = 0xC0502100, 0xC0182101, 0x40182103
_ADD_AND_SEND, _CONTINUE = 1 << 1, 1
_NOTIFICATION = "=QIIiIQ6Q"
_LANDLOCK_FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
_LANDLOCK_NETWORK, _LANDLOCK_SCOPES = 0x3, 0x3
NEW_USER, NEW_NETWORK, NEW_PROCESSES, NEW_MEMORY, NEW_NAMES = 0x10000000, 0x40000000, 0x20000000, 0x08000000, 0x04000000


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that stands still until it is answered."""

    id: int
    thread: int
    number: int
    arguments: tuple[int, ...]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def machine() -> str:
    """Return this machine's name if the cell knows its calls; raise OSError otherwise."""
    name = platform.machine()
    if name not in MACHINES or struct.calcsize("P") != 8:
        raise OSError(f"expected a machine of {', '.join(MACHINES)}, got another")
    return name


def end_with_parent() -> None:
    """Have this process killed when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def gain_nothing() -> None:
    """Give up every capability, and for good the gaining of new ones by running a program."""
    header = struct.pack("=II", _CAPABILITY_VERSION_3, 0)
    _checked(_libc().capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def unshare(spaces: int) -> None:
    """Leave the namespaces that ``spaces`` names for new ones."""
    _checked(_libc().unshare(ctypes.c_int(spaces)))


def landlock_version() -> int:
    """Return the version of Landlock that the kernel offers, 0 where it offers none."""
    try:
        return _system(_own("landlock_create_ruleset"), 0, 0, 1)
    except OSError:
        return 0


def lock_files(version: int) -> None:
    """Let this thread, and what it starts, open nothing any more, nor use TCP, nor reach other processes (``linux/landlock.h``)."""
    parts = [
        _LANDLOCK_FILES[min(version, 5)],
        *([_LANDLOCK_NETWORK] if version >= 4 else []),
        *([_LANDLOCK_SCOPES] if version >= 6 else []),
    ]
    attributes = struct.pack(f"={len(parts)}Q", *parts)
    rules = _system(_own("landlock_create_ruleset"), attributes, len(attributes), 0)
    try:
        _system(_own("landlock_restrict_self"), rules, 0)
    finally:
        os.close(rules)


def expect_filter(*, watched: bool) -> None:
    """Raise OSError unless this kernel has filters that tell a warden of calls, and the warden may read what it ``watched`` over."""
    if not watched:
        raise OSError("expected a warden that may read the process that it watches, got one that may not")
    release = tuple(int(one) for one in re.findall(r"\d+", platform.release())[:2])
    if release < _OLDEST:
        raise OSError(f"expected Linux {'.'.join(map(str, _OLDEST))} or later, got {platform.release()}")
    _system(_own("seccomp"), _GET_ACTION_AVAILABLE, 0, struct.pack("=I", _USER_NOTIFICATION))


def filter_calls(code: bytes) -> int:
    """Put this thread, and what it starts, under a filter; return the file on which the calls that are told arrive (seccomp(2))."""
    program = _Program(len(code) // 8, code)
    return _system(_own("seccomp"), _SET_MODE_FILTER, _NEW_LISTENER, ctypes.addressof(program))


def next_call(listener: int) -> Call:
    """Return the next call that is told; raise OSError when its caller is gone."""
    buffer = bytearray(struct.calcsize(_NOTIFICATION))
    fcntl.ioctl(listener, _RECEIVE, buffer)
    place, thread, _flags, nr, _architecture, _pointer, *arguments = struct.unpack(_NOTIFICATION, buffer)
    return Call(place, thread, nr, tuple(arguments))


def let_go_on(listener: int, call: Call) -> None:
    """Have the kernel do what was asked for."""
    fcntl.ioctl(listener, _SEND, bytearray(struct.pack("=QqiI", call.id, 0, 0, _CONTINUE)))


def deny(listener: int, call: Call, error: int) -> None:
    """Answer a call with an error number."""
    fcntl.ioctl(listener, _SEND, bytearray(struct.pack("=QqiI", call.id, 0, -error, 0)))


def hand_in(listener: int, call: Call, *, file: int, closing: bool) -> None:
    """Answer a call with an open file of this process's, which the caller gets as one of its own."""
    flags = os.O_CLOEXEC if closing else 0
    fcntl.ioctl(listener, _ADD_FILE, bytearray(struct.pack("=QIIII", call.id, _ADD_AND_SEND, file, 0, flags)))


def _own(name: str) -> int:
    found = number(OWN, name, machine())
    assert found is not None  # noqa: S101  # every machine has these
    return found


def _prctl(option: int, value: int) -> None:
    _checked(_libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def _system(place: int, *arguments: int | bytes) -> int:
    given = [ctypes.c_char_p(one) if isinstance(one, bytes) else ctypes.c_long(one) for one in arguments]
    return _checked(_libc().syscall(ctypes.c_long(place), *given))


def _checked(answer: int) -> int:
    if answer == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library
