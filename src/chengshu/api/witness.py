"""The witness's door (C2SP tlog-witness): checkpoints come in, cosignatures go out, and what was cosigned last may be read by anybody."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Text
from chengshu.node import WITNESS_PATH, Node
from chengshu.witness.model import MAX_BODY_BYTES, Answer, Outcome

TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
STATUS = {
    Outcome.COSIGNED: 200,
    Outcome.MALFORMED: 400,
    Outcome.NOT_SIGNED: 403,
    Outcome.UNKNOWN_LOG: 404,
    Outcome.OTHER_SIZE: 409,
    Outcome.OTHER_ROOT: 409,
    Outcome.NOT_CONSISTENT: 422,
}


def witness_router(node: Node) -> APIRouter:
    """Return the routes below ``/witness``; they are there only where the node is a witness."""
    router = APIRouter(prefix=WITNESS_PATH)
    if not node.settings.witness.enabled:
        return router

    @router.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        """Cosign a checkpoint, or say by the protocol's status why not."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return _answered(Answer(Outcome.MALFORMED, f"expected a body of at most {MAX_BODY_BYTES} bytes, got more"))
        return _answered(await run_in_threadpool(node.witness.add_checkpoint, bytes(body)))

    @router.get("/checkpoints/{origin:path}")
    def last(origin: str) -> Response:
        """Return the checkpoint of a log that was cosigned last, with both signatures, for others to compare with theirs."""
        note = node.witness.last(origin)
        if note is None:
            raise NotFound(
                "witness.nothing-cosigned",
                "expected a log that this witness cosigned, got another",
                hint=Text("Give the log's origin, handle/log.", "请给出日志的来源名，即 代号/log。"),
            )
        return Response(note, media_type=TEXT, headers={"Cache-Control": "no-cache"})

    return router


def _answered(answer: Answer) -> Response:
    sized = answer.outcome in {Outcome.OTHER_SIZE, Outcome.OTHER_ROOT}
    text = answer.text if answer.text.endswith("\n") else answer.text + "\n"
    return Response(text.encode(), status_code=STATUS[answer.outcome], headers={"Content-Type": SIZE if sized else TEXT})
