"""FISCO BCOS 3.x over JSON-RPC: untested on a live chain (未在真实链上测试).

It reads what a chain holds and does not send: a FISCO transaction is signed in an encoding of its own, which could not be checked here
against a chain, and a wrong guess would be worse than none. Send the digest with the chain's own tools (a console, a signing front);
the anchor is then found and recorded. Message shapes: FISCO BCOS 3.x documentation, "JSON-RPC API", read 2026.
"""

import time
from datetime import UTC, datetime
from typing import Any

import httpx

from chengshu.anchor.contract import RUNTIME, question
from chengshu.anchor.model import FISCO, UNTESTED, Anchored
from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.kernel.text import Text

TIMEOUT_S = 8.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024


class FiscoChain:
    """The anchor contract at one address of one group; ``node`` is empty to let the chain choose."""

    name = FISCO

    def __init__(self, url: str, *, contract: str, group: str = "group0", node: str = "") -> None:
        self._url = url
        self._contract = contract
        self._group = group
        self._node = node

    @property
    def contract(self) -> str:
        """The contract's address."""
        return self._contract

    def chain_id(self) -> str:
        """Return ``chain/group``, as the chain names both."""
        found = self._ask("getGroupInfo")
        return f"{_text(found, 'chainID')}/{_text(found, 'groupID')}"

    def anchor(self, digest: bytes) -> Anchored:
        """Return what the contract holds for ``digest``; raise Unavailable, which says what is to be sent, where it holds nothing yet."""
        held = self.read(digest)
        if held is not None:
            return held
        raise Unavailable(
            "anchor.fisco-unsent",
            f"expected the contract to hold 0x{digest.hex()}, got nothing, and this adapter does not sign FISCO BCOS transactions",
            hint=Text(
                f"Send 0x{digest.hex()} as call data to {self._contract} with the chain's own tools; it is then found by itself "
                f"({UNTESTED.en}).",
                f"请用该链自带工具向 {self._contract} 发送调用数据 0x{digest.hex()}，系统随后会自动发现（{UNTESTED.zh}）。",
            ),
            facts={"digest": digest.hex()},
        )

    def read(self, digest: bytes) -> Anchored | None:
        """Return what the contract holds for ``digest``: None for nothing, Tampered for another contract or a block without the event."""
        code = _bytes(self._ask("getCode", self._contract))
        if not code:
            return None
        if code != RUNTIME:
            raise Tampered("anchor.contract", "expected the anchor contract's own code at that address, got another contract", hint=_DO_NOT)
        answer = self._ask("call", self._contract, "0x" + question(digest).hex())
        if _number(answer, "status") != 0:
            raise _silent("a call that failed")
        block = int.from_bytes(_bytes(_field(answer, "output")), "big")
        return None if block == 0 else self._held(digest, block)

    def _held(self, digest: bytes, block: int) -> Anchored:
        found = self._ask("getBlockByNumber", block, False, True)  # JSON-RPC has places, not names: whole block, hashes only
        for tx in _field(found, "transactions"):
            receipt = self._ask("getTransactionReceipt", tx, False)  # without a proof
            if _number(receipt, "status") == 0 and any(self._is_ours(one, digest) for one in _field(receipt, "logEntries")):
                at = datetime.fromtimestamp(_number(found, "timestamp") / 1000, UTC)  # milliseconds, unlike Ethereum's
                confirmations = _whole(self._ask("getBlockNumber")) - block + 1
                return Anchored(FISCO, self.chain_id(), self._contract, str(tx), block, at, _text(receipt, "from"), confirmations)
        raise Tampered("anchor.event", "expected the block that the contract names to carry the digest, got no such event", hint=_DO_NOT)

    def _is_ours(self, entry: Any, digest: bytes) -> bool:
        address = _text(entry, "address").lower().removeprefix("0x")  # the chain writes it with or without
        topics = _field(entry, "topics")
        return address == self._contract.lower().removeprefix("0x") and bool(topics) and _bytes(topics[0]) == digest

    def _ask(self, method: str, *params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [self._group, self._node, *params]}
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
                client.stream("POST", self._url, json=body) as response,
            ):
                data, until = bytearray(), time.monotonic() + 2 * TIMEOUT_S
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES or time.monotonic() > until:
                        raise _silent(f"more than {MAX_ANSWER_BYTES} bytes, or too slow an answer")
                answer = httpx.Response(response.status_code, content=bytes(data)).json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _silent(type(error).__name__) from None
        if not isinstance(answer, dict) or "result" not in answer:
            raise _silent("an error, or no JSON-RPC answer")
        return answer["result"]


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise _silent(f"an answer without {name}")
    return value[name]


def _text(value: Any, name: str) -> str:
    found = _field(value, name)
    if not isinstance(found, str):
        raise _silent(f"another kind of {name}")
    return found


def _number(value: Any, name: str) -> int:
    return _whole(_field(value, name))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise _silent("another kind of number")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(str(value).removeprefix("0x"))
    except ValueError:
        raise _silent("something else than hexadecimal") from None


_DO_NOT = Text("Do not rely on that contract.", "请勿采信该合约。")


def _silent(got: str) -> Unavailable:
    return Unavailable(
        "anchor.chain-silent",
        f"expected the FISCO BCOS node to answer, got {got} (this adapter is {UNTESTED.en})",
        hint=Text(
            "Check anchor.url, anchor.group and that node; it is tried again by itself.",
            "请检查 anchor.url、anchor.group 与该节点；系统会自动重试。",
        ),
    )
