"""Every verb of the command line only reads or leaves an entry in the log of the node that it is about; so does every kind of act."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import anvil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from small_settlement import plugged_in
from small_space import hang_up, kinds, pull, signed_job, until, wire
from typer.testing import CliRunner

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import verbs
from chengshu.cli.main import app
from chengshu.cli.negotiating import negotiations
from chengshu.evidence.model import KINDS
from chengshu.kernel.canonical import Digests
from chengshu.kernel.clock import from_iso, system_clock
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.errors import Denied
from chengshu.kernel.secret_files import put_secret
from chengshu.live.model import Act
from chengshu.node import Node, open_node
from chengshu.policy.model import (
    Basis,
    Deed,
    DutyAction,
    Environment,
    Form,
    Methods,
    OutputForm,
    Pay,
    Policy,
    Purpose,
    Recipient,
    TimeWindow,
)
from chengshu.policy.odrl import content as policy_content
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # a command leaves closing its connections to its process's end
ROOT = Path(__file__).parents[1]
PERMIT = ROOT / "data" / "permits" / "changan_chongqing.json"
MEAN = "SELECT COUNT(*) AS n, AVG(speed) AS speed FROM road.counts"

READS = {
    # a contract of its own on a chain, for nobody's log yet, and where it is in the node's settings; its use is an entry
    *(("anchor", word) for word in ("deploy", "list", "verify")),
    *(("agreement", word) for word in ("list", "show")),
    *(("budget", word) for word in ("list", "show")),
    *(("catalog", word) for word in ("federated", "show")),
    *(("contract", word) for word in ("list", "negotiations", "show")),
    # these read the log, or write files about it (publishing: its own files); what is in it is in it already
    *(("evidence", word) for word in ("export", "fetch", "fsck", "list", "publish", "receipt", "reconcile", "verifier", "verify")),
    ("duty", "list"), ("event", "list"), ("policy", "explain"), ("policy", "try"),
    *(("job", word) for word in ("list", "show")),
    # the client token is a file of the operator's own, as a key is; what is asked with it is an entry
    *(("node", word) for word in ("show", "token", "wait")),
    *(("pack", word) for word in ("check", "compile", "list", "sample")),
    # sending a receipt again only puts the task back; the receipt is an entry since it was issued, and so is what comes of the sending
    *(("receipt", word) for word in ("list", "send", "show")),
    *(("statement", word) for word in ("list", "verify")),
    *(("transfer", word) for word in ("list", "show")),
    # whose cosignatures are asked for stands in a policy file that its operator may as well edit; cosignatures stand beside checkpoints
    *(("witness", word) for word in ("add", "collect", "compare", "init", "list", "show", "status")),
    ("doctor",), ("peer", "list"), ("permit", "show"), ("product", "list"), ("source", "check"), ("source", "infer"),
}  # fmt: skip
"""No acts of the node; a new command is in none of these sets, and fails until somebody has thought about it."""
PLAYS = {("demo",), ("pack", "run"), ("serve",)}
"""These do what others do: nodes are made, served, and told the verbs below."""


def digest(text: str) -> str:
    return Digests(INTERNATIONAL).of(text)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that has none below itself."""
    below = getattr(command, "commands", None)
    if below is None:
        yield path
        return
    for name, one in below.items():
        yield from commands(one, (*path, name))


def always() -> bool:
    return True


