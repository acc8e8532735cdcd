"""Keys, settings and requests for the tests."""

import asyncio
import re
{% if cookiecutter.__database %}
import shutil
from collections.abc import Iterable
{% endif %}
from dataclasses import dataclass, field
{% if cookiecutter.__database %}
from functools import cache
from itertools import count
from pathlib import Path
{% endif %}
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Security, WebSocket
from fastapi.openapi.models import APIKey
from fastapi.routing import iter_route_contexts
{% if cookiecutter.__database %}
from sqlalchemy.orm import Session
{% endif %}
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Scope

from {{ cookiecutter.__package }}.app import (
    create_app,
)
from {{ cookiecutter.__package }}.auth import (
    CurrentConsumer,
    OptionalConsumer,
    get_api_key,
    keys,
)
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.auth.database import (
    AuthBase,
    make_engine,
    parse_url,
)
{% endif %}
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
    make_locations,
)
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.auth.management import (
    import_entries,
)
{% endif %}
from {{ cookiecutter.__package }}.auth.settings import (
    KeyEntry,
)
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.database import (
    Base,
)
{% endif %}
from {{ cookiecutter.__package }}.settings import (
    Settings,
)
{% if cookiecutter.__database %}

from . import DATABASES
{% endif %}

WEB_KEY = keys.generate_key()
ADMIN_KEY = keys.generate_key()
EXPIRED_KEY = keys.generate_key()
UNKNOWN_KEY = keys.generate_key()

# The statuses of requests that are not valid: exception handlers of owners often choose 400.
INVALID = {400, 422}


def make_entry(key: str, **fields: Any) -> KeyEntry:
    """Return the entry of a key, by default of the consumer `web`."""
    return KeyEntry.model_validate({"consumer": "web", "sha256": keys.hash_key(key), **fields})


ENTRIES = (
    make_entry(WEB_KEY),
    make_entry(ADMIN_KEY, consumer="admin", scopes=["admin"]),
    make_entry(EXPIRED_KEY, consumer="old", expires="2020-01-31"),
)


{% if cookiecutter.__database %}
_numbers = count()


@cache
def _empty_database() -> Path:
    file = DATABASES / "empty.db"
    engine = make_engine(parse_url(_url_of(file)), create=True)
    for metadata in (AuthBase.metadata, Base.metadata):
        metadata.create_all(engine)
    return file


@cache
def _filled_database(entries: tuple[KeyEntry, ...]) -> Path:
    file = _copy(_empty_database())
    with Session(make_engine(parse_url(_url_of(file)))) as session, session.begin():
        import_entries(session, entries)
    return file


def _copy(file: Path) -> Path:
    copy = DATABASES / f"{next(_numbers)}.db"
    shutil.copy(file, copy)
    return copy


def _url_of(file: Path) -> str:
    return f"sqlite:///{file.as_posix()}"


def make_database(entries: Iterable[KeyEntry] = ENTRIES) -> str:
    """Return the URL of a new database with these keys."""
    return _url_of(_copy(_filled_database(tuple(entries))))


def make_settings(**fields: Any) -> Settings:
    """Return production settings with a database without keys, and nothing from this machine.

    A slow machine changes no result: requests wait for the database.
    """
    fields.setdefault("database_url", _url_of(_empty_database()))
    fields.setdefault("key_refresh_timeout_ms", 10_000)
    return Settings(**fields)
{% else %}
def make_settings(**fields: Any) -> Settings:
    """Return production settings with the keys above, and nothing from this machine."""
    fields.setdefault("api_keys", ENTRIES)
    return Settings(**fields)
{% endif %}


router = APIRouter(prefix="/_tests")


@router.get("/whoami")
async def whoami(consumer: CurrentConsumer) -> dict[str, str | list[str]]:
    """Return the consumer whose key was sent."""
    return {"consumer": consumer.name, "scopes": sorted(consumer.scopes)}


@router.get("/greeting")
async def greeting(consumer: OptionalConsumer) -> str | None:
    """Return the consumer whose key was sent, if one was sent."""
    return consumer.name if consumer else None


@router.post("/notes", dependencies=[Security(get_api_key, scopes=["admin"])], status_code=204)
async def write_note(note: dict[str, str]) -> None:
    """Accept a body from consumers with the scope `admin`."""


@router.websocket("/feed")
async def feed(websocket: WebSocket, consumer: CurrentConsumer) -> None:
    """Send the name of the consumer whose key was sent."""
    await websocket.accept()
    await websocket.send_text(consumer.name)
    await websocket.close()


