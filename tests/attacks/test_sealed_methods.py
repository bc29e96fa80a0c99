"""A method in its cell gets at nothing but its inputs, and each try ends it; outside of a cell every one of these attacks succeeds.

References: seccomp_unotify(2), "Caveats" (a path exchanged between judgement and use); landlock(7); CWE-200, CWE-214, CWE-265, CWE-367,
CWE-400, CWE-502.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_settlement import plugged_in

from chengshu.cleanroom.cell.order import MethodLimits, Sealing
from chengshu.cleanroom.engines.process import ProcessEngine
from chengshu.kernel.errors import Invalid
from chengshu.kernel.refusal import Refused

WORD, ROW = "shibboleth-7331", "vehicle-2903"
TIME_S, CPU_S, MEMORY = 120.0, 60.0, 1 << 30
PLUG_IN = str(Path(__file__).parents[1] / "nodes" / "plug_in")
CONTROL = (
    "import json, sys; sys.path.insert(0, sys.argv[2]); import hostile_methods; "
    "hostile_methods.attack({}, json.loads(sys.argv[1])); print('succeeded')"
)
NETWORK, FILES, SURROUNDINGS, PROCESS = "method-network", "method-files", "method-environment", "method-process"
RULES = {
    **dict.fromkeys(("ipv4", "ipv6", "unix", "datagram", "listen", "pair", "raw_socket", "resolve"), NETWORK),
    **dict.fromkeys(("read", "read_key", "read_link", "read_passwd", "read_by_arrow", "read_by_mapping", "read_relative"), FILES),
    **dict.fromkeys(("read_from_code", "raw_open", "exchanged", "write", "write_code", "shared_by_file"), FILES),
    **dict.fromkeys((f"change_{one}" for one in ("mkdir", "unlink", "rename", "link", "symlink", "chmod", "truncate")), FILES),
    **dict.fromkeys((f"change_{one}" for one in ("utime", "mkfifo", "chdir")), FILES),
    **dict.fromkeys(("environment_of_self", "environment_of_parent"), SURROUNDINGS),
    **dict.fromkeys(("look_at_memory", "look_at_network", "look_at_files"), SURROUNDINGS),
    **dict.fromkeys(("program", "execute", "forks", "raw_fork", "threads", "trace", "peek", "signal", "own_group", "unshare"), PROCESS),
    **dict.fromkeys(("shared_by_mapping", "shared_by_memory_file", "shared_by_segment", "bomb"), "method-memory"),
    **dict.fromkeys(("spin", "sleep"), "method-time"),
}
FRUITLESS = ("environment", "files_left_open", "stay_hidden", "lift_limits")
"""These meet an empty place or an error, as in a process that has nothing: there is nothing to refuse, and nothing is got."""
LIMITS = {"spin": MethodLimits(3.0, MEMORY, TIME_S), "sleep": MethodLimits(CPU_S, MEMORY, 8.0)}


@dataclass
class Place:
    """What is worth having on this machine, and the inputs of a method."""

    folder: Path
    parameters: dict[str, Any]
    inputs: dict[str, Path]

    def run(self, method: str, parameters: Mapping[str, Any], *, limits: MethodLimits | None = None) -> dict[str, pa.Table] | Refused:
        engine = ProcessEngine(limits=limits or MethodLimits(CPU_S, MEMORY, TIME_S), sealing=Sealing.REQUIRED, hidden=self.folder / "node")
        return engine.run(method, files=self.inputs, parameters=parameters)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("CHENGSHU_TEST_SECRET", WORD)
    (tmp_path / "node" / "keys").mkdir(parents=True)
    secret, key, link = tmp_path / "secret.txt", tmp_path / "node" / "keys" / "node.key", tmp_path / "link.py"
    for file in (secret, key, tmp_path / "victim"):
        file.write_text(WORD, encoding="utf-8")
    link.symlink_to(secret)
    rows = pa.table({"vehicle": [ROW]})
    with pa.ipc.new_file(str(tmp_path / "counts.arrow"), rows.schema) as writer:
        writer.write_table(rows)
    with ExitStack() as stack, plugged_in():
        lines = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))]
        lines.append(stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(f"{tmp_path}/line")
        unix.listen()
        parent = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(parent.kill)
        parameters = {
            "ipv4": lines[0].getsockname(),
            "ipv6": lines[1].getsockname()[:2],
            "unix": f"{tmp_path}/line",
            "parent": parent.pid,
            "secret": str(secret),
            "key": str(key),
            "link": str(link),
            "victim": f"{tmp_path}/victim",
            "new": f"{tmp_path}/new",
            "word": WORD,
            "forks": 3,
            "threads": 600,
            "bytes": MEMORY,
            "busy_s": 0.1,
            "idle_s": 0.1,
        }
        yield Place(tmp_path, parameters, {"counts": tmp_path / "counts.arrow"})


def _control(place: Place, attack: str) -> str:
    with (place.folder / "secret.txt").open("rb") as left_open:
        ran = subprocess.run(
            [sys.executable, "-c", CONTROL, json.dumps(place.parameters | {"attack": attack}), PLUG_IN],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            pass_fds=[left_open.fileno()],
            start_new_session=True,
        )
    return ran.stdout.strip() if attack != "execute" or ran.returncode else "succeeded"


def test_every_attack_has_an_expectation(place: Place) -> None:
    import hostile_methods  # type: ignore[import-not-found]  # installed for the time of the test  # noqa: PLC0415

    assert sorted([*RULES, *FRUITLESS]) == sorted(hostile_methods.ATTACKS)


@pytest.mark.parametrize("attack", [*RULES, *FRUITLESS])
def test_outside_of_a_cell_the_attack_succeeds(place: Place, attack: str) -> None:
    assert _control(place, attack) == "succeeded"


@pytest.mark.parametrize(("attack", "rule"), RULES.items(), ids=RULES)
def test_in_a_cell_the_attack_ends_the_method_by_its_rule(place: Place, attack: str, rule: str) -> None:
    asked = place.parameters | {"attack": attack, "busy_s": 600.0, "idle_s": 600.0}
    verdict = place.run("hostile.attack", asked, limits=LIMITS.get(attack))
    assert isinstance(verdict, Refused)
    assert verdict.rule == rule
    assert WORD not in str(verdict)
    assert str(place.folder) not in str(verdict)
    assert (place.folder / "victim").read_text(encoding="utf-8") == WORD
    assert not (place.folder / "new").exists()


@pytest.mark.parametrize("attack", FRUITLESS)
def test_in_a_cell_the_attack_finds_nothing(place: Place, attack: str) -> None:
    with (place.folder / "secret.txt").open("rb") as left_open:
        os.set_inheritable(left_open.fileno(), True)
        with pytest.raises(Invalid) as caught:
            place.run("hostile.attack", place.parameters | {"attack": attack})
    assert caught.value.code == "cleanroom.method-failed"
    assert WORD not in caught.value.message


def test_a_module_that_reaches_out_when_it_is_imported_is_stopped_too(place: Place) -> None:
    verdict = place.run("hostile.at_import", {})
    assert isinstance(verdict, Refused)
    assert verdict.rule == NETWORK
    alone = f"import sys; sys.path.insert(0, {PLUG_IN!r}); import hostile_at_import"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", alone], check=False, timeout=300).returncode == 0


def test_what_a_method_prints_goes_nowhere(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    alone = (
        f"import sys; sys.path.insert(0, {PLUG_IN!r}); import hostile_methods, pyarrow; "
        f"hostile_methods.shout({{'counts': pyarrow.table({{'vehicle': [{ROW!r}]}})}}, {{}})"
    )
    ran = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=False, timeout=300)
    assert (ROW in ran.stdout, ROW in ran.stderr) == (True, True)
    with pytest.raises(Invalid) as caught:  # its rows went where its result should have gone, and are no result
        place.run("hostile.shout", {})
    assert caught.value.code == "cleanroom.method-crashed"
    assert ROW not in "".join([*capfd.readouterr(), caught.value.message, str(caught.value.facts)])


def test_no_word_of_a_methods_error_passes(place: Place) -> None:
    with pytest.raises(Invalid) as caught:
        place.run("hostile.leave", {})
    assert (caught.value.code, caught.value.message) == ("cleanroom.method-failed", "expected a result, got an error")


def test_an_honest_method_imports_what_it_needs_when_it_needs_it(place: Place) -> None:
    tables = place.run("hostile.late", {})
    assert isinstance(tables, dict)
    assert tables["done"].num_rows == 1


def test_the_environment_holds_nothing_of_the_nodes_but_how_many_threads_to_start(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tables = place.run("hostile.surroundings", {})
    assert isinstance(tables, dict)
    kept = {name for name in os.environ if re.fullmatch(r"\w+_NUM_THREADS|NUMBA_CACHE_DIR|LD_LIBRARY_PATH", name)}
    found = {row["name"]: row["folder"] for row in tables["done"].to_pylist()}
    assert kept <= set(found) <= {"HOME", "LC_CTYPE", "OPENSSL_CONF", *kept}
    assert set(found.values()) == {"/"}


def test_nothing_of_a_stopped_method_is_left_running(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(place.folder))
    place.run("hostile.attack", place.parameters | {"attack": "sleep", "idle_s": 600.0}, limits=LIMITS["sleep"])
    assert _processes(place) == set()


def test_a_method_ends_with_the_node_that_started_it(place: Place) -> None:
    program = (
        f"import sys; sys.path[:0] = [{PLUG_IN!r}, {str(place.folder)!r}]; from pathlib import Path; "
        "from chengshu.cleanroom.engines.process import ProcessEngine; "
        "from chengshu.cleanroom.cell.order import MethodLimits, Sealing; "
        "ProcessEngine(limits=MethodLimits(600.0, 1 << 30, 600.0), sealing=Sealing.REQUIRED, hidden=None)"
        f".run('hostile.attack', files={{'counts': Path({str(place.inputs['counts'])!r})}}, "
        "parameters={'attack': 'sleep', 'idle_s': 600.0})"
    )
    node = subprocess.Popen([sys.executable, "-c", program])
    _until(lambda: len(_processes(place)) == 2)
    node.kill()
    node.wait()
    _until(lambda: _processes(place) == set())


def _processes(place: Place) -> set[int]:
    """The warden and the method of a search path that has the place's folder in it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if b"cell.warden import main" in words and str(place.folder).encode() in words:
            found.add(int(process.name))
    return found


def _until(holds: Callable[[], bool]) -> None:
    last = time.monotonic() + 120.0
    while not holds():
        assert time.monotonic() < last, "expected it to come about while waiting"
        time.sleep(0.1)
