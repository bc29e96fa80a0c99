"""A node whose answers are altered on their way out: a party that lies, while its own books are kept by honest code."""

import json
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Lie = Callable[[bytes], bytes]
"""From the body of an honest answer to the one that is sent."""


class Liar:
    """Stands before a node's application; ``lies`` are by path, and none is told where there is none."""

    def __init__(self) -> None:
        self.lies: dict[str, Lie] = {}

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application with its lies."""

        async def answering(scope: Scope, receive: Receive, send: Send) -> None:
            lie = self.lies.get(scope.get("path", "")) if scope["type"] == "http" else None
            if lie is None:
                await app(scope, receive, send)
                return
            held: list[Message] = []

            async def hold(message: Message) -> None:
                held.append(message)

            await app(scope, receive, hold)
            start = next(one for one in held if one["type"] == "http.response.start")
            body = b"".join(one.get("body", b"") for one in held if one["type"] == "http.response.body")
            said = lie(body) if start["status"] < 300 else body
            headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(said)).encode())]})
            await send({"type": "http.response.body", "body": said})

        return answering


def instead(answer: Any) -> Lie:
    """Say something else, whatever the honest answer is."""
    return lambda _: json.dumps(answer).encode()


def altered(change: Callable[[dict[str, Any]], None]) -> Lie:
    """Change the honest answer, which is a JSON object, in its place."""

    def lie(body: bytes) -> bytes:
        answer = json.loads(body)
        change(answer)
        return json.dumps(answer).encode()

    return lie