@dataclass
class Walk:
    """A served space on which one act after another is done, and what each left in whose log."""

    folder: Path
    space: Space
    left: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def nodes(self) -> dict[str, Node]:
        return self.space.nodes

    def act(self, name: str, do: Callable[[], object], *, settled: Callable[[], bool] = always) -> None:
        """Do something, wait until it has settled, and keep what it left behind in every log."""
        before = {handle: len(kinds(node)) for handle, node in self.nodes.items()}
        do()
        until(settled)
        self.left[name] = {handle: kinds(node)[before[handle] :] for handle, node in self.nodes.items()}

    def command(self, *words: object, on: str, code: int = 0, settled: Callable[[], bool] = always) -> dict[str, Any]:
        """Run a command on one of the nodes, for a program; keep what it left under the command's name."""
        result: dict[str, Any] = {}

        def do() -> None:
            ran = CliRunner().invoke(app, [*map(str, words), "--node", str(self.nodes[on].folder), "--json"])
            assert (ran.exit_code, ran.exception is None or isinstance(ran.exception, SystemExit)) == (code, True), ran.output
            value = json.loads(ran.stdout)
            result.update(value if isinstance(value, dict) else {"rows": value})

        length = 1 if words[0] == "query" else 3 if words[1] == "move" else 2
        self.act(" ".join(map(str, words[:length])) + ("" if code == 0 else " refused"), do, settled=settled)
        return result

    def has(self, kind: str, *handles: str, times: int = 1) -> Callable[[], bool]:
        """A question whether so many entries of a kind are in each of these nodes' logs by now."""
        return lambda: all(kinds(self.nodes[handle]).count(kind) >= times for handle in handles)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("acts")
    with plugged_in(), Space(folder) as space:
        for handle in ("road", "firm", "room"):
            space.add(handle, clean_room=handle == "room")
        walk = Walk(folder, space)
        _walk(walk)
        yield walk
        hang_up(*space.nodes.values())


def _walk(walk: Walk) -> None:
    road = walk.nodes["road"]
    _make_another(walk)
    rows = [{"vehicle": f"v{one:02d}", "speed": 10.0 + one} for one in range(40)]
    for name in ("counts", "other"):
        pq.write_table(pa.Table.from_pylist(rows), walk.folder / f"{name}.parquet")
        walk.command("product", "publish", walk.folder / f"{name}.parquet", "--purpose", "study", "--to", "firm", "--uses", 5, on="road")
    walk.command("product", "grade", "counts", "important", "--reason", "positions of vehicles", on="road")
    agreed = walk.command("contract", "request", "road", "counts", on="firm", settled=walk.has("negotiation.finalized", "road", "firm"))
    assert agreed["state"] == "FINALIZED", agreed
    walk.command("query", MEAN, "--purpose", "study", on="firm", settled=walk.has("receipt.countersigned", "road", "firm"))
    walk.command("query", "SELECT speed FROM road.counts", "--purpose", "study", on="firm", code=3)
    walk.command("job", "cancel", walk.nodes["firm"].asker.every()[0]["id"], on="firm")
    walk.command("job", "run", "none.method", "--purpose", "study", "--input", "road/counts", on="firm", code=3)
    _refuse_a_stranger(walk, str(agreed["agreement"]))
    _value(walk)
    _outlive(walk, str(agreed["agreement"]))
    walk.act("trouble", lambda: road.trouble(Denied("test.trouble", "expected nothing, got this", hint=KINDS["node.started"])))
    _permits(walk)
    gift = _deliver(walk, str(agreed["agreement"]))
    _anchor(walk)
    _negotiate_otherwise(walk, gift)


def _make_another(walk: Walk) -> None:
    words = ["--handle", "late", "--name", "Late", "--name-zh", "后来者", "--port", "8799", "--json"]
    made = CliRunner().invoke(app, ["node", "init", str(walk.folder / "late"), *words])
    assert made.exit_code == 0, made.output
    card = walk.folder / "late.json"
    card.write_text(made.stdout, encoding="utf-8")
    late = open_node(walk.folder / "late")
    walk.left["node init"] = {"late": kinds(late)}
    hang_up(late)
    walk.command("peer", "add", card, on="road")
    _know_a_connector(walk)


def _know_a_connector(walk: Walk) -> None:
    """A foreign connector with a shared secret, and then with another one."""
    card = walk.folder / "connector.json"
    names = {"name_en": "Connector", "name_zh": "外部连接器"}
    card.write_text(json.dumps({"id": "connector", "address": "http://127.0.0.1:9/2025-1", **names}), encoding="utf-8")
    for number in range(2):
        secret = walk.folder / f"{number}.secret"
        put_secret(secret, f"secret-of-the-connector-{number}".encode())
        if number:
            added = walk.left.pop("peer add")
        walk.command("peer", "add", card, "--scheme", "static", "--secret", secret, on="road")
    walk.left |= {"peer add again": walk.left["peer add"], "peer add": added}


