"""What a room was given is in no file of it that has a name, and after the job it is nowhere; the log and the receipt say so."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_space import PURPOSE, agree, counts, hang_up, hasty_room, kinds, publish, receipt_for, sign, signed_job, until, wire

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import publishing
from chengshu.kernel.errors import Invalid, Tampered
from chengshu.node import WORK, Node
from chengshu.testing import Space
from chengshu.transfer.sealed.outgoing import SealedSending

JOINED = "SELECT c.road, COUNT(DISTINCT c.vehicle) AS n FROM road.counts c JOIN fleet.trips t ON c.vehicle = t.vehicle GROUP BY c.road"
CANARY = b"canary-4711"


def with_canaries(table: pa.Table) -> pa.Table:
    return table.set_column(1, "vehicle", pa.array([f"canary-4711-{one}" for one in table["vehicle"].to_pylist()]))


@dataclass(frozen=True)
class Watched:
    """A space in which the fleet operator does not answer at first, so that the room holds the road operator's rows meanwhile."""

    space: Space
    firm: Node
    road: Node
    fleet: Node
    room: Node
    inputs: list[InputChoice]

    def submit(self, sql: str = JOINED, *, inputs: list[InputChoice] | None = None) -> str:
        return self.send(*signed_job(self.firm, self.room, inputs or self.inputs, question=SqlQuestion(sql)))

    def send(self, document: dict[str, Any], signature: str) -> str:
        wire(self.firm).post(self.room.identity.did, "/room/jobs", {"job": document, "signature": signature})
        return str(document["id"])

    def standing(self, job: str) -> dict[str, Any]:
        return wire(self.firm).post(self.room.identity.did, "/room/jobs/standing", {"job": job})


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    with Space(folder) as space:
        road, firm, fleet = (space.add(name) for name in ("road", "firm", "fleet"))
        room = hasty_room(space, folder / "hasty", input_wait_s=60.0)
        policy = publishing.offer_of(publishing.Terms(room.identity.did, [PURPOSE]))
        publish(road, "counts", policy=policy, table=with_canaries(counts()))
        publish(fleet, "trips", policy=policy, table=with_canaries(counts(vehicles=range(30))))
        inputs = [InputChoice(one.identity.did, name, agree(firm, one, name)) for one, name in ((road, "counts"), (fleet, "trips"))]
        yield Watched(space, firm, road, fleet, room, inputs)
    hang_up(*space.nodes.values())


def named_files_with_canary(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file() and CANARY in one.read_bytes()]


