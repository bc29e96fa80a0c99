"""Nodes that witness one another over real sockets: every answer of the protocol, a quorum of two of three, dead witnesses, restarts."""

import base64
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from small_space import born, hang_up, kinds, served, until

from chengshu import config
from chengshu.cli import verbs, witnessing
from chengshu.cli.doctor import Complaint, examine
from chengshu.cli.witnessing import Named
from chengshu.evidence.checkpoint import parse_vkey, sign_checkpoint
from chengshu.evidence.storage.files import CHECKPOINT
from chengshu.evidence.storage.http import HttpTiles
from chengshu.evidence.verify import verify_log
from chengshu.evidence.witnessing.cosignature import parse_cosigner_key, signature_lines
from chengshu.evidence.witnessing.counted import count
from chengshu.evidence.witnessing.mirror import WITNESSED, mirror
from chengshu.identity.keys.file import FileKeys
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Tampered
from chengshu.node import KEYS, LOG, Node, open_node
from chengshu.testing import Space
from chengshu.witness.gossip import Agreement
from chengshu.witness.model import Submission


@dataclass(frozen=True)
class Street:
    """A log's node and three witnesses."""

    space: Space
    road: Node
    witnesses: tuple[Node, ...]

    @property
    def first(self) -> str:
        """The first witness's URL."""
        return str(witnessing.card(self.witnesses[0])["url"])


def name_witnesses(road: Node, *witnesses: Node, quorum: str, post_quantum: bool = False) -> Path:
    """Name the witnesses in the road's policy."""
    witnessing.init(road)
    cards = [witnessing.named_by(witnessing.card(one), post_quantum=post_quantum) for one in witnesses]
    return Path(str(witnessing.add(road, cards, quorum=quorum)["policy"]))


def grow(node: Node, entries: int = 1) -> None:
    with node.database.write() as tx:
        for number in range(entries):
            node.evidence.append(tx, "token.issued", f"t{number}", {"n": number})


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with Space(tmp_path) as space:
        road = space.add("road")
        witnesses = tuple(space.add(name, witness=True) for name in ("w1", "w2", "w3"))
        yield Street(space, road, witnesses)
    hang_up(*space.nodes.values())


# --- the protocol's answers


def post(url: str, body: bytes) -> httpx.Response:
    return httpx.post(url + "/add-checkpoint", content=body, trust_env=False, timeout=10)


def signed(node: Node, size: int, root: bytes, origin: str = "road/log") -> bytes:
    return sign_checkpoint(FileKeys(node.folder / KEYS).load(), origin=origin, size=size, root=root).note


def test_every_answer_of_the_protocol_comes_over_the_wire_as_it_says(street: Street) -> None:
    road, url = street.road, street.first
    first = road.evidence.publish()
    grow(road, 7)
    second = road.evidence.publish()
    path = road.evidence.consistency(first.size, second.size).path

    good = post(url, Submission(0, (), first.note).body)
    assert good.status_code == 200
    assert good.text.endswith("\n")
    names = [line.name for line in signature_lines(first.note + good.content)]
    assert names == ["road/log", "w1/witness", "w1/witness"]

    answers = {
        "unknown origin": post(url, Submission(0, (), signed(road, 1, bytes(32), "nobody/log")).body),
        "its own log": post(url, Submission(0, (), signed(street.witnesses[0], 1, bytes(32), "w1/log")).body),
        "another's signature": post(url, Submission(0, (), signed(street.witnesses[1], 1, bytes(32))).body),
        "no body": post(url, b""),
        "no old size": post(url, b"\n\n" + first.note),
        "a size with a zero in front": post(url, b"old 01\n\n" + first.note),
        "a proof from nothing": post(url, b"old 0\n" + base64.b64encode(bytes(32)) + b"\n\n" + first.note),
        "too long a proof": post(url, Submission(2, (bytes(32),) * 64, second.note).body),
        "an old size beyond the checkpoint": post(url, Submission(first.size + 1, (), first.note).body),
        "another size than the last": post(url, Submission(0, (), second.note).body),
        "another root at the last size": post(url, Submission(first.size, (), signed(road, first.size, bytes(32))).body),
        "no proof": post(url, Submission(first.size, (), second.note).body),
        "a false proof": post(url, Submission(first.size, (bytes(32),) * len(path), second.note).body),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "unknown origin": 404,
        "its own log": 404,
        "another's signature": 403,
        "no body": 400,
        "no old size": 400,
        "a size with a zero in front": 400,
        "a proof from nothing": 400,
        "too long a proof": 400,
        "an old size beyond the checkpoint": 400,
        "another size than the last": 409,
        "another root at the last size": 409,
        "no proof": 422,
        "a false proof": 422,
    }
    for name in ("another size than the last", "another root at the last size"):
        assert (answers[name].text, answers[name].headers["content-type"]) == (f"{first.size}\n", "text/x.tlog.size")
    assert post(url, Submission(first.size, path, second.note).body).status_code == 200
    assert post(url, Submission(second.size, (), second.note).body).status_code == 200
    assert post(url, Submission(first.size, path, second.note).body).text == f"{second.size}\n"
    held = httpx.get(f"{url}/checkpoints/road/log", trust_env=False)
    assert held.content.startswith(second.note)
    assert httpx.get(f"{url}/checkpoints/w2/log", trust_env=False).status_code == 404


