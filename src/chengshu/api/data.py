"""The data plane's door: products are pulled from it and pushed to it, each with the token of one data flow."""

from functools import partial
from typing import Any

import anyio
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse

from chengshu.kernel.errors import Invalid, Unidentified
from chengshu.kernel.text import Text
from chengshu.node import DATA_PATH, Node
from chengshu.transfer.flow.deliveries import LOOK_S, Deliveries
from chengshu.transfer.flow.receptions import Reception
from chengshu.transfer.flow.service import unknown_flow
from chengshu.transfer.model import StopReason
from chengshu.transfer.sending import Sending
from chengshu.transfer.streams.encodings import accepted


class DeliveryResponse(StreamingResponse):
    """A product on its way out, broken off within a second of the moment when its flow is not started any more.

    Nothing ends a broken-off answer as a whole one ends: its receiver sees that it is not whole.
    """

    def __init__(self, sending: Sending, *, deliveries: Deliveries, flow_id: str) -> None:
        super().__init__(sending, media_type=sending.encoding.media_type)
        self._sending = sending
        self._is_running = partial(deliveries.is_running, flow_id)
        self._reason: StopReason | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it while the flow is started, then close it."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, group.cancel_scope)
                await super().__call__(scope, receive, send)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._sending.close, self._reason)

    async def _watch(self, scope: anyio.CancelScope) -> None:
        while True:
            await anyio.sleep(LOOK_S)
            if not await run_in_threadpool(self._is_running) and not self._sending.is_over:
                self._reason = StopReason.PROCESS_ENDED
                scope.cancel()


def data_router(node: Node) -> APIRouter:
    """Return the routes below ``/data``: a GET pulls, a POST pushes, and the ``Authorization`` is the flow's token."""
    router = APIRouter(prefix=DATA_PATH)

    @router.get("/{flow_id}")
    def pull(flow_id: str, request: Request) -> Response:
        """Send the flow's product, in the form that ``Accept`` prefers; who has a token to renew is told so (RFC 6750, section 3.1)."""
        encoding = accepted(request.headers.get("accept"))
        try:
            sending = node.moving.deliveries.open(flow_id, _token(request), encoding=encoding)
        except Unidentified as error:
            return JSONResponse(error.as_dict(), status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return DeliveryResponse(sending, deliveries=node.moving.deliveries, flow_id=flow_id)

    @router.post("/{flow_id}")
    async def push(flow_id: str, request: Request) -> dict[str, Any]:
        """Keep the product that comes, whole or not at all."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Invalid(
                "transfer.compressed",
                "expected a product without compression, got one with",
                hint=Text("Send it without Content-Encoding.", "请不要使用 Content-Encoding。"),
            )
        media_type = request.headers.get("content-type")
        reception = await run_in_threadpool(node.moving.receptions.receive, flow_id, _token(request), media_type=media_type)
        try:
            return await _taken(request, reception)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(reception.close)

    return router


async def _taken(request: Request, reception: Reception) -> dict[str, Any]:
    async for chunk in request.stream():
        await run_in_threadpool(reception.write, chunk)
    receipt = await run_in_threadpool(reception.finish)
    return {"bytes": receipt.size, "digest": receipt.digest}


def _token(request: Request) -> str:
    """The token, with or without the word ``Bearer`` before it; raise NotFound where there is none, as for an unknown one."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    token = rest.strip() if rest and scheme.lower() == "bearer" else scheme if not rest else ""
    if not token:
        raise unknown_flow()
    return token