def _refuse_a_stranger(walk: Walk, agreement: str) -> None:
    """A grant that somebody else than its recipient comes with."""
    road, firm, room = (walk.nodes[name] for name in ("road", "firm", "room"))
    part = InputChoice(road.identity.did, "counts", agreement)
    document, signature = signed_job(firm, room, [part], question=SqlQuestion(MEAN), purpose="study")
    message = {"job": document, "signature": signature, "product": "counts"}
    token = str(wire(room).post(road.identity.did, "/room/inputs", message)["token"])

    def steal() -> None:
        with pytest.raises(Denied):
            pull(firm, road, token, walk.folder / "stolen.arrow")

    walk.act("pull refused", steal)


def _value(walk: Walk) -> None:
    """A job that values the data it was given, settled."""
    road, room = walk.nodes["road"].identity.did, walk.nodes["room"].identity.did
    refused = walk.left["job run refused"]
    methods = Methods(frozenset({"small.worth", "hostile.attack"}))
    policy = walk.folder / "policy.json"
    firm = Recipient(frozenset({walk.nodes["firm"].identity.did}))
    rules = (Purpose(frozenset({"study"})), firm, Environment(room), methods, OutputForm(Form.AGGREGATE))
    owed = (Pay(Basis.CONTRIBUTION), Deed(DutyAction.DELETE))
    policy.write_text(json.dumps(to_odrl(Policy(rules, owed))), encoding="utf-8")
    walk.command("product", "publish", walk.folder / "counts.parquet", "--policy", policy, "--version", "2.0.0", on="road")
    twice = walk.has("negotiation.finalized", "road", "firm", times=2)
    agreement = walk.command("contract", "request", "road", "counts", on="firm", settled=twice)["agreement"]
    parameters = json.dumps({"parties": {"counts": road}, "n": 100})
    words = ["--purpose", "study", "--input", "road/counts", "--parameters", parameters, "--price-fen", 1000]
    asked = walk.command("job", "run", "small.worth", *words, on="firm", settled=walk.has("receipt.countersigned", "road", "firm", times=2))
    passwd = ["--parameters", json.dumps({"attack": "read_passwd"}), "--purpose", "study", "--input", "road/counts"]
    walk.command(
        "job", "run", "hostile.attack", *passwd, on="firm", code=3, settled=walk.has("receipt.countersigned", "road", "firm", times=3)
    )
    walk.left |= {"job run stopped": walk.left.pop("job run refused"), "job run refused": refused}
    walk.command("statement", "make", asked["job"], on="room", settled=walk.has("payment.recorded", "road", "firm"))
    walk.command("product", "withdraw", "other", on="road")
    walk.command("duty", "confirm", agreement, "permission-1/duty-1", "--words", "paid", on="road")
    statement = walk.command("duty", "state", agreement, "permission-1/duty-2", "--words", "erased", on="firm")
    (walk.folder / "statement.json").write_text(json.dumps(statement), encoding="utf-8")
    walk.command("duty", "take", walk.folder / "statement.json", on="road")
    for word in ("begin", "end"):
        walk.command("event", word, "flood", "--reason", "a warning", on="road")


