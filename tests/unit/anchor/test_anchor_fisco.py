"""The FISCO BCOS adapter against a real HTTP server that answers in the shapes of the chain's documentation (3.x); no live chain."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chengshu.anchor.chains.fisco import FiscoChain
from chengshu.anchor.contract import RUNTIME
from chengshu.kernel.errors import Tampered, Unavailable

CONTRACT = "0xc0523dbdd94ba27e14b0336d799489340ca24cdf"
DIGEST = bytes(range(32))
OURS = "0x" + "ab" * 32
OTHERS = "0x" + "cd" * 32
SENDER = "0xf3293c3452b3b0479e64a4c612e8c1b0da5fe1af"


@dataclass
class Recorded:
    """What the chain's node answers by method, and what it was asked."""

    answers: dict[str, Any]
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)

    def answer(self, method: str, params: list[Any]) -> Any:
        self.asked.append((method, params))
        found = self.answers[method]
        return found(params) if callable(found) else found


def receipt(params: list[Any]) -> dict[str, Any]:
    entry = {"address": CONTRACT.removeprefix("0x"), "data": "0x", "topics": ["0x" + DIGEST.hex()]}
    ours = params[2] == OURS
    return {
        "blockNumber": 2,
        "from": SENDER,
        "gasUsed": "24363",
        "logEntries": [entry] if ours else [],
        "output": "0x",
        "status": 0,
        "to": CONTRACT,
        "transactionHash": params[2],
    }


@pytest.fixture
def chain() -> Iterator[tuple[FiscoChain, Recorded]]:
    recorded = Recorded(
        {
            "getGroupInfo": {"chainID": "chain0", "groupID": "group0", "genesisConfig": "{}", "nodeList": []},
            "getCode": "0x" + RUNTIME.hex(),
            "call": {"blockNumber": 8, "output": "0x" + (2).to_bytes(32, "big").hex(), "status": 0},
            "getBlockByNumber": {"number": 2, "timestamp": 1680598474810, "transactions": [OTHERS, OURS]},
            "getTransactionReceipt": receipt,
            "getBlockNumber": 8,
        }
    )

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            result = recorded.answer(question["method"], question["params"])
            body = {"jsonrpc": "2.0", "id": question["id"]}
            data = json.dumps(body | (result if isinstance(result, dict) and "error" in result else {"result": result})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield FiscoChain(f"http://127.0.0.1:{server.server_address[1]}", contract=CONTRACT, group="group0", node=""), recorded
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_the_group_holds_is_read_with_block_time_sender_and_confirmations(chain: tuple[FiscoChain, Recorded]) -> None:
    adapter, recorded = chain
    held = adapter.read(DIGEST)
    assert held is not None
    assert (held.chain, held.chain_id, held.contract) == ("fisco", "chain0/group0", CONTRACT)
    assert (held.block, held.tx, held.sender, held.confirmations) == (2, OURS, SENDER, 7)
    assert held.at == datetime(2023, 4, 4, 8, 54, 34, 810_000, tzinfo=UTC)
    assert recorded.asked[1] == ("call", ["group0", "", CONTRACT, "0x" + DIGEST.hex() + "00"])


def test_an_anchor_that_the_group_holds_already_is_recorded_without_sending(chain: tuple[FiscoChain, Recorded]) -> None:
    adapter, recorded = chain
    assert adapter.anchor(DIGEST).block == 2
    assert {method for method, _ in recorded.asked} & {"sendTransaction"} == set()


def test_sending_is_refused_with_what_is_to_be_sent_and_the_label(chain: tuple[FiscoChain, Recorded]) -> None:
    adapter, recorded = chain
    recorded.answers["call"] = {"blockNumber": 8, "output": "0x" + bytes(32).hex(), "status": 0}
    with pytest.raises(Unavailable) as caught:
        adapter.anchor(DIGEST)
    assert caught.value.code == "anchor.fisco-unsent"
    assert f"0x{DIGEST.hex()}" in caught.value.hint.en
    assert "untested on a live chain" in caught.value.hint.en
    assert "未在真实链上测试" in caught.value.hint.zh


def test_no_contract_holds_nothing_and_another_contract_is_not_believed(chain: tuple[FiscoChain, Recorded]) -> None:
    adapter, recorded = chain
    recorded.answers["getCode"] = "0x"
    assert adapter.read(DIGEST) is None
    recorded.answers["getCode"] = "0x6000"
    with pytest.raises(Tampered, match="another contract"):
        adapter.read(DIGEST)


def test_a_block_that_does_not_carry_the_digest_is_tampered(chain: tuple[FiscoChain, Recorded]) -> None:
    adapter, recorded = chain
    recorded.answers["getBlockByNumber"] = {"number": 2, "timestamp": 0, "transactions": [OTHERS]}
    with pytest.raises(Tampered, match="no such event"):
        adapter.read(DIGEST)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("call", {"blockNumber": 8, "output": "0x", "status": 16}),
        ("call", {"error": {"code": -32602, "message": "no such group"}}),
        ("call", "nonsense"),
        ("getBlockByNumber", {"number": 2, "timestamp": "soon", "transactions": [OURS]}),
        ("getCode", "not hexadecimal"),
    ],
)
def test_an_answer_of_another_shape_is_no_answer(chain: tuple[FiscoChain, Recorded], method: str, answer: Any) -> None:
    adapter, recorded = chain
    recorded.answers[method] = answer
    with pytest.raises(Unavailable, match="untested on a live chain"):
        adapter.read(DIGEST)


def test_a_node_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="expected the FISCO BCOS node to answer"):
        FiscoChain("http://127.0.0.1:9", contract=CONTRACT).chain_id()