def test_a_body_beyond_the_bound_is_malformed_and_a_node_that_is_no_witness_has_no_such_door(street: Street) -> None:
    assert post(street.first, b"old 0\n\n" + b"x" * 400_000).status_code == 400
    assert post(street.road.settings.serve.address + "/witness", b"").status_code == 404


def test_an_empty_log_is_cosigned_as_what_it_is(street: Street) -> None:
    assert post(street.first, Submission(0, (), signed(street.road, 0, INTERNATIONAL.hash(b""))).body).status_code == 200
    assert post(street.first, Submission(0, (), signed(street.road, 0, bytes(32))).body).status_code in {409, 422}


def test_a_witnesss_keys_are_its_own_and_its_owners_alone(street: Street) -> None:
    node = street.witnesses[0]
    ed25519, ml_dsa = (parse_cosigner_key(str(witnessing.card(node)[name])) for name in ("vkey", "ml_dsa_vkey"))
    assert ed25519.public_key != parse_vkey(node.evidence.vkey).public_key.raw
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (node.folder / KEYS).iterdir()}
    assert files == {"data.key": 0o600, "node.key": 0o600, "witness.key": 0o600, "witness-mldsa.key": 0o600}
    assert [str(key) for key in open_node(node.folder).witness.cosigner_keys()] == [str(ed25519), str(ml_dsa)]


# --- a quorum of two of three


def test_a_served_node_gathers_its_quorum_by_itself_and_nobodys_log_grows_for_it(street: Street) -> None:
    policy = name_witnesses(street.road, *street.witnesses, quorum="2")
    street.road.evidence.publish()
    until(lambda: street.road.cosignatures.status().verdict.met)
    until(lambda: not street.road.cosignatures.status().waited)
    sizes = {node.settings.node.handle: node.evidence.size() for node in (street.road, *street.witnesses)}
    folder = street.road.folder / LOG
    verdict = verify_log(folder, street.road.evidence.vkey)
    counted = count(folder, policy, checkpoint=verdict.checkpoint, vkey=verdict.vkey)
    assert counted.texts()[0].en == f"The checkpoint of size {sizes['road']} is cosigned by 3 of 3: w1, w2, w3; quorum met."
    assert (folder / CHECKPOINT).read_bytes() == street.road.evidence.publish().note
    grow(street.road, 3)
    street.road.evidence.publish()
    until(lambda: street.road.cosignatures.status().witnessed_size == sizes["road"] + 3)
    assert {node.settings.node.handle: node.evidence.size() for node in street.witnesses} == {
        name: size for name, size in sizes.items() if name != "road"
    }
    assert street.road.evidence.size() == sizes["road"] + 3