def _outlive(walk: Walk, agreement: str) -> None:
    """An agreement that is amended, renewed, and ended; and one that runs out."""
    road, firm = walk.nodes["road"], walk.nodes["firm"]
    for version, verb, end, times in (("3.0.0", "amend", "2100", 3), ("4.0.0", "renew", "2101", 4)):
        window = TimeWindow(None, from_iso(f"{end}-01-01T00:00:00Z"))
        policy = walk.folder / f"{verb}.json"
        rules = (Purpose(frozenset({"study"})), Recipient(frozenset({firm.identity.did})), window)
        policy.write_text(json.dumps(to_odrl(Policy(rules))), encoding="utf-8")
        walk.command("product", "publish", walk.folder / "counts.parquet", "--policy", policy, "--version", version, on="road")
        superseded = walk.has("agreement.superseded", "road", "firm", times=times - 2)
        agreement = walk.command("agreement", verb, agreement, on="firm", settled=superseded)["agreement"]
    later = open_node(road.folder, clock=lambda: from_iso("2102-01-01T00:00:00Z"))
    walk.act("run out", later.agreements.expire)
    hang_up(later)
    words = ["--code", "purpose-ended", "--reason", "the study is over"]
    ended = walk.command("agreement", "terminate", agreement, *words, on="firm", settled=walk.has("agreement.terminated", "road", "firm"))
    assert (ended["state"], firm.agreements.standing(agreement).life.phase) == ("TERMINATED", "TERMINATED")


def _permits(walk: Walk) -> None:
    """The road operator's node keeps the permit, for want of an authority."""
    road = walk.nodes["road"]
    document = json.loads(PERMIT.read_text(encoding="utf-8"))
    document["valid"] = {"from": "2026-01-01T00:00:00+08:00", "to": "2125-12-15T00:00:00+08:00"}
    permit = str(document["id"])
    file, less = walk.folder / "permit.json", walk.folder / "less.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    less.write_text(json.dumps({"max_kph": 40}), encoding="utf-8")
    walk.command("permit", "publish", file, "--reason", "application", on="road")
    ground = ["--rule", "R05", "--reason", "speeding", "--evidence"]
    walk.command("permit", "restrict", permit, "--file", less, *ground, digest("a"), on="road")
    walk.command("permit", "move", "lift", permit, *ground, digest("b"), on="road")
    vehicle, operator = document["vehicles"][0], document["operators"][0]
    names = ["--vehicle", "v1", "--type", vehicle["type"], "--software", vehicle["sw"]["min"], "--operator", operator]
    token = walk.command("permit", "admit", permit, *names, on="road")["token"]
    walk.command("permit", "admit", permit, *names[:-1], "somebody else", on="road", code=3)
    seen = {"veh_pid": "v1", "sw_version": names[5], "shift_id": "s1"}
    walk.act("present", lambda: road.permits.present(token, **seen))
    walk.act("present refused", lambda: road.permits.present(token, **{**seen, "shift_id": "s2"}))
    walk.command("permit", "move", "suspend", permit, *ground, digest("c"), on="road")
    walk.command("permit", "move", "reinstate", permit, *ground, digest("c"), on="road", code=3)
    for step in ("reinstate", "suspend", "terminate"):
        walk.command("permit", "move", step, permit, *ground, digest(step), on="road")
    act = Act(str(document["issuer"]), "R11", digest("g"), "works")
    _let_expire(walk, document, act)
    area = {"type": "Polygon", "coordinates": [[[106.4, 29.5], [106.5, 29.5], [106.5, 29.6], [106.4, 29.5]]]}
    closed = {"id": "d1", "crs": "WGS84", "bbox": [106.3, 29.4, 106.7, 29.7], "area": area, "from": "2026-03-06T03:00:00Z"}
    walk.act("directive issue", lambda: road.directives.issue(closed, act))
    walk.act("directive lift", lambda: road.directives.lift("d1", act))


