"""The parts of the cell: its filter, as a kernel would run it on either machine; what may be read; what a lesser kernel leaves of it."""

import json
import platform
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chengshu.cleanroom.cell.filtering import assembled
from chengshu.cleanroom.cell.order import MethodLimits, Order, Sealing, framed, unframed
from chengshu.cleanroom.cell.reach import Reach
from chengshu.cleanroom.cell.syscalls import ALLOWED, CONDITIONAL, MACHINES, OWN, TOLD, told_by_number
from chengshu.cleanroom.cell.words import STOPPED, refusal
from chengshu.cleanroom.engines.process import _tables
from chengshu.kernel.errors import Invalid

KILL, ERRNO, TELL, ALLOW = "kill", "errno", "tell", "allow"
ACTIONS = {0x80000000: KILL, 0x00050000: ERRNO, 0x7FC00000: TELL, 0x7FFF0000: ALLOW}
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CONTROL = 5
LIMITS = MethodLimits(60.0, 1 << 30, 60.0)


def decided(machine: str, number: int, *arguments: int, architecture: int | None = None) -> str:
    """What the filter answers, by an interpreter of classic BPF that knows the instructions which the filter may use."""
    program = list(struct.iter_unpack("=HBBI", assembled(machine, control=CONTROL)))
    given = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=iIQ6Q", number, ARCHITECTURE[machine] if architecture is None else architecture, 0, *given)
    place = accumulator = 0
    while True:
        code, yes, no, value = program[place]
        place += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                place += yes if accumulator == value else no
            case 0x35:
                place += yes if accumulator >= value else no
            case 0x06:
                return ACTIONS[value & 0xFFFF0000]
            case _:
                raise AssertionError(f"expected an instruction of the filter, got {code:#x}")


def at(calls: Any, name: str, machine: str) -> int:
    number = calls[name][MACHINES.index(machine)]
    assert number is not None
    return int(number)


@pytest.mark.parametrize("machine", MACHINES)
def test_every_call_is_answered_as_its_list_says(machine: str) -> None:
    for name in ALLOWED:
        if ALLOWED[name][MACHINES.index(machine)] is not None:
            assert decided(machine, at(ALLOWED, name, machine)) == ALLOW, name
    for number, (_, name) in told_by_number(machine).items():
        if name != "mmap":
            assert decided(machine, number) == TELL, name
    for name in OWN:  # a cell is closed once
        assert decided(machine, at(OWN, name, machine)) == ERRNO, name


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_that_nobody_thought_of_does_not_exist(machine: str) -> None:
    assert {decided(machine, number) for number in (334 + 200, 1000, 0x3FFFFFFF)} == {ERRNO}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_by_another_machines_numbers_is_the_last(machine: str) -> None:
    assert decided(machine, at(ALLOWED, "read", machine), architecture=0x40000003) == KILL
    assert decided("x86_64", 0x40000000 | 41) == KILL


@pytest.mark.parametrize("machine", MACHINES)
def test_some_calls_pass_with_some_arguments_only(machine: str) -> None:
    cases = {
        "mmap": [((0, 4096, 3, 0x22), ALLOW), ((0, 4096, 3, 0x21), TELL), ((0, 4096, 3, 0x23), TELL), ((0, 4096, 1, 0x01), ALLOW)],
        "ioctl": [((3, 0x5401), ALLOW), ((3, 0x40086602), ERRNO), ((0, 0x5412), ERRNO)],
        "fcntl": [((3, 3), ALLOW), ((3, 8), ERRNO), ((3, 1031), ERRNO)],
        "prctl": [((15,), ALLOW), ((4,), ERRNO), ((22,), ERRNO)],
        "prlimit64": [((0,), ALLOW), ((1234,), ERRNO)],
        "clone3": [((0,), ERRNO)],
    }
    assert sorted(cases) == sorted(CONDITIONAL)
    for name, expected in cases.items():
        for arguments, answer in expected:
            assert decided(machine, at(CONDITIONAL, name, machine), *arguments) == answer, (name, arguments)
    sendmsg = at(TOLD["method-network"], "sendmsg", machine)
    assert (decided(machine, sendmsg, CONTROL), decided(machine, sendmsg, CONTROL + 1)) == (ALLOW, TELL)


def test_no_call_is_on_two_lists() -> None:
    names = [*ALLOWED, *CONDITIONAL, *OWN, *(name for calls in TOLD.values() for name in calls)]
    assert len(names) == len(set(names))
    for place in range(len(MACHINES)):
        numbers = [calls[name][place] for calls in (ALLOWED, CONDITIONAL, OWN, *TOLD.values()) for name in calls]
        there = [number for number in numbers if number is not None]
        assert len(there) == len(set(there))


def test_every_rule_that_is_told_has_words_without_an_argument() -> None:
    for rule in STOPPED:
        verdict = refusal(rule, call="openat", missing="", limits=LIMITS)
        assert (verdict.rule, verdict.would_pass.en != "", verdict.would_pass.zh != "") == (rule, True, True)


# --- what may be read


