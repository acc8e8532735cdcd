{% if cookiecutter.protection == "whole_app" %}
"""Everything is behind the key, and the key is checked before anything else happens."""

from pathlib import Path

import pytest
from fastapi import FastAPI, WebSocket
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Message
{% else %}
"""What asks for a key is behind it, and the key is checked before the body is read."""

import hashlib
from typing import Annotated

import httpx
import pytest
from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    HTTPException,
    Request,
    Security,
    WebSocket,
)
from fastapi.middleware import Middleware
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Message
{% endif %}

{% if cookiecutter.protection == "whole_app" %}
from {{ cookiecutter.__package }} import auth
{% else %}
from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.auth import (
    Authenticator,
    Consumer,
    CurrentConsumer,
    EarlyCheck,
    get_api_key,
)
from {{ cookiecutter.__package }}.locations import locations
{% endif %}

from .conftest import WithKey
{% if cookiecutter.protection == "whole_app" %}
from .helpers import UNKNOWN_KEY, WEB_KEY, ask, make_app, to_asgi
{% else %}
from .helpers import (
    ADMIN_KEY,
    UNKNOWN_KEY,
    WEB_KEY,
    ask,
    make_settings,
    to_asgi,
)
{% endif %}

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("body", [b"{", b'["text"]', b"x" * 10_000_000])
async def test_without_a_key_not_a_byte_of_the_body_is_read(app: FastAPI, body: bytes) -> None:
    length = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    answer = await ask(app, "/notes", method="POST", headers=length, body=body)
    assert answer.status == 401
    assert answer.receives == 0


async def test_with_a_wrong_key_not_a_byte_of_the_body_is_read(
    app: FastAPI, with_key: WithKey
) -> None:
    wrong = to_asgi(with_key(UNKNOWN_KEY))
    answer = await ask(app, "/notes", method="POST", body=b"{", **wrong)
    assert answer.status == 401
    assert answer.receives == 0


async def test_the_server_may_start_and_stop_the_app(app: FastAPI) -> None:
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": "lifespan.shutdown" if sent else "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

{% if cookiecutter.protection == "whole_app" %}

@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_the_health_checks_are_public(app: FastAPI, path: str) -> None:
    assert (await ask(app, path)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("GET", "/whoami/"),
        ("HEAD", "/whoami"),
        ("OPTIONS", "/whoami"),
        ("DELETE", "/whoami"),
        ("POST", "/health/live"),
        ("GET", "/health"),
        ("GET", "/health/live/"),
        ("GET", "//health/live"),
        ("GET", "/HEALTH/LIVE"),
        ("GET", "/health/live/../../whoami"),
        ("GET", "/health/live%00"),
        ("GET", "http://service.test/health/live"),
    ],
)
async def test_all_the_rest_is_closed(method: str, path: str) -> None:
    app = make_app(docs_enabled=True)
    answer = await ask(app, path, method=method)
    assert answer.status == 401
    assert answer.receives == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/health/live", 200), ("/api/whoami", 401), ("/api/api/health/live", 401)],
)
async def test_behind_a_proxy_the_same_paths_are_public(
    app: FastAPI, path: str, status: int
) -> None:
    assert (await ask(app, path, root_path="/api")).status == status


async def test_mounted_apps_and_static_files_are_closed(
    app: FastAPI, with_key: WithKey, tmp_path: Path
) -> None:
    (tmp_path / "page.txt").write_text("hello")
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/mounted", PlainTextResponse("hello"))
    for path in ("/static/page.txt", "/static/nowhere", "/mounted", "/mounted/page"):
        assert (await ask(app, path)).status == 401
    opened = await ask(app, "/static/page.txt", **to_asgi(with_key(WEB_KEY)))
    assert opened.status == 200


