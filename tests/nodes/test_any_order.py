"""Messages in any order, repeated, replayed, of strangers and for others' pids, through the real door: the node is where the table says.

A model keeps where every process must stand and how many steps it took; after each act the node's state and its log are held against it.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, multiple, rule, run_state_machine_as_test
from negotiators import PRODUCT, StepClock, exchange, introduce, policy_for, starter
from small_deliveries import Pair, raised_pair
from test_negotiation_table import FOLLOWS, PATHS, REPEATED, Bench

from chengshu.contract.decision import Decide
from chengshu.dsp.messages.shapes import CONTEXT
from chengshu.dsp.messages.transfer import EXTENT
from chengshu.dsp.translate.words import segment
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Conflict
from chengshu.policy.odrl import to_odrl

ANY = settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
OTHER = {"CONSUMER": "PROVIDER", "PROVIDER": "CONSUMER"}
VERBS = {
    ("CONSUMER", "OFFERED", "accept"): "ACCEPTED",
    ("CONSUMER", "AGREED", "verify"): "VERIFIED",
    ("PROVIDER", "REQUESTED", "counter"): "OFFERED",
    ("PROVIDER", "REQUESTED", "agree"): "AGREED",
    ("PROVIDER", "ACCEPTED", "agree"): "AGREED",
    ("PROVIDER", "VERIFIED", "finalize"): "FINALIZED",
}
"""What the operator may do, beside ending what has not ended; a counter-offer of a consumer takes an offer of its own."""

numbers = count()


@dataclass
class Modelled:
    """Where one process must stand."""

    role: str
    pids: tuple[str, str]
    state: str = "REQUESTED"
    steps: int = 1
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    is_ended_by_peer: bool = False

    def goes_to(self, state: str) -> None:
        self.state, self.steps = state, self.steps + 1


def refused(answer: httpx.Response, kind: str, *, status: int = 400) -> None:
    """An answer is the typed error of its family, with a code and reasons."""
    document = answer.json()
    assert (answer.status_code, document["@type"], document["@context"]) == (status, kind, [CONTEXT]), answer.text
    assert document["code"]
    assert all(document["reason"])
    assert document["consumerPid"]
    assert document["providerPid"]


class Negotiations(RuleBasedStateMachine):
    """Both roles of a node whose operator decides by hand."""

    bench: ClassVar[Bench]
    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self.logged = self.bench.ours.evidence.size()
        self.entries: dict[str, int] = {}

    @rule(target=begun, role=st.sampled_from(["CONSUMER", "PROVIDER"]))
    def begin(self, role: str) -> Any:
        one = Modelled(role, self.bench.begun(role))
        self.check(one)
        return multiple(one)

    @rule(one=begun, kind=st.sampled_from(list(PATHS)))
    def say(self, one: Modelled, kind: str) -> None:
        said = self.bench.said(kind, one.role, one.pids[0]) | {"@id": f"urn:any:{next(numbers)}"}
        answer = self.bench.send(kind, one.role, one.pids, **said)
        after = FOLLOWS.get((one.state, kind, OTHER[one.role]))
        is_said_again = kind == "termination" and one.is_ended_by_peer
        if is_said_again or (one.role, one.state, kind) in REPEATED:
            assert (answer.status_code, answer.json()["state"]) == (200, one.state)
        elif after is None:
            refused(answer, "ContractNegotiationError")
        else:
            assert (answer.status_code, answer.json()["state"]) == (200, after)
            one.goes_to(after)
            one.said.append((kind, said))
            one.is_ended_by_peer = kind == "termination"
        self.check(one)

    @rule(one=begun, data=st.data())
    def repeat(self, one: Modelled, data: st.DataObject) -> None:
        """A message that was taken comes again, at once or much later: it is never a step where the table has none."""
        if not one.said:
            return
        kind, said = data.draw(st.sampled_from(one.said))
        answer = self.bench.send(kind, one.role, one.pids, **said)
        after = FOLLOWS.get((one.state, kind, OTHER[one.role]))
        if answer.status_code != 200:
            refused(answer, "ContractNegotiationError")
        elif answer.json()["state"] != one.state:
            assert answer.json()["state"] == after
            one.goes_to(str(after))
            one.is_ended_by_peer = kind == "termination"
        self.check(one)

    @rule(one=begun, verb=st.sampled_from(["accept", "verify", "counter", "agree", "finalize", "terminate"]))
    def decide(self, one: Modelled, verb: str) -> None:
        if (one.role, verb) == ("CONSUMER", "counter"):
            return
        after = VERBS.get((one.role, one.state, verb))
        if verb == "terminate" and one.state not in {"FINALIZED", "TERMINATED"}:
            after = "TERMINATED"
        more = {"reason": "enough"} if verb == "terminate" else {}
        if after is None:
            with pytest.raises(Conflict):
                getattr(self.bench.ours.contracts, verb)(one.pids[0], **more)
        else:
            getattr(self.bench.ours.contracts, verb)(one.pids[0], **more)
            one.goes_to(after)
        self.check(one)

    @rule(one=begun, kind=st.sampled_from(list(PATHS)))
    def intrude(self, one: Modelled, kind: str) -> None:
        refused(self.bench.send(kind, one.role, one.pids, sender=self.bench.stranger), "ContractNegotiationError", status=404)
        refused(self.bench.send(kind, one.role, (f"urn:no/{next(numbers)}", one.pids[1])), "ContractNegotiationError", status=404)
        self.check(one)

    @rule(one=begun, other=begun, kind=st.sampled_from(list(PATHS)))
    def mix_up(self, one: Modelled, other: Modelled, kind: str) -> None:
        """A message names the peer's pid of another negotiation."""
        if one is other or one.role != other.role:
            return
        refused(self.bench.send(kind, one.role, (one.pids[0], other.pids[1])), "ContractNegotiationError")
        self.check(one)
        self.check(other)

    @rule(one=begun, body=st.sampled_from([b"", b"{", b"[]", b'{"a":NaN}', b"\xff", b"[" * 5000, b'{"@type":"?"}']))
    def babble(self, one: Modelled, body: bytes) -> None:
        path = f"/negotiations/{segment(one.pids[0])}/events"
        refused(self.post(path, body), "ContractNegotiationError")
        self.check(one)

    @rule(one=begun)
    def replay(self, one: Modelled) -> None:
        """The very same request, credential and all, is answered once."""
        path = f"/negotiations/{segment(one.pids[0])}"
        url = self.bench.ours.identity.address + path
        signed = SignedRequest("GET", httpx.URL(url).raw_path.decode())
        headers = {"Authorization": self.bench.peer.credentials.issue(self.bench.ours.identity.did, signed)}
        first, again = (exchange("GET", url, b"", headers) for _ in range(2))
        assert (first.status_code, first.json()["state"]) == (200, one.state)
        refused(again, "ContractNegotiationError", status=404)

    def post(self, path: str, body: bytes) -> httpx.Response:
        url = self.bench.ours.identity.address + path
        signed = SignedRequest("POST", httpx.URL(url).raw_path.decode(), body)
        headers = {"Authorization": self.bench.peer.credentials.issue(self.bench.ours.identity.did, signed)}
        return exchange("POST", url, body, headers)

    def check(self, one: Modelled) -> None:
        """The node's state and the entries in its log are the model's."""
        ours = self.bench.ours
        size = ours.evidence.size()
        for entry in ours.evidence.entries(self.logged, size):
            if entry.kind.startswith("negotiation."):
                self.entries[entry.subject] = self.entries.get(entry.subject, 0) + 1
        self.logged = size
        assert ours.contracts.negotiation(one.pids[0]).state == one.state
        assert self.entries[one.pids[0]] == one.steps


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with ExitStack() as stack:
        start = starter(tmp_path_factory.mktemp("any-order"), StepClock(), stack)
        ours = start("ours", decide=Decide.BY_HAND, new_id=lambda: f"urn:ours:{next(numbers)}/a=b:c?%2F")
        peer, stranger = start("peer", serving=False), start("stranger", serving=False)
        introduce(ours, peer)
        introduce(ours, stranger)
        ours.products.policies[PRODUCT] = to_odrl(policy_for(peer))
        yield Bench(ours, peer, stranger)


