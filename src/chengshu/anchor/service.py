"""The log's side of anchoring: which checkpoint is anchored when, as tasks that survive a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from chengshu.anchor import store
from chengshu.anchor.model import Anchor, Anchored, State, digest_of
from chengshu.anchor.ports import Chain, OwnLog
from chengshu.evidence.witnessing.cosignature import note_body
from chengshu.kernel.clock import Clock
from chengshu.kernel.database import Database
from chengshu.kernel.errors import ChengshuError, Conflict, NotFound
from chengshu.kernel.tasks import Tasks
from chengshu.kernel.text import Text

ANCHOR_TASK = "checkpoint.anchor"
ANCHORED_KIND = "checkpoint.anchored"
LOOKED_FOR = 8
"""So many of the newest anchors that were given up are looked for again: a transaction may be taken in hours after it was sent."""
MANY_ANCHORS = 64
"""More entries than one round of anchoring can write: a log that grew by more was written to otherwise."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where anchors go: the kind of chain, the contract, and the host that is asked; a URL is never shown, since it may hold a key."""

    chain: str
    contract: str
    host: str


class Anchors:
    """Anchors this node's checkpoints; ``place`` and ``chain`` are None where the operator chose none.

    The newest published checkpoint is anchored, witnessed or not: it continues every one before it. The chain decides what is anchored:
    before anything is sent it is read, and only what it then holds is recorded.
    """

    def __init__(
        self,
        database: Database,
        *,
        log: OwnLog,
        tasks: Tasks,
        place: Place | None,
        chain: Chain | None,
        every: timedelta | None,
        clock: Clock,
    ) -> None:
        self._database = database
        self._log = log
        self._tasks = tasks
        self._place = place
        self._chain = chain
        self._every = every
        self._clock = clock

    def anchor_now(self) -> Anchor:
        """Have the newest published checkpoint anchored and return how its anchor stands; a checkpoint that is anchored stays so.

        Raises NotFound where no chain is set or nothing is published.
        """
        place = self._there()
        checkpoint = self._log.checkpoint()
        digest = digest_of(checkpoint)
        with self._database.write() as tx:
            known = store.get(tx, digest, chain=place.chain, contract=place.contract)
            if known is not None and known.state is not State.FAILED:
                return known
            self._look_again(tx, place, apart_from=digest)
            fresh = Anchor(
                digest=digest,
                origin=checkpoint.origin,
                size=checkpoint.size,
                body=note_body(checkpoint.note),
                chain=place.chain,
                contract=place.contract,
                state=State.WAITING,
                requested_at=self._clock(),
            )
            self._ask(tx, fresh, place, send=True)
            return fresh

    def anchor_due(self) -> Anchor | None:
        """Anchor now if the interval is over, none waits, and the log has grown by more than the word of its anchors; return it."""
        if self._place is None or self._every is None:
            return None
        with self._database.read() as tx:
            past = store.every(tx)
        if not past:
            return self.anchor_now()
        last = past[-1]
        size = self._log.checkpoint().size
        if last.state is State.WAITING or self._clock() - last.requested_at < self._every:
            return None
        return None if last.state is State.ANCHORED and not self._has_grown(last, size) else self.anchor_now()

    def run(self, payload: Mapping[str, Any]) -> None:
        """Anchor one checkpoint (the handler of ``checkpoint.anchor``); with ``send`` false it is only looked for."""
        asked = self._find(payload)
        if asked is None or asked.state is State.ANCHORED:
            return
        chain = self._chain
        if chain is None or (chain.name, chain.contract) != (asked.chain, asked.contract):
            raise _moved()
        digest = bytes.fromhex(asked.digest.partition(":")[2])
        held = chain.anchor(digest) if payload["send"] else chain.read(digest)
        self._record(asked, held)

    def abandon(self, payload: Mapping[str, Any], error: ChengshuError) -> None:
        """Keep that an anchor was given up, and why (learns of failed tasks)."""
        asked = self._find(payload)
        if asked is not None and asked.state is not State.ANCHORED:
            with self._database.write() as tx:
                store.save(tx, replace(asked, state=State.FAILED, error=f"{error.code}: {error.message}"))

    def listed(self) -> list[Anchor]:
        """Return every anchor that was asked for, oldest first."""
        with self._database.read() as tx:
            return store.every(tx)

    def place(self) -> Place | None:
        """Return where anchors go, None where no chain is set."""
        return self._place

    def _there(self) -> Place:
        if self._place is None:
            raise NotFound(
                "anchor.no-chain",
                "expected a chain and a contract under [anchor], got none",
                hint=Text(
                    "Make a contract with 'chengshu anchor deploy --url …', or set anchor.chain, url and contract in chengshu.toml.",
                    "请用 chengshu anchor deploy --url … 部署合约，或在 chengshu.toml 的 [anchor] 中设置 chain、url 与 contract。",
                ),
            )
        return self._place

    def _look_again(self, tx: Connection, place: Place, *, apart_from: str) -> None:
        here = [one for one in store.every(tx) if (one.chain, one.contract) == (place.chain, place.contract)]
        given_up = [one for one in here if one.state is State.FAILED and one.digest != apart_from]
        for one in given_up[-LOOKED_FOR:]:
            self._ask(tx, replace(one, state=State.WAITING), place, send=False)

    def _ask(self, tx: Connection, anchor: Anchor, place: Place, *, send: bool) -> None:
        store.save(tx, anchor)
        payload = {"digest": anchor.digest, "chain": anchor.chain, "contract": anchor.contract, "send": send}
        self._tasks.defer(tx, ANCHOR_TASK, payload, lane=f"anchor {anchor.chain}", waits_for=f"{anchor.chain} {place.host}")

    def _find(self, payload: Mapping[str, Any]) -> Anchor | None:
        with self._database.read() as tx:
            return store.get(tx, payload["digest"], chain=payload["chain"], contract=payload["contract"])

    def _record(self, asked: Anchor, held: Anchored | None) -> None:
        """Keep what the chain holds, and append the entry in the same transaction; once, whoever else was at it."""
        with self._database.write() as tx:
            now = store.get(tx, asked.digest, chain=asked.chain, contract=asked.contract)
            if now is None or now.state is State.ANCHORED:
                return
            if held is None:
                store.save(tx, replace(now, state=State.FAILED))
                return
            done = replace(now, state=State.ANCHORED, chain_id=held.chain_id, tx=held.tx, block=held.block, block_at=held.at, error=None)
            store.save(tx, done)
            self._log.append(tx, ANCHORED_KIND, done.digest, done.as_entry())

    def _has_grown(self, last: Anchor, size: int) -> bool:
        """Whether something else than an anchor was written: a node at rest would otherwise anchor the word of its anchor for ever."""
        if size - last.size > MANY_ANCHORS:
            return True
        return any(entry.kind != ANCHORED_KIND for entry in self._log.entries(last.size, size))


def _moved() -> Conflict:
    return Conflict(
        "anchor.moved",
        "expected the chain and contract that the anchor was asked for, got others under [anchor]",
        hint=Text("Anchor the newest checkpoint on the chain that is set now.", "请在当前设置的链上锚定最新检查点。"),
    )
