"""Middleware around the whole application: request context, sizes and HEAD requests."""

import re
import string
from collections.abc import Awaitable, Iterable
from itertools import chain
from random import getrandbits
from urllib.parse import quote

from fastapi import FastAPI, HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth.authenticator import Authenticator
from .auth.context import STATE_KEY, RequestContext, current_context, get_context
from .auth.events import RefusalLog
from .auth.keys import KEY_LENGTH, redact
from .auth.middleware import send_refusal
from .auth.routing import find_route

MAX_HEADERS_SIZE = 32 * 1024
MAX_QUERY_SIZE = 8 * 1024

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
# Without one of these, a request of HTTP/1 has no body (RFC 9112, section 6.3).
_BODY_HEADERS = {b"content-length", b"transfer-encoding"}
# The messages that begin a response and hold its headers.
_RESPONSE_STARTS = {"http.response.start", "websocket.accept", "websocket.http.response.start"}
# The ASGI extension of servers that can refuse a WebSocket with an HTTP response.
_DENIAL = "websocket.http.response"
# The messages that hold a body; the latter two are ASGI extensions for files.
_BODIES = {"http.response.body", "http.response.pathsend", "http.response.zerocopysend"}


class RequestContextMiddleware:
    """ASGI middleware: create the request context, and add its headers to the response.

    It changes the scope of the server itself, so that the server's access log shows no key either.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self.app = app
        self.authenticator = authenticator
        self.refusals = RefusalLog()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        context = read_context(scope)
        context.authenticator = self.authenticator
        state = scope.setdefault("state", {})
        state[STATE_KEY] = context
        state["consumer"] = None
        current_context.set(context)
        if scope["query_string"] or len(scope["path"]) >= KEY_LENGTH:
            self._remove_keys(scope, context)
        send = self._reporting(send, context)
        if scope["type"] == "websocket" and _DENIAL not in (scope.get("extensions") or {}):
            send = _closing(send)
        return self.app(scope, receive, send)

    def _remove_keys(self, scope: Scope, context: RequestContext) -> None:
        if scope["query_string"]:
            for location in self.authenticator.locations:
                location.take_from_url(scope, context)
        redact_url(scope, context)

    def _reporting(self, send: Send, context: RequestContext) -> Send:
        """Return a `send` that adds headers to the response, and reports how the request ended."""

        def send_reporting(message: Message) -> Awaitable[None]:
            if message["type"] in _RESPONSE_STARTS:
                self.refusals.report(context, message.get("status", 101))
                message = {**message, "headers": _complete_headers(message, context)}
            elif context.refusal is not None and message["type"] == "websocket.close":
                self.refusals.report(context, 403)
            return send(message)

        return send_reporting


def read_context(scope: Scope) -> RequestContext:
    """Return the context of a request.

    Its id is that of `X-Request-ID` if this is 1 to 128 letters, digits, dots, dashes and
    underscores without a key in it; otherwise it is a new one.
    """
    headers = dict(scope["headers"])
    sent_id = headers.get(b"x-request-id")
    client = scope.get("client")
    return RequestContext(
        (sent_id and _valid_request_id(sent_id)) or f"{getrandbits(128):032x}",
        str(client[0]) if client else "",
        headers_size=sum(map(len, chain.from_iterable(scope["headers"]))),
        may_have_body=scope.get("http_version", "")[:1] != "1"
        or not _BODY_HEADERS.isdisjoint(headers),
    )


def _valid_request_id(value: bytes) -> str:
    if not _REQUEST_ID.fullmatch(value):
        return ""
    text = value.decode("ascii")
    return text if redact(text) == text else ""


def redact_url(scope: Scope, context: RequestContext) -> None:
    """Remove keys that were sent in the URL by mistake, before a log, a trace or a redirect."""
    path = redact(scope["path"])
    if path != scope["path"]:
        scope["path"] = path
        scope["raw_path"] = quote(path).encode()
        context.misplaced = "path"
    if not scope["query_string"]:
        return
    query = scope["query_string"].decode("latin-1")
    redacted = redact(query)
    if redacted != query:
        context.misplaced = "query"
    # A client may send raw bytes, which the server's access log cannot write.
    printable = quote(redacted, safe=string.punctuation, encoding="latin-1")
    scope["query_string"] = printable.encode("ascii")


def _complete_headers(message: Message, context: RequestContext) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response with those of its request context."""
    sent = message.get("headers", ())
    names = dict(sent)
    headers = list(sent)
    if b"x-request-id" in names:
        headers = [pair for pair in sent if pair[0] != b"x-request-id"]
    headers.append((b"x-request-id", context.request_id.encode()))
    headers += context.response_headers
    refusal = context.refusal
    if refusal is not None and refusal.status_code == message.get("status"):
        # An exception handler of the owner may have left them out.
        needed = (refusal.headers or {}).items()
        headers += [(name, value) for name, value in _encode(needed) if name not in names]
    elif context.consumer is not None and b"cache-control" not in names:
        # A shared cache must not serve to others what needed a key (RFC 9111, section 3.5).
        headers.append((b"cache-control", b"no-store"))
    if context.taken_keys and b"referrer-policy" not in names:
        # The browser must tell no other site the URL of this page, which holds a key.
        headers.append((b"referrer-policy", b"no-referrer"))
    return headers


