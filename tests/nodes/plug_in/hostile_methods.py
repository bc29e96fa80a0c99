"""Methods that try to leave their cell. Each returns a table only where it got what it was after, and raises where it did not."""

import contextlib
import ctypes
import mmap
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import pyarrow as pa

from chengshu.methods.sealed import OutputTable, SealedMethod, Tables

Parameters = Mapping[str, Any]
Attack = Callable[[Parameters], object]
NUMBERS = {  # x86-64, AArch64: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
    "socket": (41, 198),
    "openat": (257, 56),
    "ptrace": (101, 117),
    "shmget": (29, 194),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "unshare": (272, 97),
    "process_vm_readv": (310, 270),
    "clone3": (435, 435),
}


class FailedError(Exception):
    """The attack did not get what it was after."""


def _raw(name: str, *arguments: Any) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    place = NUMBERS[name][platform.machine() == "aarch64"]
    answer = int(libc.syscall(ctypes.c_long(place), *arguments))
    if answer < 0:
        raise FailedError(name)
    return answer


def connect(family: socket.AddressFamily, key: str, parameters: Parameters) -> object:
    library = sys.modules["socket"]
    address = parameters[key]
    with library.socket(family, socket.SOCK_STREAM) as line:
        line.connect(address if isinstance(address, str) else tuple(address))
        return line.send(b"row")


def datagram(parameters: Parameters) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        return line.sendto(b"row", tuple(parameters["ipv4"]))


def listen(_parameters: Parameters) -> object:
    return socket.create_server(("127.0.0.1", 0)).close() is None


def pair(_parameters: Parameters) -> object:
    return [line.close() for line in socket.socketpair()]


def resolve(_parameters: Parameters) -> object:
    return socket.getaddrinfo("localhost", 80)


def raw_socket(_parameters: Parameters) -> object:
    return os.close(_raw("socket", 2, 1, 0)) is None


def read(key: str, parameters: Parameters) -> object:
    return Path(parameters[key]).read_bytes()


def read_by_arrow(parameters: Parameters) -> object:
    with pa.OSFile(parameters["secret"]) as file:
        return file.read()


def read_by_mapping(parameters: Parameters) -> object:
    with pa.memory_map(parameters["secret"]) as file:
        return file.read()


def read_relative(parameters: Parameters) -> object:
    return os.close(os.open(os.path.relpath(parameters["secret"], Path.cwd()), os.O_RDONLY)) is None


def read_from_code(parameters: Parameters) -> object:
    here = os.open(Path(__file__).parent, os.O_RDONLY | os.O_DIRECTORY)
    return os.open(os.path.relpath(parameters["secret"], Path(__file__).parent.resolve()), os.O_RDONLY, dir_fd=here)


def raw_open(parameters: Parameters) -> object:
    return _raw("openat", -100, ctypes.c_char_p(parameters["secret"].encode()), 0, 0)


def exchanged(parameters: Parameters) -> object:
    """Change a path while the judge looks at it."""
    good, bad = os.__file__.encode(), parameters["secret"].encode()
    path, secret = ctypes.create_string_buffer(good, 4096), Path(parameters["secret"]).stat()
    until = time.monotonic() + 20.0

    def change() -> None:
        while time.monotonic() < until:
            path.value = bad
            path.value = good

    threading.Thread(target=change, daemon=True).start()
    while time.monotonic() < until:
        with contextlib.suppress(FailedError):
            file = _raw("openat", -100, path, 0, 0)
            found = os.fstat(file)
            os.close(file)
            if found.st_ino == secret.st_ino:
                return True
    raise FailedError("exchanged")


def write(parameters: Parameters) -> object:
    return Path(parameters["new"]).write_bytes(b"rows")


def write_code(_parameters: Parameters) -> object:
    with Path(__file__).open("a") as file:
        return file.write("") == 0


def change(name: str, parameters: Parameters) -> object:
    victim, new = parameters["victim"], parameters["new"]
    deeds: dict[str, Callable[[], object]] = {
        "mkdir": partial(os.mkdir, new),
        "unlink": partial(os.unlink, victim),
        "rename": partial(os.rename, victim, new),
        "link": partial(os.link, victim, new),
        "symlink": partial(os.symlink, victim, new),
        "chmod": partial(os.chmod, victim, 0o600),
        "truncate": partial(os.truncate, victim, 0),
        "utime": partial(os.utime, victim),
        "mkfifo": partial(os.mkfifo, new),
        "chdir": partial(os.chdir, Path(victim).parent),
    }
    return deeds[name]() is None


