"""The shapes of the protocol's messages (Dataspace Protocol 2025-1, JSON schemas of the release), checked at the border.

Unknown members are allowed and kept, as the protocol asks; JSON-LD contexts are never fetched.
"""

import json
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from chengshu.kernel.canonical import canonical
from chengshu.kernel.errors import Invalid
from chengshu.kernel.text import Text

CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
SIGNATURE: Final = "https://w3id.org/chengshu/dsp/signature"
"""Our extension: the sender's Ed25519 signature over the agreement's digest; other connectors ignore it."""

MAX_BYTES = 1 << 20
MAX_DEPTH = 32

_OPERATORS = Literal["eq", "gt", "gteq", "lt", "lteq", "neq", "hasPart", "isA", "isAllOf", "isAnyOf", "isNoneOf", "isPartOf", "term-lteq"]
_LOGICAL = ("and", "andSequence", "or", "xone")
_DATE_TIME = r"^-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$"


def _with_context(value: list[str] | str) -> list[str] | str:
    if CONTEXT not in ([value] if isinstance(value, str) else value):
        raise ValueError(f"expected an array of strings with {CONTEXT}")
    return value


Context = Annotated[list[str] | str, AfterValidator(_with_context)]
Id = Annotated[str, Field(min_length=1, max_length=512)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, alias_generator=to_camel)


class _Atomic(_Shape):
    left_operand: Id
    operator: _OPERATORS
    right_operand: str | dict[str, Any] | list[Any]


def _constraint(value: Any) -> Any:
    """A constraint is atomic, or exactly one of the logical ones over an array of constraints."""
    logical = [key for key in _LOGICAL if isinstance(value, dict) and key in value]
    if not logical:
        _atomic(value)
    elif len(logical) > 1 or not isinstance(value[logical[0]], list):
        raise ValueError("expected exactly one of and, andSequence, or, xone with an array")
    else:
        for item in value[logical[0]]:
            _constraint(item)
    return value


def _atomic(value: Any) -> None:
    try:
        _Atomic.model_validate(value)
    except ValidationError:
        wanted = "leftOperand (text), operator (one of the protocol's) and rightOperand (text, object or array)"
        raise ValueError(f"expected a constraint with {wanted}") from None  # the cause would carry the value that came


_Constraints = list[Annotated[Any, AfterValidator(_constraint)]]


class _Duty(_Shape):
    action: Id
    constraint: _Constraints = []


class _Rule(_Duty):
    duty: list[_Duty] = []


class _Policy(_Shape):
    id: Id = Field(alias="@id")
    permission: Annotated[list[_Rule], Field(min_length=1)] | None = None
    prohibition: Annotated[list[_Rule], Field(min_length=1)] | None = None
    obligation: Annotated[list[_Duty], Field(min_length=1)] | None = None


class Offer(_Policy):
    """An offer in a message; without rules it refers to the provider's offer by its id."""

    type: Literal["Offer"] = Field(alias="@type")
    target: Id
    assigner: Id | None = None


class Agreement(_Policy):
    """An agreement in a message."""

    type: Literal["Agreement"] = Field(alias="@type")
    target: Id
    assigner: Id
    assignee: Id
    timestamp: Annotated[str, Field(pattern=_DATE_TIME, max_length=64)]

    @model_validator(mode="after")
    def _has_rules(self) -> Self:
        if self.permission is None and self.prohibition is None:
            raise ValueError("expected permission or prohibition")
        return self


class _Message(_Shape):
    context: Context = Field(alias="@context")


class _Addressed(_Message):
    consumer_pid: Id
    provider_pid: Id


class ContractRequestMessage(_Message):
    """The consumer's first request (with callbackAddress) or counter-offer (with providerPid)."""

    type: Literal["ContractRequestMessage"] = Field(alias="@type")
    consumer_pid: Id
    provider_pid: Id | None = None
    offer: Offer
    callback_address: Annotated[str, Field(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.provider_pid is None) == (self.callback_address is None):
            raise ValueError("expected exactly one of callbackAddress (first message) and providerPid (counter-offer)")
        return self


class ContractOfferMessage(_Message):
    """The provider's first offer (with callbackAddress) or its offer in a negotiation (with consumerPid)."""

    type: Literal["ContractOfferMessage"] = Field(alias="@type")
    provider_pid: Id
    consumer_pid: Id | None = None
    offer: Offer
    callback_address: Annotated[str, Field(min_length=1, max_length=1024)] | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.consumer_pid is None) == (self.callback_address is None):
            raise ValueError("expected exactly one of callbackAddress (first message) and consumerPid (later offer)")
        return self


