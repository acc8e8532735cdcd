{% if cookiecutter.__whole_app %}
"""All but public operations need a key, and the key is checked before the body is read."""
{% else %}
"""The key is checked before the body is read, wherever an endpoint requires one."""
{% endif %}

from pathlib import Path
{% if cookiecutter.__endpoints %}
from typing import Annotated
{% endif %}

import pytest
{% if cookiecutter.__whole_app %}
from fastapi import APIRouter, FastAPI, WebSocket
{% else %}
from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Security,
    WebSocket,
)
{% endif %}
from fastapi.routing import iter_route_contexts
{% if cookiecutter.__endpoints %}
from starlette.applications import Starlette
{% endif %}
from starlette.responses import PlainTextResponse
{% if cookiecutter.__endpoints %}
from starlette.routing import Route, WebSocketRoute
{% else %}
from starlette.routing import WebSocketRoute
{% endif %}
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from {{ cookiecutter.__package }}.app import create_app
{% if cookiecutter.__endpoints %}
from {{ cookiecutter.__package }}.auth import (
    CurrentConsumer,
    get_api_key,
)
{% endif %}
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
{% if cookiecutter.__whole_app %}
from {{ cookiecutter.__package }}.auth.protection import (
    Protection,
)
{% endif %}

from .helpers import (
{% if cookiecutter.__endpoints %}
    ADMIN_KEY,
    INVALID,
{% endif %}
    LIVE,
    LOCATIONS,
    READY,
    UNKNOWN_KEY,
    WEB_KEY,
    call_asgi,
{% if cookiecutter.__whole_app %}
    make_app,
{% endif %}
    make_settings,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

KEY = to_asgi(with_key(LOCATIONS[0], WEB_KEY))
# The public routes. Add each route that you make public.
PUBLIC = {
{% if cookiecutter.__endpoints %}
    ("GET", "/"),
{% endif %}
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
{% if cookiecutter.__cookie %}
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
{% endif %}
}


async def test_exactly_the_public_routes_need_no_key() -> None:
    app = create_app(make_settings())
    found = set()
    for route in iter_route_contexts(app.routes):
        path = route.path or "/"
        websocket = isinstance(route.original_route, WebSocketRoute)
        for method in sorted(route.methods or {"GET"}):
            response = await call_asgi(app, path, method=method, websocket=websocket)
            if response.headers.get("www-authenticate") is None:
                found.add((method, path))
    assert found - PUBLIC == set(), "Protect these routes, or add them to PUBLIC in this file"


@pytest.mark.parametrize("body", [b"{", b'["text"]', b"x" * 10_000_000], ids=len)
async def test_body_without_a_key_is_not_read(app: FastAPI, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    response = await call_asgi(app, "/_tests/notes", method="POST", headers=headers, body=body)
    assert (response.status, response.receives) == (401, 0)


async def test_body_with_an_unknown_key_is_not_read(app: FastAPI, location: Location) -> None:
    request = to_asgi(with_key(location, UNKNOWN_KEY))
    response = await call_asgi(app, "/_tests/notes", method="POST", body=b"{", **request)
    assert (response.status, response.receives) == (401, 0)


async def test_form_without_a_boundary_is_401(app: FastAPI) -> None:
    mounted = FastAPI()
    mounted.include_router(app_routes())
    app.mount("/_mounted", mounted)
    app.router.routes.insert(0, app.router.routes.pop())
    headers = {"Content-Type": "multipart/form-data"}
    for path in ("/_tests/notes", "/_mounted/echo"):
        response = await call_asgi(app, path, method="POST", headers=headers, body=b"x")
        assert (response.status, response.receives) == (401, 0)


def app_routes() -> APIRouter:
    """Return a router with an endpoint that needs a key."""
{% if cookiecutter.__whole_app %}
    router = APIRouter()
{% else %}
    router = APIRouter(dependencies=[Security(get_api_key)])
{% endif %}

    @router.post("/echo")
    async def echo(text: dict[str, str]) -> dict[str, str]:
        return text

    return router


class ReadBodyMiddleware:
    """Middleware of an owner that reads the body before it calls the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read one message."""
        if scope["type"] == "http":
            await receive()
        await self.app(scope, receive, send)


async def test_owner_middleware_reads_no_body_without_key(app: FastAPI) -> None:
    app.add_middleware(ReadBodyMiddleware)
    body = b"x" * 1000
    response = await call_asgi(app, "/_tests/notes", method="POST", body=body, endless=True)
    assert (response.status, response.receives) == (401, 0)


async def test_websocket_is_refused_before_it_is_accepted(app: FastAPI, location: Location) -> None:
    refused = await call_asgi(app, "/_tests/feed", websocket=True)
    assert (refused.status, refused.receives) == (401, 0)
    request = to_asgi(with_key(location, WEB_KEY))
    assert (await call_asgi(app, "/_tests/feed", websocket=True, **request)).status == 101


@pytest.mark.parametrize("extensions", [{}, None])
async def test_websocket_is_closed_without_a_response(
    app: FastAPI, extensions: dict[str, object] | None
) -> None:
    response = await call_asgi(app, "/_tests/feed", websocket=True, extensions=extensions)
    assert response.messages == [{"type": "websocket.close", "code": 1008}]
    response = await call_asgi(app, "/_tests/feed", websocket=True, extensions=extensions, **KEY)
    assert response.status == 101
{% if cookiecutter.__whole_app %}


@pytest.mark.parametrize("path", [LIVE, READY])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_checks_are_public(app: FastAPI, method: str, path: str) -> None:
    assert (await call_asgi(app, path, method=method)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("GET", "/_tests/whoami/"),
        ("HEAD", "/_tests/whoami"),
        ("OPTIONS", "/_tests/whoami"),
        ("DELETE", "/_tests/whoami"),
        ("POST", LIVE),
        ("OPTIONS", LIVE),
        ("GET", "/health"),
        ("GET", f"{LIVE}/"),
        ("GET", f"{LIVE}\n"),
        ("GET", f"/{LIVE}"),
        ("GET", "/HEALTH/LIVE"),
        ("GET", f"{LIVE}/../../_tests/whoami"),
        ("GET", f"{LIVE}%00"),
        ("GET", f"http://service.test{LIVE}"),
    ],
)
async def test_everything_else_needs_a_key(method: str, path: str) -> None:
    app = make_app(docs_enabled=True)
    response = await call_asgi(app, path, method=method)
    assert (response.status, response.receives) == (401, 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [(f"/api{LIVE}", 200), ("/api/_tests/whoami", 401), (f"/api/api{LIVE}", 401)],
)
async def test_public_paths_behind_a_proxy(app: FastAPI, path: str, status: int) -> None:
    assert (await call_asgi(app, path, root_path="/api")).status == status


async def test_mounted_applications_and_files_need_a_key(app: FastAPI, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("hello")
    app.mount("/_static", StaticFiles(directory=tmp_path))
    app.mount("/_mounted", PlainTextResponse("hello"))
    app.router.routes[:0] = [app.router.routes.pop(), app.router.routes.pop()]
    for path in ("/_static/page.txt", "/_static/nowhere", "/_mounted", "/_mounted/page"):
        assert (await call_asgi(app, path)).status == 401
    for method in ("GET", "HEAD"):
        response = await call_asgi(app, "/_static/page.txt", method=method, **KEY)
        assert response.status == 200


async def test_websockets_of_unknown_paths_are_refused(app: FastAPI) -> None:
    for path in (LIVE, "/nowhere"):
        response = await call_asgi(app, path, websocket=True)
        assert (response.status, response.receives) == (401, 0)


def make_public_app(*public: APIRouter | str) -> FastAPI:
    """Return an application with routes of which some are declared public."""
    app = make_app()
    webhooks = public_router()
    app.include_router(webhooks, prefix="/_public")

    @app.websocket("/_items/{item}")
    @app.post("/_items/{item}")
    @app.head("/_items/{item}")
    @app.get("/_items/{item}")
    @app.get("/_items/secret")
    async def item(websocket: WebSocket = None) -> None:  # type: ignore[assignment]
        if websocket:
            await websocket.accept()

    routes = app.router.routes
    routes[:] = routes[-6:] + routes[:-6]
    protection = Protection(app, (webhooks, *public))
    app.protection = protection  # type: ignore[attr-defined]
    return app


def public_router() -> APIRouter:
    """Return a router to declare public."""
    router = APIRouter()

    @router.post("/{name}")
    async def receive_webhook(name: str) -> str:
        return name

    @router.websocket("/feed")
    async def public_feed(websocket: WebSocket) -> None:
        await websocket.accept()

    return router


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_items/1", 200),
        ("POST", "/_items/1", 401),
        ("HEAD", "/_items/1", 401),  # an operation of its own, which is not declared
        ("GET", "/_items/1/2", 401),
        ("GET", "/_items/", 401),
        ("GET", "/_items/1/", 401),
        ("POST", "/_public/payments", 200),
        ("GET", "/_public/payments", 401),
        ("POST", "/_public/payments/1", 401),
    ],
)
async def test_public_operation_matches_one_segment(method: str, path: str, status: int) -> None:
    app = make_public_app("GET /_items/{item}")
    assert (await call_asgi(app, path, method=method)).status == status


