"""The filter that the kernel asks before every system call of a sealed method (seccomp, classic BPF), assembled here.

What is not named is answered as if the kernel had no such call; what is told stops the caller until its warden has judged.
Offsets and codes are those of ``linux/seccomp.h``, ``linux/bpf_common.h`` and ``linux/audit.h``.
"""

import struct
from collections.abc import Sequence
from errno import ENOSYS, ENOTTY, EPERM

from chengshu.cleanroom.cell.syscalls import ALLOWED, CONDITIONAL, TOLD, number

Instruction = tuple[int, int, int, int]

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_KILL, _ERRNO, _TELL, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_TERMINAL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what libraries ask any open file."""
_FCNTL = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC."""
_PRCTL = (3, 15, 16, 39, 0x53564D41)
"""PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_NO_NEW_PRIVS, PR_SET_VMA (names of mappings)."""


def assembled(machine: str, *, control: int) -> bytes:
    """Return the filter for a machine as the kernel reads it (``struct sock_filter``); only on the file ``control`` may a message be sent.

    Raises KeyError for a machine that there is none for.
    """
    return b"".join(struct.pack("=HBBI", *one) for one in _program(machine, control))


def _program(machine: str, control: int) -> list[Instruction]:
    code = [_load(_ARCHITECTURE), _equal(_AUDIT[machine], skip=1), _answer(_KILL), _load(_NUMBER)]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, _X32), _answer(_KILL)]  # calls of the x32 interface have numbers of their own
    for name in ALLOWED:
        code += _for(number(ALLOWED, name, machine), [_answer(_ALLOW)])
    conditions = {
        "mmap": _unless(3, _MAP_SHARED | _MAP_ANONYMOUS, otherwise=_TELL),
        "ioctl": _one_of(1, _TERMINAL, otherwise=_ERRNO | ENOTTY),
        "fcntl": _one_of(1, _FCNTL, otherwise=_ERRNO | EPERM),
        "prctl": _one_of(0, _PRCTL, otherwise=_ERRNO | EPERM),
        "prlimit64": _one_of(0, (0,), otherwise=_ERRNO | EPERM),
        "clone3": [_answer(_ERRNO | ENOSYS)],  # its arguments cannot be seen; the C library falls back to clone
    }
    for name, body in conditions.items():
        code += _for(number(CONDITIONAL, name, machine), body)
    for calls in TOLD.values():
        for name in calls:
            told = [_answer(_TELL)] if name != "sendmsg" else _one_of(0, (control,), otherwise=_TELL)
            code += _for(number(calls, name, machine), told)
    return [*code, _answer(_ERRNO | ENOSYS)]


def _for(place: int | None, body: list[Instruction]) -> list[Instruction]:
    return [] if place is None else [_equal(place, skip=0, otherwise=len(body)), *body]


def _one_of(argument: int, values: Sequence[int], *, otherwise: int) -> list[Instruction]:
    tests = [one for value in values for one in (_equal(value, skip=0, otherwise=1), _answer(_ALLOW))]
    return [_argument(argument), *tests, _answer(otherwise)]


def _unless(argument: int, bits: int, *, otherwise: int) -> list[Instruction]:
    return [_argument(argument), (_AND, 0, 0, bits), _equal(bits, skip=0, otherwise=1), _answer(otherwise), _answer(_ALLOW)]


def _argument(place: int) -> Instruction:
    """The lower half of an argument, in the byte order of both machines: the kernel reads no more of these."""
    return _load(_ARGUMENTS + 8 * place)


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _equal(value: int, *, skip: int, otherwise: int = 0) -> Instruction:
    return (_JUMP_EQUAL, skip, otherwise, value)


def _answer(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)
