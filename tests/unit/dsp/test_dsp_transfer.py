import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chengshu.dsp.messages import transfer as messages
from chengshu.dsp.messages.shapes import CONTEXT, parse
from chengshu.dsp.messages.transfer import EXTENT, PURPOSE
from chengshu.dsp.translate import transfer as translate
from chengshu.dsp.translate import words
from chengshu.kernel.errors import Invalid
from chengshu.kernel.machine import Role
from chengshu.transfer.flow.model import Direction, Extent, address
from chengshu.transfer.process.model import Complete, Content, Request, Start, State, Suspend, Terminate, TransferProcess

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PIDS = {"consumerPid": "urn:c", "providerPid": "urn:p"}
ADDRESS = address("https://p/data", "secret", direction=Direction.PULL)
REQUIRED: dict[str, dict[str, Any]] = {
    "TransferRequestMessage": {"consumerPid": "urn:c", "agreementId": "urn:a", "format": "f", "callbackAddress": "http://c"},
    "TransferStartMessage": PIDS,
    "TransferSuspensionMessage": PIDS,
    "TransferCompletionMessage": PIDS,
    "TransferTerminationMessage": PIDS,
}
READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "TransferRequestMessage": translate.read_request,
    "TransferStartMessage": translate.read_start,
    "TransferSuspensionMessage": translate.read_suspension,
    "TransferCompletionMessage": translate.read_completion,
    "TransferTerminationMessage": translate.read_termination,
}
CONTENTS: dict[str, tuple[Content, str]] = {
    "TransferRequestMessage": (Request("urn:a", "f", "http://c", "study", Extent.NON_FINITE, ADDRESS), "/transfers/request"),
    "TransferStartMessage": (Start(ADDRESS), "/transfers/urn%3Ap/start"),
    "TransferSuspensionMessage": (Suspend("code", ("why",)), "/transfers/urn%3Ap/suspension"),
    "TransferCompletionMessage": (Complete(), "/transfers/urn%3Ap/completion"),
    "TransferTerminationMessage": (Terminate(None, ()), "/transfers/urn%3Ap/termination"),
}
PROCESS = TransferProcess(
    "urn:c", Role.CONSUMER, "did:p", "urn:p", None, "urn:a", "t", "f", "study", Extent.NON_FINITE, State.STARTED, None, (), NOW, NOW
)


def document(kind: str, **changes: Any) -> dict[str, Any]:
    return {"@context": [CONTEXT], "@type": kind, **copy.deepcopy(REQUIRED[kind]), **changes}


@pytest.mark.parametrize("kind", READERS)
def test_a_message_with_what_is_required_is_read_and_unknown_members_are_allowed(kind: str) -> None:
    READERS[kind](document(kind, **{"http://example.org/extension": {"a": [1]}}))


@pytest.mark.parametrize(("kind", "member"), [(kind, member) for kind in READERS for member in ["@context", "@type", *REQUIRED[kind]]])
@pytest.mark.parametrize("value", ["absent", None, 1, [], {}, ""], ids=str)
def test_a_required_member_that_is_absent_or_of_another_kind_is_named(kind: str, member: str, value: Any) -> None:
    broken = document(kind)
    if value == "absent":
        del broken[member]
    else:
        broken[member] = value
    with pytest.raises(Invalid) as caught:
        READERS[kind](broken)
    assert caught.value.code == "message.invalid"
    assert caught.value.message.startswith(kind)


@pytest.mark.parametrize(
    "change",
    [
        {"@type": "Address"},
        {"endpointType": None},
        {"endpoint": ""},
        {"endpointProperties": []},
        {"endpointProperties": [{"@type": "EndpointProperty", "name": "a", "value": 5}]},
        {"endpointProperties": [{"name": "a", "value": "b"}]},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["TransferRequestMessage", "TransferStartMessage"])
def test_a_data_address_of_another_shape_is_refused(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="dataAddress"):
        READERS[kind](document(kind, dataAddress=ADDRESS | change))


@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_written_is_read_back(kind: str) -> None:
    content, path = CONTENTS[kind]
    where, message = translate.write(PROCESS, content)
    assert (where, message["@type"]) == (path, kind)
    read = READERS[kind](message)
    assert (read[1] if kind == "TransferRequestMessage" else read.content) == content


def test_a_message_to_a_consumer_goes_below_its_callback_address_whatever_its_slash() -> None:
    ours = replace(PROCESS, role=Role.PROVIDER, id="urn:p", peer_pid="urn:c:/=", callback="http://c/callback/")
    assert translate.write(ours, Complete())[0] == "http://c/callback/transfers/urn%3Ac%3A%2F%3D/completion"


def test_our_own_members_are_left_out_where_they_say_nothing() -> None:
    _, message = translate.write(PROCESS, Request("urn:a", "f", "http://c", None, Extent.FINITE, None))
    assert {PURPOSE, EXTENT, "dataAddress", "providerPid"} & message.keys() == set()


def test_a_process_is_told_as_its_document() -> None:
    parse(messages.TransferProcess, translate.state_of(PROCESS))
    assert translate.state_of(replace(PROCESS, peer_pid=None))["providerPid"] == ""


def test_reasons_of_strangers_are_cut_and_cleaned() -> None:
    reasons = ["a\nb\x1b[31m" + "x" * 1000, 5, *["more"] * 20]
    content = translate.read_termination(document("TransferTerminationMessage", reason=reasons, code="c\nd")).content
    assert isinstance(content, Terminate)
    assert content.code == "c d"
    assert len(content.reasons) <= words.MAX_REASONS
    assert all(reason.isprintable() and len(reason) <= 500 for reason in content.reasons)


def test_a_message_to_another_pid_than_the_paths_is_refused() -> None:
    received = translate.read_completion(document("TransferCompletionMessage"))
    assert (received.peer_of("urn:c"), received.peer_of("urn:p")) == ("urn:p", "urn:c")
    with pytest.raises(Invalid, match="the pid in the path"):
        received.peer_of("urn:x")
