"""Chains that run the Ethereum virtual machine, through ``web3``, which is needed only where they are used (``chengshu[anchor]``)."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from chengshu.anchor.chains.evm_accounts import Account
from chengshu.anchor.chains.evm_library import SEE, Web3, library
from chengshu.anchor.contract import MAKER, RUNTIME
from chengshu.anchor.model import EVM, Anchored
from chengshu.kernel.errors import ChengshuError, Conflict, Invalid, Tampered, Unavailable
from chengshu.kernel.text import Text

WAIT_S = 10.0
"""So long one attempt waits for a block; a task waits again later, and does not send again what is on its way."""
POLL_S = 0.2
GAS = 100_000
DEPLOY_GAS = 300_000
_ON_ITS_WAY = re.compile(r"already known|already imported|underpriced|nonce too low|nonce is too low", re.IGNORECASE)
_NO_FUNDS = re.compile(r"insufficient funds|insufficient balance|not have enough", re.IGNORECASE)


class EvmChain:
    """The anchor contract at one address of one chain; ``connect`` gives the connection, ``account`` pays."""

    name = EVM

    def __init__(
        self, connect: Callable[[], Web3], *, contract: str, account: Account | None = None, host: str = "", wait_s: float = WAIT_S
    ):
        self._connect = connect
        self._contract = contract
        self._account = account
        self._host = host
        self._wait_s = wait_s

    @property
    def contract(self) -> str:
        """The contract's address."""
        return self._contract

    def chain_id(self) -> str:
        """Return the chain's id (EIP-155) as decimal text."""
        with self._asking() as web3:
            return str(web3.eth.chain_id)

    def read(self, digest: bytes) -> Anchored | None:
        """Return what the contract holds for ``digest``: None for nothing, Tampered for another contract or a block without the event."""
        with self._asking() as web3:
            address = web3.to_checksum_address(self._contract)
            code = bytes(web3.eth.get_code(address))
            if code and code != RUNTIME:
                raise _other_contract()
            block = _block_kept(web3, address, digest) if code else 0
            return None if block == 0 else self._held(web3, address, digest, block)

    def anchor(self, digest: bytes) -> Anchored:
        """Have the contract keep ``digest``, unless it does, and return what it then holds; a receipt alone is not believed.

        Raises Unavailable while no block has taken it in, Conflict where the account cannot pay or the transaction failed, Tampered where
        a receipt says that it is there and the contract does not hold it.
        """
        held = self.read(digest)
        if held is not None:
            return held
        with self._asking() as web3:
            address = web3.to_checksum_address(self._contract)
            if not bytes(web3.eth.get_code(address)):
                raise _no_contract()
            sent = _send(web3, self._paying(), {"to": address, "data": "0x" + digest.hex(), "gas": GAS})
        until = time.monotonic() + self._wait_s
        while (held := self.read(digest)) is None:
            with self._asking() as web3:
                _check_receipt(web3, self._contract, digest, sent)
            if time.monotonic() > until:
                raise _pending()
            time.sleep(POLL_S)
        return held

    def deploy(self) -> str:
        """Make a contract and return its address; raise Unavailable when no block took it in, Tampered when its code is another."""
        with self._asking() as web3:
            sent = _send(web3, self._paying(), {"data": "0x" + MAKER.hex(), "gas": DEPLOY_GAS})
            if sent is None:
                raise _pending()
            receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=self._wait_s, poll_latency=POLL_S)
            address = str(receipt["contractAddress"])
            if bytes(web3.eth.get_code(address)) != RUNTIME:
                raise _other_contract()
            return address

    def _held(self, web3: Web3, address: str, digest: bytes, block: int) -> Anchored:
        topic = "0x" + digest.hex()
        found = web3.eth.get_logs({"address": address, "fromBlock": block, "toBlock": block, "topics": [topic]})
        events = [one for one in found if one["address"] == address and bytes(one["topics"][0]) == digest and one["blockNumber"] == block]
        if not events:
            raise _no_event()
        sender = web3.eth.get_transaction(events[0]["transactionHash"])["from"]
        at = datetime.fromtimestamp(web3.eth.get_block(block)["timestamp"], UTC)
        confirmations = web3.eth.block_number - block + 1
        tx = "0x" + bytes(events[0]["transactionHash"]).hex()
        return Anchored(EVM, str(web3.eth.chain_id), self._contract, tx, block, at, str(sender), confirmations)

    def _paying(self) -> Account:
        if self._account is None:
            raise Invalid("anchor.read-only", "expected an account to send from, got none", hint=SEE)
        return self._account

    @contextmanager
    def _asking(self) -> Iterator[Web3]:
        """Translate whatever the library raises, without its words: they may hold the URL, and so a key of the operator's."""
        try:
            yield self._connect()
        except ChengshuError:
            raise
        except Exception as error:  # noqa: BLE001  # a stranger's node can make the library raise anything
            raise Unavailable(
                "anchor.chain-silent",
                f"expected the chain's node {self._host} to answer, got {type(error).__name__}",
                hint=Text("Check anchor.url and that node; it is tried again by itself.", "请检查 anchor.url 与该节点；系统会自动重试。"),
            ) from None


