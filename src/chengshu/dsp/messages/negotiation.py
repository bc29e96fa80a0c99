"""The messages of a contract negotiation."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from chengshu.dsp.messages.policy import Agreement, Offer
from chengshu.dsp.messages.shapes import Address, Addressed, Id, Message
from chengshu.policy.odrl import REPLACES

SIGNATURE: Final = "https://w3id.org/chengshu/dsp/signature"
"""Our extension: the sender's Ed25519 signature over the agreement's digest; other connectors ignore it."""


class ContractRequestMessage(Message):
    """The consumer's first request (with callbackAddress) or counter-offer (with providerPid)."""

    type: Literal["ContractRequestMessage"] = Field(alias="@type")
    consumer_pid: Id
    provider_pid: Id | None = None
    offer: Offer
    callback_address: Address | None = None
    replaces: Id | None = Field(default=None, alias=REPLACES)

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.provider_pid is None) == (self.callback_address is None):
            raise ValueError("expected exactly one of callbackAddress (first message) and providerPid (counter-offer)")
        return self


class ContractOfferMessage(Message):
    """The provider's first offer (with callbackAddress) or its offer in a negotiation (with consumerPid)."""

    type: Literal["ContractOfferMessage"] = Field(alias="@type")
    provider_pid: Id
    consumer_pid: Id | None = None
    offer: Offer
    callback_address: Address | None = None
    replaces: Id | None = Field(default=None, alias=REPLACES)

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.consumer_pid is None) == (self.callback_address is None):
            raise ValueError("expected exactly one of callbackAddress (first message) and consumerPid (later offer)")
        return self


class ContractAgreementMessage(Addressed):
    """The provider's agreement."""

    type: Literal["ContractAgreementMessage"] = Field(alias="@type")
    agreement: Agreement
    signature: Annotated[str, Field(max_length=128)] | None = Field(default=None, alias=SIGNATURE)


class ContractAgreementVerificationMessage(Addressed):
    """The consumer's confirmation of an agreement."""

    type: Literal["ContractAgreementVerificationMessage"] = Field(alias="@type")
    signature: Annotated[str, Field(max_length=128)] | None = Field(default=None, alias=SIGNATURE)
    replaces: Id | None = Field(default=None, alias=REPLACES)


class ContractNegotiationEventMessage(Addressed):
    """The consumer accepted, or the provider finalized."""

    type: Literal["ContractNegotiationEventMessage"] = Field(alias="@type")
    event_type: Literal["ACCEPTED", "FINALIZED"]


class ContractNegotiationTerminationMessage(Addressed):
    """Either side ended the negotiation."""

    type: Literal["ContractNegotiationTerminationMessage"] = Field(alias="@type")
    code: Annotated[str, Field(max_length=256)] | None = None
    reason: Annotated[list[Any], Field(min_length=1)] | None = None


class ContractNegotiation(Addressed):
    """A negotiation as its state is told to the counterparty."""

    type: Literal["ContractNegotiation"] = Field(alias="@type")
    state: Literal["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"]