async def test_public_path_does_not_open_other_routes() -> None:
    app = make_public_app("GET /_items/{item}")
    for path, method in (("/_items/secret", "GET"), ("/_items/1", "POST")):
        found = await call_asgi(app, path, method=method)
        assert found.status == 401
    assert (await call_asgi(app, "/_items/1", websocket=True)).status == 401
    assert (await call_asgi(app, "/_public/feed", websocket=True)).status == 101


async def test_operation_is_public_in_the_document_too() -> None:
    app = make_public_app("GET /_items/{item}")
    paths = app.openapi()["paths"]
    assert paths["/_items/{item}"]["get"]["security"] == []
    assert paths["/_items/{item}"]["post"].get("security") != []
    assert paths["/_public/{name}"]["post"]["security"] == []


@pytest.mark.parametrize(
    "declared",
    ["GET /_items", "DELETE /_items/{item}", "GET /_items/{other}", "/_items/{item}", "get /"],
)
def test_public_entry_without_a_route_stops_start(declared: str) -> None:
    app = make_public_app(declared)
    with pytest.raises(ValueError, match="matches no route"):
        app.protection.check_declarations()  # type: ignore[attr-defined]


def test_unincluded_public_router_stops_the_start() -> None:
    app = make_public_app(APIRouter(prefix="/forgotten"))
    with pytest.raises(ValueError, match="/forgotten"):
        app.protection.check_declarations()  # type: ignore[attr-defined]


