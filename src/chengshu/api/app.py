"""One application a node: protocol routes, room routes, health, and errors that are always ours."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from chengshu.api.data import data_router
from chengshu.api.did import did_router
from chengshu.api.log import log_router
from chengshu.api.queries import queries_router
from chengshu.api.renewal import renewal_router
from chengshu.api.room import room_router
from chengshu.api.signaling import signaling_router
from chengshu.api.witness import witness_router
from chengshu.api.work import Workers
from chengshu.dsp.routes.door import Door
from chengshu.dsp.routes.protocol import no_route, router, unknown_paths
from chengshu.dsp.routes.transfer import transfer_router
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable, Unidentified
from chengshu.kernel.version import VERSION
from chengshu.node import Node

STATUS: dict[type[ChengshuError], int] = {
    Invalid: 400,
    Unidentified: 401,
    Denied: 403,
    NotFound: 404,
    Conflict: 409,
    Tampered: 422,
    Unavailable: 503,
}

KEEP_ALIVE_S = 330
"""So long a connection that nobody uses is kept: longer than clients keep theirs (five minutes are usual), since one that is closed here
while a client sends on it loses what it sends, and a product on its way cannot be sent again by everybody."""


def create_app(node: Node) -> FastAPI:
    """Return the node's application; its workers live exactly as long as it does."""
    app = FastAPI(title="Chengshu", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(node))
    door = Door(node.credentials, node.database.together)
    app.include_router(router(contracts=node.contracts, agreements=node.agreements, catalog=node.shown, door=door))
    app.include_router(transfer_router(processes=node.moving.processes, door=door))
    app.include_router(data_router(node))
    app.include_router(signaling_router(node))
    app.include_router(renewal_router(node))
    app.include_router(room_router(node))
    app.include_router(queries_router(node))
    app.include_router(log_router(node))
    app.include_router(did_router(node))
    app.include_router(witness_router(node))
    app.add_exception_handler(ChengshuError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_no_route)

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Say that the node serves, and who it is."""
        name = node.settings.node
        return {"node": node.identity.did, "name": {"en": name.name_en, "zh": name.name_zh}, "version": VERSION}

    app.include_router(unknown_paths())
    return app


def _lifespan(node: Node) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        workers = Workers(node)
        workers.start()
        yield
        await run_in_threadpool(workers.stop)

    return lifespan


def _answer_no_route(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself (a path that is not there, a method that no route takes)."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for these alone
    return no_route(request.url.path) or JSONResponse({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


def _answer_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ChengshuError)  # noqa: S101  # registered for our errors alone
    return JSONResponse(error.as_dict(), status_code=STATUS[type(error)])