def _deliver(walk: Walk, for_the_room: str) -> str:
    """Rows that leave: fetched, paused and resumed, completed, stopped and pushed; and those that the agreement keeps in the room."""
    pq.write_table(pa.Table.from_pylist([{"speed": 1.0}]), walk.folder / "gift.parquet")
    walk.command("product", "publish", walk.folder / "gift.parquet", "--rows", "--to", "firm", "--uses", 3, on="road")
    agreed = walk.command(
        "contract", "request", "road", "gift", on="firm", settled=walk.has("negotiation.finalized", "road", "firm", times=3)
    )
    both = ("road", "firm")

    def request(*words: object, times: int) -> str:
        started = walk.has("delivery.started", *both, times=times)
        return str(walk.command("transfer", "request", agreed["agreement"], *words, on="firm", settled=started)["transfer"])

    pid = request(times=1)
    walk.command("transfer", "fetch", pid, walk.folder / "gift.arrows", on="firm", settled=walk.has("delivery.completed", *both))
    pid = request("--lasting", times=2)
    walk.command("transfer", "suspend", pid, "--reason", "works", on="firm", settled=walk.has("delivery.suspended", *both))
    walk.command("transfer", "resume", pid, on="firm", settled=walk.has("delivery.started", *both, times=3))
    walk.command("transfer", "complete", pid, on="firm", settled=walk.has("delivery.completed", *both, times=2))
    pid = request(times=4)
    walk.command("transfer", "stop", pid, "--reason", "not needed", on="firm", settled=walk.has("delivery.terminated", *both))
    walk.command("transfer", "request", agreed["agreement"], "--push", on="firm", settled=walk.has("delivery.completed", *both, times=3))
    walk.left |= {"transfer push": walk.left.pop("transfer request")}
    walk.command("transfer", "request", for_the_room, on="firm", settled=walk.has("delivery.terminated", *both, times=2))
    walk.left |= {"transfer request refused": walk.left.pop("transfer request")}
    return str(agreed["agreement"])


def _start_by_hand(walk: Walk, agreement: str) -> None:
    road, firm = walk.nodes["road"], walk.nodes["firm"]
    words = ["transfer", "request", agreement, "--wait", 0]
    walk.command(*words, on="firm", settled=lambda: road.moving.processes.processes()[-1].state == "REQUESTED")
    waiting = road.moving.processes.processes()[-1].id
    assert road.moving.processes.standing(waiting).waits_for == road.identity.did
    walk.command("transfer", "start", waiting, on="road", settled=lambda: firm.moving.processes.processes()[-1].state == "STARTED")


def _anchor(walk: Walk) -> None:
    with anvil.running() as url:
        words = ["--url", url, "--account", anvil.account(url), "--node", str(walk.nodes["room"].folder)]
        made = CliRunner().invoke(app, ["anchor", "deploy", *words])
        assert made.exit_code == 0, made.output
        walk.space.stop("room")
        walk.space.start("room")  # where to anchor is taken up when a node is served anew
        walk.command("anchor", "now", on="room")


def _let_expire(walk: Walk, document: dict[str, Any], act: Act) -> None:
    """A permit whose validity ends tomorrow, seen the day after."""
    soon = walk.folder / "soon.json"
    valid = {**document["valid"], "to": (system_clock() + timedelta(days=1)).isoformat()}
    soon.write_text(json.dumps({**document, "id": f"{document['id']}-soon", "valid": valid}), encoding="utf-8")
    walk.command("permit", "publish", soon, "--reason", "application", on="road")
    later = open_node(walk.nodes["road"].folder, clock=lambda: system_clock() + timedelta(days=2))
    walk.act("expire", lambda: later.permits.expire(f"{document['id']}-soon", act))
    hang_up(later)


