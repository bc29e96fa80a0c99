"""The stage on which packs are played: one real process a node, worked through the same verbs that a person uses."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from chengshu.catalog.model import Acceptance
from chengshu.cleanroom.asker import InputChoice
from chengshu.cleanroom.model import MethodQuestion, Question, SqlQuestion
from chengshu.cli import answering, permitting, publishing, verbs
from chengshu.evidence.verify import verify_log, verify_use
from chengshu.kernel.errors import ChengshuError, Conflict, Unavailable
from chengshu.kernel.memory import give_back_now
from chengshu.kernel.money import Fen
from chengshu.kernel.refusal import Refused
from chengshu.kernel.text import Text
from chengshu.node import LOG, Node, open_node
from chengshu.policy.words import rule_words
from chengshu.scenario.model import JobPart, QueryPart, Role
from chengshu.scenario.ports import Answer, Document, RoadMap, Wish
from chengshu.settlement.model import differences

# limits, not waits: a machine that six nodes share with other work is slow, and a play that is cut short measures nothing
START_S = 120.0
AGREE_S = 120.0
JOB_S = 900.0
ANSWER_S = JOB_S + 60.0
STATEMENT_S = 60.0
STOP_S = 5.0


class ProcessStage:
    """Raises nodes below ``folder`` and takes them down again, whatever happens in between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nodes: dict[str, Node] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop every node's process, first by asking, then by force."""
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
            process.terminate()
        until = time.monotonic() + STOP_S
        for process in self._processes.values():
            try:
                process.wait(timeout=max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def parties(self) -> Mapping[str, str]:
        """Return each role's party id."""
        return {role: node.identity.did for role, node in self._nodes.items()}

    def raise_nodes(self, roles: Sequence[Role]) -> list[Document]:
        """Create and serve a node for every role and make them known to one another."""
        ports = _free_ports(len(roles))
        for role, port in zip(roles, ports, strict=True):
            folder = self._folder / "nodes" / role.id
            verbs.init(folder, verbs.Birth(role.id, role.title.en, role.title.zh, port=port, clean_room=role.clean_room, job_s=JOB_S))
            self._nodes[role.id] = open_node(folder)
        cards = {role.id: verbs.describe(self._nodes[role.id]) for role in roles}
        for role in roles:
            for other, card in cards.items():
                if other != role.id:
                    verbs.add_peer(self._nodes[role.id], card)
            self._processes[role.id] = _serve(self._nodes[role.id].folder)
        for role in roles:
            self._await_service(role.id)
        return [{"role": role.id, "title": {"en": role.title.en, "zh": role.title.zh}, **cards[role.id]} for role in roles]

    def publish(self, role: str, *, file: Path, contract: Path, policy: Document, road_map: RoadMap | None) -> Document:
        """Publish a file under a data contract and a policy on the role's node; a file that is not what it promises is set aside."""
        reference = publishing.MapReference(road_map.file, road_map.part.proj, road_map.part.net_offset) if road_map else None
        node = self._nodes[role]
        try:
            outcome = publishing.publish(node, file, contract=contract, policy=policy, acceptance=Acceptance.CLEAN, road_map=reference)
        except ChengshuError as error:
            return {"state": "set-aside", "reason": {"en": error.as_dict("en"), "zh": error.as_dict("zh")}, "findings": []}
        if isinstance(outcome, Refused):
            return {"state": "set-aside", "reason": {"en": outcome.as_dict("en"), "zh": outcome.as_dict("zh")}, "findings": []}
        give_back_now()
        return {"state": "published", **outcome}

    def permit(self, role: str, file: Path) -> Document:
        """Put the permit in ``file`` in force on the authority's node, step by step; return its standing, or the refusal."""
        try:
            outcome = permitting.in_force(self._nodes[role], verbs.read_json(file), reason="application of the pilot's parties")
        except ChengshuError as error:
            return {"state": "FAILED", "reason": {"en": error.as_dict("en"), "zh": error.as_dict("zh")}}
        if isinstance(outcome, Refused):
            return {"state": "REFUSED", "reason": {"en": outcome.as_dict("en"), "zh": outcome.as_dict("zh")}}
        return outcome

    def agree(self, wishes: Sequence[Wish]) -> list[Document]:
        """Negotiate every wish over the wire, all at once, and return each outcome."""
        asked = []
        for wish in wishes:
            node = self._nodes[wish.asker]
            asked.append((node, verbs.request(node, self._nodes[wish.holder].identity.did, wish.product)))
        return [self._agreed(node, negotiation) for node, negotiation in asked]

    def run_job(self, job: JobPart, *, inputs: Sequence[Document], price_fen: int | None) -> Answer:
        """Sign a job, with what its asker pays for it, send it to the clean room and return the outcome."""
        price = None if price_fen is None else Fen(price_fen)
        return self._ask(job.asked_by, MethodQuestion(job.method, dict(job.parameters)), purpose=job.purpose, inputs=inputs, price=price)

    def query(self, query: QueryPart, *, inputs: Sequence[Document]) -> Answer:
        """Sign a question with the asker's key, send it to the clean room and return the outcome."""
        return self._ask(query.asked_by, SqlQuestion(query.sql), purpose=query.purpose, inputs=inputs)

    def settle(self, job: str) -> Document:
        """Have the clean room settle a job at the price its asker signed; every party takes the statement in after checking it."""
        signed = self._room.settlements.settle(job)
        statement = signed["document"]["statement"]
        concerned = {signed["signer"], signed["document"]["payer"], *signed["document"]["shares"]}
        recomputed = {}
        for role, node in self._nodes.items():
            if concerned & {node.identity.did, node.settings.node.handle}:
                recomputed[role] = differences(_await_statement(node, statement)["document"])
        return {**signed, "differences": recomputed}

    def prove(self, *, holder: str, product: str, job: str) -> Document:
        """Publish every node's log, verify each from its files alone, and prove one use of one product."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            logs = list(pool.map(lambda pair: _verified(*pair), self._nodes.items()))
        use = None
        if holder:
            verdict = verify_use(self._nodes[holder].folder / LOG, product=product, job=job, vkey=self._nodes[holder].evidence.vkey)
            use = {
                "holder": holder,
                "product": product,
                "job": job,
                "holds": verdict.holds,
                "words": {"en": verdict.words("en"), "zh": verdict.words("zh")},
                "claims": [
                    {"name": one.name, "finding": one.finding.value, "text": {"en": one.text.en, "zh": one.text.zh}}
                    for one in verdict.claims
                ],
            }
        return {"logs": logs, "use": use}

    @property
    def _room(self) -> Node:
        return next(node for node in self._nodes.values() if node.settings.cleanroom.enabled)

    def _agreed(self, node: Node, negotiation: str) -> Document:
        outcome = verbs.await_agreements(node, [negotiation], timeout_s=AGREE_S)[0]
        if not outcome["agreement"]:
            return outcome
        agreement = node.contracts.agreement(outcome["agreement"])
        names = {node.identity.did: role for role, node in self._nodes.items()}
        rules = [_named(rule_words(rule), names) for rule in agreement.policy.rules]
        return {**outcome, "policy_digest": agreement.policy_digest(node.digests), "rules": rules}

    def _ask(self, asker: str, question: Question, *, purpose: str, inputs: Sequence[Document], price: Fen | None = None) -> Answer:
        node = self._nodes[asker]
        choices = [InputChoice(self._nodes[one["holder"]].identity.did, one["product"], one["agreement"]) for one in inputs]
        try:
            standing = verbs.ask(
                node, question, room=self._room.identity.did, purpose=purpose, inputs=choices, timeout_s=ANSWER_S, price=price
            )
        except ChengshuError as error:
            return Answer("", "FAILED", {}, (f"{error.code}: {error.message}",), None, None)
        outcome = standing.outcome
        assert outcome is not None  # noqa: S101  # a followed job has ended
        return Answer(standing.job, standing.state, outcome.tables, outcome.notes, standing.receipt, outcome.refusal)

    def _await_service(self, role: str) -> None:
        try:
            answering.await_service(self._nodes[role], timeout_s=START_S)
        except Unavailable as error:
            raise _silent(self._folder, role) from error


def _named(words: Text, names: Mapping[str, str]) -> Document:
    en, zh = words.en, words.zh
    for did, role in names.items():
        en, zh = en.replace(did, role), zh.replace(did, role)
    return {"en": en, "zh": zh}


def _silent(folder: Path, role: str) -> Unavailable:
    return Unavailable(
        "stage.node-silent",
        f"expected the node of {role} to serve within {START_S:g} s, got no answer",
        hint=Text(f"Look at {folder}/nodes/{role}/serve.log.", f"请查看 {folder}/nodes/{role}/serve.log。"),
    )


@contextmanager
def claimed(folder: Path, *, mark: str) -> Iterator[None]:
    """Make ``folder`` new and empty and keep it for one run, as long as the block lasts.

    Raises Unavailable rather than empty a folder that was not made here, and Conflict while another run uses it; the kernel lets go of
    the claim when a run's process dies, however it dies.
    """
    if folder.exists() and not (folder / mark).is_file():
        raise Unavailable(
            "stage.not-ours",
            f"expected a new folder, or one of an earlier run, got {folder}",
            hint=Text("Name another folder with --folder.", "请用 --folder 指定其他目录。"),
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / mark).open("ab") as claim:
        _lock(claim, folder)
        for path in folder.iterdir():
            if path.name != mark:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        yield


def _lock(claim: IO[bytes], folder: Path) -> None:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _in_use(folder) from error
    if os.fstat(claim.fileno()).st_nlink == 0:  # another run ended here and took its folder with it while this one was at the door
        raise _in_use(folder)


def _in_use(folder: Path) -> Conflict:
    return Conflict(
        "stage.in-use",
        f"expected a folder that no run uses, got {folder}, where one is going on",
        hint=Text("Wait for it to end, or name another folder with --folder.", "请等待其结束，或用 --folder 指定其他目录。"),
    )


def _serve(folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "serve.log").open("wb")
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and our own module, no text from outside
            [sys.executable, "-m", "chengshu", "serve", "--node", str(folder), "--while-input-open"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    finally:
        log.close()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _await_statement(node: Node, statement: str) -> Document:
    until = time.monotonic() + STATEMENT_S
    while True:
        found = [one for one in node.settlements.every() if one["document"]["statement"] == statement]
        if found:
            return found[0]
        if time.monotonic() >= until:
            return node.settlements.get(statement)
        time.sleep(verbs.POLL_S)


def _verified(role: str, node: Node) -> Document:
    checkpoint = node.evidence.publish()
    seen = {"role": role, "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root_text}
    try:
        verdict = verify_log(node.folder / LOG, node.evidence.vkey)
    except ChengshuError as error:
        return {**seen, "verified": False, "words": {"en": [error.message], "zh": [error.message]}}
    return {**seen, "verified": True, "words": {"en": verdict.words("en"), "zh": verdict.words("zh")}}
