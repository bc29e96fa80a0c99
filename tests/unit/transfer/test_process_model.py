from datetime import UTC, datetime
from itertools import product

import pytest

from chengshu.kernel.machine import Role, pids
from chengshu.kernel.refusal import Refused
from chengshu.transfer.flow.model import Extent
from chengshu.transfer.process.model import (
    CONTENTS,
    EVIDENCE,
    MACHINE,
    Complete,
    Content,
    Request,
    Start,
    State,
    Suspend,
    Terminate,
    TransferProcess,
    advance,
    from_json,
    to_json,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ADDRESS = {"@type": "DataAddress", "endpointType": "HTTP", "endpoint": "http://p"}
MESSAGES: tuple[Content, ...] = (
    Request("urn:a", "HttpData-PUSH", "http://c", "study", Extent.NON_FINITE, ADDRESS),
    Start(ADDRESS),
    Start(None),
    Suspend("code", ("why",)),
    Complete(),
    Terminate(None, ()),
)

# Dataspace Protocol 2025-1, transfer process: from, sender, message, to. C consumer, P provider.
TABLE = """
REQUESTED P Start STARTED      REQUESTED C Terminate TERMINATED   REQUESTED P Terminate TERMINATED
STARTED C Complete COMPLETED   STARTED C Suspend SUSPENDED        STARTED C Terminate TERMINATED
STARTED P Complete COMPLETED   STARTED P Suspend SUSPENDED        STARTED P Terminate TERMINATED
SUSPENDED C Start STARTED      SUSPENDED C Terminate TERMINATED
SUSPENDED P Start STARTED      SUSPENDED P Terminate TERMINATED
"""
_WORDS = TABLE.split()
STEPS = {tuple(_WORDS[place : place + 3]): _WORDS[place + 3] for place in range(0, len(_WORDS), 4)}


def process(state: State = State.REQUESTED, role: Role = Role.PROVIDER) -> TransferProcess:
    return TransferProcess(
        "urn:mine", role, "did:peer", "urn:theirs", None, "urn:a", "t", "HttpData-PULL", None, Extent.FINITE, state, None, (), NOW, NOW
    )


def _label(value: object) -> str:
    return str(getattr(value, "name", type(value).__name__))


@pytest.mark.parametrize(("role", "state", "by", "content"), list(product(Role, State, Role, MESSAGES)), ids=_label)
def test_every_role_state_sender_and_message_agree_with_the_published_table(role: Role, state: State, by: Role, content: Content) -> None:
    moved = advance(process(state, role), content, by=by, at=NOW)
    expected = STEPS.get((state.value, by.value[0], type(content).__name__))
    assert (None if isinstance(moved, Refused) else moved.state) == expected


def test_only_a_consumers_request_opens_a_process() -> None:
    opened = {(kind, by): MACHINE.next(None, kind, by=by) for kind in CONTENTS for by in Role}
    assert {key: value for key, value in opened.items() if not isinstance(value, Refused)} == {(Request, Role.CONSUMER): State.REQUESTED}


def test_the_table_covers_every_message_and_every_state() -> None:
    assert {name for _, _, name in STEPS} | {"Request"} == {kind.__name__ for kind in CONTENTS}
    assert {state for state in State if MACHINE.is_final(state)} == {state for state in State if state.final}
    assert EVIDENCE.keys() == set(CONTENTS)


@pytest.mark.parametrize("content", MESSAGES, ids=lambda content: type(content).__name__)
def test_a_message_survives_the_outbox(content: Content) -> None:
    assert from_json(to_json(content)) == content


def test_a_step_keeps_why_and_a_start_forgets_it() -> None:
    suspended = advance(process(State.STARTED), Suspend("c", ("r",)), by=Role.CONSUMER, at=NOW)
    assert isinstance(suspended, TransferProcess)
    assert (suspended.code, suspended.reasons, suspended.state) == ("c", ("r",), State.SUSPENDED)
    resumed = advance(suspended, Start(None), by=Role.CONSUMER, at=NOW)
    assert isinstance(resumed, TransferProcess)
    assert (resumed.code, resumed.reasons, resumed.state) == (None, (), State.STARTED)


def test_a_refused_step_names_state_message_and_who_would_have_been_right() -> None:
    refused = advance(process(), Start(None), by=Role.CONSUMER, at=NOW)
    assert isinstance(refused, Refused)
    expected = "expected Start from the provider in state REQUESTED, got it from the consumer"
    assert (refused.rule, refused.message) == ("transfer-sender", expected)


def test_each_side_knows_both_pids_by_their_roles() -> None:
    assert pids(process(role=Role.CONSUMER)) == {Role.CONSUMER: "urn:mine", Role.PROVIDER: "urn:theirs"}
    assert pids(process()) == {Role.CONSUMER: "urn:theirs", Role.PROVIDER: "urn:mine"}
