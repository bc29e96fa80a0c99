"""What nodes say to one another about jobs, products and statements; every request is signed by the node that sends it."""

import base64
import time
from collections.abc import Callable
from typing import Any

import anyio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from chengshu.api.bodies import Document, json_object, malformed, raw_body, text_of
from chengshu.cleanroom.holder import Approval, Repeated
from chengshu.cleanroom.outcome import refusal_document
from chengshu.cleanroom.receipts.countersigning import Countersignature
from chengshu.cleanroom.secure_aggregation.packing import packed, packed_all, packed_table, unpacked_all
from chengshu.cleanroom.secure_aggregation.roster import Card
from chengshu.identity.credentials.request import SignedRequest
from chengshu.kernel.refusal import Refused
from chengshu.node import Node
from chengshu.transfer.flow.deliveries import LOOK_S
from chengshu.transfer.model import Position
from chengshu.transfer.sealed.frames import Form
from chengshu.transfer.sealed.outgoing import SealedSending


def room_router(node: Node) -> APIRouter:
    """Return the routes below ``/room``; those of a clean room are there only where the node runs one."""
    router = APIRouter(prefix="/room")
    _holder_routes(router, node)
    _told_routes(router, node)
    _sum_routes(router, node)
    _budget_routes(router, node)
    if node.settings.cleanroom.enabled:
        _job_routes(router, node)
    return router


class Letter:
    """A request whose sender has been established, with its JSON body."""

    def __init__(self, sender: str, body: Document) -> None:
        self.sender = sender
        self._body = body

    def text(self, name: str) -> str:
        """Return a member that must be a string."""
        return text_of(self._body, name)

    def texts(self, name: str) -> list[str]:
        """Return a member that must be a list of at most 100 strings."""
        value = self._body.get(name)
        if not isinstance(value, list) or len(value) > 100 or not all(isinstance(one, str) for one in value):
            raise malformed(f"expected {name} to be a list of at most 100 strings, got another value")
        return value

    def documents(self, name: str) -> list[object]:
        """Return a member that must be a list of at most 100 values, which the reader looks into."""
        value = self._body.get(name)
        if not isinstance(value, list) or len(value) > 100:
            raise malformed(f"expected {name} to be a list of at most 100 objects, got another value")
        return value

    def text_if_any(self, name: str) -> str | None:
        """Return a member that must be a string where it is there."""
        return None if name not in self._body else self.text(name)

    def document(self, name: str) -> Document:
        """Return a member that must be an object."""
        value = self._body.get(name)
        if not isinstance(value, dict):
            raise malformed(f"expected {name} to be an object, got {type(value).__name__}")
        return value

    def document_if_any(self, name: str) -> Document | None:
        """Return a member that must be an object where it is there."""
        return None if name not in self._body else self.document(name)

    def bytes(self, name: str) -> bytes:
        """Return what a member that must be base64 says."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except ValueError as error:
            raise malformed(f"expected {name} to be base64, got another text") from error

    def signature(self) -> str:
        """Return the member ``signature``, which must be base64."""
        self.bytes("signature")
        return self.text("signature")

    def signed(self, name: str, *, texts: tuple[str, ...] = ()) -> Document:
        """Return the whole body of a signed message: the object ``name``, whose members ``texts`` must be strings, and its signature."""
        inner = Letter(self.sender, self.document(name))
        for member in texts:
            inner.text(member)
        self.signature()
        return self._body


class ProductResponse(StreamingResponse):
    """A product as an encrypted stream, closed however the answer ends: a receiver that leaves early leaves an entry in the log.

    Where nothing allows it any more it is broken off, though its receiver reads slowly or not at all; nothing then ends it as a whole
    answer ends, so that what arrived is not taken for the product.
    """

    def __init__(self, sending: SealedSending) -> None:
        super().__init__(sending, media_type=sending.media_type)
        self._sending = sending

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it, then close it."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._watch, group.cancel_scope)
                await super().__call__(scope, receive, send)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._sending.close)

    async def stream_response(self, send: Any) -> None:
        """Send piece after piece, and the end only where it is one."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in self.body_iterator:
            began = time.perf_counter()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self._sending.pace.took(len(piece), seconds=time.perf_counter() - began)
        if not self._sending.is_revoked:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, scope: anyio.CancelScope) -> None:
        while not self._sending.is_revoked:
            await anyio.sleep(LOOK_S)
        scope.cancel()


def opened(node: Node) -> Callable[[Request], Any]:
    """Return the dependency that reads a body within the limit, establishes the sender and parses it."""

    async def read(request: Request) -> Letter:
        raw = await raw_body(request)
        signed = SignedRequest(request.method, request.url.path, raw)
        sender = await run_in_threadpool(node.credentials.verify, request.headers.get("authorization"), signed)
        return Letter(sender, json_object(raw))

    return read


def _job_routes(router: APIRouter, node: Node) -> None:
    letter = Depends(opened(node))

    @router.post("/jobs", status_code=201)
    def submit(message: Letter = letter) -> Document:
        node.room.receive(message.document("job"), signature=message.signature(), sender=message.sender)
        return {"job": message.document("job")["id"]}

    @router.post("/jobs/cancel")
    def cancel(message: Letter = letter) -> Document:
        return node.room.cancel(message.text("job"), sender=message.sender)

    @router.post("/jobs/standing")
    def standing(message: Letter = letter) -> Document:
        return node.room.standing(message.text("job"), sender=message.sender)


