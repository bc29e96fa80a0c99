"""What runs is stopped within a second of ceasing to be allowed: real served nodes, judged by the moments that their logs recorded."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from small_deliveries import Pair, raised_pair
from small_space import PURPOSE, Town, agree, asked_for, kinds, publish, pull, raised_town, signed_job, until, wire
from sqlalchemy import Connection

from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cli import publishing
from chengshu.contract.life import Phase
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.canonical import canonical
from chengshu.kernel.clock import from_iso, system_clock
from chengshu.kernel.errors import Denied
from chengshu.kernel.refusal import Refused
from chengshu.node import Node
from chengshu.policy.model import CountLimit, Form, OutputForm, Policy, TimeWindow
from chengshu.policy.odrl import from_odrl, to_odrl
from chengshu.transfer.flow.model import Extent
from chengshu.transfer.process.model import State
from chengshu.transfer.streams.arrow import BATCH_ROWS

ROWS = 40 * BATCH_ROWS
"""Of random numbers, some 20 MB on the wire: more than the sockets between two ends take by themselves."""

MEAN = "SELECT COUNT(DISTINCT vehicle) AS n, AVG(speed) AS s FROM road.PRODUCT"
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with raised_town(tmp_path_factory.mktemp("monitored")) as town:
        yield town


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with raised_pair(tmp_path_factory.mktemp("watched")) as pair:
        yield pair


def long_table() -> pa.Table:
    vehicles = pa.array([f"v{one:03d}" for one in range(64)]).take(pa.array(np.arange(ROWS) % 64))
    columns = {"road": pa.array(["ring"]).take(pa.array(np.zeros(ROWS, int))), "vehicle": vehicles}
    return pa.table({**columns, "speed": np.random.default_rng(5).uniform(0, 30, ROWS)})


def entries(node: Node, kind: str, **about: str) -> list[tuple[datetime, dict[str, Any]]]:
    found = (one for one in node.evidence.entries(0, node.evidence.size()) if one.kind == kind)
    return [(one.at, dict(one.body)) for one in found if about.items() <= dict(one.body).items()]


def revoked(node: Node, **about: str) -> tuple[datetime, dict[str, Any]]:
    until(lambda: entries(node, "use.revoked", **about) != [])
    (found,) = entries(node, "use.revoked", **about)
    return found


class SlowPull:
    """The room's end of a pull that is read piece by piece, as slowly as a test likes."""

    def __init__(self, town: Town, token: str) -> None:
        body = canonical(asked_for(token))
        letter = town.room.credentials.issue(town.road.identity.did, SignedRequest("POST", "/room/data", body))
        place = urlsplit(town.road.identity.address)
        head = f"POST /room/data HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {letter}\r\nContent-Type: application/json\r\n"
        self.line = socket.socket()
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self.line.connect((str(place.hostname), int(place.port or 80)))
        self.line.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        self.taken = b""

    def read(self, size: int) -> None:
        while len(self.taken) < size:
            piece = self.line.recv(65_536)
            assert piece != b"", "expected more"
            self.taken += piece

    def rest(self) -> bytes:
        """Whatever still comes, to the end of the connection."""
        self.line.settimeout(30)
        parts = []
        try:
            while piece := self.line.recv(1 << 20):
                parts.append(piece)
        except ConnectionResetError:
            pass
        self.line.close()
        return b"".join(parts)


def granted(town: Town, product: str, agreement: str) -> tuple[str, str]:
    """Ask for a job over one product and return its id with the token that the holder granted."""
    part = InputChoice(town.road.identity.did, product, agreement)
    question = SqlQuestion(MEAN.replace("PRODUCT", product))
    document, signature = signed_job(town.firm, town.room, [part], question=question)
    answer = wire(town.room).post(town.road.identity.did, "/room/inputs", {"job": document, "signature": signature, "product": product})
    return document["id"], str(answer["token"])


def offered(town: Town, product: str, *, window: TimeWindow | None = None, uses: int | None = None) -> str:
    """Publish a long product and agree on it; return the agreement's id."""
    usual = from_odrl(publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE], uses=uses)))
    rules = usual.rules if window is None else (*usual.rules, window)
    publish(town.road, product, policy=to_odrl(Policy(rules)), table=long_table())
    return agree(town.firm, town.road, product)


# --- a product on its way to a clean room