def environment(parameters: Parameters) -> object:
    if os.environ.get("CHENGSHU_TEST_SECRET") != parameters["word"]:
        raise FailedError("environment")
    return True


def environment_of(whose: str, parameters: Parameters) -> object:
    return b"CHENGSHU_TEST_SECRET" in Path(f"/proc/{parameters.get(whose, whose)}/environ").read_bytes() or _fail()


def look(path: str, _parameters: Parameters) -> object:
    return Path(path).read_bytes()


def program(_parameters: Parameters) -> object:
    return subprocess.run(["/bin/true"], check=True)


def execute(_parameters: Parameters) -> object:
    os.execv("/bin/true", ["/bin/true"])  # noqa: S606  # the attack


def forks(parameters: Parameters) -> object:
    for _ in range(parameters["forks"]):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    return True


def threads(parameters: Parameters) -> object:
    threading.stack_size(64 * 1024)
    enough = threading.Event()
    started = [threading.Thread(target=enough.wait, daemon=True) for _ in range(parameters["threads"])]
    for one in started:
        one.start()
    enough.set()
    return True


def trace(parameters: Parameters) -> object:
    _raw("ptrace", 16, parameters["parent"], 0, 0)
    os.waitpid(parameters["parent"], 0)
    return _raw("ptrace", 17, parameters["parent"], 0, 0) == 0


def peek(parameters: Parameters) -> object:
    """Read another process's memory; of nothing, which any process that may is allowed."""
    return _raw("process_vm_readv", parameters["parent"], None, 0, None, 0, 0) == 0


def send_signal(parameters: Parameters) -> object:
    return os.kill(parameters["parent"], 0) is None


def own_group(_parameters: Parameters) -> object:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    return os.killpg(0, signal.SIGUSR1) is None


def raw_thread_or_process(_parameters: Parameters) -> object:
    child = int(ctypes.CDLL(None).fork())
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)


def kernel(name: str, *arguments: int) -> Attack:
    def attack(_parameters: Parameters) -> object:
        return _raw(name, *arguments) >= 0

    return attack


def files_left_open(parameters: Parameters) -> object:
    for file in range(3, 4096):
        with contextlib.suppress(OSError):
            if parameters["word"].encode() in os.pread(file, 4096, 0):
                return True
    raise FailedError("files_left_open")


def shared_by_file(_parameters: Parameters) -> object:
    shared = shared_memory.SharedMemory(create=True, size=4096)
    shared.close()
    shared.unlink()
    return True


def shared_by_mapping(_parameters: Parameters) -> object:
    with mmap.mmap(-1, 4096) as pages:
        return pages.write(b"row")


def shared_by_memory_file(_parameters: Parameters) -> object:
    return os.close(os.memfd_create("rows")) is None


def bomb(parameters: Parameters) -> object:
    return len(bytearray(parameters["bytes"]))


def spin(parameters: Parameters) -> object:
    while time.process_time() < parameters["busy_s"]:
        pass
    return True


def sleep(parameters: Parameters) -> object:
    time.sleep(parameters["idle_s"])
    return True


def stay_hidden(_parameters: Parameters) -> object:
    """PR_SET_DUMPABLE: what no debugger may read, no warden could."""
    return ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0 or _fail()


def lift_limits(_parameters: Parameters) -> object:
    import resource  # noqa: PLC0415  # late, as an attack may be

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY:
        return True
    resource.setrlimit(resource.RLIMIT_DATA, (soft * 2, hard * 2))
    return True


def _fail() -> object:
    raise FailedError