def test_nodes_that_witness_one_another_come_to_rest(street: Street) -> None:
    one, two, _ = street.witnesses
    for node, other in ((one, two), (two, one)):
        name_witnesses(node, other, quorum="all")
        node.evidence.publish()
    until(lambda: all(node.cosignatures.status().verdict.met for node in (one, two)))
    before = [node.evidence.size() for node in (one, two)]
    for node in (one, two):
        node.cosignatures.collect(node.trouble)
        node.evidence.publish()
    assert [node.evidence.size() for node in (one, two)] == before
    assert [node.cosignatures.status().verdict.met for node in (one, two)] == [True, True]


def test_one_dead_witness_delays_nobody_and_is_named(street: Street) -> None:
    with socket.socket() as mute:  # takes connections and never answers
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        name_witnesses(street.road, *street.witnesses[:2], quorum="2")
        dead = Named("mute", str(witnessing.card(street.witnesses[2])["vkey"]), f"http://127.0.0.1:{mute.getsockname()[1]}/witness")
        witnessing.add(street.road, [dead], quorum="2")
        street.road.evidence.publish()
        until(lambda: street.road.cosignatures.status().verdict.met)
        assert [one.witness.name for one in street.road.cosignatures.status().waited] == ["mute"]
        until(lambda: street.road.cosignatures.status().waited[0].why is not None)
        why = street.road.cosignatures.status().waited[0].why
    assert str(why).startswith("witness.unreachable: ")


def test_the_doctor_says_for_whom_the_newest_checkpoint_waits(street: Street) -> None:
    street.space.stop("w3")
    name_witnesses(street.road, *street.witnesses, quorum="all")
    street.road.evidence.publish()
    until(lambda: [one.witness.name for one in street.road.cosignatures.status().waited] == ["w3"])

    def witnesses() -> Complaint:
        return {one.about.en: one for one in examine(street.road.folder)}["witnesses"]

    until(lambda: "missing: w3." in witnesses().found.en)  # that one does not answer is an alert, so one entry more to cosign
    found = witnesses()
    assert found.bad
    assert "w3" in found.remedy.zh
    assert not {one.about.en: one for one in examine(street.witnesses[0].folder)}.get("witnesses")


def test_a_quorum_of_ml_dsa_cosignatures_is_met_over_the_wire(street: Street) -> None:
    policy = name_witnesses(street.road, *street.witnesses[:2], quorum="all", post_quantum=True)
    street.road.evidence.publish()
    until(lambda: street.road.cosignatures.status().verdict.met)
    status = street.road.cosignatures.status()
    assert [one.witness.key.kind.title for one in status.verdict.standings] == ["ML-DSA-44", "ML-DSA-44"]
    verdict = verify_log(street.road.folder / LOG, street.road.evidence.vkey)
    assert count(street.road.folder / LOG, policy, checkpoint=verdict.checkpoint, vkey=verdict.vkey).met


def test_logs_of_a_national_space_are_witnessed_and_mirrored_as_any_other(tmp_path: Path) -> None:
    with Space(tmp_path, cryptography="national") as space:
        road, witness = space.add("road"), space.add("w1", witness=True)
        policy = name_witnesses(road, witness, quorum="all")
        for entries in (0, 300):
            grow(road, entries)
            road.evidence.publish()
            until(lambda: road.cosignatures.status().verdict.met)
        until(lambda: road.cosignatures.status().witnessed_size == road.evidence.size())
        with HttpTiles(road.settings.serve.address + "/log") as remote:
            verdict = mirror(remote, tmp_path / "copy")
        assert count(tmp_path / "copy", policy, checkpoint=verdict.checkpoint, vkey=verdict.vkey).met
        (found,) = witness.gossip.compare("road/log")
        assert found.agreement is Agreement.ONE_HISTORY
        rewritten = signed(road, road.evidence.size(), bytes(32))
        assert post(str(witnessing.card(witness)["url"]), Submission(0, (), rewritten).body).status_code == 409
    assert kinds(witness, "road/log") == ["alert.raised"]
    hang_up(road, witness)


