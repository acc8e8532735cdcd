"""Protection looks up the route of a request before FastAPI does: both must find the same one."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Match, Mount, Route
from starlette.types import Message, Scope

from {{ cookiecutter.__package }}.auth.routing import (
    find_route,
)

from .helpers import call_asgi, make_scope

pytestmark = pytest.mark.anyio


class VersionedRoute(APIRoute):
    """A route of an owner's class, which matches by a header too."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match where the header names the version of this route."""
        match, child_scope = super().matches(scope)
        version = dict(scope["headers"]).get(b"version", b"1").decode()
        return (match, child_scope) if self.name.endswith(version) else (Match.NONE, {})


def make_app(handled: list[str]) -> FastAPI:
    """Return an application with nasty routes, which note their names when they handle a request."""

    def endpoint(name: str) -> Callable[..., Any]:
        async def handle() -> None:
            handled.append(name)

        return named(handle, name)

    def starlette_endpoint(name: str) -> Callable[[Request], Any]:
        async def handle(request: Request) -> PlainTextResponse:
            handled.append(name)
            return PlainTextResponse(name)

        return named(handle, name)

    def websocket_endpoint(name: str) -> Callable[[WebSocket], Any]:
        async def handle(websocket: WebSocket) -> None:
            handled.append(name)
            await websocket.accept()

        return named(handle, name)

    def named(handle: Callable[..., Any], name: str) -> Callable[..., Any]:
        handle.__name__ = name
        return handle

    app = FastAPI(openapi_url=None)
    app.add_api_route("/a/{x}", endpoint("post"), methods=["POST"])
    app.add_api_route("/a/{x}", endpoint("get"))
    app.add_api_route("/a/shadowed", endpoint("shadowed"))
    app.add_api_route("/number/{x:int}", endpoint("number"))
    app.add_api_route("/number/{x}", endpoint("text"))
    inner, middle, outer = APIRouter(), APIRouter(prefix="/middle"), APIRouter(prefix="/outer")
    inner.add_api_route("/deep/{x}", endpoint("deep"))
    middle.include_router(inner, prefix="/inner")
    outer.include_router(middle)
    app.include_router(outer, prefix="/api")
    inner.add_api_route("/later", endpoint("later"))
    outer.add_api_route("/{rest:path}", endpoint("rest"))
    mounted, nested = FastAPI(openapi_url=None), FastAPI(openapi_url=None)
    mounted.add_api_route("/x", endpoint("mounted"))
    mounted.add_api_websocket_route("/feed", websocket_endpoint("mounted feed"))
    nested.add_api_route("/y", endpoint("nested"))
    mounted.mount("/nested", nested)
    app.mount("/mounted", mounted)
    mounting = APIRouter()
    mounting.mount("/m", Mount("", routes=[Route("/z", starlette_endpoint("in router"))]))
    app.include_router(mounting, prefix="/prefix")
    app.add_api_websocket_route("/feed", websocket_endpoint("feed"))
    app.add_api_route("/feed", endpoint("feed over HTTP"))
    of_host = APIRouter()
    of_host.add_api_route("/host", endpoint("other host"))
    app.router.routes.append(Host("other.example.com", app=of_host))
    app.add_api_route("/host", endpoint("any host"))
    versions = APIRouter(route_class=VersionedRoute)
    versions.add_api_route("/version", endpoint("version 1"))
    versions.add_api_route("/version", endpoint("version 2"))
    app.include_router(versions, prefix="/of")
    app.mount("", Mount("", routes=[Route("/last", starlette_endpoint("last"))]))
    app.add_api_route("/never", endpoint("never"))
    return app


@pytest.mark.parametrize(
    ("request_line", "name"),
    [
        ("GET /a/1", "get"),
        ("POST /a/1", "post"),
        ("GET /a/shadowed", "get"),
        ("PUT /a/1", None),
        ("GET /a/1/", None),
        ("GET //a/1", None),
        ("GET /number/1", "number"),
        ("GET /number/one", "text"),
        ("GET /api/outer/middle/inner/deep/1", "deep"),
        ("PUT /api/outer/middle/inner/deep/1", None),
        ("GET /api/outer/middle/inner/later", "later"),
        ("GET /api/outer/a/b", "rest"),
        ("GET /mounted/x", "mounted"),
        ("GET /mounted/nested/y", "nested"),
        ("GET /mounted/nowhere", None),
        ("GET /prefix/m/z", "in router"),
        ("GET /feed", "feed over HTTP"),
        ("WEBSOCKET /feed", "feed"),
        ("WEBSOCKET /mounted/feed", "mounted feed"),
        ("WEBSOCKET /a/1", None),
        ("GET /host", "any host"),
        ("GET /last", "last"),
        ("GET /never", None),
    ],
)
async def test_route_is_the_one_that_fastapi_picks(request_line: str, name: str | None) -> None:
    handled: list[str] = []
    app = make_app(handled)
    method, path = request_line.split()
    parts: dict[str, Any] = {"websocket": True} if method == "WEBSOCKET" else {"method": method}
    route = find_route(app.routes, make_scope(path, **parts))
    await call_asgi(app, path, **parts)
    assert handled == [name or "none"][: len(handled)]
    assert getattr(getattr(route, "endpoint", None), "__name__", None) == name
    assert bool(handled) == (name is not None)


async def test_route_depends_on_the_host() -> None:
    handled: list[str] = []
    app = make_app(handled)
    route = find_route(app.routes, make_scope("/host", host="other.example.com"))
    await call_asgi(app, "/host", host="other.example.com")
    assert route is not None
    assert route.endpoint is not None
    assert handled == [route.endpoint.__name__] == ["other host"]


@pytest.mark.parametrize(
    ("root_path", "path", "found"),
    [("/api", "/api/a/1", True), ("/api", "/a/1", True), ("/a", "/a/1", False)],
)
async def test_root_path_is_removed(root_path: str, path: str, found: bool) -> None:
    handled: list[str] = []
    app = make_app(handled)
    route = find_route(app.routes, make_scope(path, root_path=root_path))
    await call_asgi(app, path, root_path=root_path)
    assert (route is not None) == bool(handled) == found


async def test_custom_route_class_is_not_predicted() -> None:
    handled: list[str] = []
    app = make_app(handled)
    for version in ("1", "2"):
        headers = {"version": version}
        assert find_route(app.routes, make_scope("/of/version", headers=headers)) is None
        await call_asgi(app, "/of/version", headers=headers)
    assert handled == ["version 1", "version 2"]


async def test_mount_without_routes_is_found() -> None:
    async def plain(scope: Scope, receive: Any, send: Any) -> None:
        message: Message = {"type": "http.response.start", "status": 204, "headers": []}
        await send(message)

    app = FastAPI(openapi_url=None)
    app.mount("/plain", plain)
    route = find_route(app.routes, make_scope("/plain/x"))
    assert route is not None
    assert route.path == "/plain"
