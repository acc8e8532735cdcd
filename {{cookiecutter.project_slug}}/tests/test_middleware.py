"""Request ids, response headers, URLs, sizes and HEAD requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from {{ cookiecutter.__package }}.auth import (
    keys,
)
from {{ cookiecutter.__package }}.auth.actor import (
    current_context,
)
from {{ cookiecutter.__package }}.auth.context import (
    RequestContext,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.middleware import (
    MAX_HEADERS_SIZE,
    MAX_QUERY_SIZE,
    read_context,
    remove_misplaced_keys,
)

from .helpers import (
    ADMIN_KEY,
    INVALID,
    LIVE,
    LOCATIONS,
    UNKNOWN_KEY,
    WEB_KEY,
    base_url,
    call_asgi,
    make_app,
    make_plain_app,
    make_scope,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

NOTES = "/_tests/notes"
BODY = b'{"text": "x"}'
JSON = {"Content-Type": "application/json"}


def signed(key: str = ADMIN_KEY, **headers: str) -> dict[str, Any]:
    """Return a request with a key and these headers, as arguments of `call_asgi`."""
    request = to_asgi(with_key(LOCATIONS[0], key))
    request["headers"] |= headers
    return request


def add_first(app: FastAPI, router: APIRouter) -> None:
    """Include a router in front of the other routes."""
    app.include_router(router)
    app.router.routes.insert(0, app.router.routes.pop())


@pytest.mark.parametrize("sent", [b"8f3a", b"a" * 128, b"A-b_c.9"], ids=["hex", "long", "word"])
def test_request_keeps_its_id(sent: bytes) -> None:
    scope: Scope = {"headers": [(b"x-request-id", sent)]}
    assert read_context(scope).request_id == sent.decode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"a" * 129, b"a b", b"a\n", b"a\x1b[31m", b'a"', b"\xe9", WEB_KEY.encode()],
    ids=["empty", "long", "space", "line", "escape", "quote", "latin", "key"],
)
def test_improper_id_is_replaced(sent: bytes) -> None:
    scope: Scope = {"headers": [(b"x-request-id", sent)]}
    new = read_context(scope).request_id
    assert len(new) == 32
    assert int(new, 16) != int(read_context(scope).request_id, 16)


@pytest.mark.parametrize("path", ["/_tests/whoami", LIVE, "/nowhere"])
async def test_response_names_the_request(app: FastAPI, location: Location, path: str) -> None:
    for key in (WEB_KEY, UNKNOWN_KEY):
        response = await call_asgi(app, path, **to_asgi(with_key(location, key)))
        context = current_context.get()
        assert context is not None
        assert response.headers["x-request-id"] == context.request_id


async def test_request_id_of_an_endpoint_is_replaced(app: FastAPI) -> None:
    router = APIRouter()

    @router.get("/_id")
    async def own_id() -> Response:
        return PlainTextResponse("", headers={"X-Request-ID": "its own"})

    add_first(app, router)
    request = signed() | {"headers": signed()["headers"] | {"x-request-id": "sent"}}
    response = await call_asgi(app, "/_id", **request)
    names = [name for name, _ in response.messages[0]["headers"]]
    assert names.count(b"x-request-id") == 1
    assert response.headers["x-request-id"] == "sent"


async def test_response_for_a_key_is_not_stored(location: Location) -> None:
    app, router = make_plain_app(), APIRouter()

    @router.get("/_cached")
    async def cached() -> Response:
        return PlainTextResponse("", headers={"Cache-Control": "private, max-age=60"})

    add_first(app, router)
    request = to_asgi(with_key(location, WEB_KEY))
    response = await call_asgi(app, "/_tests/whoami", **request)
    assert response.headers["cache-control"] == "no-store"
    response = await call_asgi(app, "/_tests/greeting", **request)
    assert response.headers["cache-control"] == "no-store"
    response = await call_asgi(app, "/_cached", **request)
    assert response.headers["cache-control"] == "private, max-age=60"
    assert "cache-control" not in (await call_asgi(app, LIVE)).headers


async def test_application_of_an_owner_may_reuse_messages(app: FastAPI) -> None:
    start: Message = {"type": "http.response.start", "status": 200, "headers": []}

    async def constant(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    app.mount("/_constant", constant)
    app.router.routes.insert(0, app.router.routes.pop())
    for _ in range(2):
        response = await call_asgi(app, "/_constant", **signed())
        assert len(response.messages[0]["headers"]) == len(response.headers)
    assert start["headers"] == []


COMMIT = "4f2a9c1d" * 5
RANDOM = WEB_KEY.removeprefix(f"{keys.PREFIX}_")


@pytest.mark.parametrize(
    "text",
    [
        "1",
        f"main...{COMMIT}",
        "AbCdEfGhIj0123456789" * 3,
        f"{keys.PREFIX}_{COMMIT}",
        f"{keys.PREFIX}_01J9ZC3N5QABCDEFGHJKMNPQRS",
        WEB_KEY[:-12],
        RANDOM,
    ],
    ids=["number", "commits", "token", "prefixed digest", "prefixed id", "cut off", "no prefix"],
)
async def test_other_text_reaches_the_endpoint_unchanged(app: FastAPI, text: str) -> None:
    router = APIRouter()

    @router.get("/_echo/{text}")
    async def echo(text: str, request: Request, q: str) -> list[str | None]:
        return [text, q, request.headers["x-own"], request.cookies["own"]]

    add_first(app, router)
    request = signed(**{"x-own": text, "cookie": f"own={text}"})
    if "cookie" in signed()["headers"]:
        request["headers"]["cookie"] = f"{signed()['headers']['cookie']}; own={text}"
    request["query"] = "&".join(filter(None, [request["query"], f"q={text}"]))
    response = await call_asgi(app, f"/_echo/{text}", **request)
    assert json.loads(response.messages[1]["body"]) == [text] * 4


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"headers": {"x-elsewhere": WEB_KEY}}, "header x-elsewhere"),
        ({"headers": {"x-elsewhere": f"Token {WEB_KEY}"}}, "header x-elsewhere"),
        ({"headers": {"cookie": f"a=b; elsewhere={WEB_KEY}"}}, "cookie"),
        ({"query": f"a={WEB_KEY}%2C{WEB_KEY}"}, "query"),
        ({"query": f"a={WEB_KEY}{WEB_KEY}"}, "query"),
        ({"query": f"a={WEB_KEY.upper()}"}, "query"),
        ({"query": f"a={WEB_KEY.replace('_', '-')}"}, "query"),
        ({"query": f"a={WEB_KEY.replace('_', '%255F')}"}, "query"),
        ({"headers": {"x-elsewhere": WEB_KEY[:-12]}}, ""),
    ],
    ids=(
        *("header", "scheme", "cookie", "pair", "twice", "upper case", "dash", "encoded"),
        "cut off",
    ),
)
def test_misplaced_key_is_removed(parts: dict[str, Any], place: str) -> None:
    scope = make_scope("/items/1", **parts)
    remove_misplaced_keys(scope, context := RequestContext("request"))
    assert context.misplaced == place
    assert not place or RANDOM[:20].lower() not in str(scope).lower()


def test_misplaced_key_is_removed_from_the_path() -> None:
    scope = make_scope(f"/items/{WEB_KEY}/é")
    remove_misplaced_keys(scope, context := RequestContext("request"))
    assert scope["path"] == f"/items/{keys.PREFIX}_.../é"
    assert scope["raw_path"] == f"/items/{keys.PREFIX}_.../%C3%A9".encode()
    assert context.misplaced == "path"


HOSTS = ("service.test", "evil.example", "evil.example:99", 'evil" x', "[::1]", "é")
REDIRECTS = {"other": "https://example.org/page?a=1", "path": "/page", "relative": "page"}


def mount_pages(app: FastAPI) -> None:
    """Mount an application with redirects of its own in front of everything else."""

    async def page() -> str:
        return "page"

    mounted = FastAPI()
    mounted.add_api_route("/page", page)
    mounted.add_api_route("/{path:path}/page", page)
    app.mount("/_mounted", mounted)
    for name, target in REDIRECTS.items():
        app.mount(f"/_to/{name}", RedirectResponse(target))
    app.router.routes[:0] = [app.router.routes.pop() for _ in range(4)]


@pytest.mark.parametrize(
    ("path", "query", "target"),
    [
        ("/_tests/whoami/", "a=1&b=%20", "/_tests/whoami?a=1&b=%20"),
        ("/_mounted/page/", "", "/_mounted/page"),
        ("/_mounted//evil.example/page/", "", "/_mounted//evil.example/page"),
        ("/_mounted/page/", f"a={WEB_KEY}", f"/_mounted/page?a={keys.PREFIX}_..."),
        ("/_mounted/page/", f"a={WEB_KEY[:-12]}", f"/_mounted/page?a={keys.PREFIX}_..."),
        *((f"/_to/{name}/", "", target) for name, target in REDIRECTS.items()),
    ],
    ids=["slash", "mounted", "two slashes", "key", "cut off", *REDIRECTS],
)
async def test_redirect_never_repeats_the_host(path: str, query: str, target: str) -> None:
    app = make_plain_app()
    mount_pages(app)
    request = signed()
    query = "&".join(filter(None, [query, request.pop("query")]))
    for host in HOSTS:
        response = await call_asgi(app, path, query=query, host=host, **request)
        assert response.status == 307
        assert response.headers["location"] == target


async def test_redirect_stays_on_the_host() -> None:
    app = make_plain_app()

    @app.get("/{path:path}/page")
    async def page() -> None:
        pass

    app.router.routes.insert(0, app.router.routes.pop())
    response = await call_asgi(app, "//evil.example/page/", **signed())
    assert response.headers["location"] == "/.//evil.example/page"


async def test_raw_bytes_of_a_query_are_encoded(app: FastAPI) -> None:
    scope = make_scope("/")
    scope["query_string"] = b'a=\xff\x00 "b'

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        assert message

    await app(scope, receive, send)
    assert scope["query_string"] == b"a=%FF%00%20%22b"


async def test_server_sees_no_key_in_the_url(app: FastAPI, location: Location) -> None:
    scope = make_scope(f"/{WEB_KEY}", query=f"a={WEB_KEY}")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        assert WEB_KEY not in str(message)

    await app(scope, receive, send)
    assert WEB_KEY not in f"{scope['path']} {scope['raw_path']} {scope['query_string']}"


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("limit", "status"), [(len(BODY), 204), (len(BODY) - 1, 413)])
async def test_body_over_the_limit_is_413(limit: int, status: int, declared: bool) -> None:
    app = make_app(max_body_size=limit)
    length = {"Content-Length": str(len(BODY))} if declared else {}
    response = await call_asgi(app, NOTES, method="POST", body=BODY, **signed(**JSON, **length))
    assert response.status == status
    assert response.receives == (0 if declared and status == 413 else 1)


async def test_limit_of_zero_accepts_an_empty_body() -> None:
    app = make_app(max_body_size=0)
    assert (await call_asgi(app, NOTES, method="POST", **signed())).status in INVALID


async def test_body_is_not_read_beyond_the_limit() -> None:
    app = make_app(max_body_size=10)
    request = signed(**JSON)
    response = await call_asgi(app, NOTES, method="POST", body=b"1234", endless=True, **request)
    assert (response.status, response.receives) == (413, 3)


async def test_limit_holds_within_other_middleware() -> None:
    app = make_app(max_body_size=10)

    async def read(request: Request, call_next: RequestResponseEndpoint) -> Response:
        await request.body()
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=read)
    request = signed(**JSON)
    response = await call_asgi(app, NOTES, method="POST", body=b"1234", endless=True, **request)
    assert response.status == 413


def make_app_with_own_limits(limit: int) -> FastAPI:
    """Return an application whose endpoints have a limit of their own, each in another way."""
    app = make_app(max_body_size=100)
    by_router, by_inclusion = APIRouter(max_body_size=limit), APIRouter()

    async def count(body: dict[str, str]) -> int:
        return len(body["text"])

    by_router.add_api_route("/_own/router", count, methods=["POST"])
    by_inclusion.add_api_route("/_own/inclusion", count, methods=["POST"])
    app.add_api_route("/_own/endpoint", count, methods=["POST"], max_body_size=limit)
    app.include_router(by_router)
    app.include_router(by_inclusion, max_body_size=limit)
    app.router.routes[:0] = [app.router.routes.pop() for _ in range(3)]
    return app


@pytest.mark.parametrize("path", ["/_own/endpoint", "/_own/router", "/_own/inclusion"])
@pytest.mark.parametrize(
    ("limit", "size", "status"),
    [(1000, 900, 200), (1000, 1100, 413), (50, 30, 200), (50, 60, 413)],
)
@pytest.mark.parametrize("declared", [True, False])
async def test_own_limit_of_an_endpoint_wins(
    path: str, limit: int, size: int, status: int, declared: bool
) -> None:
    app = make_app_with_own_limits(limit)
    body = json.dumps({"text": "x" * (size - len('{"text": ""}'))}).encode()
    length = {"Content-Length": str(len(body))} if declared else {}
    response = await call_asgi(app, path, method="POST", body=body, **signed(**JSON, **length))
    assert response.status == status


@pytest.mark.parametrize("yielding", [True, False])
async def test_unread_body_does_not_cut_off_a_stream(yielding: bool) -> None:
    app = make_app(max_body_size=100)
    router = APIRouter()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"chunk"
            if yielding:
                await asyncio.sleep(0)

    @router.post("/_stream")
    async def stream() -> Response:
        return StreamingResponse(chunks())

    add_first(app, router)
    request = signed(**{"Content-Length": "1000"})
    response = await call_asgi(app, "/_stream", method="POST", body=b"x" * 1000, **request)
    body = b"".join(message.get("body", b"") for message in response.messages[1:])
    assert response.status == 413 or body == b"chunk" * 10
    assert not response.messages[-1].get("more_body")


@pytest.mark.parametrize(("size", "status"), [(MAX_HEADERS_SIZE, 200), (MAX_HEADERS_SIZE + 1, 431)])
async def test_headers_over_the_limit_are_431(app: FastAPI, size: int, status: int) -> None:
    host = base_url(app).removeprefix("https://")
    headers = {"x-large": "c" * (size - len("host" + host + "x-large"))}
    response = await call_asgi(app, LIVE, headers=headers)
    assert response.status == status
    if status == 431:
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("size", "status"), [(MAX_QUERY_SIZE, 200), (MAX_QUERY_SIZE + 1, 414)])
async def test_query_over_the_limit_is_414(app: FastAPI, size: int, status: int) -> None:
    response = await call_asgi(app, LIVE, query=("q." * size)[:size])
    assert response.status == status
    if status == 414:
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("parts", "status", "detail"),
    [
        ({"headers": {"x": "x" * MAX_HEADERS_SIZE}}, 431, "Request Header Fields Too Large"),
        ({"query": "q" * (MAX_QUERY_SIZE + 1)}, 414, "URI Too Long"),
        ({"body": b"x" * 1001, **signed()}, 413, "Content Too Large"),
    ],
    ids=["headers", "query", "body"],
)
async def test_handler_of_the_owner_formats_oversized_requests(
    parts: dict[str, Any], status: int, detail: str
) -> None:
    app = make_plain_app(max_body_size=1000)

    def handle(request: Request, error: HTTPException) -> Response:
        return PlainTextResponse(error.detail, error.status_code)

    app.add_exception_handler(status, handle)  # type: ignore[arg-type]
    response = await call_asgi(app, NOTES, method="POST", **parts)
    assert response.status == status
    bodies = [message.get("body") for message in response.messages]
    assert bodies == [None, detail.encode()]  # one response: its start, and then its body


@pytest.mark.parametrize("extensions", [{}, None])
async def test_oversized_handshake_is_closed(
    app: FastAPI, extensions: dict[str, object] | None
) -> None:
    for parts in ({"query": "q" * MAX_QUERY_SIZE * 2}, {"headers": {"a": "b" * MAX_HEADERS_SIZE}}):
        handshake: dict[str, Any] = {"websocket": True, "extensions": extensions, **parts}
        response = await call_asgi(app, "/_tests/feed", **handshake)
        assert response.messages == [{"type": "websocket.close", "code": 1008}]


async def test_oversized_query_is_not_read(
    app: FastAPI, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def take(scope: Scope) -> list[str]:
        read.append(scope["query_string"])
        return []

    for each in LOCATIONS:
        monkeypatch.setattr(type(each), "take", lambda _, scope: take(scope))
    response = await call_asgi(app, "/_tests/whoami", query=f"a={WEB_KEY}&" * 1000)
    assert response.status == 414
    assert {*read} == {b""}


async def test_head_works_wherever_get_does() -> None:
    app, mounted = make_plain_app(), FastAPI()

    @mounted.get("/page")
    async def page() -> str:
        return "page"

    app.mount("/_mounted", mounted)
    app.router.routes.insert(0, app.router.routes.pop())
    for path in ("/_tests/whoami", "/_mounted/page"):
        full = await call_asgi(app, path, **signed())
        head = await call_asgi(app, path, method="HEAD", **signed())
        assert head.status == full.status == 200
        assert head.headers["content-length"] == full.headers["content-length"]
        assert head.messages[1:] == [{"type": "http.response.body", "body": b""}]
    assert (await call_asgi(app, NOTES, method="HEAD", **signed())).status in (404, 405)


async def test_head_ends_where_a_body_has_no_end(app: FastAPI) -> None:
    router = APIRouter()
    sent = 0

    async def forever() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 1000:
            sent += 1
            yield b"event"

    @router.get("/_events")
    async def events() -> Response:
        return StreamingResponse(forever())

    add_first(app, router)
    response = await call_asgi(app, "/_events", method="HEAD", **signed())
    assert [message["type"] for message in response.messages] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_own_head_operation_is_kept(app: FastAPI) -> None:
    router = APIRouter()

    @router.get("/_own")
    async def get() -> Response:
        return PlainTextResponse("", headers={"X-Operation": "GET"})

    @router.head("/_own")
    async def head() -> Response:
        return PlainTextResponse("", headers={"X-Operation": "HEAD"})

    add_first(app, router)
    response = await call_asgi(app, "/_own", method="HEAD", **signed())
    assert response.headers["x-operation"] == "HEAD"


class CopyMiddleware:
    """Middleware of an owner that passes on a copy of the scope, as the ASGI specification asks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application with a copy, which has state of its own."""
        copied = {**scope, "state": {**scope.get("state", {}), "more": 1}}
        await self.app(copied, receive, send)


async def test_copied_scope_keeps_the_context(location: Location) -> None:
    app = make_plain_app()
    app.add_middleware(CopyMiddleware)
    response = await call_asgi(app, "/_tests/whoami", **to_asgi(with_key(location, WEB_KEY)))
    assert (response.status, response.headers["cache-control"]) == (200, "no-store")
{% if cookiecutter.__limited %}
    assert "ratelimit" in response.headers
{% endif %}
    context = current_context.get()
    assert context is not None
    assert context.consumer is not None
    assert (context.consumer.name, context.consumer.location) == ("web", location.name)
    assert context.key is not None
