"""Keys, settings and requests for the tests."""

{% if cookiecutter.__database %}
import atexit
import shutil
import tempfile
from collections.abc import Iterable
{% endif %}
from dataclasses import dataclass
{% if cookiecutter.__database %}
from datetime import UTC, date, datetime
from functools import cache
from itertools import count
from pathlib import Path
{% else %}
from datetime import date
{% endif %}
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Security
{% if cookiecutter.__database %}
from sqlalchemy import insert
{% endif %}
from starlette.types import ASGIApp, Message, Scope

from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.auth import (
    CurrentConsumer,
    get_api_key,
)
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.database import (
    ApiKey,
    Base,
    make_engine,
    parse_url,
)
{% endif %}
{% if cookiecutter.key_location == "fallback" %}
from {{ cookiecutter.__package }}.locations import (
    COOKIE,
    HEADER,
    QUERY,
)
{% elif cookiecutter.key_location == "header" %}
from {{ cookiecutter.__package }}.locations import HEADER
{% elif cookiecutter.key_location == "cookie" %}
from {{ cookiecutter.__package }}.locations import COOKIE
{% else %}
from {{ cookiecutter.__package }}.locations import QUERY
{% endif %}
from {{ cookiecutter.__package }}.main import create_app
from {{ cookiecutter.__package }}.settings import (
    KeyEntry,
    Settings,
)

WEB_KEY = keys.mint()
ADMIN_KEY = keys.mint()
EXPIRED_KEY = keys.mint()
UNKNOWN_KEY = keys.mint()

{% if cookiecutter.__cookie %}
COOKIE_NAME = f"__Host-{COOKIE}"
{% else %}
COOKIE_NAME = "__Host-api_key"
{% endif %}
{% if cookiecutter.__header %}
HEADER_NAME = HEADER
{% else %}
HEADER_NAME = "X-API-Key"
{% endif %}
{% if cookiecutter.__query %}
QUERY_NAME = QUERY
{% else %}
QUERY_NAME = "api_key"
{% endif %}


def in_cookie(*sent: str) -> dict[str, Any]:
    """Return what httpx needs to send these keys in the cookie."""
    return {"headers": {"Cookie": "; ".join(f"{COOKIE_NAME}={key}" for key in sent).encode()}}


def in_header(*sent: str) -> dict[str, Any]:
    """Return what httpx needs to send these keys in the header."""
    return {"headers": [(HEADER_NAME, key.encode()) for key in sent]}


def in_query(*sent: str) -> dict[str, Any]:
    """Return what httpx needs to send these keys in the query string."""
    return {"params": [(QUERY_NAME, key) for key in sent]}


{% if cookiecutter.key_location == "fallback" %}
LOCATIONS = [in_cookie, in_header, in_query]
{% elif cookiecutter.key_location == "header" %}
LOCATIONS = [in_header]
ELSEWHERE = [in_cookie, in_query]
{% elif cookiecutter.key_location == "cookie" %}
LOCATIONS = [in_cookie]
ELSEWHERE = [in_header, in_query]
{% else %}
LOCATIONS = [in_query]
ELSEWHERE = [in_cookie, in_header]
{% endif %}


{% if cookiecutter.__database %}
ENTRIES = (
    KeyEntry(consumer="web", sha256=keys.digest(WEB_KEY)),
    KeyEntry(consumer="admin", sha256=keys.digest(ADMIN_KEY), scopes=frozenset({"admin"})),
    KeyEntry(consumer="old", sha256=keys.digest(EXPIRED_KEY), expires=date(2020, 1, 31)),
)

_FOLDER = Path(tempfile.mkdtemp())
_numbers = count()
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)


@cache
def _empty_database() -> Path:
    file = _FOLDER / "empty.db"
    Base.metadata.create_all(make_engine(parse_url(f"sqlite:///{file.as_posix()}")))
    return file


def make_database(entries: Iterable[KeyEntry] = ENTRIES) -> str:
    """Return the URL of a new database with these keys."""
    url = f"sqlite:///{(_FOLDER / str(next(_numbers))).as_posix()}.db"
    shutil.copy(_empty_database(), url.removeprefix("sqlite:///"))
    rows = [
        {
            "consumer": entry.consumer,
            "digest": entry.sha256,
            "scopes": " ".join(sorted(entry.scopes)),
            "created": datetime(2020, 1, 1, tzinfo=UTC),
            "expires": entry.expires,
            {% if cookiecutter.__limited %}
            "rate_limit": entry.rate_limit,
            {% endif %}
        }
        for entry in entries
    ]
    if rows:
        with make_engine(parse_url(url)).begin() as connection:
            connection.execute(insert(ApiKey), rows)
    return url