def make_app(**fields: Any) -> FastAPI:
    """Return the service with these settings, and with the endpoints above for the tests alone."""
{% if cookiecutter.__database %}
    if "database_url" not in fields:
        fields["database_url"] = make_database(fields.pop("api_keys", ENTRIES))
{% endif %}
    app = create_app(make_settings(**fields))
    # What owners declare for all endpoints is for theirs, not for those that tests add.
    app.router.dependencies, app.router.responses = [], {}
    app.include_router(router)
    # In front of the service's own routes: a mount at / would hide them.
    app.router.routes.insert(0, app.router.routes.pop())
    return app


def make_plain_app(**fields: Any) -> FastAPI:
    """Return that service without what its owner may have added or set for all paths or hosts."""
    app = make_app(**fields)
    app.user_middleware.clear()
    app.router.redirect_slashes = True
    routes = app.router.routes
    routes[:] = [route for route in routes if not _takes_every_path(route)]
    return app


def _takes_every_path(route: BaseRoute) -> bool:
    paths = [context.path or "" for context in iter_route_contexts([route])]
    return any(re.fullmatch(r"(/\{\w+:path\})?", path) for path in paths)


LOCATIONS = make_locations(make_settings())
# The paths of the health checks, wherever `routes/health.py` and `app.py` put them.
LIVE, READY = map(create_app(make_settings()).url_path_for, ("live", "ready"))


def with_key(location: Location, *sent: str) -> dict[str, Any]:
    """Return the arguments with which httpx sends keys in a location, from its OpenAPI scheme."""
    model = location.scheme.model
    if not isinstance(model, APIKey):
        return {"headers": [("Authorization", f"Bearer {key}".encode()) for key in sent]}
    if model.in_.value == "query":
        return {"params": [(model.name, key) for key in sent]}
    if model.in_.value == "cookie":
        return {"headers": {"Cookie": "; ".join(f"{model.name}={key}" for key in sent).encode()}}
    return {"headers": [(model.name, key.encode()) for key in sent]}


def base_url(app: FastAPI) -> str:
    """Return the URL at which the tests call the service."""
    return f"https://{host_of(app)}"


def host_of(app: FastAPI) -> str:
    """Return a host that the service allows."""
    for middleware in app.user_middleware:
        if getattr(middleware.cls, "__name__", "") == "TrustedHostMiddleware":
            allowed: Any = middleware.kwargs.get("allowed_hosts") or ["*"]
            return str(allowed[0]).replace("*.", "service.").replace("*", "service.test")
    return "service.test"


# The ASGI extension of a server that can refuse a WebSocket with an HTTP response.
DENIAL: dict[str, object] = {"websocket.http.response": {}}


@dataclass
class ASGIResponse:
    """The messages that an ASGI application sent, and its number of `receive()` calls."""

    messages: list[Message] = field(default_factory=list)
    receives: int = 0

    @property
    def status(self) -> int | None:
        """The status of the response; 101 for an open WebSocket, None for one that was closed."""
        first = self.messages[0]
        return 101 if first["type"] == "websocket.accept" else first.get("status")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        headers = self.messages[0].get("headers", ())
        return {name.decode(): value.decode() for name, value in headers}


def make_scope(
    path: str,
    *,
    host: str = "service.test",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    query: str = "",
    websocket: bool = False,
    root_path: str = "",
    extensions: dict[str, object] | None = DENIAL,
) -> Scope:
    """Return the ASGI scope of a request, as a server makes it."""
    sent = {"host": host, **(headers or {})}
    scope: Scope = {
        "type": "websocket" if websocket else "http",
        "http_version": "1.1",
        "scheme": "wss" if websocket else "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 50000),
        "server": (host, 443),
        "subprotocols": [],
    }
    if not websocket:
        scope["method"] = method
    if extensions is not None:
        scope["extensions"] = extensions
    return scope


async def call_asgi(
    app: ASGIApp, path: str, *, body: bytes = b"", endless: bool = False, **parts: Any
) -> ASGIResponse:
    """Send one request to an ASGI application as a server does, and watch both directions.

    `parts` are those that `make_scope` takes. Use it where the number of `receive()` calls matters.
    """
    if isinstance(app, FastAPI):
        parts.setdefault("host", host_of(app))
    scope = make_scope(path, **parts)
    if (body or endless) and b"content-length" not in dict(scope["headers"]):
        scope["headers"].append((b"transfer-encoding", b"chunked"))
    response, complete = ASGIResponse(), asyncio.Event()

    async def receive() -> Message:
        response.receives += 1
        if scope["type"] == "websocket":
            first = response.receives == 1
            return {"type": "websocket.connect" if first else "websocket.disconnect"}
        if response.receives > 1 and not endless:
            await complete.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": endless}

    async def send(message: Message) -> None:
        response.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            complete.set()

    await app(scope, receive, send)
    return response


def to_asgi(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request of `with_key` as arguments of `call_asgi`."""
    headers = dict(request.get("headers", {}))
    return {
        "headers": {name: bytes(value).decode() for name, value in headers.items()},
        "query": urlencode(request.get("params", {})),
    }
