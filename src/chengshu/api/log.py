"""The node's published log, read-only, as C2SP tlog-tiles asks: for witnesses and auditors, and anybody who wants a copy."""

from fastapi import APIRouter, Response

from chengshu.evidence.storage.files import CHECKPOINT, VKEY, FileTiles
from chengshu.evidence.tiles import TILE_WIDTH, parse_tile_path
from chengshu.evidence.witnessing.mirror import WITNESSED
from chengshu.kernel.errors import NotFound
from chengshu.kernel.text import Text
from chengshu.node import LOG, LOG_PATH, Node

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
FOR_GOOD = "public, max-age=31536000, immutable"
FOR_NOW = "no-cache"


def log_router(node: Node) -> APIRouter:
    """Return the routes below ``/log``: checkpoints, key and tiles; nothing that the tile grammar does not name is ever opened."""
    router = APIRouter(prefix=LOG_PATH)
    files = FileTiles(node.folder / LOG)

    @router.get("/tile/{path:path}")
    def tile(path: str) -> Response:
        """Return a tile or an entry bundle; a full one never changes, a partial one may go when it is full."""
        name = parse_tile_path(f"tile/{path}")
        data = None if name is None else files.read(name.path)
        if name is None or data is None:
            raise _absent()
        return Response(data, media_type=BYTES, headers={"Cache-Control": FOR_GOOD if name.width == TILE_WIDTH else FOR_NOW})

    @router.get("/{name}")
    def text(name: str) -> Response:
        """Return the newest checkpoint, the newest that met its quorum, or the log's key."""
        data = files.read(name) if name in {CHECKPOINT, WITNESSED, VKEY} else None
        if data is None:
            raise _absent()
        return Response(data, media_type=TEXT, headers={"Cache-Control": FOR_NOW})

    return router


def _absent() -> NotFound:
    return NotFound(
        "log.absent",
        "expected a file of the log, got a path that names none",
        hint=Text(
            "Ask for checkpoint, log.vkey, or a tile of c2sp.org/tlog-tiles.",
            "可请求 checkpoint、log.vkey 或 c2sp.org/tlog-tiles 规定的分块。",
        ),
    )
