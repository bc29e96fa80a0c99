"""How a product's way out of its holder ends: whole, broken off, or not begun; over real sockets, each end in the holder's log."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_space import (
    PURPOSE,
    Town,
    agree,
    asked_for,
    contract_for,
    counts,
    kinds,
    publish,
    pull,
    receipt_for,
    sign,
    signed_job,
    until,
    wire,
)

from chengshu.catalog.model import Column, Grade, LogicalType, Role
from chengshu.catalog.odcs import document_of
from chengshu.cleanroom.asker import InputChoice, Standing
from chengshu.cleanroom.engines.process import open_table
from chengshu.cleanroom.model import SqlQuestion
from chengshu.cleanroom.planning.service import Asked
from chengshu.cli import publishing
from chengshu.client.following import follow
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.canonical import canonical
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.kernel.crypto.exchange import ExchangeKey
from chengshu.kernel.errors import Conflict, Denied
from chengshu.node import Node
from chengshu.transfer.streams.arrow import BATCH_ROWS

ROWS = 20 * BATCH_ROWS
"""Of random numbers, some 10 MB on the wire: more than the sockets between two ends take by themselves."""
SQL = SqlQuestion("SELECT COUNT(DISTINCT vehicle) AS vehicles, AVG(speed) AS speed FROM road.long")
Signed = tuple[dict[str, Any], str]


@pytest.fixture(scope="module")
def choice(town: Town) -> InputChoice:
    vehicles = pa.array([f"v{one:03d}" for one in range(64)]).take(pa.array(np.arange(ROWS) % 64))
    columns = {"road": pa.array(["ring"]).take(pa.array(np.zeros(ROWS, int))), "vehicle": vehicles}
    table = pa.table({**columns, "speed": np.random.default_rng(5).uniform(0, 30, ROWS)})
    publish(town.road, "long", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])), table=table)
    return InputChoice(town.road.identity.did, "long", agree(town.firm, town.road, "long"))


def _asked(town: Town, choice: InputChoice, question: SqlQuestion = SQL) -> Signed:
    return signed_job(town.firm, town.room, [choice], question=question)


def _granted(town: Town, asked: Signed, product: str = "long") -> str:
    message = {"job": asked[0], "signature": asked[1], "product": product}
    return str(wire(town.room).post(town.road.identity.did, "/room/inputs", message)["token"])


def test_a_hidden_column_does_not_leave_its_holder_for_a_question_unless_it_tells_units_apart(town: Town, tmp_path: Path) -> None:
    """The room is handed what a question can need: who drives is in no byte of it, and the vehicles, by which k is counted, are."""
    document = contract_for("shy", owner="road")
    driver = Column("driver", LogicalType.STRING, "string", role=Role.HIDDEN)
    columns = (replace(one, role=Role.HIDDEN) if one.name == "vehicle" else one for one in document.columns)
    table = counts().append_column("driver", pa.array([f"canary-{number}" for number in range(200)]))
    file = town.road.folder / "files" / "shy.parquet"
    pq.write_table(table, file)
    policy = publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE]))
    town.road.catalog.publish(document_of(replace(document, columns=(driver, *columns))), source=file, policy=policy)
    choice = InputChoice(town.road.identity.did, "shy", agree(town.firm, town.road, "shy"))
    asked = _asked(town, choice, SqlQuestion("SELECT road, AVG(speed) AS speed FROM road.shy GROUP BY road"))
    received = tmp_path / "received.arrow"
    pull(town.room, town.road, _granted(town, asked, "shy"), received, job=asked[0]["id"], product="shy")
    assert open_table(received).column_names == ["road", "vehicle", "speed"]
    assert open_table(received).num_rows == 200
    assert b"canary" not in received.read_bytes()
    result = ended(town.firm, "SELECT road, AVG(speed) AS speed FROM road.shy GROUP BY road")
    assert result.outcome is not None
    assert result.outcome.tables["answer"].column("road").to_pylist() == ["gate", "ring"]
    assert "canary" not in json.dumps(result.outcome.as_document())


def ended(node: Node, sql: str) -> Standing:
    asked = node.queries.ask(sql, purpose=PURPOSE)
    assert isinstance(asked, Asked), asked
    return follow(lambda: node.asker.standing(asked.job), timeout_s=120.0)


def _break_off(town: Town, token: str, *, after: int) -> int:
    """Ask for the data of a grant, read at least ``after`` bytes of the answer, and hang up; return how many were read."""
    body = canonical(asked_for(token))
    letter = town.room.credentials.issue(town.road.identity.did, SignedRequest("POST", "/room/data", body))
    place = urlsplit(town.road.identity.address)
    head = f"POST /room/data HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: {letter}\r\nContent-Type: application/json\r\n"
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # what a socket takes in by itself would hide where the reader stopped
        line.connect((str(place.hostname), int(place.port or 80)))
        line.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        taken = 0
        while taken < after:
            piece = line.recv(min(65_536, after - taken))
            assert piece != b"", f"expected at least {after} bytes, got {taken} and the end"
            taken += len(piece)
    return taken


def _stopped(town: Town, job: str) -> dict[str, Any]:
    until(lambda: "transfer.stopped" in kinds(town.road, job))
    entries = town.road.evidence.entries(0, town.road.evidence.size())
    (found,) = (dict(one.body) for one in entries if (one.kind, one.subject) == ("transfer.stopped", job))
    return found


def test_a_receiver_that_breaks_off_leaves_an_entry_with_what_had_gone_out_and_is_metered(town: Town, choice: InputChoice) -> None:
    asked = _asked(town, choice)
    read = _break_off(town, _granted(town, asked), after=1000)
    stopped = _stopped(town, asked[0]["id"])
    assert {name: stopped[name] for name in ("job", "product", "agreement", "recipient", "reason")} == {
        "job": asked[0]["id"],
        "product": "long",
        "agreement": choice.agreement,
        "recipient": town.room.identity.did,
        "reason": "receiver-left",
    }
    assert 0 < stopped["rows"] < ROWS
    assert stopped["rows"] % BATCH_ROWS == 0
    assert stopped["bytes"] > read
    ended = [kind for kind in kinds(town.road, asked[0]["id"]) if kind in {"transfer.started", "transfer.stopped", "use.metered"}]
    assert ended == ["transfer.started", "transfer.stopped", "use.metered"]


def test_a_receiver_that_took_nearly_everything_does_not_go_unmetered(town: Town, choice: InputChoice) -> None:
    asked = _asked(town, choice)
    speeds = ROWS * 6  # bytes that the random speeds alone take at the very least, however well they are packed
    _break_off(town, _granted(town, asked), after=speeds)
    until(lambda: {"transfer.stopped", "transfer.completed"} & set(kinds(town.road, asked[0]["id"])) != set())
    assert kinds(town.road, asked[0]["id"]).count("use.metered") == 1


def test_a_pull_after_one_that_was_broken_off_is_the_same_use_and_its_receipt_is_for_the_whole(
    town: Town, choice: InputChoice, tmp_path: Path
) -> None:
    asked, spent = _asked(town, choice), kinds(town.road).count("budget.spent")
    job = asked[0]["id"]
    _break_off(town, _granted(town, asked), after=1000)
    _stopped(town, job)
    pull(town.room, town.road, _granted(town, asked), tmp_path / "again.arrow", job=job, product="long")
    found = kinds(town.road, job)
    assert [found.count(kind) for kind in ("transfer.started", "transfer.stopped", "transfer.completed", "use.metered")] == [2, 1, 1, 1]
    assert kinds(town.road).count("budget.spent") - spent == 1
    with town.road.database.read() as tx:
        delivered = town.road.transfers.delivered(tx, job=job, product="long")
    assert delivered is not None
    assert delivered[0] == ROWS


def test_a_job_that_failed_after_a_broken_transfer_has_a_use_receipt_for_the_rows_that_went_out(town: Town, choice: InputChoice) -> None:
    asked = _asked(town, choice)
    _break_off(town, _granted(town, asked), after=1000)
    stopped = _stopped(town, asked[0]["id"])
    receipt = receipt_for(asked[0], state="FAILED")
    wire(town.room).post(town.road.identity.did, "/room/receipts", {"receipt": receipt, "signature": sign(town.room, receipt)})
    entries = town.road.evidence.entries(0, town.road.evidence.size())
    (issued,) = (one for one in entries if one.kind == "receipt.issued" and one.body["job"] == asked[0]["id"])
    with town.road.database.read() as tx:
        delivered = town.road.transfers.delivered(tx, job=asked[0]["id"], product="long")
    assert delivered is not None
    assert (delivered[0], issued.body["product"]) == (stopped["rows"], "long")


def test_a_receiver_that_leaves_before_the_first_piece_is_logged_and_not_metered(town: Town, choice: InputChoice) -> None:
    asked = _asked(town, choice)
    sending = town.road.transfers.deliver(_granted(town, asked), recipient=town.room.identity.did, key=ExchangeKey(INTERNATIONAL).public)
    sending.close()
    sending.close()
    stopped = _stopped(town, asked[0]["id"])
    assert (stopped["rows"], stopped["bytes"], stopped["reason"]) == (0, 0, "receiver-left")
    assert "use.metered" not in kinds(town.road, asked[0]["id"])


def test_a_product_whose_file_is_not_the_published_one_is_logged_as_stopped(town: Town) -> None:
    publish(town.road, "spoilt", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])))
    part = InputChoice(town.road.identity.did, "spoilt", agree(town.firm, town.road, "spoilt"))
    asked = _asked(town, part, SqlQuestion(SQL.sql.replace("road.long", "road.spoilt")))
    token = _granted(town, asked, "spoilt")
    file = town.road.folder / "files" / "spoilt.parquet"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(Conflict):
        town.road.transfers.deliver(token, recipient=town.room.identity.did, key=ExchangeKey(INTERNATIONAL).public)
    assert (_stopped(town, asked[0]["id"])["reason"], "use.metered" in kinds(town.road, asked[0]["id"])) == ("sending-failed", False)


def test_a_grant_given_before_its_product_became_core_opens_nothing(town: Town, tmp_path: Path) -> None:
    publish(town.road, "grown", policy=publishing.offer_of(publishing.Terms(town.room.identity.did, [PURPOSE])), table=counts())
    part = InputChoice(town.road.identity.did, "grown", agree(town.firm, town.road, "grown"))
    asked = _asked(town, part, SqlQuestion(SQL.sql.replace("road.long", "road.grown")))
    token = _granted(town, asked, "grown")
    town.road.catalog.grade("grown", Grade.CORE, reason="they show where guarded convoys drive")
    with pytest.raises(Denied) as caught:
        pull(town.room, town.road, token, tmp_path / "grown.arrow")
    assert caught.value.code == "transfer.grade-core"
    assert kinds(town.road, asked[0]["id"])[-1] == "transfer.refused"