def _send(web3: Web3, account: Account, transaction: Mapping[str, Any]) -> bytes | None:
    """The hash of what was sent; None when the account's next transaction is on its way already.

    The number is that of the next transaction that a block can take in, never one behind those that wait: of two attempts at one anchor
    only one can then ever be taken in and paid.
    """
    sender = account.address(web3)
    whole = {"from": sender, "nonce": web3.eth.get_transaction_count(sender, "latest"), "gasPrice": web3.eth.gas_price, "value": 0}
    try:
        return account.send(web3, whole | dict(transaction))
    except ChengshuError:
        raise
    except Exception as error:  # each node has its own kind of error for these
        if _ON_ITS_WAY.search(str(error)):
            return None
        if _NO_FUNDS.search(str(error)):
            raise _no_funds(sender) from None
        raise


def _block_kept(web3: Web3, address: str, digest: bytes, at: int | str = "latest") -> int:
    return int.from_bytes(bytes(web3.eth.get_storage_at(address, int.from_bytes(digest, "big"), at)), "big")


def _check_receipt(web3: Web3, contract: str, digest: bytes, sent: bytes | None) -> None:
    """Find out early that waiting is in vain: the transaction failed, or its receipt is not true."""
    if sent is None:
        return
    try:
        receipt = web3.eth.get_transaction_receipt(sent)
    except library().not_found:
        return
    if receipt["status"] != 1:
        raise Conflict("anchor.failed", "expected the chain to take the digest, got a transaction that failed", hint=SEE)
    if _block_kept(web3, web3.to_checksum_address(contract), digest, receipt["blockNumber"]) == 0:
        raise Tampered(
            "anchor.receipt",
            "expected the contract to hold what the receipt says it took, got nothing there",
            hint=Text("The chain's node is not to be believed: ask another one.", "该链节点不可信，请改用其他节点。"),
        )


def _other_contract() -> Tampered:
    return Tampered(
        "anchor.contract",
        "expected the anchor contract's own code at that address, got another contract, which may say anything",
        hint=Text("Do not rely on it; make one with 'chengshu anchor deploy'.", "请勿采信；可用 chengshu anchor deploy 部署。"),
    )


def _no_contract() -> Conflict:
    return Conflict(
        "anchor.no-contract",
        "expected a contract at that address of this chain, got none",
        hint=Text("Check anchor.url and anchor.contract, or deploy one.", "请检查 anchor.url 与 anchor.contract，或重新部署。"),
    )


def _no_event() -> Tampered:
    return Tampered(
        "anchor.event",
        "expected the block that the contract names to carry the digest, got no such event: the storage was made up",
        hint=Text("Do not rely on that contract.", "请勿采信该合约。"),
    )


def _pending() -> Unavailable:
    return Unavailable(
        "anchor.pending",
        "expected a block to take the transaction in, got none yet",
        hint=Text("It is looked for again by itself.", "系统会自动再次查询。"),
    )


def _no_funds(address: str) -> Conflict:
    return Conflict(
        "anchor.funds",
        f"expected the account {address} to be able to pay, got too little on it",
        hint=Text("Send it some of the chain's money, then anchor again.", "请向该账户转入链上费用后重新锚定。"),
    )
