"""Checkpoints on a real local chain: anchored, read back, and everything that a log's owner or a chain's node may make up."""

import json
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anvil
import httpx
import pytest
from typer.testing import CliRunner

from chengshu.anchor.chains.evm import EvmChain
from chengshu.anchor.chains.evm_accounts import Account, FileAccount, NodeAccount
from chengshu.anchor.chains.evm_library import connect
from chengshu.anchor.contract import RUNTIME, assemble
from chengshu.anchor.model import digest_of
from chengshu.cli import verbs
from chengshu.cli.doctor import examine
from chengshu.cli.main import app
from chengshu.evidence.service import Evidence
from chengshu.evidence.verify import verify_log
from chengshu.identity.keys.file import FileKeys
from chengshu.kernel.database import metadata
from chengshu.kernel.errors import Tampered, Unavailable
from chengshu.node import KEYS, LOG, Node, open_node
from databases import database_at

Body = Mapping[str, Any]


@pytest.fixture(scope="module")
def chain_url() -> Iterator[str]:
    with anvil.running() as url:
        yield url


@dataclass(frozen=True)
class Anchored:
    """A node whose log is anchored once, with three more entries behind the anchor."""

    node: Node
    url: str

    @property
    def log(self) -> Path:
        return self.node.folder / LOG

    def listed(self) -> list[dict[str, Any]]:
        return [one.as_dict() for one in self.node.anchors.listed()]


def run(*words: str) -> tuple[int, str]:
    """Run a command and return its exit code and everything that it printed."""
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def verify(path: Path, url: str, *more: str) -> tuple[int, list[str]]:
    """Verify a log's anchors; return the exit code and the findings."""
    code, output = run("anchor", "verify", str(path), "--url", url, "--json", *more)
    return code, [one["finding"] for one in json.loads(output)["anchors"]]


def grow(node: Node, count: int = 3) -> None:
    with node.database.write() as tx:
        for number in range(count):
            node.evidence.append(tx, "token.issued", f"t{number}", {"n": number})
    node.evidence.publish()


@pytest.fixture
def anchored(tmp_path: Path, chain_url: str) -> Anchored:
    folder = tmp_path / "road"
    verbs.init(folder, verbs.Birth("road", "Road", "道路", port=8799))
    code, _ = run("anchor", "deploy", "--url", chain_url, "--account", anvil.account(chain_url), "--node", str(folder))
    assert code == 0
    code, output = run("anchor", "now", "--node", str(folder), "--json")
    assert (code, json.loads(output)["state"]) == (0, "ANCHORED")
    node = open_node(folder)
    grow(node)
    return Anchored(node, chain_url)


def rewritten(original: Anchored, folder: Path, change: Callable[[int, str, Body], Body | None]) -> Path:
    """The log that its owner, who has the key, would rather have: ``change`` gives another body, or None to leave an entry out.

    Every time is kept, so that the roots before the first change are as they were.
    """
    folder.mkdir(exist_ok=True)
    database = database_at(folder / "node.db")
    metadata.create_all(database.engine)
    wished = [(one, change(one.index, one.kind, one.body)) for one in original.node.evidence.entries(0, original.node.evidence.size())]
    times = iter([one.at for one, body in wished if body is not None])
    forged = Evidence(database, FileKeys(original.node.folder / KEYS).load(), "road/log", folder / "log", lambda: next(times))
    with database.write() as tx:
        for one, body in wished:
            if body is not None:
                forged.append(tx, one.kind, one.subject, dict(body))
    forged.publish()
    database.close()
    return forged.folder


# --- what it proves


def test_an_anchor_is_read_back_with_block_time_and_confirmations(anchored: Anchored) -> None:
    code, output = run("anchor", "verify", str(anchored.node.folder), "--url", anchored.url, "--json")
    found = json.loads(output)
    (one,) = found["anchors"]
    (kept,) = anchored.listed()
    assert (code, found["ok"], one["finding"], one["size"]) == (0, True, "proved", 2)
    assert (one["block"], one["block_at"], one["tx"], one["confirmations"]) == (kept["block"], kept["block_at"], kept["tx"], 1)
    assert found["asked"] == "evm 31337"


@pytest.mark.parametrize(("lang", "words"), [("en", ("not later than block", "local test chain")), ("zh", ("不晚于链", "本地测试链"))])
def test_the_words_tell_what_is_proved_and_that_a_test_chain_proves_nothing_to_others(
    anchored: Anchored, lang: str, words: tuple[str, ...]
) -> None:
    code, output = run("anchor", "verify", str(anchored.log), "--url", anchored.url, "--lang", lang)
    assert code == 0
    assert [word for word in words if word not in output] == []


