"""Every message in every state on either side, through the real door, against the published table (Dataspace Protocol 2025-1)."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from negotiators import PRODUCT, Node, StepClock, call, introduce, message, policy_for, starter

from chengshu.contract.decision import Decide, signature_of
from chengshu.contract.model import Agreement
from chengshu.dsp.messages.negotiation import SIGNATURE
from chengshu.dsp.translate.words import segment
from chengshu.kernel.canonical import Digests
from chengshu.kernel.crypto import INTERNATIONAL
from chengshu.policy.odrl import to_odrl

ROLES = ("CONSUMER", "PROVIDER")
STATES = ("REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED")
FOLLOWS: dict[tuple[str, str, str], str] = {
    ("REQUESTED", "offer", "PROVIDER"): "OFFERED",
    ("REQUESTED", "agreement", "PROVIDER"): "AGREED",
    ("REQUESTED", "termination", "CONSUMER"): "TERMINATED",
    ("REQUESTED", "termination", "PROVIDER"): "TERMINATED",
    ("OFFERED", "request", "CONSUMER"): "REQUESTED",
    ("OFFERED", "accepted", "CONSUMER"): "ACCEPTED",
    ("OFFERED", "termination", "CONSUMER"): "TERMINATED",
    ("OFFERED", "termination", "PROVIDER"): "TERMINATED",
    ("ACCEPTED", "agreement", "PROVIDER"): "AGREED",
    ("ACCEPTED", "termination", "CONSUMER"): "TERMINATED",
    ("ACCEPTED", "termination", "PROVIDER"): "TERMINATED",
    ("AGREED", "verification", "CONSUMER"): "VERIFIED",
    ("AGREED", "termination", "CONSUMER"): "TERMINATED",
    ("AGREED", "termination", "PROVIDER"): "TERMINATED",
    ("VERIFIED", "finalized", "PROVIDER"): "FINALIZED",
    ("VERIFIED", "termination", "CONSUMER"): "TERMINATED",
    ("VERIFIED", "termination", "PROVIDER"): "TERMINATED",
}
"""From a state, by a message, of a sender: the state that follows; nothing else is a step."""

PATHS = {
    "request": "request",
    "offer": "offers",
    "agreement": "agreement",
    "verification": "agreement/verification",
    "accepted": "events",
    "finalized": "events",
    "termination": "termination",
}
REPEATED = {
    ("PROVIDER", "ACCEPTED", "accepted"),
    ("PROVIDER", "VERIFIED", "verification"),
    ("PROVIDER", "FINALIZED", "verification"),
    ("CONSUMER", "FINALIZED", "finalized"),
}
"""Of what is no step, the messages that brought the node into the state, come again: they are answered as before."""

CASES = [(role, state, kind) for role in ROLES for state in STATES for kind in PATHS]
numbers = count()


@dataclass(frozen=True, slots=True)
class Bench:
    """A served node that decides by hand, its counterparty, and somebody else on its trust list."""

    ours: Node
    peer: Node
    stranger: Node

    def begun(self, role: str) -> tuple[str, str]:
        """A fresh negotiation in which the node is the ``role``: the node's pid and the peer's."""
        theirs = f"urn:peer:{next(numbers)}/a=b c?%2F"
        if role == "CONSUMER":
            pid = self.ours.contracts.request(self.peer.identity.did, dataset=PRODUCT, offer=self.offer("PROVIDER"))
            with self.ours.database.write() as tx:
                self.ours.contracts.learn(tx, pid, theirs)
            return pid, theirs
        opening = message(
            "ContractRequestMessage", consumerPid=theirs, offer=self.offer("CONSUMER"), callbackAddress=self.peer.identity.address
        )
        answer = call(self.ours, self.peer, "POST", "/negotiations/request", opening)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["providerPid"]), theirs

    def offer(self, peer: str) -> dict[str, Any]:
        """An offer as the peer, being the ``peer`` role, puts it into a message."""
        assigner = self.peer if peer == "PROVIDER" else self.ours
        rules = to_odrl(policy_for(self.peer if peer == "CONSUMER" else self.ours))
        return {"@id": "urn:offer:1", "@type": "Offer", "target": PRODUCT, "assigner": assigner.identity.did, **rules}

    def send(self, kind: str, role: str, pids: tuple[str, str], *, sender: Node | None = None, **members: Any) -> Any:
        """One message of the peer to the node, which is the ``role``."""
        ours, theirs = pids
        consumer, provider = (ours, theirs) if role == "CONSUMER" else (theirs, ours)
        document = {**self.said(kind, role, ours), "consumerPid": consumer, "providerPid": provider, **members}
        return call(self.ours, sender or self.peer, "POST", f"/negotiations/{segment(ours)}/{PATHS[kind]}", document)

    def said(self, kind: str, role: str, pid: str) -> dict[str, Any]:
        """What a message of that kind says."""
        match kind:
            case "request":
                return message("ContractRequestMessage", offer=self.offer("CONSUMER"))
            case "offer":
                return message("ContractOfferMessage", offer=self.offer("PROVIDER"))
            case "agreement":
                return message("ContractAgreementMessage", **self.agreement(role))
            case "verification":
                return message("ContractAgreementVerificationMessage", **self.confirmed(pid))
            case "termination":
                return message("ContractNegotiationTerminationMessage", code="C", reason=["enough"])
            case _:
                return message("ContractNegotiationEventMessage", eventType=kind.upper())

    def agreement(self, role: str) -> dict[str, Any]:
        """An agreement that the peer signed."""
        parties = {"assigner": self.peer.identity.did, "assignee": self.ours.identity.did, "timestamp": "2026-11-24T08:00:00Z"}
        name = f"urn:agreement:{next(numbers)}/x=1"
        document = {"@id": name, "@type": "Agreement", "target": PRODUCT, **parties, **to_odrl(policy_for(self.ours))}
        return {"agreement": document, SIGNATURE: signed(self.peer, Agreement(name, role, document, None, None))}

    def confirmed(self, pid: str) -> dict[str, Any]:
        """The peer's signature of the agreement that the node sent, where it sent one."""
        name = next((one.agreement_id for one in self.ours.contracts.negotiations() if one.id == pid), None)
        return {} if name is None else {SIGNATURE: signed(self.peer, self.ours.contracts.agreement(name))}


