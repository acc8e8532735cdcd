"""The service as a whole: the order of middleware, and what owners and other applications add."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.applications import Starlette
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from {{ cookiecutter.__package }} import service
{% if cookiecutter.__endpoints %}
from {{ cookiecutter.__package }}.auth import CurrentConsumer
{% endif %}
from {{ cookiecutter.__package }}.auth.actor import (
    current_context,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.service import (
    Service,
)

from .helpers import (
    ADMIN_KEY,
    INVALID,
    LIVE,
    LOCATIONS,
    READY,
    UNKNOWN_KEY,
    WEB_KEY,
    base_url,
    call_asgi,
    make_app,
    make_plain_app,
    make_settings,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example.com"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
WHOAMI = "/_tests/whoami"
NOTES = "/_tests/notes"


def signed(key: str = ADMIN_KEY, **headers: str) -> dict[str, Any]:
    """Return a request with a key and these headers, as arguments of `call_asgi`."""
    request = to_asgi(with_key(LOCATIONS[0], key))
    request["headers"] |= headers
    return request


async def run_lifespan(app: ASGIApp) -> list[Message]:
    """Start and stop an application as a server does; return its lifespan messages."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.shutdown" if sent else "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": {}}, receive, send)
    return sent


async def test_no_origin_is_allowed_where_none_is_listed() -> None:
    app = make_app(cors_origins=())
    response = await call_asgi(app, WHOAMI, method="OPTIONS", headers=PREFLIGHT)
    assert response.status in (401, 405)
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    "header", ["content-type", "traceparent", "sentry-trace", "baggage", "x-request-id"]
)
async def test_preflight_needs_no_key(header: str) -> None:
    app = make_app(cors_origins=(ORIGIN,))
    names = [*filter(None, (location.header for location in LOCATIONS)), header]
    preflight = PREFLIGHT | {"Access-Control-Request-Headers": ", ".join(names)}
    response = await call_asgi(app, WHOAMI, method="OPTIONS", headers=preflight)
    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN


async def test_preflight_of_another_origin_is_refused() -> None:
    app = make_app(cors_origins=(ORIGIN,))
    preflight = PREFLIGHT | {"Origin": "https://evil.example"}
    response = await call_asgi(app, WHOAMI, method="OPTIONS", headers=preflight)
    assert response.status == 400
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("query", ["", "q." * 5000], ids=["401", "414"])
async def test_allowed_origins_can_read_refusals(query: str) -> None:
    app = make_app(cors_origins=(ORIGIN,))
    response = await call_asgi(app, WHOAMI, headers={"Origin": ORIGIN}, query=query)
    assert response.status == (414 if query else 401)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = response.headers["access-control-expose-headers"].split(", ")
{% if cookiecutter.__limited %}
    assert {"RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"} <= {*exposed}
{% else %}
    assert "X-Request-ID" in exposed
{% endif %}
{% if cookiecutter.__cookie %}
    assert response.headers["access-control-allow-credentials"] == "true"
{% else %}
    assert "access-control-allow-credentials" not in response.headers
{% endif %}


class OwnCORSMiddleware(CORSMiddleware):
    """CORS middleware of an owner."""


MISPLACED_CORS = (
    "CORSMiddleware added here would run after the key is checked, and preflight requests would get"
    " 401. Set CORS_ORIGINS (and CORS_HEADERS) instead, such as CORS_ORIGINS=https://app.example.com"
)


@pytest.mark.parametrize("middleware", [CORSMiddleware, OwnCORSMiddleware])
async def test_misplaced_cors_middleware_is_refused(
    app: FastAPI, middleware: type[CORSMiddleware]
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(MISPLACED_CORS)}$"):
        app.add_middleware(middleware, allow_origins=["*"])
    app.user_middleware.append(Middleware(middleware))
    # Servers log this message, so it has no traceback.
    failed = {"type": "lifespan.startup.failed", "message": MISPLACED_CORS}
    assert await run_lifespan(app) == [failed]


def test_disabled_loggers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service.logger, "disabled", True)
    with pytest.raises(ValueError, match="disable_existing_loggers"):
        make_app()