def test_a_pack_that_encloses_the_log_proves_the_same_and_one_without_says_what_is_missing(anchored: Anchored, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.zip", tmp_path / "part.zip"
    for path, more in ((whole, ["--whole-log"]), (part, [])):
        assert run("evidence", "export", "--case", "t1", "--out", str(path), "--node", str(anchored.node.folder), *more)[0] == 0
    assert verify(whole, anchored.url) == (0, ["proved"])
    code, output = run("anchor", "verify", str(part), "--url", anchored.url, "--json")
    assert (code, json.loads(output)["error"]["code"]) == (1, "anchor.no-log")


def test_the_doctor_says_that_it_is_anchored_and_later_for_whom_an_anchor_waits(anchored: Anchored) -> None:
    def about() -> list[tuple[bool, str]]:
        return [(one.bad, one.found.en) for one in examine(anchored.node.folder) if one.about.en == "anchors"]

    assert [bad for bad, _ in about()] == [False]
    anchored.node.anchors.anchor_now()
    ((bad, words),) = about()
    assert bad
    assert "waits for evm 127.0.0.1" in words


def test_a_log_without_anchors_proves_none(tmp_path: Path, chain_url: str) -> None:
    folder = tmp_path / "fleet"
    verbs.init(folder, verbs.Birth("fleet", "Fleet", "车队"))
    open_node(folder).evidence.publish()
    assert verify(folder, chain_url) == (1, [])


def test_an_account_of_the_nodes_own_is_made_kept_secret_and_must_have_money(tmp_path: Path, chain_url: str) -> None:
    folder = tmp_path / "road"
    verbs.init(folder, verbs.Birth("road", "Road", "道路", port=8798))
    code, output = run("anchor", "deploy", "--url", chain_url, "--node", str(folder), "--json")
    error = json.loads(output)["error"]
    key = folder / KEYS / "anchor.key"
    assert (code, error["code"], stat.S_IMODE(key.stat().st_mode)) == (1, "anchor.funds", 0o600)
    address = next(word for word in error["message"].split() if word.startswith("0x"))
    anvil.rpc(chain_url, "anvil_setBalance", address, hex(10**18))
    code, deployed = run("anchor", "deploy", "--url", chain_url, "--node", str(folder), "--json")
    assert code == 0
    code, done = run("anchor", "now", "--node", str(folder), "--json")
    assert (code, json.loads(done)["state"]) == (0, "ANCHORED")
    assert key.read_text().strip() not in output + deployed + done
    assert verify(folder, chain_url) == (0, ["proved"])
    key.chmod(0o644)
    grow(open_node(folder))
    code, output = run("anchor", "now", "--node", str(folder), "--json")
    assert (code, "anchor.key-readable" in output) == (1, True)


# --- sent once, whatever happens


@pytest.mark.parametrize("own_key", [True, False])
def test_an_attempt_while_another_is_on_its_way_sends_nothing_that_could_be_paid_twice(tmp_path: Path, own_key: bool) -> None:
    with anvil.running("--no-mining") as url:
        web3 = connect(url)
        account: Account = FileAccount(tmp_path / "anchor.key") if own_key else NodeAccount()
        address = account.address(web3)
        anvil.rpc(url, "anvil_setBalance", address, hex(10**18))
        anvil.rpc(url, "evm_setAutomine", True)
        contract = EvmChain(partial(connect, url), contract="", account=account).deploy()
        anvil.rpc(url, "evm_setAutomine", False)
        chain = EvmChain(partial(connect, url), contract=contract, account=account, wait_s=0.3)
        before = web3.eth.get_transaction_count(address)
        for _ in range(2):
            with pytest.raises(Unavailable, match="none yet"):
                chain.anchor(bytes(range(32)))
        anvil.rpc(url, "anvil_mine")
        anvil.rpc(url, "anvil_mine")
        held = chain.anchor(bytes(range(32)))
        assert (held.sender, web3.eth.get_transaction_count(address)) == (address, before + 1)


# --- a log's owner who makes things up


def test_a_history_rewritten_after_anchoring_is_found(anchored: Anchored, tmp_path: Path) -> None:
    forged = rewritten(anchored, tmp_path, lambda index, _kind, body: {"handle": "other"} if index == 0 else body)
    code, output = run("anchor", "verify", str(forged), "--url", anchored.url, "--lang", "en")
    assert code == 1
    assert "its history was rewritten after it was anchored" in output


def test_a_rewritten_log_with_a_digest_to_match_is_not_on_the_chain(anchored: Anchored, tmp_path: Path) -> None:
    def beginning(index: int, _kind: str, body: Body) -> Body | None:
        return {"handle": "other"} if index == 0 else body if index < 2 else None

    begun = rewritten(anchored, tmp_path / "begun", beginning)
    digest = digest_of(verify_log(begun).checkpoint)

    def change(index: int, kind: str, body: Body) -> Body:
        if index == 0:
            return {"handle": "other"}
        return {**body, "digest": digest} if kind == "checkpoint.anchored" else body

    assert verify(rewritten(anchored, tmp_path / "whole", change), anchored.url) == (1, ["not-on-this-chain"])


def test_a_log_without_its_anchors_is_convicted_by_the_list_that_somebody_kept(anchored: Anchored, tmp_path: Path) -> None:
    code, listed = run("anchor", "list", "--node", str(anchored.node.folder), "--json")
    kept = tmp_path / "kept.json"
    kept.write_text(listed)
    forged = rewritten(
        anchored, tmp_path, lambda index, kind, body: None if kind == "checkpoint.anchored" else {"x": 1} if index == 0 else body
    )
    assert code == 0
    assert verify(forged, anchored.url) == (1, [])
    assert verify(forged, anchored.url, "--kept", str(kept)) == (1, ["contradicted"])
    assert verify(anchored.log, anchored.url, "--kept", str(kept)) == (0, ["proved"])


def test_a_log_shorter_than_what_was_anchored_is_found(anchored: Anchored, tmp_path: Path) -> None:
    assert run("anchor", "now", "--node", str(anchored.node.folder))[0] == 0
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(anchored.listed()))
    forged = rewritten(anchored, tmp_path, lambda index, _kind, body: body if index < 3 else None)
    code, found = verify(forged, anchored.url, "--kept", str(kept))
    assert (code, found) == (1, ["proved", "contradicted"])


