"""The data plane's door for control planes (Data Plane Signaling 1.0): there only where the operator registered one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from chengshu.api.forms import form_of
from chengshu.dsp.messages.shapes import MAX_BYTES, Id, parse_json
from chengshu.kernel.errors import Invalid, Unidentified
from chengshu.kernel.machine import Role
from chengshu.kernel.text import Text
from chengshu.node import Node
from chengshu.transfer.flow.model import Extent, FlowState, Order, Verb
from chengshu.transfer.flow.renewable import HTTP_PULL
from chengshu.transfer.signaling.registry import ControlPlane
from chengshu.transfer.signaling.service import Status, document

PREFIX = "/signaling/dataflows"
TOKEN_PATH = "/signaling/token"  # noqa: S105  # where tokens are given, not one of them
VERBS = {
    "started": Verb.STARTED,
    "suspend": Verb.SUSPEND,
    "resume": Verb.RESUME,
    "terminate": Verb.TERMINATE,
    "completed": Verb.COMPLETE,
}


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, alias_generator=to_camel)


class _Address(_Shape):
    """A DataAddress; signaling's own examples leave its types out, and an empty one is how some say that there is none."""

    endpoint: Annotated[str, Field(max_length=4096)] | None = None
    endpoint_properties: Annotated[list[dict[str, Any]], Field(max_length=64)] | None = None


class _Message(_Shape):
    data_address: _Address | None = None


M = TypeVar("M", bound=_Message)


class _Order(_Message):
    """The first message of a flow; the kind of transfer is called ``profile`` since the third release candidate."""

    process_id: Id
    agreement_id: Id
    dataset_id: Id
    counter_party_id: Id
    participant_id: Id | None = None
    transfer_type: Id | None = None
    profile: Id | None = None
    callback_address: Id | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """A message whose sender has been identified."""

    plane: ControlPlane
    document: dict[str, Any]


def signaling_router(node: Node) -> APIRouter:
    """Return the routes below ``/signaling/dataflows``; none where no control plane is registered."""
    router = APIRouter()
    if not node.moving.signaling.planes.every:
        return router
    signaling, call = node.moving.signaling, Depends(_called(node))

    @router.post(PREFIX + "/prepare")
    def prepare(message: _Call = call) -> Response:
        order, callback = _order(message.document, Role.CONSUMER)
        return _answer(node, signaling.prepare(message.plane, order, callback=callback))

    @router.post(PREFIX + "/start")
    def start(message: _Call = call) -> Response:
        order, callback = _order(message.document, Role.PROVIDER)
        return _answer(node, signaling.start(message.plane, order, callback=callback, remote=_remote(message)))

    @router.get(PREFIX + "/{flow_id}/status")
    def status(flow_id: str, request: Request) -> dict[str, Any]:
        plane = signaling.identify(request.headers.get("authorization"))
        flow = signaling.status(plane, flow_id).flow
        return {"dataFlowId": flow.id, "state": flow.state.value}

    for path, verb in VERBS.items():
        router.post(f"{PREFIX}/{{flow_id}}/{path}")(_step(node, call, verb))
    router.post(TOKEN_PATH)(_tokens(node))
    return router


def _tokens(node: Node) -> Callable[[Request], Any]:
    async def token(request: Request) -> Response:
        """Give a token for a client's credentials, or say as OAuth 2.0 does why not."""
        form = await form_of(request)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, status_code=400)
        try:
            given, seconds = await run_in_threadpool(node.moving.signaling.grant, form.get("client_id", ""), form.get("client_secret", ""))
        except Unidentified:
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        return JSONResponse({"access_token": given, "token_type": "Bearer", "expires_in": seconds}, headers={"Cache-Control": "no-store"})

    return token


def _step(node: Node, call: Any, verb: Verb) -> Callable[[str, _Call], Response]:
    def endpoint(flow_id: str, message: _Call = call) -> Response:
        _parsed(_Message, message.document)
        return _answer(node, node.moving.signaling.steer(message.plane, flow_id, verb, remote=_remote(message)))

    return endpoint


def _called(node: Node) -> Callable[[Request], Any]:
    async def read(request: Request) -> _Call:
        plane = node.moving.signaling.identify(request.headers.get("authorization"))
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise _malformed(f"expected a message of at most {MAX_BYTES} bytes, got more")
        return _Call(plane, parse_json(bytes(body)) if body.strip() else {})

    return read


def _order(value: dict[str, Any], role: Role) -> tuple[Order, str | None]:
    message = _parsed(_Order, value)
    kind = message.profile or message.transfer_type
    if kind is None:
        raise _malformed("expected profile or transferType, got neither")
    if kind == HTTP_PULL and message.participant_id is None:
        raise _malformed("expected participantId, as whom a token is renewed, got none")
    order = Order(
        control="",
        process=message.process_id,
        role=role,
        format=kind,
        extent=Extent.FINITE,
        product=message.dataset_id,
        agreement=message.agreement_id,
        counterparty=message.counter_party_id,
        participant=message.participant_id,
    )
    return order, message.callback_address


def _remote(message: _Call) -> dict[str, Any] | None:
    return message.document.get("dataAddress") or None


def _parsed(kind: type[M], value: dict[str, Any]) -> M:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:200]
        raise _malformed(f"at {place}: {first['msg']}") from error


def _answer(node: Node, status: Status) -> Response:
    body = {"messageId": node.moving.signaling.message_id(), **document(status)}
    if status.flow.state in {FlowState.PREPARING, FlowState.STARTING}:
        return JSONResponse(body, status_code=202, headers={"Location": f"{PREFIX}/{status.flow.id}/status"})
    return JSONResponse(body)


def _malformed(message: str) -> Invalid:
    return Invalid(
        "signaling.malformed",
        message,
        hint=Text("See docs/reference/signaling.md for the messages.", "消息格式见 docs/reference/signaling.md。"),
    )
