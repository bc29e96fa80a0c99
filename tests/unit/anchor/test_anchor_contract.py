"""The contract on a real EVM: the first anchor wins, nothing takes it back, and money is refused."""

import subprocess
import sys
from typing import Any

import pytest

from chengshu.anchor.chains.evm import EvmChain
from chengshu.anchor.chains.evm_accounts import NodeAccount
from chengshu.anchor.contract import MAKER, RUNTIME, assemble, question
from chengshu.kernel.errors import Conflict, Tampered, Unavailable

DIGEST = bytes(range(100, 132))


def sent(web3: Any, chain: EvmChain, data: bytes, **more: Any) -> Any:
    """The receipt of a transaction from the chain's second account."""
    transaction = {"from": web3.eth.accounts[1], "to": chain.contract, "data": "0x" + data.hex(), "gas": 100_000, **more}
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_transaction(transaction))


def test_the_listing_becomes_the_bytes_that_the_yellow_paper_gives() -> None:
    assert assemble("PUSH 32 ; two bytes\nEQ\nhere: STOP\nPUSH here").hex() == "6020145b006003"


def test_an_unknown_instruction_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        assemble("SELFDESTRUCT")


def test_the_code_at_the_address_is_the_listing(web3: Any, chain: EvmChain) -> None:
    assert bytes(web3.eth.get_code(chain.contract)) == RUNTIME


def test_the_first_anchor_keeps_its_block_and_tells_it_in_an_event(web3: Any, chain: EvmChain) -> None:
    held = chain.anchor(DIGEST)
    assert (held.block, held.sender, held.confirmations) == (web3.eth.block_number, web3.eth.accounts[0], 1)
    receipt = web3.eth.get_transaction_receipt(held.tx)
    assert [bytes(one["topics"][0]) for one in receipt["logs"]] == [DIGEST]
    assert receipt["gasUsed"] < 46_000


def test_a_second_anchor_leaves_the_first_and_tells_nothing(web3: Any, chain: EvmChain) -> None:
    first = chain.anchor(DIGEST)
    receipt = sent(web3, chain, DIGEST)
    held = chain.read(DIGEST)
    assert held is not None
    assert (receipt["status"], list(receipt["logs"])) == (1, [])
    assert (held.block, held.tx, held.confirmations) == (first.block, first.tx, 2)


def test_another_length_is_a_question_and_changes_nothing(web3: Any, chain: EvmChain) -> None:
    before = web3.eth.call({"to": chain.contract, "data": "0x" + question(DIGEST).hex()})
    sent(web3, chain, question(DIGEST))
    assert chain.read(DIGEST) is None
    held = chain.anchor(DIGEST)
    after = web3.eth.call({"to": chain.contract, "data": "0x" + question(DIGEST).hex()})
    assert (int.from_bytes(before, "big"), int.from_bytes(after, "big")) == (0, held.block)


def test_money_sent_by_mistake_is_refused(web3: Any, chain: EvmChain) -> None:
    assert sent(web3, chain, DIGEST, value=1)["status"] == 0
    assert web3.eth.get_balance(chain.contract) == 0
    assert chain.read(DIGEST) is None


def test_a_contract_whose_maker_put_storage_beside_the_same_code_is_found_out(web3: Any) -> None:
    made_up = assemble(f"PUSH 1\nPUSH 7\nSSTORE\nPUSH {len(RUNTIME)}\nDUP1\nPUSH 16\nPUSH 0\nCODECOPY\nPUSH 0\nRETURN")
    made_up += RUNTIME
    assert made_up[16:] == RUNTIME
    receipt = web3.eth.wait_for_transaction_receipt(
        web3.eth.send_transaction({"from": web3.eth.accounts[0], "data": "0x" + made_up.hex(), "gas": 300_000})
    )
    forged = EvmChain(lambda: web3, contract=receipt["contractAddress"])
    assert bytes(web3.eth.get_code(receipt["contractAddress"])) == RUNTIME
    with pytest.raises(Tampered, match="storage was made up"):
        forged.read((7).to_bytes(32, "big"))


def test_another_contract_is_not_believed(web3: Any) -> None:
    other = MAKER.replace(RUNTIME, RUNTIME[:-1] + b"\x00")
    receipt = web3.eth.wait_for_transaction_receipt(
        web3.eth.send_transaction({"from": web3.eth.accounts[0], "data": "0x" + other.hex(), "gas": 300_000})
    )
    with pytest.raises(Tampered, match="another contract"):
        EvmChain(lambda: web3, contract=receipt["contractAddress"]).read(DIGEST)


def test_where_there_is_no_contract_nothing_is_held_and_nothing_sent(web3: Any) -> None:
    nowhere = EvmChain(lambda: web3, contract="0x" + "12" * 20, account=NodeAccount())
    assert nowhere.read(DIGEST) is None
    with pytest.raises(Conflict, match="expected a contract"):
        nowhere.anchor(DIGEST)


def test_what_the_library_says_never_reaches_the_error() -> None:
    def connect() -> Any:
        raise ValueError("https://chain.example/secret-key")

    with pytest.raises(Unavailable) as caught:
        EvmChain(connect, contract="0x" + "12" * 20).chain_id()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_the_library_the_error_says_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['web3'] = None\n"
        "from chengshu.anchor.chains.evm_library import connect\n"
        "from chengshu.kernel.errors import Unavailable\n"
        "try: connect('http://127.0.0.1:9')\n"
        "except Unavailable as error: print(error.code, error.hint.en)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "anchor.no-library pip install 'chengshu[anchor]'\n"


def test_importing_the_library_leaves_the_limit_that_guards_a_node_from_deep_documents() -> None:
    program = (
        "import sys\n"
        "from chengshu.anchor.chains.evm_library import library\n"
        "before = sys.getrecursionlimit()\n"
        "library()\n"
        "print('web3' in sys.modules, sys.getrecursionlimit() == before)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split() == ["True", "True"]