@pytest.mark.parametrize("option", ["docs_url", "openapi_url"])
def test_option_without_effect_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: "/api"}
    with pytest.raises(ValueError, match=r"routes/docs\.py"):
{% if cookiecutter.__whole_app %}
        Service(make_settings(), public=(), **options)
{% else %}
        Service(make_settings(), **options)
{% endif %}


async def test_context_is_outside_of_other_middleware(app: FastAPI) -> None:
    seen: list[str | None] = []

    @app.middleware("http")
    async def note(request: Request, call_next: Any) -> Response:
        seen.append(request.state.consumer and request.state.consumer.name)
        response: Response = await call_next(request)
        context = current_context.get()
        seen.append(context.consumer.name if context and context.consumer else None)
        return response

    assert (await call_asgi(app, WHOAMI)).status == 401
    assert seen == []
    assert (await call_asgi(app, WHOAMI, **signed(WEB_KEY))).status == 200
    assert seen == ["web", "web"]


class RenameMiddleware:
    """Middleware of an owner that passes on a copy of the scope with another path."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self.prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with another path."""
        if scope["type"] != "lifespan":
            scope = {**scope, "path": scope["path"].removeprefix(self.prefix)}
        await self.app(scope, receive, send)


async def test_renamed_path_is_protected_too(app: FastAPI) -> None:
    app.add_middleware(RenameMiddleware, "/v1")
    assert (await call_asgi(app, f"/v1{WHOAMI}")).status == 401
    assert (await call_asgi(app, f"/v1{WHOAMI}", **signed())).status == 200


def handle_only(app: FastAPI, kind: Any, handler: Any) -> None:
    """Add an error handler that takes precedence over those of the service."""
    for before in (401, 403, HTTPException):
        app.exception_handlers.pop(before, None)
    app.add_exception_handler(kind, handler)


def add_problem_handler(app: FastAPI, kind: Any) -> None:
    """Format errors as RFC 9457 defines, without the headers of the error."""

    async def handle(request: Request, error: HTTPException) -> Response:
        problem = {"title": error.detail, "status": error.status_code}
        return JSONResponse(problem, error.status_code, media_type="application/problem+json")

    handle_only(app, kind, handle)


@pytest.mark.parametrize(
    "kind", [401, HTTPException, StarletteHTTPException], ids=["401", "FastAPI", "Starlette"]
)
@pytest.mark.parametrize("websocket", [True, False])
async def test_handler_of_the_owner_formats_refusals(
    app: FastAPI, kind: Any, websocket: bool
) -> None:
    add_problem_handler(app, kind)
    path = "/_tests/feed" if websocket else WHOAMI
    response = await call_asgi(app, path, websocket=websocket)
    assert (response.status, response.receives) == (401, 0)
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(response.messages[1]["body"])["status"] == 401
    assert "www-authenticate" in response.headers
    assert response.headers["cache-control"] == "no-store"


async def test_handler_of_the_owner_may_be_a_function(app: FastAPI) -> None:
    def handle(request: Request, error: HTTPException) -> Response:
        return PlainTextResponse("No!", error.status_code)

    handle_only(app, HTTPException, handle)
    response = await call_asgi(app, WHOAMI)
    assert response.messages[1]["body"] == b"No!"


async def test_handler_of_the_owner_reads_no_body(app: FastAPI) -> None:
    async def handle(request: Request, error: HTTPException) -> Response:
        return PlainTextResponse(await request.body(), error.status_code)

    handle_only(app, HTTPException, handle)
    response = await call_asgi(app, NOTES, method="POST", body=b"body")
    assert (response.status, response.receives) == (401, 0)
    assert response.messages[1]["body"] == b""


async def test_handler_of_the_owner_formats_missing_scopes() -> None:
    app = make_plain_app()
    add_problem_handler(app, StarletteHTTPException)
    request = signed(WEB_KEY, **{"Content-Type": "application/json"})
    response = await call_asgi(app, NOTES, method="POST", body=b"{}", **request)
    assert response.status == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"