def test_multi_segment_public_path_stops_the_start() -> None:
    app = make_public_app("GET /_files/{name:path}")
    app.add_api_route("/_files/{name:path}", lambda: None)
    with pytest.raises(ValueError, match="any number of segments"):
        app.protection.check_declarations()  # type: ignore[attr-defined]


async def test_lifespan_reports_a_failed_start() -> None:
    app = make_public_app("GET /nowhere")
    sent: list[dict[str, str]] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": {}}, receive, send)  # type: ignore[arg-type]
    [message] = sent
    assert message["type"] == "lifespan.startup.failed"
    assert "'GET /nowhere' matches no route" in message["message"]
    assert message["message"].count("\n") == 0
    with pytest.raises(ValueError, match="matches no route"):
        await call_asgi(app, "/nowhere")
{% else %}


async def test_endpoints_without_protection_are_public(app: FastAPI) -> None:
    for path in (LIVE, READY):
        for method in ("GET", "HEAD"):
            assert (await call_asgi(app, path, method=method)).status == 200


async def test_every_way_to_ask_for_a_key_is_seen(app: FastAPI) -> None:
    key = Security(get_api_key)
    by_endpoint, by_router, by_inclusion = APIRouter(), APIRouter(dependencies=[key]), APIRouter()

    @by_endpoint.post("/_by/endpoint", dependencies=[key])
    @by_router.post("/_by/router")
    @by_inclusion.post("/_by/inclusion")
    async def echo(text: dict[str, str]) -> dict[str, str]:
        return text

    app.include_router(by_endpoint)
    app.include_router(by_router)
    app.include_router(by_inclusion, dependencies=[key])
    app.router.routes[:0] = [app.router.routes.pop() for _ in range(3)]
    for path in ("/_by/endpoint", "/_by/router", "/_by/inclusion"):
        response = await call_asgi(app, path, method="POST", body=b"{")
        assert (response.status, response.receives) == (401, 0)
        passed = await call_asgi(app, path, method="POST", body=b"{", **KEY)
        assert passed.status in INVALID
        assert passed.receives == 1


async def test_other_errors_do_not_hide_the_refusal(app: FastAPI) -> None:
    async def teapot() -> None:
        raise HTTPException(418)

    @app.post("/_tea", dependencies=[Depends(teapot), Security(get_api_key)])
    async def tea() -> None:
        pass

    app.router.routes.insert(0, app.router.routes.pop())
    assert (await call_asgi(app, "/_tea", method="POST")).status == 401
    assert (await call_asgi(app, "/_tea", method="POST", **KEY)).status == 418


async def test_dependency_of_a_dependency_counts(app: FastAPI) -> None:
    async def greeting(consumer: CurrentConsumer) -> str:
        return f"Hello {consumer.name}"

    @app.post("/_greet")
    async def greet(text: dict[str, str], greeting: Annotated[str, Depends(greeting)]) -> str:
        return greeting

    app.router.routes.insert(0, app.router.routes.pop())
    response = await call_asgi(app, "/_greet", method="POST", body=b"{")
    assert (response.status, response.receives) == (401, 0)


async def test_mounted_and_public_endpoints_get_their_body(app: FastAPI, tmp_path: Path) -> None:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    (tmp_path / "page.txt").write_text("hello")
    app.mount("/_static", StaticFiles(directory=tmp_path))
    app.mount("/_mounted", Starlette(routes=[Route("/echo", echo, methods=["POST"])]))
    app.router.routes[:0] = [app.router.routes.pop(), app.router.routes.pop()]
    response = await call_asgi(app, "/_mounted/echo", method="POST", body=b"hello")
    assert response.messages[1]["body"] == b"hello"
    assert (await call_asgi(app, "/_static/page.txt", method="HEAD")).status == 200


async def test_websocket_without_a_key_may_be_public(app: FastAPI) -> None:
    @app.websocket("/_public")
    async def public(websocket: WebSocket) -> None:
        await websocket.accept()

    app.router.routes.insert(0, app.router.routes.pop())
    assert (await call_asgi(app, "/_public", websocket=True)).status == 101


async def test_scope_is_checked_after_the_body_is_read(app: FastAPI) -> None:
    json = {"Content-Type": "application/json"}
    for key, status in ((WEB_KEY, 403), (ADMIN_KEY, 204)):
        request = to_asgi(with_key(LOCATIONS[0], key))
        request["headers"] |= json
        response = await call_asgi(
            app, "/_tests/notes", method="POST", body=b'{"text": "x"}', **request
        )
        assert response.status == status
{% endif %}
