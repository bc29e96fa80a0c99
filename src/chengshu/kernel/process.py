"""Names for processes, by which another process can tell whether one still lives."""

import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def own_name() -> str:
    """Return a name that no other process has or had: host, boot, number and moment of start (``proc(5)``)."""
    return f"{socket.gethostname()} {_boot()} {os.getpid()} {_started(os.getpid())}"


def has_ended(name: str) -> bool:
    """Say whether a process surely lives no more; one on another host is not known to have ended."""
    parts = name.split(" ")
    if len(parts) != 4 or parts[0] != socket.gethostname():
        return False
    return parts[1] != _boot() or parts[3] != _started(int(parts[2]))


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(number: int) -> str:
    """Clock ticks from boot to the start of a process; empty where there is none of that number."""
    try:
        line = (_PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return line.rpartition(")")[2].split()[19]
