"""Nodes as processes of the operating system: started where they should not be, killed, orphaned, and on a full disk."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from small_space import PURPOSE, WAIT_S, contract_for, counts, hang_up, kinds, publish, until

from chengshu.catalog.odcs import document_of
from chengshu.cli import publishing, verbs
from chengshu.contract.model import Negotiation, State
from chengshu.evidence.verify import verify_log
from chengshu.kernel.database import Database
from chengshu.kernel.errors import Unavailable
from chengshu.node import LOG, Node, open_node

Started = subprocess.Popen[bytes]
NEGOTIATIONS = 10


def _born(folder: Path, handle: str) -> Node:
    """A new node, on a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    verbs.init(folder, verbs.Birth(handle, handle.title(), f"{handle} 节点", port=free))
    return open_node(folder)


def _serve(node: Node, stack: ExitStack) -> Started:
    """The node's own process, once it answers."""
    command = [sys.executable, "-m", "chengshu", "serve", "--node", str(node.folder), "--while-input-open"]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    stack.callback(process.kill)
    until(lambda: _answers(node) or process.poll() is not None)
    assert process.poll() is None
    return process


def _answers(node: Node) -> bool:
    try:
        return httpx.get(node.settings.serve.address + "/health", timeout=1, trust_env=False).json()["node"] == node.identity.did
    except httpx.HTTPError:
        return False


def _command(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "chengshu", *words], capture_output=True, text=True, timeout=600, check=False)


def _intact(node: Node) -> None:
    node.evidence.publish()
    verdict = verify_log(node.folder / LOG, node.evidence.vkey)
    assert verdict.checkpoint.size == node.evidence.size()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# --- a port that is taken


def test_a_port_in_use_ends_serving_with_its_code_and_what_to_do_in_both_languages(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        verbs.init(tmp_path / "node", verbs.Birth("road", "Road", "道路", port=port))
        english = _command("serve", "--node", str(tmp_path / "node"), "--lang", "en")
        chinese = _command("serve", "--node", str(tmp_path / "node"), "--lang", "zh", "--json")
    assert (english.returncode, english.stdout) == (1, "")
    assert f"error [serve.port-in-use]: expected port {port} on 127.0.0.1 to be free, got one in use" in english.stderr
    assert "[serve]" in english.stderr.partition("what to do: ")[2]
    assert chinese.returncode == 1
    error = json.loads(chinese.stdout)["error"]
    assert (error["kind"], error["code"]) == ("Unavailable", "serve.port-in-use")
    assert error["hint"].startswith("请停止占用该端口的程序")


# --- a process whose parent goes, and one that is killed


def test_a_node_that_serves_while_its_input_is_open_ends_with_it(tmp_path: Path, stack: ExitStack) -> None:
    node = _born(tmp_path / "node", "road")
    process = _serve(node, stack)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=WAIT_S) == 0
    assert not _answers(node)
    _intact(open_node(node.folder))


def test_an_interrupt_ends_a_serving_node_without_a_traceback(tmp_path: Path) -> None:
    node = _born(tmp_path / "node", "road")
    command = [sys.executable, "-m", "chengshu", "serve", "--node", str(node.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: _answers(node))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_S)
    assert "Traceback" not in errors
    assert not _answers(node)


def test_a_holder_killed_in_the_middle_of_negotiations_loses_none_of_them(tmp_path: Path, stack: ExitStack) -> None:
    holder, firm = _born(tmp_path / "holder", "holder"), _born(tmp_path / "firm", "firm")
    verbs.add_peer(holder, verbs.describe(firm))
    verbs.add_peer(firm, verbs.describe(holder))
    publish(holder, "counts", policy=publishing.offer_of(publishing.Terms(firm.identity.did, [PURPOSE])))
    dying = _serve(holder, stack)
    _serve(firm, stack)
    (offer, *_) = firm.peers.dataset(holder.identity.did, "counts")["hasPolicy"]
    asked = [firm.contracts.request(holder.identity.did, dataset="counts", offer=offer) for _ in range(NEGOTIATIONS)]
    until(lambda: len(holder.contracts.negotiations()) >= 2)
    os.kill(dying.pid, signal.SIGKILL)
    dying.wait()
    under_way = [one for one in asked if not firm.contracts.negotiation(one).state.final]
    assert under_way, "expected the holder to be killed before all was agreed"
    _serve(holder, stack)
    until(lambda: all(firm.contracts.negotiation(one).state.final for one in asked))
    until(lambda: all(one.state.final for one in holder.contracts.negotiations()))
    ours = {one.id: one for one in firm.contracts.negotiations()}
    assert sorted(ours) == sorted(asked)
    theirs = {one.peer_pid: one for one in holder.contracts.negotiations()}
    for one in ours.values():
        assert _concluded(one)
        if one.state is State.FINALIZED:
            assert theirs[one.id].state is State.FINALIZED
            assert theirs[one.id].agreement_id == one.agreement_id
    assert all(_concluded(one) for one in theirs.values())
    assert any(one.state is State.FINALIZED for one in ours.values())
    assert kinds(firm).count("agreement.signed") == sum(one.state is State.FINALIZED for one in ours.values())
    for node in (holder, firm):
        _intact(node)
    hang_up(holder, firm)


