"""The messages of a transfer process."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from chengshu.dsp.messages.shapes import Address, Addressed, Id, Message, Shape

PURPOSE: Final = "https://w3id.org/chengshu/dsp/purpose"
"""Our extension of a request: what the consumer states it wants the rows for; other connectors ignore it."""

EXTENT: Final = "https://w3id.org/chengshu/dsp/extent"
"""Our extension of a request: ``finite`` (as where it is absent) or ``non-finite``; other connectors ignore it."""

_Code = Annotated[str, Field(max_length=256)] | None
_Reasons = Annotated[list[Any], Field(min_length=1)] | None


class _Property(Shape):
    type: Literal["EndpointProperty"] = Field(alias="@type")
    name: Id
    value: Annotated[str, Field(max_length=16_384)]


class DataAddress(Shape):
    """Where data is pulled from or pushed to."""

    type: Literal["DataAddress"] = Field(alias="@type")
    endpoint_type: Id
    endpoint: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    endpoint_properties: Annotated[list[_Property], Field(min_length=1, max_length=64)] | None = None


class TransferRequestMessage(Message):
    """The consumer asks for the product of an agreement."""

    type: Literal["TransferRequestMessage"] = Field(alias="@type")
    consumer_pid: Id
    agreement_id: Id
    format: Id
    callback_address: Address
    data_address: DataAddress | None = None
    purpose: Id | None = Field(default=None, alias=PURPOSE)
    extent: Literal["finite", "non-finite"] = Field(default="finite", alias=EXTENT)


class TransferStartMessage(Addressed):
    """The provider starts, or either side resumes."""

    type: Literal["TransferStartMessage"] = Field(alias="@type")
    data_address: DataAddress | None = None


class TransferSuspensionMessage(Addressed):
    """Either side pauses."""

    type: Literal["TransferSuspensionMessage"] = Field(alias="@type")
    code: _Code = None
    reason: _Reasons = None


class TransferCompletionMessage(Addressed):
    """Either side says that everything was transferred."""

    type: Literal["TransferCompletionMessage"] = Field(alias="@type")


class TransferTerminationMessage(Addressed):
    """Either side ends the transfer."""

    type: Literal["TransferTerminationMessage"] = Field(alias="@type")
    code: _Code = None
    reason: _Reasons = None


class TransferProcess(Addressed):
    """A transfer as its state is told to the counterparty."""

    type: Literal["TransferProcess"] = Field(alias="@type")
    state: Literal["REQUESTED", "STARTED", "SUSPENDED", "COMPLETED", "TERMINATED"]