def test_outside_of_the_installation_only_code_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched, node = tmp_path / "searched", tmp_path / "searched" / "package" / "node"
    node.mkdir(parents=True)
    for name in ("package/__init__.py", "package/table.csv", "module.py", "chengshu.toml", "package/node/node.key"):
        (searched / name).touch()
    (searched / "data").mkdir()
    (searched / "data" / "rows.csv").touch()
    monkeypatch.syspath_prepend(str(searched))
    reach = Reach(hidden=str(node))
    files = ["package/__init__.py", "package/table.csv", "module.py", "chengshu.toml", "data/rows.csv", "package/node/node.key"]
    assert [reach.allows(str(searched / name), folder=False) for name in files] == [True, True, True, False, False, False]
    assert [reach.allows(str(searched / name), folder=True) for name in ("", "data", "data/more", "package/node")] == [
        True,
        True,
        False,
        False,
    ]
    assert reach.allows(struct.__file__, folder=False)
    assert not any(
        reach.allows(name, folder=False)
        for name in ("/etc/passwd", "/etc/shadow", "/proc/self/environ", str(Path.home() / ".ssh" / "id_rsa"))
    )


# --- what is said between the processes


def test_an_order_is_read_as_it_was_written() -> None:
    order = Order("module:function", {"k": [1, "x"]}, {"counts": 7}, ("a.b",), LIMITS, Sealing.OFFERED, "/node")
    assert Order.parse(order.as_bytes()) == order
    assert unframed(framed({"end": "tables"}, b"a\n", b"b")) == ({"end": "tables"}, memoryview(b"a\nb"))


@pytest.mark.parametrize("message", [b"", b"{}\n", b"[]\n", b'{"end": 1}\n', b'{"end": "tables"}', b"\x80\x04cos\nsystem\n(S'id'\ntR."])
def test_other_bytes_are_no_message(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        unframed(message)


@pytest.mark.parametrize("sizes", [[["done", 4]], [["done", -1]], [["done", "x"]], "none", [1], [["done", 1 << 62]]])
def test_bytes_that_are_no_tables_are_no_result(sizes: Any) -> None:
    with pytest.raises(Invalid) as caught:
        _tables(sizes, memoryview(b"\xff\xff\xff\xff\x00\x01\x00\x00"))
    assert caught.value.code == "cleanroom.method-crashed"


# --- a kernel that offers less

WITHOUT = """
import ctypes, errno, json, struct, sys
denied = json.loads(sys.argv[1])
code = [(0x20, 0, 0, 4), (0x15, 1, 0, ARCHITECTURE), (0x06, 0, 0, 0x7FFF0000), (0x20, 0, 0, 0)]
for number, error in denied:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error)]
code += [(0x06, 0, 0, 0x7FFF0000)]
text = b"".join(struct.pack("=HBBI", *one) for one in code)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(code), text)), 0, 0) == 0
from chengshu.cleanroom.cell.order import MethodLimits, Sealing
from chengshu.cleanroom.engines.process import ProcessEngine
engine = ProcessEngine(limits=MethodLimits(60.0, 1 << 30, 120.0), sealing=Sealing(sys.argv[2]), hidden=None)
layers, missing = engine.layers()
sys.path.insert(0, sys.argv[3])
found = {}
for attack in ("ipv4", "read_passwd", "change_mkdir", "program"):
    try:
        asked = {"attack": attack, "ipv4": ["127.0.0.1", 9], "new": sys.argv[4], "victim": sys.argv[4]}
        said = engine.run("hostile.attack", files={}, parameters=asked)
        found[attack] = said["done"].num_rows if isinstance(said, dict) else said.rule
    except Exception as error:
        found[attack] = getattr(error, "code", str(error))
print(json.dumps([sorted(layers), missing, found]))
"""
PLUG_IN = str(Path(__file__).parents[2] / "nodes" / "plug_in")
EVERY = ["filter", "landlock", "limits", "memory", "network", "privileges", "processes", "user"]
STOPPED_BY = {"ipv4": "method-network", "read_passwd": "method-files", "change_mkdir": "method-files", "program": "method-process"}


def _on_a_lesser_kernel(tmp_path: Path, denied: list[tuple[int, int]], sealing: Sealing) -> Any:
    """Run attacks on a kernel that answers some calls with an error, as a container's runtime or an old kernel does."""
    program = WITHOUT.replace("ARCHITECTURE", hex(ARCHITECTURE[platform.machine()]))
    words = [sys.executable, "-c", program, json.dumps(denied), sealing, PLUG_IN, str(tmp_path / "new")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def _call(name: str) -> int:
    return at(OWN, name, platform.machine())


def test_without_namespaces_as_in_a_container_of_root_the_seal_holds(tmp_path: Path) -> None:
    unshare = at(TOLD["method-process"], "unshare", platform.machine())
    layers, missing, found = _on_a_lesser_kernel(tmp_path, [(unshare, 1)], Sealing.REQUIRED)
    assert (layers, missing, found) == (["filter", "landlock", "limits", "privileges"], "", STOPPED_BY)


def test_without_landlock_the_seal_holds(tmp_path: Path) -> None:
    layers, missing, found = _on_a_lesser_kernel(tmp_path, [(_call("landlock_create_ruleset"), 38)], Sealing.REQUIRED)
    assert (layers, missing, found) == ([one for one in EVERY if one != "landlock"], "", STOPPED_BY)


def test_without_a_filter_a_method_is_refused_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    denied = [(_call("seccomp"), 38)]
    layers, missing, found = _on_a_lesser_kernel(tmp_path, denied, Sealing.REQUIRED)
    assert (layers, missing) == ([one for one in EVERY if one not in {"filter", "landlock"}], "Function not implemented")
    assert found == dict.fromkeys(STOPPED_BY, "method-seal")
    _, _, found = _on_a_lesser_kernel(tmp_path, denied, Sealing.OFFERED)
    assert found["read_passwd"] == 1, "expected the attack to succeed where nothing seals the method, so that these tests can fail"
