"""What an anchor is, and what it proves: pure decisions."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.evidence.checkpoint import Checkpoint, VerifierKey
from chengshu.evidence.witnessing.cosignature import note_body
from chengshu.kernel.clock import iso
from chengshu.kernel.text import Language, Text

EVM = "evm"
FISCO = "fisco"
UNTESTED = Text("untested on a live chain", "未在真实链上测试")
"""What every showing of the FISCO BCOS adapter says beside it."""

TEST_CHAINS = frozenset({"1337", "31337", "131277322940537"})
"""Chain ids of chains that run in one process for tests (geth --dev and ganache, anvil and hardhat, py-evm)."""

_DIGEST = re.compile(r"(?:sha256|sm3):[0-9a-f]{64}", re.ASCII)


class State(StrEnum):
    """Where an anchor stands."""

    WAITING = "WAITING"
    ANCHORED = "ANCHORED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Anchored:
    """What a chain holds: since which block and when, by whose transaction, and how many blocks (itself included) stand on it."""

    chain: str
    chain_id: str
    contract: str
    tx: str
    block: int
    at: datetime
    sender: str
    confirmations: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """One checkpoint that is to be anchored, or is; ``body`` is the note's text, whose digest the chain is given."""

    digest: str
    origin: str
    size: int
    body: bytes
    chain: str
    contract: str
    state: State
    requested_at: datetime
    chain_id: str | None = None
    tx: str | None = None
    block: int | None = None
    block_at: datetime | None = None
    error: str | None = None

    @property
    def root(self) -> str:
        """The root as base64, as the checkpoint shows it."""
        return self.body.decode().split("\n")[2]

    def as_entry(self) -> dict[str, Any]:
        """Return the body of the entry that says that this checkpoint was anchored."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "digest": self.digest,
            "chain": self.chain,
            "chain_id": self.chain_id,
            "contract": self.contract,
            "tx": self.tx,
            "block": self.block,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the anchor as JSON-ready values; what is anchored can be judged from them by somebody who keeps them."""
        return {
            "state": self.state.value,
            **self.as_entry(),
            "block_at": None if self.block_at is None else iso(self.block_at),
            "requested_at": iso(self.requested_at),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says of an anchor: the log in an entry, or a list of anchors that was kept elsewhere."""

    size: int
    digest: str
    chain: str
    chain_id: str
    contract: str
    tx: str
    block: int

    @property
    def raw(self) -> bytes:
        """The digest's 32 bytes, as the chain holds them."""
        return bytes.fromhex(self.digest.partition(":")[2])


class Finding(StrEnum):
    """What the log and the chain say to a claim."""

    PROVED = "proved"
    ABSENT = "not-on-this-chain"
    OTHER_CHAIN = "other-chain"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim with what was found, in words; ``held`` is what the chain holds."""

    claim: Claim | None
    finding: Finding
    text: Text
    held: Anchored | None = None

    def as_dict(self, language: Language) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        claim, held = self.claim, self.held
        return {
            "finding": self.finding.value,
            "size": None if claim is None else claim.size,
            "digest": None if claim is None else claim.digest,
            "chain": None if claim is None else f"{claim.chain} {claim.chain_id}",
            "contract": None if claim is None else claim.contract,
            "block": None if held is None else held.block,
            "block_at": None if held is None else iso(held.at),
            "tx": None if held is None else held.tx,
            "sender": None if held is None else held.sender,
            "confirmations": None if held is None else held.confirmations,
            "text": self.text.of(language),
        }


def digest_of(checkpoint: Checkpoint) -> str:
    """Return the digest of a checkpoint's text, which binds log, size and root, by the hash of the log's own profile."""
    return _digest(checkpoint.key, note_body(checkpoint.note))


def digest_at(key: VerifierKey, *, size: int, root: bytes) -> str:
    """Return the digest of the checkpoint that the log of ``key`` has at ``size`` entries under ``root``."""
    return _digest(key, f"{key.name}\n{size}\n{base64.b64encode(root).decode()}\n".encode())


def claim_of(fields: Mapping[str, Any]) -> Claim | None:
    """Return the claim that an entry's body or a kept anchor makes; None where fields are missing or of another kind."""
    texts = [fields.get(name) for name in ("digest", "chain", "chain_id", "contract", "tx")]
    size, block = fields.get("size"), fields.get("block")
    if not (type(size) is int and size >= 0 and type(block) is int and block >= 0):
        return None
    digest, chain, chain_id, contract, tx = (text if isinstance(text, str) else "" for text in texts)
    if not (_DIGEST.fullmatch(digest) and chain and chain_id and contract):
        return None
    return Claim(size, digest, chain, chain_id, contract, tx, block)


def judge(claim: Claim, *, digest: str | None, is_this_chain: bool, held: Anchored | None) -> Judged:
    """Return what is proved of a claim; ``digest`` is recomputed from the log at the claim's size, None where the log is shorter."""
    if digest is None:
        return Judged(claim, Finding.CONTRADICTED, _shorter(claim), held)
    if digest != claim.digest:
        return Judged(claim, Finding.CONTRADICTED, _rewritten(claim, held), held)
    if not is_this_chain:
        return Judged(claim, Finding.OTHER_CHAIN, _other_chain(claim))
    if held is None:
        return Judged(claim, Finding.ABSENT, _absent(claim))
    if held.block > claim.block:
        return Judged(claim, Finding.CONTRADICTED, _backdated(claim, held), held)
    return Judged(claim, Finding.PROVED, _proved(claim, held), held)


def _digest(key: VerifierKey, body: bytes) -> str:
    return f"{key.suite.hash_name}:{key.suite.hash(body).hex()}"


def _proved(claim: Claim, held: Anchored) -> Text:
    at = iso(held.at)
    return Text(
        f"Proved: the log's first {claim.size} entries existed as they are not later than block {held.block} of chain {claim.chain} "
        f"{claim.chain_id}, {at}; {held.confirmations} confirmation(s).",
        f"已证明：日志的前 {claim.size} 条记录不晚于链 {claim.chain} {claim.chain_id} 的区块 {held.block}（{at}）即已如此存在；"
        f"确认数 {held.confirmations}。",
    )


def _shorter(claim: Claim) -> Text:
    return Text(
        f"Contradicted: a checkpoint of {claim.size} entries was anchored, and this log is shorter: entries were taken away.",
        f"矛盾：曾锚定含 {claim.size} 条记录的检查点，而此日志更短：有记录被删去。",
    )


def _rewritten(claim: Claim, held: Anchored | None) -> Text:
    if held is None:
        return Text(
            f"Contradicted: this log has another root at {claim.size} entries than the one said to be anchored.",
            f"矛盾：此日志在 {claim.size} 条记录处的根与所称锚定的根不同。",
        )
    return Text(
        f"Contradicted: this log has another root at {claim.size} entries than the one that the chain holds since block {held.block}: "
        "its history was rewritten after it was anchored.",
        f"矛盾：此日志在 {claim.size} 条记录处的根与链上自区块 {held.block} 起所载不同：历史在锚定之后被改写。",
    )


def _other_chain(claim: Claim) -> Text:
    return Text(
        f"Not judged: the anchor at {claim.size} entries is said to be on chain {claim.chain} {claim.chain_id}, which is another one.",
        f"未判定：{claim.size} 条记录处的锚定据称位于另一条链 {claim.chain} {claim.chain_id}。",
    )


def _absent(claim: Claim) -> Text:
    return Text(
        f"Not proved: this chain holds nothing of the anchor at {claim.size} entries, said to be in block {claim.block}.",
        f"未证明：此链上没有 {claim.size} 条记录处的锚定（据称位于区块 {claim.block}）。",
    )


def _backdated(claim: Claim, held: Anchored) -> Text:
    return Text(
        f"Contradicted: the anchor at {claim.size} entries is said to be in block {claim.block}, and the chain holds it only since block "
        f"{held.block}: the claim is wrong, or the chain was reorganised after it was made.",
        f"矛盾：{claim.size} 条记录处的锚定据称位于区块 {claim.block}，而链上自区块 {held.block} 才有：所称有误，或链在此后发生重组。",
    )
