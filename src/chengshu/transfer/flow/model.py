"""One data flow: what moves, which way, under what, and where it stands; and the addresses that lead to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chengshu.kernel.errors import Invalid
from chengshu.kernel.machine import Role
from chengshu.kernel.text import Text

Document = Mapping[str, Any]

OWN = "own"
"""The control plane of this very node, which talks to the data plane in process; others have the names that their operator gave them."""

PULL, PUSH = "HttpData-PULL", "HttpData-PUSH"
FORMATS = (PULL, PUSH)
"""The formats of a distribution that this data plane serves; EDC calls them transfer types."""

BEARER = "bearer"
AUTHORIZATION = "Authorization"
EDC = "https://w3id.org/edc/v0.0.1/ns/"
"""Before the names of endpoint properties as Eclipse EDC sends them."""


class Direction(StrEnum):
    """Who opens the connection that the data goes through: the receiver, or the sender."""

    PULL = "pull"
    PUSH = "push"


class Extent(StrEnum):
    """Whether a flow ends when everything went out, or goes on until it is ended, each time giving the product as it then is."""

    FINITE = "finite"
    NON_FINITE = "non-finite"


class FlowState(StrEnum):
    """Where a data flow stands (Data Plane Signaling 1.0)."""

    PREPARING = "PREPARING"
    PREPARED = "PREPARED"
    STARTING = "STARTING"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class Verb(StrEnum):
    """What a control plane says to a flow that is there."""

    READY = "ready"
    """What was begun is done; the data plane says this to itself."""
    STARTED = "started"
    SUSPEND = "suspend"
    RESUME = "resume"
    COMPLETE = "complete"
    TERMINATE = "terminate"


TRANSITIONS: Mapping[tuple[FlowState, Verb], FlowState] = {
    (FlowState.PREPARING, Verb.READY): FlowState.PREPARED,
    (FlowState.PREPARING, Verb.TERMINATE): FlowState.TERMINATED,
    (FlowState.STARTING, Verb.READY): FlowState.STARTED,
    (FlowState.STARTING, Verb.TERMINATE): FlowState.TERMINATED,
    (FlowState.PREPARED, Verb.STARTED): FlowState.STARTED,
    (FlowState.PREPARED, Verb.TERMINATE): FlowState.TERMINATED,
    (FlowState.STARTED, Verb.SUSPEND): FlowState.SUSPENDED,
    (FlowState.STARTED, Verb.COMPLETE): FlowState.COMPLETED,
    (FlowState.STARTED, Verb.TERMINATE): FlowState.TERMINATED,
    (FlowState.SUSPENDED, Verb.RESUME): FlowState.STARTED,
    (FlowState.SUSPENDED, Verb.TERMINATE): FlowState.TERMINATED,
}
"""Every step of a flow; a verb whose end is reached already changes nothing, and any other is refused."""

LEADS_TO: Mapping[Verb, FlowState] = {verb: state for (_, verb), state in TRANSITIONS.items() if verb is not Verb.READY}


@dataclass(frozen=True, slots=True)
class Order:
    """What a control plane asks of the data plane: which product goes to or comes from whom, under what, which way, how far."""

    control: str
    process: str
    role: Role
    format: str
    extent: Extent
    product: str
    agreement: str
    counterparty: str
    purpose: str | None = None
    participant: str | None = None
    """As whom this node acts towards the counterparty, where a control plane said so; None for the node itself."""


@dataclass(frozen=True, slots=True)
class DataFlow:
    """One flow; ``generation`` counts the addresses that were given for it: the token of an earlier one opens nothing."""

    id: str
    order: Order
    state: FlowState
    generation: int
    callback: str | None = None
    """Where its control plane is told how it went; None for this node's own."""
    expires_at: datetime | None = None
    """When the token of its present address ends, ours or the other side's; None for one that is good while the flow is started."""

    @property
    def direction(self) -> Direction:
        """Which way the connection is opened."""
        return direction_of(self.order.format)

    @property
    def names_endpoint(self) -> str | None:
        """The party that names the other endpoint; None where a registered control plane does."""
        return self.order.counterparty if self.order.control == OWN else None

    @property
    def gives_address(self) -> bool:
        """Whether the other side comes to us: it pulls from a sender, or pushes to a receiver."""
        return (self.order.role is Role.PROVIDER) == (self.direction is Direction.PULL)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an address says: where to go, and with which authorization, None where it says none."""

    url: str
    authorization: str | None
    scheme: str | None = None

    @property
    def header(self) -> str | None:
        """The ``Authorization`` that a request to it carries: a bearer token says so, whatever else came is sent as it came."""
        if self.authorization is None or " " in self.authorization or (self.scheme or BEARER).lower() != BEARER:
            return self.authorization
        return f"Bearer {self.authorization}"


def direction_of(format_name: str) -> Direction:
    """Return which way a format goes; raise Invalid for one that this data plane does not serve."""
    tail = format_name.rpartition("-")[2].lower()
    if tail in {Direction.PULL, Direction.PUSH}:
        return Direction(tail)
    raise Invalid(
        "transfer.format",
        f"expected one of the formats {', '.join(FORMATS)}, got another",
        hint=Text("Take a format from the dataset's distributions.", "请使用数据集分发方式中的格式。"),
    )


def properties_of(document: Document) -> dict[str, Any]:
    """Return the endpoint properties of a DataAddress by name; whatever is none is left out."""
    listed = document.get("endpointProperties")
    pairs = (
        [(one.get("name"), one["value"]) for one in listed if isinstance(one, dict) and "value" in one] if isinstance(listed, list) else []
    )
    return {name: value for name, value in pairs if isinstance(name, str)}


def listed_properties(properties: Mapping[str, str]) -> list[dict[str, str]]:
    """Return endpoint properties as a DataAddress lists them."""
    return [{"@type": "EndpointProperty", "name": name, "value": value} for name, value in properties.items()]


def address(url: str, token: str, *, direction: Direction) -> dict[str, Any]:
    """Return the DataAddress (Dataspace Protocol 2025-1) of an HTTP endpoint that a bearer token opens.

    It says everything twice: Eclipse EDC keeps the properties and nothing else, and its data plane pushes to the type ``HttpData`` with
    the names of its own.
    """
    properties = {"endpoint": url, "authorization": token, "authType": BEARER}
    if direction is Direction.PUSH:
        properties |= {EDC + "baseUrl": url, EDC + "authKey": AUTHORIZATION, EDC + "authCode": f"Bearer {token}"}
    return {
        "@type": "DataAddress",
        "endpointType": "https://w3id.org/idsa/v4.1/HTTP" if direction is Direction.PULL else "HttpData",
        "endpoint": url,
        "endpointProperties": listed_properties(properties),
    }


def endpoint_of(document: Document) -> Endpoint:
    """Return what a DataAddress that came says, in the protocol's members or EDC's; raise Invalid where it names no HTTP endpoint."""
    properties = {name.removeprefix(EDC): value for name, value in properties_of(document).items()}
    url = next((one for one in (document.get("endpoint"), properties.get("endpoint"), properties.get("baseUrl")) if one is not None), None)
    authorization, scheme = properties.get("authorization"), properties.get("authType")
    if authorization is None and properties.get("authKey") == AUTHORIZATION:
        authorization, scheme = properties.get("authCode"), AUTHORIZATION  # a whole header, to be sent as it came
    if properties.get("authKey", AUTHORIZATION) != AUTHORIZATION:
        raise _no_address()
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise _no_address()
    if not all(one is None or (isinstance(one, str) and one.isascii() and one.isprintable()) for one in (authorization, scheme)):
        raise _no_address()
    return Endpoint(url, authorization, scheme)


def _no_address() -> Invalid:
    return Invalid(
        "transfer.address",
        "expected a dataAddress with an http(s) endpoint and texts as authorization and authType, got another",
        hint=Text("Send the address in the form of the Dataspace Protocol 2025-1.", "请按数据空间协议 2025-1 的形式给出数据地址。"),
    )