def signed(node: Node, agreement: Agreement) -> str:
    return signature_of(agreement, node.identity.signer, digests=Digests(INTERNATIONAL))


def reached(bench: Bench, role: str, state: str) -> tuple[str, str]:
    """Take a fresh negotiation to a state by verbs of the node and messages of the peer."""
    pids = bench.begun(role)
    ours, contracts = pids[0], bench.ours.contracts
    by_peer: dict[str, Callable[[], Any]] = {kind: (lambda kind=kind: bench.send(kind, role, pids)) for kind in PATHS}
    ways: dict[str, dict[str, list[Callable[[], Any]]]] = {
        "CONSUMER": {
            "OFFERED": [by_peer["offer"]],
            "ACCEPTED": [by_peer["offer"], lambda: contracts.accept(ours)],
            "AGREED": [by_peer["agreement"]],
            "VERIFIED": [by_peer["agreement"], lambda: contracts.verify(ours)],
            "FINALIZED": [by_peer["agreement"], lambda: contracts.verify(ours), by_peer["finalized"]],
        },
        "PROVIDER": {
            "OFFERED": [lambda: contracts.counter(ours)],
            "ACCEPTED": [lambda: contracts.counter(ours), by_peer["accepted"]],
            "AGREED": [lambda: contracts.agree(ours)],
            "VERIFIED": [lambda: contracts.agree(ours), by_peer["verification"]],
            "FINALIZED": [lambda: contracts.agree(ours), by_peer["verification"], lambda: contracts.finalize(ours)],
        },
    }
    ended = [lambda: contracts.terminate(ours, reason="enough")] if state == "TERMINATED" else []
    for step in ways[role].get(state, ended):
        step()
    assert contracts.negotiation(ours).state == state
    return pids


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as stack:
        start = starter(tmp_path_factory.mktemp("table"), StepClock(), stack)
        ours = start("ours", decide=Decide.BY_HAND, new_id=lambda: f"urn:ours:{next(numbers)}/a=b:c d?%2F")
        peer, stranger = start("peer", serving=False), start("stranger", serving=False)
        introduce(ours, peer)
        introduce(ours, stranger)
        ours.products.policies[PRODUCT] = to_odrl(policy_for(peer))
        yield Bench(ours, peer, stranger)