async def test_invalid_request_is_not_repeated(app: FastAPI) -> None:
    request = signed(**{"Content-Type": "application/json"})
    body = b'{"text": ["hunter2"]}'
    response = await call_asgi(app, NOTES, method="POST", body=body, **request)
    assert response.status in INVALID
    if app.exception_handlers[RequestValidationError].__module__ == type(app).__module__:
        [problem] = json.loads(response.messages[1]["body"])["detail"]
        assert problem.keys() == {"type", "loc", "msg"}
        assert problem["loc"] == ["body", "text"]
        assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": NaN}',
        b'{"text": -1e400}',
        rb'{"text": ["\ud800"]}',
        rb'{"\ud800": 1}',
        b"{",
        b"null",
        b"\xff",
    ],
    ids=["NaN", "infinite", "surrogate", "surrogate name", "cut off", "null", "bytes"],
)
async def test_body_that_json_cannot_hold_is_invalid(app: FastAPI, body: bytes) -> None:
    for kind in ("application/json", "text/plain"):
        request = signed(**{"Content-Type": kind})
        response = await call_asgi(app, NOTES, method="POST", body=body, **request)
        assert response.status in INVALID


def make_mounted() -> FastAPI:
    """Return an application to mount, with an endpoint that needs a key."""
    mounted = FastAPI()

    @mounted.post("/echo")
{% if cookiecutter.__endpoints %}
    async def echo(text: dict[str, str], consumer: CurrentConsumer) -> dict[str, str]:
        return text
{% else %}
    async def echo(text: dict[str, str]) -> dict[str, str]:
        return text
{% endif %}

{% if cookiecutter.__endpoints %}
    @mounted.websocket("/feed")
    async def feed(websocket: WebSocket, consumer: CurrentConsumer) -> None:
        await websocket.accept()
{% else %}
    @mounted.websocket("/feed")
    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()
{% endif %}

    return mounted


async def test_mounted_application_is_protected(app: FastAPI, location: Location) -> None:
    app.mount("/_mounted", make_mounted())
    app.router.routes.insert(0, app.router.routes.pop())
    refused = await call_asgi(app, "/_mounted/echo", method="POST", body=b"{")
    assert (refused.status, refused.receives) == (401, 0)
    refused = await call_asgi(app, "/_mounted/feed", websocket=True)
    assert (refused.status, refused.receives) == (401, 0)
    request = to_asgi(with_key(location, WEB_KEY))
    passed = await call_asgi(app, "/_mounted/echo", method="POST", body=b"{", **request)
    assert passed.status == 422
    assert (await call_asgi(app, "/_mounted/feed", websocket=True, **request)).status == 101


async def test_service_starts_and_stops(app: FastAPI) -> None:
    expected = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert [message["type"] for message in await run_lifespan(app)] == expected


async def test_lifespan_of_a_router_runs(app: FastAPI) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        events.append("start")
        yield
        events.append("stop")

    app.include_router(APIRouter(lifespan=lifespan))
    await run_lifespan(app)
    assert events == ["start", "stop"]


@pytest.mark.parametrize("bigger", [FastAPI, Starlette])
async def test_service_works_in_a_bigger_application(
    bigger: type[FastAPI] | type[Starlette], location: Location
) -> None:
    service = make_app()
    application = bigger()
    application.mount("/service", service)
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url(service)) as client:
        assert (await client.get(f"/service{WHOAMI}")).status_code == 401
        for key, status in ((WEB_KEY, 200), (UNKNOWN_KEY, 401)):
            response = await client.get(f"/service{WHOAMI}", **with_key(location, key))
            assert response.status_code == status
            assert response.headers.get_list("X-Request-ID")
        assert (await client.get(f"/service{LIVE}")).status_code == 200
        assert (await client.get(f"/service{READY}")).status_code == 200


async def test_requests_do_not_share_their_context(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = await call_asgi(app, WHOAMI, **signed())
    second = await call_asgi(app, WHOAMI)
    assert (first.status, second.status) == (200, 401)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    context = current_context.get()
    assert context is not None
    assert context.consumer is None