async def test_a_public_operation_may_still_ask_for_a_key(
    app: FastAPI, with_key: WithKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = auth.PUBLIC_OPERATIONS | {("GET", "/whoami")}
    monkeypatch.setattr(auth, "PUBLIC_OPERATIONS", public)
    assert (await ask(app, "/whoami")).status == 401
    assert (await ask(app, "/whoami", **to_asgi(with_key(WEB_KEY)))).status == 200


async def test_websockets_are_closed_even_at_a_public_path(app: FastAPI, with_key: WithKey) -> None:
    @app.websocket("/feed")
    @app.websocket("/health/live")
    async def feed(websocket: WebSocket) -> None:
        await websocket.accept()

    for path in ("/feed", "/health/live", "/nowhere"):
        refused = await ask(app, path, websocket=True)
        assert refused.status == 401
        assert refused.receives == 0
    assert (await ask(app, "/feed", websocket=True, **to_asgi(with_key(WEB_KEY)))).status == 101


@pytest.mark.parametrize("extensions", [{}, None])
async def test_a_server_that_cannot_refuse_a_websocket_politely_is_told_to_close_it(
    app: FastAPI, extensions: dict[str, object] | None
) -> None:
    answer = await ask(app, "/feed", websocket=True, extensions=extensions)
    assert answer.messages == [{"type": "websocket.close", "code": 1008}]
{% else %}

async def test_what_asks_for_no_key_is_public(client: httpx.AsyncClient) -> None:
    for path in ("/", "/health/live", "/health/ready"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/nowhere")).status_code == 404


async def test_any_router_that_asks_for_a_key_is_refused_before_its_body_is_read(
    app: FastAPI, with_key: WithKey
) -> None:
    key = Security(get_api_key)
    by_endpoint, by_router, by_inclusion = APIRouter(), APIRouter(dependencies=[key]), APIRouter()

    @by_endpoint.post("/by-endpoint", dependencies=[key])
    @by_router.post("/by-router")
    @by_inclusion.post("/by-inclusion")
    async def echo(text: dict[str, str]) -> dict[str, str]:
        return text

    app.include_router(by_endpoint)
    app.include_router(by_router)
    app.include_router(by_inclusion, dependencies=[key])
    for path in ("/by-endpoint", "/by-router", "/by-inclusion"):
        answer = await ask(app, path, method="POST", body=b"{")
        assert (answer.status, answer.receives) == (401, 0)
        opened = await ask(app, path, method="POST", body=b"{", **to_asgi(with_key(WEB_KEY)))
        assert (opened.status, opened.receives) == (422, 1)


async def test_an_error_before_the_key_is_looked_at_is_told_to_nobody_without_one(
    app: FastAPI, with_key: WithKey
) -> None:
    async def teapot() -> None:
        raise HTTPException(418)

    @app.post("/tea", dependencies=[Depends(teapot), Security(get_api_key)])
    async def tea() -> None:
        pass

    assert (await ask(app, "/tea", method="POST")).status == 401
    assert (await ask(app, "/tea", method="POST", **to_asgi(with_key(WEB_KEY)))).status == 418


async def test_a_key_is_looked_at_once(
    app: FastAPI, with_key: WithKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def digest(key: str) -> str:
        looked_up.append(key)
        return hashlib.sha256(key.encode()).hexdigest()

    monkeypatch.setattr(keys, "digest", digest)
    answer = await ask(app, "/notes", method="POST", body=b"{", **to_asgi(with_key(ADMIN_KEY)))
    assert answer.status == 422
    assert looked_up == [ADMIN_KEY]


async def test_an_app_without_routers_checks_as_early(with_key: WithKey) -> None:
    settings = make_settings()
    {% if cookiecutter.__cookie %}
    authenticate = Authenticator(locations(settings), settings)
    {% else %}
    authenticate = Authenticator(locations(), settings)
    {% endif %}
    app = FastAPI(middleware=[Middleware(EarlyCheck, authenticate=authenticate)])

    @app.post("/echo", dependencies=[Security(get_api_key)])
    async def echo(text: dict[str, str]) -> dict[str, str]:
        return text

    answer = await ask(app, "/echo", method="POST", body=b"{")
    assert (answer.status, answer.receives) == (401, 0)


async def test_a_mounted_app_still_gets_its_body(app: FastAPI) -> None:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    app.mount("/mounted", Starlette(routes=[Route("/echo", echo, methods=["POST"])]))
    answer = await ask(app, "/mounted/echo", method="POST", body=b"hello")
    assert answer.messages[1]["body"] == b"hello"


async def test_a_dependency_that_asks_for_a_key_counts_too(app: FastAPI) -> None:
    async def greeting(consumer: CurrentConsumer) -> str:
        return f"Hello {consumer.name}"

    @app.post("/greet")
    async def greet(text: dict[str, str], greeting: Annotated[str, Depends(greeting)]) -> str:
        return greeting

    answer = await ask(app, "/greet", method="POST", body=b"{")
    assert (answer.status, answer.receives) == (401, 0)


async def test_a_public_endpoint_still_gets_its_body(app: FastAPI) -> None:
    @app.post("/public")
    async def public(text: dict[str, str]) -> str:
        return text["hello"]

    json = {"Content-Type": "application/json"}
    answer = await ask(app, "/public", method="POST", headers=json, body=b'{"hello": "world"}')
    assert answer.status == 200


async def test_the_dependency_can_be_overridden_in_tests(app: FastAPI) -> None:
    somebody = Consumer("somebody", frozenset({"admin"}), "test")
    app.dependency_overrides[get_api_key] = lambda: somebody
    json = {"Content-Type": "application/json"}
    body = b'{"text": "x"}'
    answer = await ask(app, "/notes", method="POST", headers=json, body=body)
    assert answer.status == 204


async def test_a_websocket_that_asks_for_a_key_is_refused_before_it_is_accepted(
    app: FastAPI, with_key: WithKey
) -> None:
    @app.websocket("/feed")
    async def feed(websocket: WebSocket, consumer: CurrentConsumer) -> None:
        await websocket.accept()

    refused = await ask(app, "/feed", websocket=True)
    assert (refused.status, refused.receives) == (401, 0)
    assert (await ask(app, "/feed", websocket=True, **to_asgi(with_key(WEB_KEY)))).status == 101
{% endif %}
