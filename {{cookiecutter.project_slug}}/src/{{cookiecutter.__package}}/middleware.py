"""Middleware around the whole application: request context, sizes and HEAD requests."""

import re
import string
from collections.abc import Awaitable, Iterable
from random import getrandbits
from urllib.parse import quote

from fastapi import FastAPI, HTTPException
from pydantic import SecretStr
from starlette.datastructures import URL, Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth.actor import current_context
from .auth.authenticator import Authenticator
from .auth.context import STATE_KEY, RequestContext, get_context
from .auth.events import RefusalLog
from .auth.keys import REMOVED_LENGTH, redact, remove_keys
from .auth.middleware import send_refusal
from .auth.routing import find_route
{% if cookiecutter.__cookie %}
from .auth.sign_in import redirect_browser
{% endif %}
from .traces import redact_span

MAX_HEADERS_SIZE = 32 * 1024
MAX_QUERY_SIZE = 8 * 1024

_QUERY_CHARACTERS = string.punctuation.replace('"', "")
_URL_CHARACTERS = ":/%#?=@[]!$&'()*+,;"  # what Starlette does not encode in a redirect
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
    """ASGI middleware: move keys to the request context, and add its headers to the response.

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
        self._take_keys(scope, context)
        redact_span()
        send = self._reporting(scope, send, context)
        if scope["type"] == "websocket" and _DENIAL not in (scope.get("extensions") or {}):
            send = _closing(send)
        return self.app(scope, receive, send)

    def _take_keys(self, scope: Scope, context: RequestContext) -> None:
        if len(scope["query_string"]) > MAX_QUERY_SIZE:
            scope["query_string"] = b""  # the request is refused: reading it would only take time
        url = scope["path"], scope["query_string"]
        for location in self.authenticator.locations:
            if any(sent := location.take(scope)):
                context.sent_keys.append((location, [SecretStr(key) for key in sent]))
        remove_misplaced_keys(scope, context)
        context.key_in_url = url != (scope["path"], scope["query_string"])
        if scope["query_string"]:
            scope["query_string"] = _to_printable(scope["query_string"])

    def _reporting(self, scope: Scope, send: Send, context: RequestContext) -> Send:
        """Return a `send` that adds headers to the response, and reports how the request ended."""

        def send_reporting(message: Message) -> Awaitable[None]:
            if message["type"] in _RESPONSE_STARTS:
                self.refusals.report(context, message.get("status", 101))
                message = {**message, "headers": _complete_headers(scope, message, context)}
                {% if cookiecutter.__cookie %}
                if context.refusal is not None and message.get("status") == 401:
                    message = redirect_browser(scope, message)
                {% endif %}
            elif context.refusal is not None and message["type"] == "websocket.close":
                self.refusals.report(context, 403)
            return send(message)

        return send_reporting


def read_context(scope: Scope) -> RequestContext:
    """Return the context of a request.

    Its id is that of `X-Request-ID` if this is 1 to 128 letters, digits, dots, dashes and
    underscores without a key in it; otherwise it is a new one.
    """
    request_id, size, may_have_body = "", 0, scope.get("http_version", "")[:1] != "1"
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name == b"x-request-id":
            request_id = _valid_request_id(value) or request_id
        elif name in _BODY_HEADERS:
            may_have_body = True
    client = scope.get("client")
    return RequestContext(
        request_id or f"{getrandbits(128):032x}",
        str(client[0]) if client else "",
        headers_size=size,
        query_size=len(scope.get("query_string", b"")),
        may_have_body=may_have_body,
    )


def _valid_request_id(value: bytes) -> str:
    if not _REQUEST_ID.fullmatch(value):
        return ""
    text = value.decode("ascii")
    return text if redact(text) == text else ""


def remove_misplaced_keys(scope: Scope, context: RequestContext) -> None:
    """Remove keys that were sent in the URL or in another header by mistake.

    Only keys are removed: the rest reaches the endpoint as it was sent.
    """
    for index, (name, value) in enumerate(scope["headers"]):
        if len(value) >= REMOVED_LENGTH:
            kept = remove_keys(text := value.decode("latin-1"))
            if kept != text:
                scope["headers"] = [*scope["headers"]]
                scope["headers"][index] = (name, kept.encode("latin-1"))
                context.misplaced = "cookie" if name == b"cookie" else f"header {name.decode()}"
    if len(scope["path"]) >= REMOVED_LENGTH:
        kept = remove_keys(scope["path"])
        if kept != scope["path"]:
            scope["path"], scope["raw_path"] = kept, quote(kept).encode()
            context.misplaced = "path"
    if len(scope["query_string"]) >= REMOVED_LENGTH:
        kept = remove_keys(text := scope["query_string"].decode("latin-1"))
        if kept != text:
            scope["query_string"] = kept.encode("latin-1")
            context.misplaced = "query"


def _to_printable(query: bytes) -> bytes:
    """Return a query with odd bytes percent-encoded: no access log line can hold or fake them."""
    return quote(query, safe=_QUERY_CHARACTERS).encode()


def _complete_headers(
    scope: Scope, message: Message, context: RequestContext
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response with those of its request context."""
    sent = message.get("headers", ())
    names = dict(sent)
    if b"location" in names:
        sent = [(name, _local_location(name, value, scope)) for name, value in sent]
    if b"x-request-id" in names:
        sent = [pair for pair in sent if pair[0] != b"x-request-id"]
    headers = [*sent, (b"x-request-id", context.request_id.encode()), *context.response_headers]
    refusal = context.refusal
    if refusal is not None and refusal.status_code == message.get("status"):
        # An exception handler of the owner may omit them.
        needed = (refusal.headers or {}).items()
        headers += [(name, value) for name, value in _encode(needed) if name not in names]
    elif context.consumer is not None and b"cache-control" not in names:
        # A shared cache must not serve the response to other clients (RFC 9111, section 3.5).
        headers.append((b"cache-control", b"no-store"))
    if context.key_in_url and b"referrer-policy" not in names:
        # The browser must not send the URL of this page, which holds a key, to other sites.
        headers.append((b"referrer-policy", b"no-referrer"))
    return headers


def _local_location(name: bytes, value: bytes, scope: Scope) -> bytes:
    """Return the value of a response header; `Location` without the host of the request itself.

    Starlette redirects to `Host`, which is whatever the client has sent. Its redirects with another
    slash at the end also repeat the URL of the request, so they are redacted.
    """
    if name != b"location":
        return value
    url, location = URL(scope=scope), value.decode("latin-1")
    origin = quote(f"{url.scheme}://{url.netloc}", _URL_CHARACTERS)
    if not location.startswith(f"{origin}/"):
        return value
    target = location.removeprefix(origin)
    if target.partition("?")[0].rstrip("/") == quote(scope["path"], _URL_CHARACTERS).rstrip("/"):
        target = redact(target)
    # Two slashes at the beginning would stand for another host.
    return (f"/.{target}" if target.startswith("//") else target).encode("latin-1")


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
    401. Here the body counts when it is read, so a request without a key still gets 401.
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
        if context.query_size > MAX_QUERY_SIZE:
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
            # Middleware of the owner may wrap the exception, so its type is not checked.
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