def test_a_running_stream_is_broken_off_when_its_agreement_is_terminated_and_nothing_more_goes_out(streets: Town) -> None:
    agreement = offered(streets, "ended")
    job, token = granted(streets, "ended", agreement)
    slow = SlowPull(streets, token)
    slow.read(200_000)
    streets.firm.agreements.terminate(agreement, code="not-needed", reason="the study is over")
    at, why = revoked(streets.road, job=job)
    (ended_at, _) = entries(streets.road, "agreement.terminated", agreement=agreement)[0]
    assert at - ended_at < SECOND
    assert {name: why[name] for name in ("rule", "agreement", "product", "recipient")} == {
        "rule": "agreement-terminated",
        "agreement": agreement,
        "product": "ended",
        "recipient": streets.room.identity.did,
    }
    assert "the study is over" not in str(why)  # free words stay out of the log
    assert (why["expected"], streets.firm.identity.did in why["got"], "not-needed" in why["got"]) == (
        "an agreement that neither side ended",
        True,
        True,
    )
    ((_, stopped),) = entries(streets.road, "transfer.stopped", job=job)
    assert (stopped["reason"], 0 < stopped["rows"] < ROWS) == ("revoked", True)
    whole = slow.taken + slow.rest()
    head = whole.index(b"\r\n\r\n") + 4
    assert len(whole) - head <= stopped["bytes"] + 20 * 1024  # what had been counted as gone, and the framing of its pieces
    assert not whole.endswith(b"0\r\n\r\n"), "expected an answer that its receiver cannot take for whole"
    assert kinds(streets.road, job).count("use.metered") == 1


def test_a_grant_that_was_not_used_opens_nothing_once_its_agreement_has_ended(streets: Town, tmp_path: Path) -> None:
    agreement = offered(streets, "unused")
    job, token = granted(streets, "unused", agreement)
    streets.road.agreements.terminate(agreement, code="breach", reason="not paid")
    with pytest.raises(Denied) as caught:
        pull(streets.room, streets.road, token, tmp_path / "unused.arrow")
    assert (caught.value.code, "breach" in caught.value.message) == ("transfer.agreement-terminated", True)
    ((_, refused),) = entries(streets.road, "transfer.refused", job=job)
    assert refused["rule"] == "agreement-terminated"
    assert "use.metered" not in kinds(streets.road, job)


def test_a_running_stream_is_broken_off_when_its_time_is_up(streets: Town) -> None:
    end = system_clock() + timedelta(seconds=12)
    agreement = offered(streets, "timed", window=TimeWindow(None, end))
    job, token = granted(streets, "timed", agreement)
    slow = SlowPull(streets, token)
    slow.read(200_000)
    assert system_clock() < end, "expected the pull to run before its time is up"
    at, why = revoked(streets.road, job=job)
    assert end < at < end + SECOND
    assert (why["rule"], from_iso(why["since"])) == ("agreement-expired", end)
    ((recorded, expired),) = entries(streets.road, "agreement.expired", agreement=agreement)
    assert (recorded < end + SECOND, from_iso(expired["valid_until"])) == (True, end)
    assert streets.road.agreements.standing(agreement).life.phase is Phase.EXPIRED
    assert kinds(streets.road, job).count("use.metered") == 1
    slow.line.close()


def test_a_use_that_was_counted_goes_on_though_others_spent_what_was_left(streets: Town) -> None:
    agreement = offered(streets, "scarce", uses=2)
    job, token = granted(streets, "scarce", agreement)
    slow = SlowPull(streets, token)
    slow.read(200_000)
    granted(streets, "scarce", agreement)  # the second and last use
    time.sleep(1.5)
    assert entries(streets.road, "use.revoked", job=job) == []
    assert slow.rest().endswith(b"0\r\n\r\n")
    until(lambda: "transfer.completed" in kinds(streets.road, job))


def test_a_job_over_an_ended_agreement_is_refused_with_who_and_why(streets: Town) -> None:
    agreement = offered(streets, "past")
    streets.firm.agreements.terminate(agreement, code="not-needed", reason="the study is over")
    until(lambda: streets.road.agreements.standing(agreement).life.phase is Phase.TERMINATED)
    part = InputChoice(streets.road.identity.did, "past", agreement)
    question = SqlQuestion(MEAN.replace("PRODUCT", "past"))
    document, signature = signed_job(streets.firm, streets.room, [part], question=question)
    answer = wire(streets.room).post(
        streets.road.identity.did, "/room/inputs", {"job": document, "signature": signature, "product": "past"}
    )
    assert answer["refused"]["rule"] == "agreement-terminated"
    assert streets.firm.identity.did in answer["refused"]["message"]


# --- a transfer of the protocol