def test_an_anchor_claimed_for_a_transaction_that_is_not_on_the_chain_is_not_there(anchored: Anchored) -> None:
    size = anchored.node.evidence.checkpoint().size
    fields = {**anchored.listed()[0], "size": size, "tx": "0x" + "ab" * 32}
    digest = digest_of(anchored.node.evidence.checkpoint())
    body = {name: fields[name] for name in ("origin", "chain", "chain_id", "contract", "tx", "block")}
    with anchored.node.database.write() as tx:
        anchored.node.evidence.append(tx, "checkpoint.anchored", digest, body | {"size": size, "root": "", "digest": digest})
    anchored.node.evidence.publish()
    assert verify(anchored.log, anchored.url) == (1, ["proved", "not-on-this-chain"])


def test_an_anchor_said_to_be_older_than_it_is_is_contradicted(anchored: Anchored, tmp_path: Path) -> None:
    forged = rewritten(anchored, tmp_path, lambda _index, kind, body: {**body, "block": 0} if kind == "checkpoint.anchored" else body)
    code, output = run("anchor", "verify", str(forged), "--url", anchored.url, "--lang", "en")
    assert code == 1
    assert "said to be in block 0" in output


def test_a_contract_that_its_maker_filled_beforehand_proves_nothing(anchored: Anchored) -> None:
    checkpoint = anchored.node.evidence.checkpoint()
    digest = digest_of(checkpoint)
    filling = f"7f{digest.removeprefix('sha256:')}"  # PUSH32 digest: the constructor keeps block 1 for it
    copying = assemble(f"PUSH {len(RUNTIME)}\nDUP1\nPUSH 47\nPUSH 0\nCODECOPY\nPUSH 0\nRETURN").hex()
    maker = "0x6001" + filling + "55" + copying + RUNTIME.hex()
    web3 = connect(anchored.url)
    sent = web3.eth.send_transaction({"from": web3.eth.accounts[0], "data": maker, "gas": 400_000})
    contract = web3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
    assert bytes(web3.eth.get_code(contract)) == RUNTIME
    assert int.from_bytes(web3.eth.get_storage_at(contract, int(digest.removeprefix("sha256:"), 16)), "big") == 1
    body = {**anchored.node.anchors.listed()[0].as_entry(), "size": checkpoint.size, "digest": digest, "contract": contract, "block": 1}
    with anchored.node.database.write() as tx:
        anchored.node.evidence.append(tx, "checkpoint.anchored", digest, body)
    anchored.node.evidence.publish()
    assert verify(anchored.log, anchored.url) == (1, ["proved", "contradicted"])