class ContractAgreementMessage(_Addressed):
    """The provider's agreement."""

    type: Literal["ContractAgreementMessage"] = Field(alias="@type")
    agreement: Agreement
    signature: Annotated[str, Field(max_length=128)] | None = Field(default=None, alias=SIGNATURE)


class ContractAgreementVerificationMessage(_Addressed):
    """The consumer's confirmation of an agreement."""

    type: Literal["ContractAgreementVerificationMessage"] = Field(alias="@type")
    signature: Annotated[str, Field(max_length=128)] | None = Field(default=None, alias=SIGNATURE)


class ContractNegotiationEventMessage(_Addressed):
    """The consumer accepted, or the provider finalized."""

    type: Literal["ContractNegotiationEventMessage"] = Field(alias="@type")
    event_type: Literal["ACCEPTED", "FINALIZED"]


class ContractNegotiationTerminationMessage(_Addressed):
    """Either side ended the negotiation."""

    type: Literal["ContractNegotiationTerminationMessage"] = Field(alias="@type")
    code: Annotated[str, Field(max_length=256)] | None = None
    reason: Annotated[list[Any], Field(min_length=1)] | None = None


class ContractNegotiation(_Addressed):
    """A negotiation as its state is told to the counterparty."""

    type: Literal["ContractNegotiation"] = Field(alias="@type")
    state: Literal["REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED", "FINALIZED", "TERMINATED"]


class CatalogRequestMessage(_Message):
    """A request for the catalog; filters are each connector's own matter."""

    type: Literal["CatalogRequestMessage"] = Field(alias="@type")
    filter: list[Any] | None = None


class _DataService(_Shape):
    id: Id = Field(alias="@id")
    type: Literal["DataService"] = Field(alias="@type")
    endpoint_url: str = Field(alias="endpointURL")


class _Distribution(_Shape):
    type: Literal["Distribution"] = Field(alias="@type")
    format: Id
    access_service: Id | _DataService


class _CatalogOffer(_Policy):
    type: Literal["Offer"] = Field(alias="@type")

    @model_validator(mode="after")
    def _names_no_target(self) -> Self:
        if "target" in (self.model_extra or {}):
            raise ValueError("expected no target: the dataset around the offer is its target")
        if self.permission is None and self.prohibition is None:
            raise ValueError("expected permission or prohibition")
        return self


class _Entry(_Shape):
    id: Id = Field(alias="@id")
    type: Literal["Dataset"] = Field(alias="@type")
    has_policy: Annotated[list[_CatalogOffer], Field(min_length=1)]
    distribution: Annotated[list[_Distribution], Field(min_length=1)]


class Dataset(_Entry, _Message):
    """One product with the offers for it, as an answer of its own."""


class Catalog(_Message):
    """What a connector offers."""

    id: Id = Field(alias="@id")
    type: Literal["Catalog"] = Field(alias="@type")
    participant_id: Id
    dataset: Annotated[list[_Entry], Field(min_length=1)] | None = None
    service: Annotated[list[_DataService], Field(min_length=1)] | None = None

    @field_validator("service", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value


_M = TypeVar("_M", bound=_Message)


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``; raise Invalid for anything that is too large, too deep, not I-JSON (RFC 7493) or no object."""
    if len(raw) > MAX_BYTES:
        raise _invalid("message.too-large", f"expected at most {MAX_BYTES} bytes, got more")
    try:
        value = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _invalid("message.not-json", "expected JSON in UTF-8, got something else") from error
    if not isinstance(value, dict):
        raise _invalid("message.not-object", "expected a JSON object, got another kind")
    if _is_deep(value):
        raise _invalid("message.too-deep", f"expected at most {MAX_DEPTH} levels of nesting, got more")
    canonical(value)  # what has no canonical form (lone surrogates, NaN, huge numbers) could not be signed or compared later
    return value


def parse(kind: type[_M], value: dict[str, Any]) -> _M:
    """Return ``value`` as a message of ``kind``; raise Invalid naming the member at fault, and never its value."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise _invalid("message.invalid", f"{kind.__name__}: at {place[:200]}: {first['msg']}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("expected each member once")
    return dict(pairs)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for node in level if isinstance(node, dict | list) for item in (node.values() if isinstance(node, dict) else node)]
        if not level:
            return False
    return True


def _invalid(code: str, message: str) -> Invalid:
    return Invalid(
        code,
        message,
        hint=Text("Send the message as the Dataspace Protocol 2025-1 has it.", "请按数据空间协议 2025-1 发送消息。"),
    )
