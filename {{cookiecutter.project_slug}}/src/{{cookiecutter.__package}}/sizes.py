"""Bounds on what a request may bring along."""

from collections.abc import Awaitable

from fastapi import HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_HEADERS_SIZE = 32 * 1024
MAX_QUERY_SIZE = 8 * 1024


class SizeLimits:
    """ASGI middleware: 431 and 414 for oversized headers and queries, 413 for an oversized body.

    FastAPI's `max_body_size` answers 413 to a large body whatever the app has to say. Here a body
    counts when somebody asks for it, so that the answer to a request without a key stays 401.

    Calling it returns what there is to await: a coroutine of its own would only wait for the next.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        if sum([len(name) + len(value) for name, value in scope["headers"]]) > MAX_HEADERS_SIZE:
            return _answer(431, "Request Header Fields Too Large")(scope, receive, send)
        if len(scope["query_string"]) > MAX_QUERY_SIZE:
            return _answer(414, "URI Too Long")(scope, receive, send)
        return self.app(scope, self._limit(scope, receive), send)

    def _limit(self, scope: Scope, receive: Receive) -> Receive:
        size = 0

        async def limited_receive() -> Message:
            nonlocal size
            if _declared_size(scope) > self.max_body_size:
                raise HTTPException(413, "Content Too Large")
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.max_body_size:
                raise HTTPException(413, "Content Too Large")
            return message

        return limited_receive


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store"})


def _declared_size(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0