def test_an_entry_that_names_no_checkpoint_is_contradicted(anchored: Anchored) -> None:
    with anchored.node.database.write() as tx:
        anchored.node.evidence.append(tx, "checkpoint.anchored", "nothing", {"size": "many"})
    anchored.node.evidence.publish()
    assert verify(anchored.log, anchored.url) == (1, ["proved", "contradicted"])


def test_another_chain_proves_nothing_about_this_ones_anchors(anchored: Anchored) -> None:
    with anvil.running("--chain-id", "4242") as other:
        assert verify(anchored.log, other) == (1, ["other-chain"])


def test_a_chain_of_the_same_id_that_was_made_anew_does_not_hold_it(anchored: Anchored) -> None:
    with anvil.running() as anew:
        assert verify(anchored.log, anew) == (1, ["not-on-this-chain"])


def test_a_damaged_log_is_named_before_any_chain_is_asked(anchored: Anchored, tmp_path: Path) -> None:
    shutil.copytree(anchored.log, tmp_path / "copy")
    entries = next((tmp_path / "copy" / "tile" / "entries").rglob("000.p/*"))
    entries.write_bytes(entries.read_bytes().replace(b"node.started", b"node.startex"))
    code, output = run("anchor", "verify", str(tmp_path / "copy"), "--url", "http://127.0.0.1:9", "--json")
    assert (code, json.loads(output)["error"]["kind"]) == (1, "Tampered")


# --- a chain's node that makes things up


class Liar(BaseHTTPRequestHandler):
    """Passes everything on to a real chain's node, but keeps transactions and says that they were taken in."""

    upstream = ""

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        tx = "0x" + "cd" * 32
        if question["method"] in {"eth_sendTransaction", "eth_sendRawTransaction"}:
            answer = {"jsonrpc": "2.0", "id": question["id"], "result": tx}
        elif question["method"] == "eth_getTransactionReceipt":
            receipt = {"transactionHash": tx, "blockNumber": anvil.rpc(self.upstream, "eth_blockNumber"), "status": "0x1", "logs": []}
            answer = {"jsonrpc": "2.0", "id": question["id"], "result": receipt}
        else:
            answer = httpx.post(self.upstream, json=question, trust_env=False).json()
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def liar(chain_url: str) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("LiarTo", (Liar,), {"upstream": chain_url}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_receipt_is_not_believed_when_the_contract_does_not_hold_the_digest(anchored: Anchored, liar: str) -> None:
    contract = anchored.listed()[0]["contract"]
    chain = EvmChain(partial(connect, liar), contract=contract, account=NodeAccount())
    with pytest.raises(Tampered, match="expected the contract to hold what the receipt says"):
        chain.anchor(bytes(range(32)))
    assert chain.read(bytes(range(32))) is None


def test_a_node_that_believes_nobody_records_no_anchor_from_a_liar(anchored: Anchored, liar: str) -> None:
    toml = anchored.node.folder / "chengshu.toml"
    toml.write_text(toml.read_text().replace(anchored.url, liar))
    code, output = run("anchor", "now", "--node", str(anchored.node.folder), "--json")
    found = json.loads(output)
    assert (code, found["state"], found["error"].partition(":")[0]) == (1, "FAILED", "anchor.receipt")
    kinds = [one.kind for one in anchored.node.evidence.entries(0, anchored.node.evidence.size())]
    assert kinds.count("checkpoint.anchored") == 1


def test_a_chain_that_does_not_answer_is_named_by_its_host_alone(anchored: Anchored) -> None:
    toml = anchored.node.folder / "chengshu.toml"
    toml.write_text(toml.read_text().replace(anchored.url, "http://127.0.0.1:9/v3/secret-key"))
    code, output = run("anchor", "now", "--node", str(anchored.node.folder), "--timeout", "0.1", "--json")
    assert (code, json.loads(output)["state"]) == (1, "WAITING")
    words = " ".join(one.found.en for one in examine(anchored.node.folder))
    assert "waits for evm 127.0.0.1" in words
    assert "secret-key" not in output + words