@pytest.mark.parametrize(("role", "state", "kind"), CASES, ids=str)
def test_a_message_is_taken_or_refused_as_the_table_says(bench: Bench, role: str, state: str, kind: str) -> None:
    sender = "PROVIDER" if role == "CONSUMER" else "CONSUMER"
    pids = reached(bench, role, state)
    answer = bench.send(kind, role, pids, **{"@id": f"urn:message:{next(numbers)}"})
    after = state if (role, state, kind) in REPEATED else FOLLOWS.get((state, kind, sender))
    told = call(bench.ours, bench.peer, "GET", f"/negotiations/{segment(pids[0])}").json()
    named = {"consumerPid": pids[0], "providerPid": pids[1]} if role == "CONSUMER" else {"consumerPid": pids[1], "providerPid": pids[0]}
    assert {key: told[key] for key in ("@type", "state", *named)} == {"@type": "ContractNegotiation", "state": after or state, **named}
    if after is not None:
        assert (answer.status_code, answer.json()["state"]) == (200, after)
        return
    error = answer.json()
    assert (answer.status_code, error["@type"]) == (400, "ContractNegotiationError")
    assert error["code"] in {"negotiation.negotiation-state", "negotiation.negotiation-sender"}
    assert {key: error[key] for key in named} == named
    assert state in error["reason"][0] or "from the" in error["reason"][0]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
def test_an_unknown_pid_and_one_of_others_look_alike_on_every_path(bench: Bench, role: str, kind: str) -> None:
    pids = bench.begun(role)
    unknown = bench.send(kind, role, ("urn:nowhere/a=b", pids[1]))
    foreign = bench.send(kind, role, pids, sender=bench.stranger)
    for answer in (unknown, foreign):
        assert (answer.status_code, answer.json()["@type"]) == (404, "ContractNegotiationError")
        assert answer.json()["code"] == "negotiation.unknown"
    assert unknown.json()["reason"] == foreign.json()["reason"]
    assert bench.ours.contracts.negotiation(pids[0]).state == "REQUESTED"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"@type": "Nothing"},
        {"@context": []},
        {"@context": None},
        {"consumerPid": None},
        {"providerPid": 7},
        {"consumerPid": "urn:other", "providerPid": "urn:another"},
        {"consumerPid": "x" * 513},
    ],
    ids=lambda wrong: "-".join(f"{key}={str(value)[:12]}" for key, value in wrong.items()),
)
def test_a_message_of_another_form_gets_a_typed_400_and_changes_nothing(bench: Bench, role: str, kind: str, wrong: dict[str, Any]) -> None:
    pids = bench.begun(role)
    answer = bench.send(kind, role, pids, **wrong)
    assert (answer.status_code, answer.json()["@type"]) == (400, "ContractNegotiationError")
    assert answer.json()["code"].startswith("message.")
    assert bench.ours.contracts.negotiation(pids[0]).state == "REQUESTED"


@pytest.mark.parametrize(("state", "kind", "sender"), FOLLOWS, ids=str)
def test_a_repeat_of_a_step_changes_nothing(bench: Bench, state: str, kind: str, sender: str) -> None:
    role = "PROVIDER" if sender == "CONSUMER" else "CONSUMER"
    pids = reached(bench, role, state)
    said = bench.said(kind, role, pids[0]) | {"@id": f"urn:message:{next(numbers)}"}
    answers = [bench.send(kind, role, pids, **said) for _ in range(3)]
    after = FOLLOWS[state, kind, sender]
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, after)] * 3


def test_the_same_counter_offer_said_again_is_a_step_of_its_own_and_refused_where_none_is_due(bench: Bench) -> None:
    pids = reached(bench, "PROVIDER", "OFFERED")
    first = bench.send("request", "PROVIDER", pids, **{"@id": "urn:message:first"})
    again = bench.send("request", "PROVIDER", pids, **{"@id": "urn:message:second"})
    assert (first.status_code, again.status_code) == (200, 400)
    bench.ours.contracts.counter(pids[0])
    third = bench.send("request", "PROVIDER", pids, **{"@id": "urn:message:third"})
    assert (third.status_code, third.json()["state"]) == (200, "REQUESTED")


def test_a_slash_at_a_paths_end_is_tolerated(bench: Bench) -> None:
    ours, theirs = bench.begun("CONSUMER")
    document = {**bench.said("offer", "CONSUMER", ours), "consumerPid": ours, "providerPid": theirs}
    assert call(bench.ours, bench.peer, "POST", f"/negotiations/{segment(ours)}/offers/", document).status_code == 200
