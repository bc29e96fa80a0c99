"""Anchoring as tasks: once, whatever dies in between; what the digest binds; and when it is due."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from chengshu.anchor.chains.evm import EvmChain
from chengshu.anchor.model import Anchored, State, claim_of, digest_at, digest_of
from chengshu.anchor.service import ANCHOR_TASK, Anchors
from chengshu.evidence.checkpoint import VerifierKey
from chengshu.kernel.clock import system_clock
from chengshu.kernel.crypto import INTERNATIONAL, NATIONAL
from chengshu.kernel.errors import Conflict, NotFound, Unavailable
from chengshu.kernel.text import Text


class PowerCutError(BaseException):
    """The process ends where it stands."""


@dataclass
class Interrupted:
    """A real chain whose caller dies, or loses the line, right after the digest was sent."""

    chain: EvmChain
    error: BaseException
    name: str = "evm"
    sent: list[bytes] = field(default_factory=list)

    @property
    def contract(self) -> str:
        return self.chain.contract

    def chain_id(self) -> str:
        return self.chain.chain_id()

    def read(self, digest: bytes) -> Anchored | None:
        return self.chain.read(digest)

    def anchor(self, digest: bytes) -> Anchored:
        self.sent.append(digest)
        self.chain.anchor(digest)
        raise self.error


def silent() -> Unavailable:
    return Unavailable("anchor.chain-silent", "expected an answer, got none", hint=Text("Wait.", "请等待。"))


def test_the_digest_is_the_hash_of_the_checkpoints_text(anchoring: Any, chain: EvmChain) -> None:
    one = anchoring(chain)
    one.grow(3)
    checkpoint = one.evidence.checkpoint()
    text = f"road/log\n3\n{checkpoint.root_text}\n".encode()
    assert digest_of(checkpoint) == "sha256:" + hashlib.sha256(text).hexdigest()
    assert digest_at(checkpoint.key, size=3, root=checkpoint.root) == digest_of(checkpoint)


def test_the_digest_binds_log_size_and_root_and_follows_the_profile() -> None:
    key = VerifierKey("road/log", INTERNATIONAL.generate().public_key)
    other = VerifierKey("fleet/log", key.public_key)
    national = VerifierKey("road/log", NATIONAL.generate().public_key)
    root = bytes(32)
    digests = {
        digest_at(key, size=3, root=root),
        digest_at(other, size=3, root=root),
        digest_at(key, size=4, root=root),
        digest_at(key, size=3, root=bytes([1]) * 32),
        digest_at(national, size=3, root=root),
    }
    assert len(digests) == 5
    assert sorted(one.partition(":")[0] for one in digests) == ["sha256"] * 4 + ["sm3"]


def test_an_anchored_checkpoint_is_an_entry_that_says_where(anchoring: Any, chain: EvmChain) -> None:
    one = anchoring(chain)
    one.grow(2)
    asked = one.anchors.anchor_now()
    assert asked.state is State.WAITING
    assert one.kinds() == ["token.issued"] * 2
    one.worker.run_due()
    (done,) = one.anchors.listed()
    entry = one.evidence.entries(2, 3)[0]
    held = chain.read(bytes.fromhex(asked.digest.removeprefix("sha256:")))
    assert held is not None
    assert (done.state, done.block, done.block_at) == (State.ANCHORED, held.block, held.at)
    assert (entry.kind, entry.subject) == ("checkpoint.anchored", asked.digest)
    assert dict(entry.body) == {
        "origin": "road/log",
        "size": 2,
        "root": asked.root,
        "digest": asked.digest,
        "chain": "evm",
        "chain_id": held.chain_id,
        "contract": chain.contract,
        "tx": held.tx,
        "block": held.block,
    }
    assert claim_of(entry.body) == claim_of(done.as_dict())


def test_asking_twice_anchors_once(anchoring: Any, chain: EvmChain, web3: Any) -> None:
    one = anchoring(chain)
    one.grow()
    one.anchors.anchor_now()
    one.anchors.anchor_now()
    before = web3.eth.block_number
    one.worker.run_due()
    one.anchors.anchor_now()
    one.anchors.run({"digest": one.anchors.listed()[0].digest, "chain": "evm", "contract": chain.contract, "send": True})
    assert web3.eth.block_number == before + 1
    assert one.kinds() == ["token.issued", "checkpoint.anchored"]


def test_a_node_that_dies_between_sending_and_recording_finds_it_on_the_chain(anchoring: Any, chain: EvmChain, web3: Any) -> None:
    dying = Interrupted(chain, PowerCutError())
    one = anchoring(dying)
    one.grow()
    one.anchors.anchor_now()
    with pytest.raises(PowerCutError):
        one.worker.run_due()
    one.database.close()
    before = web3.eth.block_number
    again = anchoring(chain)
    again.worker.recover()
    again.worker.run_due()
    (done,) = again.anchors.listed()
    assert (done.state, done.block, web3.eth.block_number) == (State.ANCHORED, before, before)
    assert again.kinds() == ["token.issued", "checkpoint.anchored"]


def test_an_anchor_waits_for_a_silent_chain_for_as_long_as_it_takes_and_no_other_is_due_meanwhile(anchoring: Any, chain: EvmChain) -> None:
    lost = Interrupted(chain, silent())
    one = anchoring(lost, every=timedelta(hours=1))
    one.grow()
    one.anchors.anchor_due()
    for _ in range(20):
        one.now += timedelta(hours=1)
        one.worker.run_due()
    one.grow()
    assert one.anchors.anchor_due() is None
    with one.database.read() as tx:
        assert [(task.waits_for, task.last_error) for task in one.tasks.waiting(tx)] == [
            ("evm chain.example", "anchor.chain-silent: expected an answer, got none")
        ]
    assert [anchor.state for anchor in one.anchors.listed()] == [State.WAITING]
    assert len(lost.sent) == 20


def test_what_was_given_up_and_yet_reached_the_chain_is_found_with_the_next(anchoring: Any, chain: EvmChain, web3: Any) -> None:
    conflict = Conflict("anchor.failed", "expected it to be taken, got a failure", hint=Text("See.", "见。"))
    one = anchoring(Interrupted(chain, conflict))
    one.grow()
    one.anchors.anchor_now()
    one.worker.run_due()
    assert [anchor.state for anchor in one.anchors.listed()] == [State.FAILED]
    one.database.close()
    again = anchoring(chain)
    again.grow()
    again.anchors.anchor_now()
    again.worker.run_due()
    assert [(anchor.size, anchor.state) for anchor in again.anchors.listed()] == [(1, State.ANCHORED), (2, State.ANCHORED)]


def test_what_was_given_up_and_never_sent_is_not_sent_later(anchoring: Any, chain: EvmChain, web3: Any) -> None:
    one = anchoring(chain)
    one.grow()
    old = one.anchors.anchor_now()
    error = Conflict("anchor.funds", "expected money, got none", hint=Text("See.", "见。"))
    one.anchors.abandon({"digest": old.digest, "chain": "evm", "contract": chain.contract}, error)
    with one.database.write() as tx:
        tx.exec_driver_sql("DELETE FROM tasks")
    one.grow()
    one.anchors.anchor_now()
    before = web3.eth.block_number
    one.worker.run_due()
    assert web3.eth.block_number == before + 1
    assert [(anchor.size, anchor.state) for anchor in one.anchors.listed()] == [(1, State.FAILED), (2, State.ANCHORED)]


def test_an_anchor_that_was_asked_for_elsewhere_is_not_sent_here(anchoring: Any, chain: EvmChain, web3: Any) -> None:
    one = anchoring(chain)
    one.grow()
    one.anchors.anchor_now()
    one.database.close()
    moved = anchoring(EvmChain(lambda: web3, contract="0x" + "12" * 20))
    moved.worker.run_due()
    (anchor,) = moved.anchors.listed()
    assert (anchor.state, (anchor.error or "").partition(":")[0]) == (State.FAILED, "anchor.moved")


def test_it_is_due_after_the_interval_and_only_if_something_else_was_written(anchoring: Any, chain: EvmChain) -> None:
    one = anchoring(chain, every=timedelta(hours=6))
    one.grow()
    first = one.anchors.anchor_due()
    assert first is not None
    one.worker.run_due()
    one.evidence.publish()
    one.now += timedelta(hours=7)
    assert one.anchors.anchor_due() is None
    one.grow()
    second = one.anchors.anchor_due()
    assert second is not None
    assert (first.size, second.size) == (1, 3)
    one.grow()
    assert one.anchors.anchor_due() is None


def test_an_anchor_that_was_given_up_is_asked_for_again_after_the_interval(anchoring: Any, chain: EvmChain) -> None:
    one = anchoring(
        Interrupted(chain, Conflict("anchor.failed", "expected it, got none", hint=Text("See.", "见。"))), every=timedelta(hours=1)
    )
    one.grow()
    one.anchors.anchor_due()
    one.worker.run_due()
    assert [anchor.state for anchor in one.anchors.listed()] == [State.FAILED]
    one.now += timedelta(hours=2)
    one.anchors.anchor_due()
    assert [anchor.state for anchor in one.anchors.listed()] == [State.WAITING]


def test_without_a_chain_nothing_is_due_and_asking_says_what_to_do(anchoring: Any, chain: EvmChain) -> None:
    one = anchoring(chain)
    one.grow()
    off = Anchors(one.database, log=one.evidence, tasks=one.tasks, place=None, chain=None, every=None, clock=system_clock)
    assert off.anchor_due() is None
    with pytest.raises(NotFound, match="expected a chain"):
        off.anchor_now()
    assert ANCHOR_TASK == "checkpoint.anchor"