def test_a_witness_that_does_not_know_the_log_is_told_apart_from_a_dead_one(street: Street, tmp_path: Path) -> None:
    with Space(tmp_path / "elsewhere") as elsewhere:
        stranger = elsewhere.add("stranger", witness=True)
        name_witnesses(street.road, stranger, quorum="all")
        street.road.evidence.publish()
        until(lambda: street.road.cosignatures.status().waited[0].why is not None)
        assert str(street.road.cosignatures.status().waited[0].why).startswith("witness.unknown-here")
    hang_up(stranger)


# --- comparing, and a log's files over HTTP


def test_witnesses_compare_what_they_were_shown_over_the_wire(street: Street) -> None:
    road, (one, two, _) = street.road, street.witnesses
    true = road.evidence.publish()
    assert post(street.first, Submission(0, (), true.note).body).status_code == 200
    second = str(witnessing.card(two)["url"])
    assert post(second, Submission(0, (), true.note).body).status_code == 200
    (found,) = one.gossip.compare("road/log")
    assert found.agreement is Agreement.ONE_HISTORY
    assert {"this node", "W2", "the log itself"} <= {view.holder for view in found.views}
    third = str(witnessing.card(street.witnesses[2])["url"])
    assert post(third, Submission(0, (), signed(road, true.size, bytes(32))).body).status_code == 200
    for node in (one, road):
        with pytest.raises(Tampered) as caught:
            node.gossip.compare("road/log")
        assert caught.value.code == "evidence.split-view"
        assert kinds(node, "road/log").count("alert.raised") == 1
    complaint = {each.about.en: each for each in examine(one.folder)}["split view of road/log"]
    assert complaint.bad


def test_a_nodes_log_is_served_as_tiles_and_nothing_else_of_its_folder(street: Street) -> None:
    grow(street.road, 300)
    street.road.evidence.publish()
    prefix = street.road.settings.serve.address + "/log"
    full = httpx.get(prefix + "/tile/0/000", trust_env=False)
    partial = httpx.get(f"{prefix}/tile/0/001.p/{street.road.evidence.size() - 256}", trust_env=False)
    assert (full.status_code, len(full.content)) == (200, 256 * 32)
    assert "immutable" in full.headers["cache-control"]
    assert partial.status_code == 200
    assert "immutable" not in partial.headers["cache-control"]
    assert httpx.get(prefix + "/checkpoint", trust_env=False).content == street.road.evidence.checkpoint().note
    assert httpx.get(prefix + "/log.vkey", trust_env=False).text == street.road.evidence.vkey + "\n"
    for path in (
        "/",
        "/tile/0/0",
        "/tile/0/000.p/256",
        "/.publish.lock",
        "/%2e%2e/keys/node.key",
        "/..%2fkeys%2fnode.key",
        "/tile/%2e%2e/%2e%2e/chengshu.toml",
        "/tile/0/..%2f..%2f..%2fnode.db",
    ):
        assert httpx.get(prefix + path, trust_env=False).status_code in {404, 405}, path
    assert httpx.put(prefix + "/checkpoint", content=b"x", trust_env=False).status_code in {404, 405}


def test_a_log_is_mirrored_over_http_and_followed(street: Street, tmp_path: Path) -> None:
    policy = name_witnesses(street.road, *street.witnesses[:2], quorum="all")
    street.road.evidence.publish()
    until(lambda: street.road.cosignatures.status().verdict.met)
    for entries in (0, 300):
        grow(street.road, entries)
        size = street.road.evidence.publish().size
        until(lambda: street.road.cosignatures.status().verdict.met)
        with HttpTiles(street.road.settings.serve.address + "/log") as remote:
            assert mirror(remote, tmp_path / "copy").checkpoint.size == size
        assert (tmp_path / "copy" / WITNESSED).exists()
        verdict = verify_log(tmp_path / "copy", street.road.evidence.vkey)
        assert count(tmp_path / "copy", policy, checkpoint=verdict.checkpoint, vkey=verdict.vkey).met


