"""The door for the node's own people: questions in SQL over HTTP, with the node's client token."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from chengshu.api.bodies import Document, json_object, malformed, raw_body, text_of
from chengshu.cleanroom.outcome import refusal_document
from chengshu.cleanroom.planning.explaining import described, explained
from chengshu.identity.keys.client import ClientToken
from chengshu.kernel.refusal import Refused
from chengshu.node import KEYS, Node

PREFIX = "/queries"


def queries_router(node: Node) -> APIRouter:
    """Return the routes below ``/queries``; nobody is heard there as long as the node has no client token."""
    router, message = APIRouter(prefix=PREFIX), Depends(_called(ClientToken(node.folder / KEYS)))

    @router.post("/plan")
    def plan(body: Document = message) -> Document:
        choice = node.queries.plan(text_of(body, "sql"), purpose=text_of(body, "purpose"), room=_room(node, body))
        return {"refused": refusal_document(choice)} if isinstance(choice, Refused) else {"explained": explained(choice)}

    @router.post("", status_code=201)
    def ask(body: Document = message) -> Document:
        asked = node.queries.ask(text_of(body, "sql"), purpose=text_of(body, "purpose"), room=_room(node, body))
        if isinstance(asked, Refused):
            return {"refused": refusal_document(asked)}
        return {"job": asked.job, "explained": described(asked.candidate)}

    @router.post("/standing")
    def standing(body: Document = message) -> Document:
        now = node.asker.standing(text_of(body, "job"))
        outcome = None if now.outcome is None else now.outcome.as_document()
        return {"job": now.job, "state": now.state, "waits_for": now.waits_for, "outcome": outcome, "receipt": now.receipt}

    return router


def _called(token: ClientToken) -> Callable[[Request], Any]:
    async def read(request: Request) -> Document:
        await run_in_threadpool(token.check, request.headers.get("authorization"))
        return json_object(await raw_body(request))

    return read


def _room(node: Node, body: Document) -> str | None:
    name = body.get("room")
    if name is not None and not isinstance(name, str):
        raise malformed("expected room to be a string or nothing, got another kind")
    return None if name is None else node.identity.find(name).did