def test_negotiations_in_any_order_stand_where_the_table_says(bench: Bench) -> None:
    machine = type("BoundNegotiations", (Negotiations,), {"bench": bench})
    run_state_machine_as_test(machine, settings=ANY)


# --- transfers

TRANSFERS = {
    ("STARTED", "suspension"): "SUSPENDED",
    ("STARTED", "completion"): "COMPLETED",
    ("STARTED", "termination"): "TERMINATED",
    ("SUSPENDED", "start"): "STARTED",
    ("SUSPENDED", "termination"): "TERMINATED",
}
"""From a state, by a consumer's message: the state that follows (a request is granted at once, so that none stays REQUESTED)."""

SAYS = {
    "start": "TransferStartMessage",
    "suspension": "TransferSuspensionMessage",
    "completion": "TransferCompletionMessage",
    "termination": "TransferTerminationMessage",
}
LAST = {"start": "STARTED", "suspension": "SUSPENDED", "completion": "COMPLETED", "termination": "TERMINATED"}


class Transfers(RuleBasedStateMachine):
    """A provider that decides by itself, and a consumer that says anything at any time."""

    pair: ClassVar[Pair]
    begun = Bundle("begun")

    @rule(target=begun)
    def request(self) -> Any:
        theirs = f"urn:any:{next(numbers)}/a=b c"
        whole = {"agreementId": self.pair.agreements["rows"], "format": "HttpData-PULL", EXTENT: "non-finite"}
        document = {**whole, "consumerPid": theirs, "callbackAddress": self.pair.consumer.identity.address}
        answers = [self.send("/transfers/request", {"@type": "TransferRequestMessage", **document}) for _ in range(2)]
        assert [one.status_code for one in answers] == [201, 201]
        assert answers[0].json()["providerPid"] == answers[1].json()["providerPid"]  # a repeat opens nothing
        one = Modelled("PROVIDER", (answers[0].json()["providerPid"], theirs), "STARTED")
        self.check(one)
        return multiple(one)

    @rule(one=begun, kind=st.sampled_from(list(SAYS)))
    def say(self, one: Modelled, kind: str) -> None:
        ours, theirs = one.pids
        document = {"@type": SAYS[kind], "consumerPid": theirs, "providerPid": ours, "@id": f"urn:any:{next(numbers)}"}
        answer = self.send(f"/transfers/{segment(ours)}/{kind}", document)
        after = TRANSFERS.get((one.state, kind))
        if after is not None:
            assert (answer.status_code, answer.json()["state"]) == (200, after), answer.text
            one.goes_to(after)
        elif answer.status_code == 200:
            assert (one.state, answer.json()["state"]) == (LAST.get(kind), one.state)  # what brought it there, come again
        else:
            refused(answer, "TransferError")
        self.check(one)

    @rule(one=begun, kind=st.sampled_from(list(SAYS)), wrong=st.sampled_from(["pid", "path", "sender", "type"]))
    def mistake(self, one: Modelled, kind: str, wrong: str) -> None:
        ours, theirs = one.pids
        document = {"@type": "?" if wrong == "type" else SAYS[kind], "consumerPid": theirs, "providerPid": ours}
        if wrong == "pid":
            document["consumerPid"] = "urn:another"
        path = f"/transfers/{segment('urn:no/where=1' if wrong == 'path' else ours)}/{kind}"
        is_unseen = wrong in {"path", "sender"}
        refused(self.send(path, document, by_itself=wrong == "sender"), "TransferError", status=404 if is_unseen else 400)
        self.check(one)

    def send(self, path: str, document: dict[str, Any], *, by_itself: bool = False) -> httpx.Response:
        """One message of the consumer's, or of the provider to itself."""
        sender = self.pair.provider if by_itself else self.pair.consumer
        body = canonical({"@context": [CONTEXT], **document})
        url = self.pair.provider.identity.address + path
        signed = SignedRequest("POST", httpx.URL(url).raw_path.decode(), body)
        headers = {"Authorization": sender.credentials.issue(self.pair.provider.identity.did, signed)}
        return exchange("POST", url, body, headers)

    def check(self, one: Modelled) -> None:
        assert self.pair.provider.moving.processes.process(one.pids[0]).state == one.state


def test_transfers_in_any_order_stand_where_the_table_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    with raised_pair(tmp_path_factory.mktemp("any-transfer")) as pair:
        run_state_machine_as_test(type("BoundTransfers", (Transfers,), {"pair": pair}), settings=ANY)
