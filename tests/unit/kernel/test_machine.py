from enum import StrEnum

import pytest

from chengshu.kernel.machine import CONSUMER, EITHER, PROVIDER, Machine, Role, Step
from chengshu.kernel.refusal import Refused


class Light(StrEnum):
    RED = "RED"
    GREEN = "GREEN"
    BROKEN = "BROKEN"


class Go: ...


class Stop: ...


class Break: ...


STEPS = [
    Step(None, Stop, CONSUMER, Light.RED),
    Step(Light.RED, Go, PROVIDER, Light.GREEN),
    Step(Light.RED, Break, EITHER, Light.BROKEN),
    Step(Light.GREEN, Stop, EITHER, Light.RED),
    Step(Light.GREEN, Break, CONSUMER, Light.BROKEN),
]
LIGHTS: Machine[Light] = Machine("light", STEPS)


def refused(state: Light | None, kind: type, by: Role) -> tuple[str, str]:
    answer = LIGHTS.next(state, kind, by=by)
    assert isinstance(answer, Refused)
    return answer.rule, answer.message


def test_every_row_is_taken_by_whom_it_names_and_by_nobody_else() -> None:
    for step in STEPS:
        for by in Role:
            answer = LIGHTS.next(step.before, step.kind, by=by)
            assert (answer is step.after) == (by in step.by)


def test_a_refusal_names_state_message_and_who_would_have_been_right() -> None:
    assert refused(Light.GREEN, Go, Role.PROVIDER) == ("light-state", "expected Stop or Break in state GREEN, got Go")
    assert refused(Light.BROKEN, Break, Role.CONSUMER) == ("light-state", "expected nothing more in state BROKEN, got Break")
    assert refused(None, Break, Role.CONSUMER) == ("light-state", "expected Stop before there is a process, got Break")
    assert refused(Light.RED, Go, Role.CONSUMER) == ("light-sender", "expected Go from the provider, got it from the consumer")
    assert refused(Light.GREEN, Break, Role.PROVIDER) == (
        "light-sender",
        "expected Break from the consumer in state GREEN, got it from the provider",
    )


def test_a_state_is_final_where_nothing_follows() -> None:
    assert [LIGHTS.is_final(state) for state in Light] == [False, False, True]


def test_a_kind_of_message_leads_to_one_state() -> None:
    assert [LIGHTS.leads_to(kind) for kind in (Go, Stop, Break)] == [Light.GREEN, Light.RED, Light.BROKEN]
    assert LIGHTS.kinds == (Stop, Go, Break)
    for more in (Step(Light.BROKEN, Go, EITHER, Light.RED), STEPS[0]):
        with pytest.raises(ValueError, match="in the table of light"):
            Machine("light", [*STEPS, more])