def _negotiate_otherwise(walk: Walk, gift: str) -> None:
    """A negotiation and a transfer that people take through every step by hand; then a request that nobody answers, taken back."""
    road, firm = walk.nodes["road"], walk.nodes["firm"]
    (offer,) = firm.peers.dataset(road.identity.did, "counts")["hasPolicy"]
    for handle in ("road", "firm"):
        walk.space.stop(handle)
        settings = walk.nodes[handle].folder / "chengshu.toml"
        settings.write_text(settings.read_text(encoding="utf-8").replace('decide = "automatic"', 'decide = "by-hand"'), encoding="utf-8")
        walk.space.start(handle)
    terms = walk.folder / "terms.json"
    terms.write_text(json.dumps(policy_content(offer)), encoding="utf-8")
    ours = walk.command("contract", "offer", "firm", "counts", on="road", settled=lambda: negotiations(firm) != [])["negotiation"]
    (theirs,) = (one["negotiation"] for one in negotiations(firm))

    def step(*words: object, on: str, state: str) -> None:
        other, pid = (firm, theirs) if on == "road" else (road, ours)
        walk.command("contract", *words, on=on, settled=lambda: verbs.negotiation(other, pid)["state"] == state)

    step("counter", theirs, "--policy", terms, on="firm", state="REQUESTED")
    step("counter", ours, on="road", state="OFFERED")
    step("accept", theirs, on="firm", state="ACCEPTED")
    step("agree", ours, on="road", state="AGREED")
    step("verify", theirs, on="firm", state="VERIFIED")
    step("finalize", ours, on="road", state="FINALIZED")
    _start_by_hand(walk, gift)
    walk.space.stop("road")
    waiting = firm.contracts.request(road.identity.did, dataset="counts", offer=offer)
    assert verbs.negotiation(firm, waiting)["state"] == "REQUESTED"
    walk.command("contract", "terminate", waiting, "--reason", "not needed", on="firm")


LEAVES: dict[str, dict[str, list[str]]] = {
    "node init": {"late": ["node.started", "peer.added"]},
    "peer add": {"road": ["peer.added"]},
    "peer add again": {"road": ["peer.changed"]},
    "product publish": {"road": ["product.published", "offer.made"]},
    "product grade": {"road": ["grade.set"]},
    "product withdraw": {"road": ["product.withdrawn"]},
    "contract request": {
        "firm": ["negotiation.requested", "negotiation.agreed", "negotiation.verified", "agreement.signed", "negotiation.finalized"],
        "road": ["negotiation.requested", "negotiation.agreed", "negotiation.verified", "agreement.signed", "negotiation.finalized"],
    },
    "agreement amend": {handle: ["agreement.signed", "negotiation.finalized", "agreement.superseded"] for handle in ("road", "firm")},
    "agreement renew": {handle: ["agreement.signed", "negotiation.finalized", "agreement.superseded"] for handle in ("road", "firm")},
    "agreement terminate": {handle: ["agreement.terminated"] for handle in ("road", "firm")},
    "run out": {"road": ["agreement.expired"]},
    "contract terminate": {"firm": ["negotiation.terminated"]},
    "query": {
        "firm": ["job.submitted", "job.released", "receipt.countersigned"],
        "room": ["job.submitted", "job.vetted", "job.cleared", "job.run", "job.released"],
        "road": [
            *("job.vetted", "job.approved", "budget.spent", "transfer.started", "transfer.completed", "use.metered", "job.released"),
            *("receipt.issued", "receipt.countersigned"),
        ],
    },
    "query refused": {"firm": [], "room": [], "road": []},  # it is refused before anything is signed or sent
    "job cancel": {"firm": [], "room": []},  # of a job that has ended: there is nothing to cancel, and nothing is said of it
    "job run refused": {"firm": ["job.submitted", "job.refused"], "room": ["job.submitted", "job.refused"]},
    "job run": {
        "firm": ["job.submitted", "job.released"],
        "room": ["job.submitted", "job.vetted", "job.cleared", "job.run", "job.released"],
        "road": ["job.vetted", "budget.spent", "use.metered"],
    },
    "job run stopped": {
        "firm": ["job.submitted", "job.refused"],
        "room": ["job.submitted", "job.vetted", "method.stopped", "job.refused"],
        "road": ["job.approved", "use.metered", "job.refused"],
    },
    "pull refused": {"road": ["transfer.refused"]},
    "statement make": {"room": ["settlement.computed"], "road": ["payment.recorded"], "firm": ["payment.recorded"]},
    "duty confirm": {"road": ["duty.fulfilled"]},
    "duty state": {"firm": ["duty.fulfilled"]},
    "duty take": {"road": ["duty.fulfilled"]},
    "event begin": {"road": ["event.begun"]},
    "event end": {"road": ["event.ended"]},
    "permit publish": {"road": ["permit.submitted", "permit.approved", "permit.published"]},
    "permit restrict": {"road": ["permit.restricted"]},
    "permit move lift": {"road": ["permit.lifted"]},
    "permit move suspend": {"road": ["permit.suspended"]},
    "permit move reinstate": {"road": ["permit.reinstated"]},
    "permit move reinstate refused": {"road": ["permit.refused"]},
    "permit move terminate": {"road": ["permit.terminated"]},
    "permit admit": {"road": ["token.issued"]},
    "permit admit refused": {"road": ["token.refused"]},
    "present": {"road": ["token.presented"]},
    "present refused": {"road": ["token.refused"]},
    "directive issue": {"road": ["directive.issued"]},
    "directive lift": {"road": ["directive.lifted"]},
    "expire": {"road": ["permit.expired"]},
    "anchor now": {"room": ["checkpoint.anchored"]},
    "contract offer": {"road": ["negotiation.offered"], "firm": ["negotiation.offered"]},
    "contract counter": {"road": ["negotiation.offered"], "firm": ["negotiation.offered"]},
    "contract accept": {"road": ["negotiation.accepted"], "firm": ["negotiation.accepted"]},
    "contract agree": {"road": ["negotiation.agreed"], "firm": ["negotiation.agreed"]},
    "contract verify": {"road": ["negotiation.verified"], "firm": ["negotiation.verified", "agreement.signed"]},
    "contract finalize": {"road": ["negotiation.finalized", "agreement.signed"], "firm": ["negotiation.finalized"]},
    "trouble": {"road": ["alert.raised"]},
    "transfer fetch": {
        "firm": ["delivery.received", "delivery.completed"],
        "road": ["budget.spent", "transfer.started", "transfer.completed", "use.metered", "delivery.completed"],
    },
    "transfer suspend": {"firm": ["delivery.suspended"], "road": ["delivery.suspended"]},
    "transfer resume": {"firm": ["delivery.started"], "road": ["delivery.started"]},
    "transfer complete": {"firm": ["delivery.completed"], "road": ["delivery.completed"]},
    "transfer stop": {"firm": ["delivery.terminated"], "road": ["delivery.terminated"]},
    "transfer push": {
        "firm": ["delivery.requested", "delivery.received", "delivery.completed"],
        "road": ["delivery.requested", "budget.spent", "transfer.started", "transfer.completed", "use.metered", "delivery.completed"],
    },
    "transfer request refused": {
        "firm": ["delivery.requested", "delivery.terminated"],
        "road": ["delivery.requested", "delivery.terminated"],
    },
    "transfer request": {"firm": ["delivery.requested"], "road": ["delivery.requested"]},
    "transfer start": {"firm": ["delivery.started"], "road": ["delivery.started"]},
}
"""What each act must leave in which node's log, whatever else it leaves."""