def _concluded(one: Negotiation) -> bool:
    return one.state is State.FINALIZED or (one.state is State.TERMINATED and one.reasons != ())


def test_a_holder_that_is_gone_is_waited_for_by_name(tmp_path: Path, stack: ExitStack) -> None:
    holder, firm = _born(tmp_path / "holder", "holder"), _born(tmp_path / "firm", "firm")
    verbs.add_peer(holder, verbs.describe(firm))
    verbs.add_peer(firm, verbs.describe(holder))
    publish(holder, "counts", policy=publishing.offer_of(publishing.Terms(firm.identity.did, [PURPOSE])))
    process = _serve(holder, stack)
    (offer, *_) = firm.peers.dataset(holder.identity.did, "counts")["hasPolicy"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    asked = firm.contracts.request(holder.identity.did, dataset="counts", offer=offer)
    assert firm.worker.run_due() == 1
    standing = verbs.negotiation(firm, asked)
    assert standing["state"] == "REQUESTED"
    assert holder.identity.did in str(standing["waits_for"]) or "Holder" in str(standing["waits_for"])
    with firm.database.read() as tx:
        (task,) = firm.tasks.waiting(tx)
    assert (task.attempts, str(task.last_error).partition(":")[0]) == (1, "peer.unreachable")
    hang_up(holder, firm)


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs rights that this user does not have; the database's own limit is tested beside this")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    file = folder / "ballast"
    with file.open("wb", buffering=0) as ballast:
        for size in (65_536, 4_096, 512):
            try:
                while ballast.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return file


@pytest.mark.on_sqlite("its disk is the one that is full; a server's is elsewhere")
def test_a_full_disk_is_said_to_be_one_and_nothing_is_half_done(small_disk: Path, tmp_path: Path) -> None:
    node = _born(small_disk / "node", "road")
    offer = publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE]))
    publish(node, "before", policy=offer)
    node.evidence.publish()
    source = shutil.copy(node.folder / "files" / "before.parquet", tmp_path / "after.parquet")
    document = document_of(contract_for("after", owner="road"))
    entries, ballast = node.evidence.size(), _fill(small_disk)
    with pytest.raises(Unavailable) as caught:
        node.catalog.publish(document, source=Path(source), policy=offer)
    assert caught.value.code == "database.unavailable"
    assert "disk" in caught.value.hint.en
    assert "磁盘" in caught.value.hint.zh
    ballast.unlink()
    assert [one.id for one in node.catalog.products()] == ["before"]
    assert node.evidence.size() == entries
    node.catalog.publish(document, source=Path(source), policy=offer)
    assert [one.id for one in node.catalog.products()] == ["before", "after"]
    _intact(node)


@pytest.mark.on_sqlite("its disk is the one that is full; a server's is elsewhere")
def test_a_command_on_a_full_disk_says_so_without_a_traceback(small_disk: Path) -> None:
    node = _born(small_disk / "node", "road")
    _fill(small_disk)
    told = _command("product", "list", "--node", str(node.folder), "--json")
    assert "Traceback" not in told.stderr
    assert told.returncode == 0 or json.loads(told.stdout)["error"]["kind"] == "Unavailable"  # SQLite cannot even read without room


@pytest.mark.on_sqlite("its disk is the one that is full; a server's is elsewhere")
def test_a_full_disk_stops_the_publication_of_the_log_and_damages_nothing(small_disk: Path) -> None:
    node = _born(small_disk / "node", "road")
    offer = publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE]))
    publish(node, "before", policy=offer)
    published = node.evidence.publish().size
    publish(node, "after", policy=offer, table=counts())
    ballast = _fill(small_disk)
    with pytest.raises(Unavailable):
        node.evidence.publish()
    verdict = verify_log(node.folder / LOG, node.evidence.vkey)
    assert verdict.checkpoint.size == published
    ballast.unlink()
    assert node.evidence.publish().size == node.evidence.size()
    _intact(node)


@pytest.mark.on_sqlite("the limit is a pragma of its own; a server bounds its databases elsewhere")
def test_a_database_that_can_hold_no_more_undoes_product_and_entry_together(tmp_path: Path) -> None:
    node = _born(tmp_path / "node", "road")
    offer = publishing.offer_of(publishing.Terms(node.identity.did, [PURPOSE]))
    limit = _page_limit(node.database)
    with pytest.raises(Unavailable) as caught:
        for number in range(200):
            publish(node, f"p{number:03d}", policy=offer)
    assert caught.value.code == "database.unavailable"
    held = len(node.catalog.products())
    assert 0 < held < 200
    assert kinds(node).count("product.published") == held
    limit(1 << 30)
    publish(node, "afterwards", policy=offer)
    assert kinds(node).count("product.published") == held + 1
    _intact(node)


def _page_limit(database: Database) -> Callable[[int], None]:
    """Let the database hold a few pages more than now, as a disk that is almost full does; return the way to set another limit."""

    def limit(pages: int) -> None:
        with database.write() as tx:
            tx.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    with database.read() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
    limit(pages + 6)
    return limit