def test_transfers_are_terminated_on_both_sides_with_the_reason_when_their_agreement_is(pair: Pair) -> None:
    agreement = pair.offer("brief", OutputForm(Form.ROWS))
    running, _ = pair.started("brief", extent=Extent.NON_FINITE)
    paused, _ = pair.started("brief", extent=Extent.NON_FINITE)
    pair.consumer.moving.processes.suspend(paused, reason="later")
    pair.settled(paused, State.SUSPENDED)
    pair.provider.agreements.terminate(agreement, code="breach", reason="not paid")
    for pid in (running, paused):
        pair.settled(pid, State.TERMINATED)
        ours = pair.consumer.moving.processes.process(pid)
        assert (ours.code, "not paid" in ours.reasons[0]) == ("agreement-terminated", True)
        at, why = revoked(pair.provider, transfer=str(ours.peer_pid))
        assert (at - from_iso(why["since"]) < SECOND, why["rule"]) == (True, "agreement-terminated")
    pair.request("brief")
    until(lambda: entries(pair.consumer, "delivery.terminated", code="agreement-terminated") != [])


def test_a_transfer_whose_time_is_up_is_terminated(pair: Pair) -> None:
    end = system_clock() + timedelta(seconds=8)
    pair.offer("hours", OutputForm(Form.ROWS), TimeWindow(None, end))
    pid, theirs = pair.started("hours", extent=Extent.NON_FINITE)
    pair.settled(pid, State.TERMINATED)
    at, why = revoked(pair.provider, transfer=theirs)
    assert end < at < end + SECOND
    assert why["rule"] == "agreement-expired"


def test_a_transfer_is_terminated_when_another_use_spends_its_count(pair: Pair, tmp_path: Path) -> None:
    agreement = pair.offer("single", OutputForm(Form.ROWS), CountLimit(1))
    idle, theirs = pair.started("single")
    other, _ = pair.started("single")
    pair.consumer.moving.receptions.fetch(other, tmp_path / "out")
    pair.settled(idle, State.TERMINATED)
    at, why = revoked(pair.provider, transfer=theirs)
    spent = max(when for when, _ in entries(pair.provider, "budget.spent", agreement=agreement))
    assert at - spent < SECOND
    assert (why["rule"], why["got"]) == ("count-limit", "1")
    pair.settled(other, State.COMPLETED)


def test_a_transfer_under_an_agreement_that_was_replaced_is_terminated(pair: Pair) -> None:
    agreement = pair.offer("swapped", OutputForm(Form.ROWS))
    pid, theirs = pair.started("swapped", extent=Extent.NON_FINITE)
    publish(pair.provider, "swapped", policy=to_odrl(Policy((OutputForm(Form.ROWS), CountLimit(3)))), version="2.0.0")
    offer = pair.consumer.peers.dataset(pair.provider.identity.did, "swapped")["hasPolicy"][0]
    negotiation = pair.consumer.agreements.amend(agreement, offer=offer)
    until(lambda: pair.consumer.contracts.negotiation(negotiation).state == "FINALIZED")
    pair.settled(pid, State.TERMINATED)
    assert revoked(pair.provider, transfer=theirs)[1]["rule"] == "agreement-superseded"


@dataclass(frozen=True)
class ToldOfNothing:
    """What a node knows whose counterparty has no message about the end of agreements."""

    node: Node

    def ended(self, tx: Connection, agreement_id: str) -> Refused | None:
        return self.node.agreements.ended(tx, agreement_id)

    def untold(self, tx: Connection, agreement_id: str) -> Refused | None:
        return self.node.agreements.ended(tx, agreement_id)


def test_a_taker_ends_the_transfers_of_a_provider_that_has_no_message_for_it(pair: Pair) -> None:
    agreement = pair.offer("deaf", OutputForm(Form.ROWS))
    pid, theirs = pair.started("deaf", extent=Extent.NON_FINITE)
    pair.space.stop("giver")
    pair.consumer.agreements.terminate(agreement, code="not-needed", reason="the study is over")
    assert pair.consumer.moving.processes.reconsider(pair.consumer.agreements) == []  # it will be told by our own message
    ended = pair.consumer.moving.processes.reconsider(ToldOfNothing(pair.consumer))
    assert [(one.id, one.state, one.code) for one in ended] == [(pid, State.TERMINATED, "agreement-terminated")]
    pair.space.start("giver")
    pair.settled(pid, State.TERMINATED)
    assert "the study is over" in pair.provider.moving.processes.process(theirs).reasons[0]