# --- processes: commands, and a witness that is killed


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "chengshu", *words], capture_output=True, text=True, timeout=60, check=False)


def said(*words: str) -> Any:
    told = run(*words, "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    return json.loads(told.stdout)


def test_a_witness_that_is_killed_keeps_what_it_cosigned(tmp_path: Path) -> None:
    with ExitStack() as stack:
        road, witness = born(tmp_path / "road", "road"), born(tmp_path / "w1", "w1")
        config.enable_witness(witness.folder)
        verbs.add_peer(witness, verbs.describe(road))
        process = served(witness, stack)
        name_witnesses(road, witness, quorum="all")
        first = road.evidence.publish()
        assert road.cosignatures.collect(road.trouble).verdict.met
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        served(witness, stack)
        url = str(witnessing.card(witness)["url"])
        held = httpx.get(f"{url}/checkpoints/road/log", trust_env=False)
        assert held.content.startswith(first.note)
        rewritten = signed(road, first.size, bytes(32))
        assert post(url, Submission(0, (), rewritten).body).status_code == 409
        grow(road, 4)
        road.evidence.publish()
        assert road.cosignatures.collect(road.trouble).verdict.met
        hang_up(road, witness)


def test_the_commands_lead_from_two_nodes_to_a_checkpoint_that_counts(tmp_path: Path) -> None:
    with ExitStack() as stack:
        road, witness = born(tmp_path / "road", "road"), born(tmp_path / "w1", "w1")
        verbs.add_peer(witness, verbs.describe(road))
        verbs.add_peer(road, verbs.describe(witness))
        said("witness", "init", "--node", str(witness.folder))
        served(witness, stack)
        card = tmp_path / "w1.json"
        card.write_text(json.dumps(said("witness", "show", "--node", str(witness.folder))), encoding="utf-8")
        made = said("witness", "init", "--node", str(road.folder))
        assert run("witness", "add", str(card), "--quorum", "2", "--node", str(road.folder)).returncode == 1
        assert said("witness", "add", str(card), "--node", str(road.folder))["witnesses"] == ["w1"]
        assert run("witness", "add", str(card), "--node", str(road.folder)).returncode == 1
        said("evidence", "publish", "--node", str(road.folder))
        before = run("evidence", "verify", str(road.folder), "--policy", made["policy"], "--lang", "en")
        assert (before.returncode, "does not count yet" in before.stdout) == (1, True)
        assert said("witness", "collect", "--node", str(road.folder))["met"]
        status = said("witness", "status", "--node", str(road.folder))
        assert (status["met"], status["waits_for"], status["split_views"]) == (True, [], [])
        after = run("evidence", "verify", str(road.folder), "--policy", made["policy"], "--lang", "zh")
        assert (after.returncode, "已达法定数" in after.stdout) == (0, True)
        offline = [sys.executable, "-m", "chengshu.evidence", "verify", str(road.folder / LOG), "--policy", made["policy"], "--json"]
        told = json.loads(subprocess.run(offline, capture_output=True, text=True, check=True, timeout=60).stdout)
        assert (told["ok"], told["quorum"]["met"], told["key_source"]) == (True, True, "trusted")
        assert [row["what"] for row in said("witness", "list", "--node", str(witness.folder))] == ["log"]
        assert [row["what"] for row in said("witness", "list", "--node", str(road.folder))] == ["witness"]
        served(road, stack)
        rows = said("witness", "compare", "road/log", "--node", str(witness.folder))
        assert [(row["origin"], row["found"]) for row in rows] == [("road/log", "one-history")]
        url = road.settings.serve.address + "/log"
        fetched = said("evidence", "fetch", url, str(tmp_path / "copy"), "--policy", made["policy"])
        assert fetched["quorum"]["met"]
        assert run("evidence", "fetch", url + "/nothing", str(tmp_path / "other")).returncode == 1
        hang_up(road, witness)