def test_every_command_reads_or_is_walked_here(walk: Walk) -> None:
    walked = {tuple(name.removesuffix(" refused").split())[:2] for name in walk.left}
    assert set(commands(typer.main.get_command(app))) - READS - PLAYS - walked == set()


def test_a_question_that_is_refused_before_it_is_sent_leaves_nothing(walk: Walk) -> None:
    assert walk.left["query refused"] == {"road": [], "firm": [], "room": []}


@pytest.mark.parametrize("act", LEAVES)
def test_an_act_leaves_its_entries(walk: Walk, act: str) -> None:
    for handle, expected in LEAVES[act].items():
        left = walk.left[act][handle]
        assert [kind for kind in expected if kind not in left] == [], f"{act} in the log of {handle}: {left}"


def test_every_act_that_was_walked_is_held_to_something(walk: Walk) -> None:
    assert walk.left.keys() == LEAVES.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_entry_is_left_by_an_act_or_asked_for_by_another_test(walk: Walk, kind: str) -> None:
    left = {one for logs in walk.left.values() for entries in logs.values() for one in entries}
    elsewhere = [file for file in ROOT.rglob("test_*.py") if file != Path(__file__) and f'"{kind}"' in file.read_text(encoding="utf-8")]
    assert kind in left or elsewhere != []