def _budget_routes(router: APIRouter, node: Node) -> None:
    letter = Depends(opened(node))

    @router.post("/budgets")
    def budgets(message: Letter = letter) -> Document:
        return node.budgets.tell(message.text("agreement"), sender=message.sender)


def _position(message: Letter) -> Position | None:
    """How far the product has come that the sender asks for, None where it has nothing of it."""
    said = message.document_if_any("after")
    if said is None:
        return None
    pieces = said.get("pieces")
    if not isinstance(pieces, int) or isinstance(pieces, bool) or pieces < 1:
        raise malformed("expected after.pieces to be a whole number of at least 1, got another value")
    return Position(pieces, text_of(said, "digest"))


def _verdict(verdict: Approval | Repeated | Refused) -> Document:
    match verdict:
        case Approval(token):
            return {"token": token}
        case Repeated():
            return {"repeated": True}
        case _:
            return {"refused": refusal_document(verdict)}


def _holder_routes(router: APIRouter, node: Node) -> None:
    letter = Depends(opened(node))

    @router.post("/schemas")
    def schema(message: Letter = letter) -> Document:
        return node.holder.schema(message.text("product")).as_document()

    @router.post("/terms")
    def terms(message: Letter = letter) -> Document:
        product = message.text("product")
        budgets = node.holder.budgets(product, message.texts("agreements"), consumer=message.sender)
        told = {name: [one.as_document() for one in listed] for name, listed in budgets.items()}
        return {"schema": node.holder.schema(product).as_document(), "budgets": told}

    @router.post("/inputs")
    def inputs(message: Letter = letter) -> Document:
        verdict = node.holder.approve(
            message.document("job"),
            signature=message.signature(),
            product=message.text("product"),
            room=message.sender,
            repeats=message.text_if_any("repeats"),
        )
        return _verdict(verdict)

    @router.post("/data")
    def data(message: Letter = letter) -> ProductResponse:
        token, key, form = message.text("token"), message.bytes("key"), Form.asked(message.text_if_any("pieces"))
        return ProductResponse(node.transfers.deliver(token, recipient=message.sender, key=key, after=_position(message), form=form))


def _sum_routes(router: APIRouter, node: Node) -> None:
    """The steps of a sum over the rows of several holders, in their order (:mod:`chengshu.cleanroom.secure_aggregation`)."""
    letter = Depends(opened(node))

    @router.post("/sums/join")
    def join(message: Letter = letter) -> Document:
        joined = node.members.join(message.document("job"), signature=message.signature(), room=message.sender)
        if isinstance(joined, Refused):
            return {"refused": refusal_document(joined)}
        return {"card": joined.card.as_document(), "groups": packed_table(joined.groups)}

    @router.post("/sums/share")
    def share(message: Letter = letter) -> Document:
        cards = [Card.parse(one, f"cards[{place}]") for place, one in enumerate(message.documents("cards"))]
        return {"sealed": packed_all(node.members.share(message.text("job"), cards, message.bytes("common"), room=message.sender))}

    @router.post("/sums/contribute")
    def contribute(message: Letter = letter) -> Response:
        sealed = unpacked_all(message.document("sealed"), "sealed")
        masked = node.members.contribute(message.text("job"), sealed, room=message.sender)
        return Response(masked, media_type="application/octet-stream")

    @router.post("/sums/confirm")
    def confirm(message: Letter = letter) -> Document:
        return {"signature": packed(node.members.confirm(message.text("job"), message.texts("survivors"), room=message.sender))}

    @router.post("/sums/open")
    def open_(message: Letter = letter) -> Document:
        signatures = unpacked_all(message.document("signatures"), "signatures")
        opening = node.members.open(message.text("job"), signatures, room=message.sender)
        return {"secret": packed(opening.secret), "secrets": packed_all(opening.secrets), "keys": packed_all(opening.keys)}


def _told_routes(router: APIRouter, node: Node) -> None:
    """What a node is told of jobs that have ended."""
    letter = Depends(opened(node))

    @router.post("/receipts")
    def receipt(message: Letter = letter) -> Document:
        signed = message.signed("receipt", texts=("job", "job_digest", "state", "room"))
        node.holder.take_receipt(signed, room=message.sender)
        node.members.forget(signed["receipt"]["job"])
        return {}

    @router.post("/uses")
    def use_receipt(message: Letter = letter) -> Document:
        verdict = node.countersigner.countersign(message.document("receipt"), signature=message.signature(), sender=message.sender)
        if isinstance(verdict, Countersignature):
            return {"receipt_digest": verdict.receipt_digest, "signature": verdict.signature}
        return {"refused": refusal_document(verdict)}

    @router.post("/statements")
    def statement(message: Letter = letter) -> Document:
        message.text("signer")
        return {"differences": node.settlements.receive(message.signed("document"), expected_signer=message.sender)}