def open_files_with_canary(folder: Path) -> list[str]:
    """The files below a folder that this process, in which the room runs, holds open; with a name or without."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        try:
            target = str(one.readlink())
            if target.startswith(str(folder)) and CANARY in one.read_bytes():
                found.append(target)
        except OSError:  # closed meanwhile
            continue
    return found


def entry(node: Node, kind: str, job: str) -> dict[str, Any]:
    (found,) = (dict(one.body) for one in node.evidence.entries(0, node.evidence.size()) if (one.kind, one.subject) == (kind, job))
    return found


def test_nothing_of_what_a_room_was_given_has_a_name_while_its_job_runs_or_is_there_afterwards(watched: Watched) -> None:
    asked = signed_job(watched.firm, watched.room, watched.inputs, question=SqlQuestion(JOINED))
    watched.space.stop("fleet")
    job = watched.send(*asked)
    until(
        lambda: (
            watched.standing(job)["waits_for"].startswith("fleet.trips from its holder (") or watched.standing(job)["outcome"] is not None
        )
    )
    (held,) = open_files_with_canary(watched.room.folder / WORK)  # the rows are here, where the search finds them
    assert held.endswith(" (deleted)")
    assert named_files_with_canary(watched.room.folder) == []
    watched.space.start("fleet")
    until(lambda: watched.standing(job)["outcome"] is not None)
    said = watched.standing(job)
    assert said["state"] == "RELEASED", said
    assert named_files_with_canary(watched.room.folder) == []
    assert open_files_with_canary(watched.room.folder) == []
    assert list((watched.room.folder / WORK).iterdir()) == []
    cleared = entry(watched.room, "job.cleared", job)
    record = {name: cleared[name] for name in ("key", "received", "workspace")}
    assert said["receipt"]["receipt"]["deleted"] == record
    assert record["workspace"] == "deleted"
    holders = {watched.road.identity.did: "counts", watched.fleet.identity.did: "trips"}
    assert {one["provider"]: one["product"] for one in record["received"]} == holders
    for holder in (watched.road, watched.fleet):
        until(lambda node=holder: "job.released" in kinds(node, job))  # each took the receipt, and found its own stream in it
        assert entry(holder, "transfer.started", job)["key"] == record["key"]
        product = holders[holder.identity.did]
        with holder.database.read() as tx:
            sent = holder.transfers.commitments(tx, product=product, job=job)
            delivered = holder.transfers.delivered(tx, job=job, product=product)
        assert {one["commitment"] for one in record["received"] if one["provider"] == holder.identity.did} == sent
        assert delivered is not None
        assert delivered[1] not in str(said["receipt"])  # a digest of the rows is no business of the other holder's


def test_what_a_holder_sends_in_the_clear_is_not_read(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SealedSending, "media_type", "application/vnd.apache.arrow.stream")  # as nodes of before said it
    sql = "SELECT road, COUNT(DISTINCT vehicle) AS n FROM road.counts GROUP BY road"
    job = watched.submit(sql, inputs=watched.inputs[:1])
    until(lambda: watched.standing(job)["outcome"] is not None)
    ended = watched.standing(job)
    assert ended["state"] == "FAILED"
    assert ended["outcome"]["notes"][0].startswith("peer.older: counts: expected application/vnd.chengshu.sealed-stream")
    assert ended["receipt"]["receipt"]["deleted"]["received"] == []


def test_every_job_has_a_key_of_its_own(watched: Watched) -> None:
    sql = "SELECT road, COUNT(DISTINCT vehicle) AS n FROM road.counts GROUP BY road"
    keys = set()
    for _ in range(2):
        job = watched.submit(sql, inputs=watched.inputs[:1])
        until(lambda name=job: watched.standing(name)["outcome"] is not None)
        keys.add(entry(watched.room, "job.cleared", job)["key"])
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("received", "error"),
    [
        ([{"commitment": "sha256:" + "0" * 64}], Tampered),
        ([{"commitment": "no digest"}], Invalid),
        ([{}], Invalid),
        ("all", Invalid),
    ],
    ids=["another stream", "no digest", "nothing", "no list"],
)
def test_a_holder_takes_no_receipt_that_names_another_stream_than_it_sent(watched: Watched, received: Any, error: type[Exception]) -> None:
    document, signature = signed_job(
        watched.firm, watched.room, watched.inputs[:1], question=SqlQuestion("SELECT COUNT(DISTINCT vehicle) AS n FROM road.counts")
    )
    wire(watched.room).post(watched.road.identity.did, "/room/inputs", {"job": document, "signature": signature, "product": "counts"})
    named = (
        [{"provider": watched.road.identity.did, "product": "counts", **one} for one in received]
        if isinstance(received, list)
        else received
    )
    receipt = {**receipt_for(document), "deleted": {"key": "sha256:" + "1" * 64, "received": named, "workspace": "deleted"}}
    with pytest.raises(error):
        wire(watched.room).post(watched.road.identity.did, "/room/receipts", {"receipt": receipt, "signature": sign(watched.room, receipt)})
    assert "job.released" not in kinds(watched.road, document["id"])


def test_a_key_that_is_none_opens_no_grant_and_lets_nothing_out(watched: Watched) -> None:
    document, signature = signed_job(
        watched.firm, watched.room, watched.inputs[:1], question=SqlQuestion("SELECT COUNT(DISTINCT vehicle) AS n FROM road.counts")
    )
    message = {"job": document, "signature": signature, "product": "counts"}
    token = wire(watched.room).post(watched.road.identity.did, "/room/inputs", message)["token"]
    for key in ("no base64!", base64.b64encode(b"short").decode()):
        with pytest.raises(Invalid):
            wire(watched.room).post(watched.road.identity.did, "/room/data", {"token": token, "key": key})
    with pytest.raises(Invalid):
        wire(watched.room).post(watched.road.identity.did, "/room/data", {"token": token})
    assert "use.metered" not in kinds(watched.road, document["id"])
