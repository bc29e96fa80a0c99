"""The refresh endpoint of the data plane (Data Plane Signaling, Token Renewal profile): there where a control plane is registered."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from chengshu.api.forms import form_of
from chengshu.kernel.errors import ChengshuError, Denied, Invalid, Unidentified
from chengshu.node import DATA_PATH, Node
from chengshu.transfer.flow.renewable import Tokens

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def renewal_router(node: Node) -> APIRouter:
    """Return the route below each flow's endpoint where its token is renewed; none where no control plane is registered."""
    router = APIRouter(prefix=DATA_PATH)
    if node.moving.signaling.planes.every:
        router.post("/{flow_id}/token")(_renewing(node))
    return router


def _renewing(node: Node) -> Callable[[str, Request], Any]:
    async def token(flow_id: str, request: Request) -> Response:
        """Give new tokens for a refresh token and its holder's signature, or say as OAuth 2.0 does why not (RFC 6749, section 5.2).

        Parameters are in the body; the profile's own example, which has them in the query, is understood too.
        """
        try:
            form = await form_of(request, beside=request.url.query)
            refresh = form.get("refresh_token")
            if form.get("grant_type") != "refresh_token":
                return _refused("unsupported_grant_type", "expected the grant_type refresh_token, got another")
            if not refresh:
                return _refused("invalid_request", "expected a refresh_token, got none")
            proof = request.headers.get("authorization")
            tokens = await run_in_threadpool(node.moving.authority.renew, flow_id, refresh=refresh, proof=proof)
        except (Invalid, Denied, Unidentified) as error:
            return _refused(_WORDS[type(error)], error.message)
        return JSONResponse(_given(tokens), headers=_NO_STORE)

    return token


_WORDS: dict[type[ChengshuError], str] = {Invalid: "invalid_request", Denied: "invalid_grant", Unidentified: "invalid_client"}


def _given(tokens: Tokens) -> dict[str, Any]:
    seconds = int(tokens.life.total_seconds())
    return {"access_token": tokens.access, "token_type": "Bearer", "expires_in": seconds, "refresh_token": tokens.refresh}


def _refused(word: str, description: str) -> Response:
    body = {"error": word, "error_description": description}
    if word == "invalid_client":
        return JSONResponse(body, status_code=401, headers={"WWW-Authenticate": "Bearer", **_NO_STORE})
    return JSONResponse(body, status_code=400, headers=_NO_STORE)