def make_settings(**fields: Any) -> Settings:
    """Return production settings with a database without keys, and nothing from this machine."""
    url = f"sqlite:///{_empty_database().as_posix()}"
    production = {"database_url": url, "fastapi_env": "production"}
    return Settings(_env_file=None, _secrets_dir=None, **(production | fields))
{% else %}
def make_settings(**fields: Any) -> Settings:
    """Return production settings with the keys above, and nothing from this machine."""
    entries = (
        KeyEntry(consumer="web", sha256=keys.digest(WEB_KEY)),
        KeyEntry(consumer="admin", sha256=keys.digest(ADMIN_KEY), scopes=frozenset({"admin"})),
        KeyEntry(consumer="old", sha256=keys.digest(EXPIRED_KEY), expires=date(2020, 1, 31)),
    )
    production = {"api_keys": entries, "fastapi_env": "production"}
    return Settings(_env_file=None, _secrets_dir=None, **(production | fields))
{% endif %}


router = APIRouter()


@router.get("/whoami")
async def whoami(consumer: CurrentConsumer) -> dict[str, str | list[str]]:
    """Tell whose key was sent."""
    return {"consumer": consumer.name, "scopes": sorted(consumer.scopes)}


@router.post("/notes", dependencies=[Security(get_api_key, scopes=["admin"])], status_code=204)
async def write_note(note: dict[str, str]) -> None:
    """Take a body from those who may send one."""


def make_app(**fields: Any) -> FastAPI:
    {% if cookiecutter.__database %}
    """Return the service with a database of its own, and with two endpoints for the tests alone."""
    if "database_url" not in fields:
        fields["database_url"] = make_database(fields.pop("api_keys", ENTRIES))
    app = create_app(make_settings(**fields))
    {% else %}
    """Return the service with the settings above, and with two endpoints for the tests alone."""
    app = create_app(make_settings(**fields))
    {% endif %}
    app.include_router(router)
    return app


def to_asgi(request: dict[str, Any]) -> dict[str, Any]:
    """Return the same request in the words of `ask`."""
    headers = dict(request.get("headers", {}))
    return {
        "headers": {name: bytes(value).decode() for name, value in headers.items()},
        "query": urlencode(request.get("params", {})),
    }


# What a server announces that can answer a WebSocket handshake as it answers a request.
DENIAL: dict[str, object] = {"websocket.http.response": {}}


@dataclass
class Answer:
    """What an ASGI app sent, and how often it asked for a part of the request."""

    messages: list[Message]
    receives: int

    @property
    def status(self) -> int:
        """The status of the answer: of the handshake, when it is a WebSocket's."""
        first = self.messages[0]
        return 101 if first["type"] == "websocket.accept" else int(first["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}


def make_scope(
    path: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    query: str = "",
    websocket: bool = False,
    root_path: str = "",
    extensions: dict[str, object] | None = DENIAL,
) -> Scope:
    """Return what a server tells an ASGI app about a request."""
    sent = (headers or {}).items()
    scope: Scope = {
        "type": "websocket" if websocket else "http",
        "http_version": "1.1",
        "scheme": "ws" if websocket else "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
        "client": ("127.0.0.1", 50000),
        "server": ("service.test", 80),
        "subprotocols": [],
    }
    if not websocket:
        scope["method"] = method
    if root_path:
        scope["root_path"] = root_path
    if extensions is not None:
        scope["extensions"] = extensions
    return scope


async def ask(
    app: ASGIApp, path: str, *, body: bytes = b"", endless: bool = False, **parts: Any
) -> Answer:
    """Send one request to an ASGI app the way a server does, and watch both directions.

    `parts` are those that `make_scope` takes.
    """
    scope = make_scope(path, **parts)
    answer = Answer(messages=[], receives=0)

    async def receive() -> Message:
        answer.receives += 1
        if answer.receives > 1 and not endless:
            return {"type": f"{scope['type']}.disconnect"}
        if scope["type"] == "websocket":
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": body, "more_body": endless}

    async def send(message: Message) -> None:
        answer.messages.append(message)

    await app(scope, receive, send)
    return answer
