"""A whole space of the national profile: it negotiates, computes, settles, and its logs verify; the other profile is kept out by name."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_space import PURPOSE, agree, ask, counts, hang_up, publish, until
from sqlalchemy import select

from chengshu import config
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.model import MethodQuestion
from chengshu.cleanroom.store import asked_jobs, room_jobs
from chengshu.cli import doctor, verbs
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.identity.keys.file import FileKeys
from chengshu.identity.model import public_key_of
from chengshu.kernel.crypto import NATIONAL, NOT_CERTIFIED, Algorithm
from chengshu.kernel.errors import Conflict, Invalid, Tampered
from chengshu.kernel.money import Fen
from chengshu.node import KEYS, LOG, Node, open_node
from chengshu.policy.model import Environment, Form, Methods, OutputForm, Policy, Purpose
from chengshu.policy.odrl import to_odrl
from chengshu.testing import Space

PRICE = Fen(100_001)


@dataclass(frozen=True)
class Worked:
    """A national space in which one job was valued and settled."""

    road: Node
    fleet: Node
    firm: Node
    room: Node
    standing: Standing

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (self.road, self.fleet, self.firm, self.room)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory, plug_in: None) -> Iterator[Worked]:
    del plug_in
    with Space(tmp_path_factory.mktemp("national"), cryptography="national") as space:
        road, fleet, firm = (space.add(name) for name in ("road", "fleet", "firm"))
        room = space.add("room", clean_room=True)
        methods = Methods(frozenset({"small.worth"}))
        policy = to_odrl(Policy((Purpose(frozenset({PURPOSE})), Environment(room.identity.did), methods, OutputForm(Form.AGGREGATE))))
        publish(road, "counts", policy=policy)
        publish(fleet, "trips", policy=policy, table=counts(vehicles=range(30, 60)))
        inputs = [InputChoice(one.identity.did, name, agree(firm, one, name)) for one, name in ((road, "counts"), (fleet, "trips"))]
        parties = {"counts": road.identity.did, "trips": fleet.identity.did}
        standing = ask(firm, room, inputs, question=MethodQuestion("small.worth", {"parties": parties, "n": 100}), price=PRICE)
        assert standing.state == "RELEASED"
        room.settlements.settle(standing.job)
        for node in (road, fleet, firm):
            until(lambda node=node: node.settlements.every() != [])  # type: ignore[misc]  # mypy does not infer a lambda's default
        yield Worked(road, fleet, firm, room, standing)
    hang_up(*space.nodes.values())


def test_every_party_is_known_by_an_sm2_key(worked: Worked) -> None:
    assert {public_key_of(node.identity.did).algorithm for node in worked.nodes} == {Algorithm.SM2}


def test_every_party_holds_the_same_statement(worked: Worked) -> None:
    (statement,) = worked.room.settlements.every()
    assert sum(statement["document"]["payments_fen"].values()) == PRICE
    assert [node.settlements.every() for node in worked.nodes] == [[statement]] * 4


def test_every_log_verifies_by_its_key_alone_and_proves_the_use(worked: Worked) -> None:
    for node in worked.nodes:
        node.evidence.publish()
        assert verify_log(node.folder / LOG, node.evidence.vkey).checkpoint.key.suite is NATIONAL
    for holder, product in ((worked.road, "counts"), (worked.fleet, "trips")):
        assert verify_use(holder.folder / LOG, product=product, job=worked.standing.job, vkey=holder.evidence.vkey).holds


def test_the_offline_checker_needs_no_more_than_the_files_and_the_key(worked: Worked) -> None:
    worked.road.evidence.publish()
    command = [sys.executable, "-m", "chengshu.evidence", "verify", str(worked.road.folder / LOG), "--vkey", worked.road.evidence.vkey]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert NATIONAL.title.en in ran.stdout


def test_every_digest_in_every_log_is_sm3(worked: Worked) -> None:
    found = [
        value
        for node in worked.nodes
        for entry in node.evidence.entries(0, node.evidence.size())
        for name, value in entry.body.items()
        if "digest" in name
    ]
    assert len(found) > 20
    assert {value.partition(":")[0] for value in found} == {"sm3"}


@pytest.mark.parametrize("reached", [lambda worked: worked.room, lambda worked: worked.firm], ids=["room", "asker"])
def test_an_outcome_is_kept_sealed_and_bound_to_its_job(worked: Worked, reached: object) -> None:
    assert callable(reached)
    node: Node = reached(worked)
    table = room_jobs if node is worked.room else asked_jobs
    with node.database.read() as tx:
        ((job, sealed),) = tx.execute(select(table.c.id, table.c.outcome)).all()
    key = FileKeys(node.folder / KEYS).data_key(NATIONAL)
    assert b"RELEASED" in NATIONAL.open(key, sealed, context=b"chengshu outcome 1\n" + job.encode())
    assert b"RELEASED" not in sealed
    with pytest.raises(Tampered):
        NATIONAL.open(key, sealed, context=b"chengshu outcome 1\nanother job")


def test_a_party_of_the_other_profile_is_refused_by_name(worked: Worked, tmp_path: Path) -> None:
    verbs.init(tmp_path / "abroad", verbs.Birth("abroad", "Abroad", "境外", port=8799))
    abroad = open_node(tmp_path / "abroad")
    for node, other, expected in ((worked.road, abroad, "national"), (abroad, worked.road, "international")):
        before = node.evidence.size()
        with pytest.raises(Conflict, match=f"expected a party of the {expected} profile") as caught:
            verbs.add_peer(node, verbs.describe(other))
        assert caught.value.code == "identity.other-cryptography"
        assert node.evidence.size() == before
        assert not node.identity.knows(other.identity.did)


def test_a_node_whose_key_does_not_fit_its_space_does_not_open(tmp_path: Path) -> None:
    verbs.init(tmp_path / "n", verbs.Birth("n", "N", "甲", port=8799, cryptography="national"))
    settings = config.load(tmp_path / "n")
    config.write(tmp_path / "n", settings.model_copy(update={"space": config.SpaceSection(cryptography="international")}))
    with pytest.raises(Invalid, match=r"expected a key of the international profile.*got one of the national profile") as caught:
        open_node(tmp_path / "n")
    assert (caught.value.code, caught.value.facts) == ("node.cryptography", {"expected": "international", "got": "national"})


def test_whoever_looks_at_a_node_is_told_that_its_profile_is_not_certified(worked: Worked) -> None:
    card = verbs.describe(worked.road)
    assert (card["cryptography"], card["cryptography_en"], card["cryptography_zh"]) == ("national", NATIONAL.title.en, NATIONAL.title.zh)
    (shown,) = [one for one in doctor.examine(worked.road.folder) if one.about.en == "cryptography"]
    assert not shown.bad
    assert NOT_CERTIFIED.en in shown.found.en
    assert NOT_CERTIFIED.zh in shown.found.zh
