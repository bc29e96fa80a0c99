"""Our own messages about an agreement after its signing: the protocol has none; other connectors never need them."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from chengshu.dsp.messages.policy import DATE_TIME
from chengshu.dsp.messages.shapes import Id, Message

TERMINATION: Final = "https://w3id.org/chengshu/dsp/AgreementTerminationMessage"
STANDING: Final = "https://w3id.org/chengshu/dsp/AgreementStanding"
ERROR: Final = "https://w3id.org/chengshu/dsp/AgreementError"


class AgreementTerminationMessage(Message):
    """One party has ended an agreement: which, when by its own clock, with what code and why."""

    type: Literal["https://w3id.org/chengshu/dsp/AgreementTerminationMessage"] = Field(alias="@type")
    agreement_id: Id
    timestamp: Annotated[str, Field(pattern=DATE_TIME, max_length=64)]
    code: Annotated[str, Field(min_length=1, max_length=256)]
    reason: Annotated[list[Any], Field(min_length=1)]