def _encode(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers]


def _closing(send: Send) -> Send:
    """Close a WebSocket in place of an HTTP response, which this server cannot send."""

    async def send_closing(message: Message) -> None:
        if message["type"] == f"{_DENIAL}.start":
            await send({"type": "websocket.close", "code": 1008})  # the server responds with 403
        elif message["type"] != f"{_DENIAL}.body":
            await send(message)

    return send_closing


class SizeLimitMiddleware:
    """ASGI middleware: 431 and 414 for oversized headers and queries, 413 for an oversized body.

    FastAPI's own limit responds with 413 to a large body even where the application responds with
    401. Here the body counts when it is read, so a request without a key is still told 401.
    """

    def __init__(self, app: ASGIApp, service: FastAPI, max_body_size: int) -> None:
        self.app = app
        self.service = service
        self.max_body_size = max_body_size

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self.app(scope, receive, send)
        context = get_context(scope)
        if context.headers_size > MAX_HEADERS_SIZE:
            return _refuse(self.service, 431, "Request Header Fields Too Large", scope, send)
        if len(scope["query_string"]) > MAX_QUERY_SIZE:
            return _refuse(self.service, 414, "URI Too Long", scope, send)
        if not context.may_have_body or scope["type"] == "websocket":
            return self.app(scope, receive, send)
        return _LimitedBody(self.service, self.max_body_size, scope, receive, send).run(self.app)


class _LimitedBody:
    """One request whose body is counted while it is read."""

    def __init__(
        self, service: FastAPI, limit: int, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._service = service
        self._limit = limit
        self._scope = scope
        self._receive = receive
        self._send = send
        self._size = 0
        self._too_large = False
        self._started = False

    async def run(self, app: ASGIApp) -> None:
        """Run the application; where it has read too much, the response is 413."""
        try:
            await app(self._scope, self._limited_receive, self._noting_send)
        except Exception:
            # Middleware of the owner may wrap what is raised below, so it is not told by its type.
            if not self._too_large:
                raise
            await self._send_too_large()

    async def _limited_receive(self) -> Message:
        if not self._started:
            self._check(_declared_size(self._scope))
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if not self._started:
            self._check(self._size)
        elif self._exceeds(self._size):
            # The response is being sent: a body that is not read must not cut it off.
            return {**message, "body": b""}
        return message

    def _noting_send(self, message: Message) -> Awaitable[None]:
        if self._too_large:
            return self._send_too_large()
        self._started = True
        return self._send(message)

    async def _send_too_large(self) -> None:
        if not self._started:
            self._started = True
            await _refuse(self._service, 413, "Content Too Large", self._scope, self._send)

    def _check(self, size: int) -> None:
        if self._exceeds(size):
            self._too_large = True
            raise HTTPException(413, "Content Too Large")

    def _exceeds(self, size: int) -> bool:
        if size <= self._limit:
            return False
        # An endpoint's own `max_body_size` wins; where it is smaller, FastAPI itself checks it.
        own = getattr(find_route(self._service.routes, self._scope), "max_body_size", None)
        return own is None or size > own


class HeadMiddleware:
    """ASGI middleware: HEAD wherever there is GET (RFC 9110, section 9.3.2).

    FastAPI declares GET alone, and responds to HEAD with 405.
    """

    def __init__(self, app: ASGIApp, service: FastAPI) -> None:
        self.app = app
        self.service = service

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope.get("method") == "HEAD" and not self._has_operation(scope):
            as_get = {**scope, "method": "GET"}
            if self._has_operation(as_get):
                scope, send = as_get, _without_body(send)
        return self.app(scope, receive, send)

    def _has_operation(self, scope: Scope) -> bool:
        # Not just any route: what is mounted at / matches every method of every path.
        route = find_route(self.service.routes, scope)
        return route is not None and scope["method"] in (route.methods or ())


def _without_body(send: Send) -> Send:
    """End the response where its body would begin: a body without end must not keep it open."""
    ended = False

    async def send_without_body(message: Message) -> None:
        nonlocal ended
        if message["type"] not in _BODIES:
            await send(message)
        elif not ended:
            ended = True
            await send({"type": "http.response.body", "body": b""})

    return send_without_body


def _refuse(
    service: FastAPI, status: int, detail: str, scope: Scope, send: Send
) -> Awaitable[None]:
    if get_context(scope).consumer is None:  # where there is one, this header is added anyway
        get_context(scope).response_headers.append((b"cache-control", b"no-store"))
    return send_refusal(service, HTTPException(status, detail), scope, send)


def _declared_size(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0