ATTACKS: dict[str, Attack] = {
    "ipv4": partial(connect, socket.AF_INET, "ipv4"),
    "ipv6": partial(connect, socket.AF_INET6, "ipv6"),
    "unix": partial(connect, socket.AF_UNIX, "unix"),
    "datagram": datagram,
    "listen": listen,
    "pair": pair,
    "resolve": resolve,
    "raw_socket": raw_socket,
    "read": partial(read, "secret"),
    "read_key": partial(read, "key"),
    "read_link": partial(read, "link"),
    "read_passwd": partial(look, "/etc/passwd"),
    "read_by_arrow": read_by_arrow,
    "read_by_mapping": read_by_mapping,
    "read_relative": read_relative,
    "read_from_code": read_from_code,
    "raw_open": raw_open,
    "exchanged": exchanged,
    "write": write,
    "write_code": write_code,
    **{f"change_{name}": partial(change, name) for name in ("mkdir", "unlink", "rename", "link", "symlink", "chmod", "truncate")},
    **{f"change_{name}": partial(change, name) for name in ("utime", "mkfifo", "chdir")},
    "environment": environment,
    "environment_of_self": partial(environment_of, "self"),
    "environment_of_parent": partial(environment_of, "parent"),
    "look_at_memory": partial(look, "/proc/self/maps"),
    "look_at_network": partial(look, "/proc/net/tcp"),
    "look_at_files": partial(look, "/proc/self/mountinfo"),
    "program": program,
    "execute": execute,
    "forks": forks,
    "raw_fork": raw_thread_or_process,
    "threads": threads,
    "trace": trace,
    "peek": peek,
    "signal": send_signal,
    "own_group": own_group,
    "unshare": kernel("unshare", 0x04000000),
    "files_left_open": files_left_open,
    "shared_by_file": shared_by_file,
    "shared_by_mapping": shared_by_mapping,
    "shared_by_memory_file": shared_by_memory_file,
    "shared_by_segment": kernel("shmget", 0, 4096, 0o1600),
    "bomb": bomb,
    "spin": spin,
    "sleep": sleep,
    "stay_hidden": stay_hidden,
    "lift_limits": lift_limits,
}
DONE = OutputTable(columns={"done": "boolean", "n": "integer"}, most_rows=1)


def attack(_tables: Tables, parameters: Parameters) -> Tables:
    """Do what the parameters name; return a table only where it worked."""
    if not ATTACKS[parameters["attack"]](parameters):
        raise FailedError(parameters["attack"])
    return {"done": pa.table({"done": [True], "n": [100]})}


def shout(tables: Tables, _parameters: Parameters) -> Tables:
    """Write rows wherever something can be written."""
    rows = str(tables["counts"].to_pylist())
    print(rows)  # noqa: T201  # the attack
    print(rows, file=sys.stderr)  # noqa: T201  # as above
    for file in range(256):
        with contextlib.suppress(OSError):
            os.write(file, rows.encode())
    return {"done": pa.table({"done": [True], "n": [100]})}


class _TalkativeError(Exception):
    code = ""
    message = ""


def leave(tables: Tables, _parameters: Parameters) -> Tables:
    """Leave by an error whose every word is a row."""
    error = _TalkativeError(str(tables["counts"].to_pylist()))
    error.code = error.message = str(tables["counts"].to_pylist())
    raise error


def name_a_table(tables: Tables, _parameters: Parameters) -> Tables:
    """Return a table whose name is a row."""
    return {str(tables["counts"].to_pylist()): pa.table({"n": [1]})}


def late(_tables: Tables, _parameters: Parameters) -> Tables:
    """Import a library late, which any method may."""
    import colorsys  # noqa: PLC0415  # late
    import xml.dom.minidom  # noqa: PLC0415  # as above

    assert (xml.dom.minidom.Document.nodeType, colorsys.ONE_THIRD) == (9, 1 / 3)
    with Path(os.devnull).open("w") as nowhere:
        nowhere.write("nothing")
    threading.Thread(target=time.sleep, args=(0,)).start()
    return {"done": pa.table({"done": [True], "n": [len(os.environ)]})}


def surroundings(_tables: Tables, _parameters: Parameters) -> Tables:
    """Tell what the environment holds, by name."""
    names = sorted(os.environ)
    return {"done": pa.table({"name": names, "folder": [str(Path.cwd())] * len(names)})}


def _method(function: str) -> SealedMethod:
    return SealedMethod(f"hostile_methods:{function}", frozenset({"counts"}), frozenset(), {"done": DONE})


ATTACK, SHOUT, LEAVE, NAME, LATE, SURROUNDINGS = map(_method, ("attack", "shout", "leave", "name_a_table", "late", "surroundings"))
AT_IMPORT = SealedMethod("hostile_at_import:run", frozenset({"counts"}), frozenset(), {"done": DONE})
