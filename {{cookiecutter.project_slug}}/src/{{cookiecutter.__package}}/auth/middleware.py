"""Refuses requests without a valid key before anything reads their body."""

from collections.abc import Awaitable
from functools import lru_cache
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.exception_handlers import http_exception_handler
from starlette._utils import is_async_callable
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from .authenticator import Authenticator
from .context import get_context
from .dependencies import get_api_key
from .protection import Protection
from .refusals import Refusal
from .routing import find_mounted, find_route
from .websockets import CheckedWebSocket


class AuthenticationMiddleware:
    """ASGI middleware: a request that needs a key passes only with a valid one.

    A dependency of the application would leave mounted applications, static files and unknown paths
    open, and would run only after FastAPI has read and parsed the body.
    """

    def __init__(
        self, app: ASGIApp, service: FastAPI, authenticator: Authenticator, protection: Protection
    ) -> None:
        self.app = app
        self.service = service
        self.authenticator = authenticator
        self.protection = protection
        self._applications = [service, *find_mounted(service.routes)]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        if self.protection.needs_key(scope):
            return self._authenticate(scope, receive, send)
        return self._run(scope, receive, send)

    async def _authenticate(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.authenticator(scope)
        except Refusal as refusal:
            if not self._is_overridden(scope):
                await send_refusal(self.service, refusal, scope, send)
                return
            get_context(scope).refusal = None
        await self._run(scope, receive, send)

    def _run(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "websocket":
            return CheckedWebSocket(self.authenticator, scope, receive, send).run(self.app)
        return self.app(scope, receive, send)

    def _is_overridden(self, scope: Scope) -> bool:
        """Tell whether a test has replaced `get_api_key` in the application or a mounted one."""
        overridden = [app for app in self._applications if get_api_key in app.dependency_overrides]
        if not overridden or self.service in overridden:
            return bool(overridden)
        route = find_route(self.service.routes, scope)
        return getattr(route, "dependency_overrides_provider", None) in overridden


async def send_refusal(app: FastAPI, refusal: HTTPException, scope: Scope, send: Send) -> None:
    """Send the response to a refused request, as the application's exception handler formats it.

    An exception handler of the owner gets an empty body.
    """
    handlers = app.exception_handlers
    kinds = (refusal.status_code, *type(refusal).__mro__[:-3])  # without Exception and its bases
    handler: Any = next(handlers[kind] for kind in kinds if kind in handlers)
    if handler is http_exception_handler:
        headers = tuple((refusal.headers or {}).items())
        response = _default_response(refusal.status_code, refusal.detail, headers)
    else:
        websocket = scope["type"] == "websocket"
        connection = WebSocket(scope, _no_body, send) if websocket else Request(scope, _no_body)
        if is_async_callable(handler):
            response = await handler(connection, refusal)
        else:
            response = await run_in_threadpool(handler, connection, refusal)
    await response(scope, _no_body, send)


@lru_cache(maxsize=256)
def _default_response(status: int, detail: str, headers: tuple[tuple[str, str], ...]) -> Response:
    return JSONResponse({"detail": detail}, status, dict(headers))


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
