"""The applications that are compared, with the same endpoints behind different protections.

`GET /item` and `POST /item` need a key. Where endpoints are protected one by one, `GET /public`
needs none. These are the first routes of each application, so
that no other route is matched before them.
"""

import asyncio
import importlib
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.responses import JSONResponse
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery
from fastapi.security.api_key import APIKeyBase
from starlette.types import ASGIApp, Receive, Scope, Send

KEY = "tutorial-3f1c9f0b2c4e4f7d8a6b5c4d3e2f1a0b"
LOCATIONS = ("header", "cookie", "query", "fallback")
# The generated contestants: their names, and the answers that they are generated with.
SERVICES = {
    f"ours: {location}, {protection}": {"key_location": location, "protection": protection}
    for location in LOCATIONS
    for protection in ("whole_app", "endpoints")
}
HEADER = {"key_location": "header", "protection": "whole_app"}
SERVICES |= {
    "ours: bearer, whole_app": HEADER | {"key_location": "bearer"},
    "ours: bearer, endpoints": {"key_location": "bearer", "protection": "endpoints"},
    "ours: header, database": HEADER | {"key_store": "database"},
    "ours: header, rate limit": HEADER | {"rate_limit": "yes"},
}
KEY_COUNTS = (1, 1_000, 100_000)
CONSUMER_COUNTS = (1, 10_000, 100_000)


@dataclass
class Contestant:
    """An application, and how a valid and a wrong key are sent to it."""

    app: FastAPI
    location: str = "header"
    parameter: str = "X-API-Key"
    key: str = KEY
    wrong_key: str = KEY[::-1]
    has_public: bool = False
    protected: bool = True
    close: Callable[[], Any] | None = None


def add_endpoints(app: FastAPI, dependencies: Sequence[Any] = (), *, public: bool = False) -> None:
    """Put the endpoints in front of the routes that an application has."""

    @app.get("/item", dependencies=dependencies)
    async def read() -> dict[str, str]:
        return {"name": "item"}

    @app.post("/item", dependencies=dependencies)
    async def write(item: dict[str, str]) -> dict[str, str]:
        return item

    added = 2
    if public:

        @app.get("/public")
        async def read_public() -> dict[str, str]:
            return {"name": "item"}

        added = 3
    routes = app.router.routes
    routes[:] = routes[-added:] + routes[:-added]


def bare() -> Contestant:
    """FastAPI and no protection: the limit."""
    app = FastAPI(openapi_url=None)
    add_endpoints(app, public=True)
    return Contestant(app, has_public=True, protected=False)


def bare_with_settings() -> Contestant:
    """The same, with one setting that pydantic-settings reads: what start-up is compared with."""
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        api_keys: str = ""

    contestant = bare()
    contestant.app.state.settings = Settings()
    return contestant


def least() -> Contestant:
    """Protect with the simplest check: ASGI middleware that compares one header."""
    contestant = bare()

    class OneHeaderMiddleware:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if (b"x-api-key", KEY.encode()) in scope.get("headers", ()):
                await self.app(scope, receive, send)
            else:
                refusal = JSONResponse({"detail": "Invalid API key"}, 401)
                await refusal(scope, receive, send)

    contestant.app.add_middleware(OneHeaderMiddleware)
    return replace(contestant, has_public=False, protected=True)


def tutorial_check(scheme: APIKeyBase) -> Callable[..., Any]:
    """Return a dependency that checks a key in one place as the tutorial of FastAPI suggests."""

    async def check(key: Annotated[str, Security(scheme)]) -> str:
        if key != KEY:
            raise HTTPException(401, "Invalid API key")
        return key

    return check


Optional = str | None


async def check_three(
    cookie: Annotated[Optional, Security(APIKeyCookie(name="api_key", auto_error=False))],
    header: Annotated[Optional, Security(APIKeyHeader(name="X-API-Key", auto_error=False))],
    query: Annotated[Optional, Security(APIKeyQuery(name="api_key", auto_error=False))],
) -> str:
    """Check a key from the first of three places, as applications that follow the tutorial do."""
    key = cookie or header or query
    if key != KEY:
        raise HTTPException(401, "Invalid API key")
    return key


CHECKS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "header": (tutorial_check(APIKeyHeader(name="X-API-Key")), "header", "X-API-Key"),
    "cookie": (tutorial_check(APIKeyCookie(name="api_key")), "cookie", "api_key"),
    "query": (tutorial_check(APIKeyQuery(name="api_key")), "query", "api_key"),
    "three schemes": (check_three, "header", "X-API-Key"),
}


def tutorial(place: str, *, whole_app: bool) -> Contestant:
    """Protect with a dependency: of the application, or of each endpoint."""
    check, location, parameter = CHECKS[place]
    needed = [Security(check)]
    if whole_app:
        app = FastAPI(openapi_url=None, dependencies=needed)
        add_endpoints(app)
    else:
        app = FastAPI(openapi_url=None)
        add_endpoints(app, needed, public=True)
    return Contestant(app, location, parameter, has_public=not whole_app)


def folder_of(answers: dict[str, str]) -> str:
    """Return the name of the project, below the folder `PROJECTS`, that these answers make."""
    return "-".join(answers.values()).replace("_", "-")


def generated(answers: dict[str, str], *, keys: int = 1) -> Contestant:
    """Return what this template generates for these answers."""
    folder = folder_of(answers)
    package, location = folder.replace("-", "_"), answers["key_location"]
    sys.path.insert(0, str(Path(os.environ["PROJECTS"], folder, "src")))
    own = importlib.import_module(f"{package}.auth.keys")
    # Several processes of one server have to know the same key.
    key = os.environ.setdefault("BENCH_KEY", own.generate_key())
    wrong_key = own.generate_key()
    first = json.dumps([{"consumer": "bench", "sha256": own.hash_key(key)}])
    os.environ |= {"API_KEYS": first, "CONFIG_FILE": os.devnull, "SECRETS_DIR": os.devnull}
    os.environ["RATE_LIMIT"] = "1000000/hour"
    if "key_store" in answers:
        fill_database(package)
    main = importlib.import_module(f"{package}.main")
    entry = main.settings.api_keys[0].model_copy(update={"sha256": own.hash_key(key)})
    others = [
        entry.model_copy(update={"sha256": f"{n:064x}", "id": f"key-{n}"}) for n in range(keys - 1)
    ]
    settings = main.settings.model_copy(update={"api_keys": (*others, entry)})
    app = main.create_app(settings)
    by_endpoint = answers["protection"] == "endpoints"
    auth = importlib.import_module(f"{package}.auth")
    needed = [Security(auth.get_api_key)] if by_endpoint else []
    add_endpoints(app, needed, public=by_endpoint)
    place = "header" if location == "fallback" else location
    if place == "bearer":
        place, key, wrong_key = "header", f"Bearer {key}", f"Bearer {wrong_key}"
        return Contestant(app, place, "Authorization", key, wrong_key, has_public=by_endpoint)
    names = {"header": "X-API-Key", "cookie": "__Host-api_key", "query": "api_key"}
    return Contestant(app, place, names[place], key, wrong_key, has_public=by_endpoint)


def fill_database(package: str) -> None:
    """Create the SQLite file of a service with the key of the environment."""
    file = Path(os.environ["PROJECTS"], f"{package}-{os.getpid()}.db")
    os.environ["DATABASE_URL"] = f"sqlite:///{file.as_posix()}"
    cli = importlib.import_module(f"{package}.cli")
    for command in (["migrate"], ["keys", "import"]):
        with redirect_stdout(io.StringIO()), suppress(SystemExit):
            cli.main(command)


def limited(*, consumers: int = 1, redis: bool = False) -> Contestant:
    """Return a service that limits requests, and has counted some of other consumers."""
    if redis:
        os.environ["RATE_LIMIT_STORAGE_URL"] = os.environ["REDIS_URL"]
    contestant = generated(SERVICES["ours: header, rate limit"])

    async def fill() -> None:
        app: Any = contestant.app
        for number in range(consumers - 1):
            await app.authenticator.limits.hit(f"consumer-{number}", None)

    if consumers > 1:  # never in a server, whose event loop runs
        asyncio.run(fill())
    return contestant


def injected(answers: dict[str, str]) -> Contestant:
    """Return a service whose endpoint takes the consumer as a parameter."""
    contestant = generated(answers)
    auth = importlib.import_module(f"{folder_of(answers).replace('-', '_')}.auth")

    async def read(consumer: Annotated[Any, Security(auth.get_api_key)]) -> dict[str, str]:
        return {"name": consumer.name}

    routes = contestant.app.router.routes
    contestant.app.get("/item")(read)
    routes[0] = routes.pop()
    return contestant


def without_check(answers: dict[str, str]) -> Contestant:
    """Return the same service without the check of keys.

    It still redacts keys in URLs, adds request IDs and limits the size of requests.
    """
    contestant = generated(answers)
    app: Any = contestant.app
    app.protection.needs_key = lambda scope: False
    del app.router.routes[:2]  # the endpoints, which come first
    add_endpoints(app, public=True)
    return replace(contestant, has_public=True, protected=False)


def key_auth(*, middleware: bool) -> Contestant:
    """Protect with fastapi-key-auth, as its README shows it: keys are in the environment."""
    from fastapi_key_auth import AuthorizerDependency, AuthorizerMiddleware

    os.environ["API_KEY_BENCH"] = KEY
    if middleware:
        app = FastAPI(openapi_url=None)
        app.add_middleware(AuthorizerMiddleware, public_paths=["/ping"], key_pattern="API_KEY_")
    else:
        needed = [Depends(AuthorizerDependency(key_pattern="API_KEY_"))]
        app = FastAPI(openapi_url=None, dependencies=needed)
    add_endpoints(app)
    return Contestant(app)


def simple_security() -> Contestant:
    """Protect with fastapi-simple-security, as its README shows it."""
    os.environ["FASTAPI_SIMPLE_SECURITY_DB_LOCATION"] = str(
        Path(os.environ["PROJECTS"], f"simple-{os.getpid()}.db")
    )
    from fastapi_simple_security import api_key_router, api_key_security
    from fastapi_simple_security._sqlite_access import sqlite_access

    app = FastAPI(openapi_url=None)
    app.include_router(api_key_router, prefix="/auth", tags=["_auth"])
    add_endpoints(app, [Depends(api_key_security)], public=True)
    key = sqlite_access.create_key("bench", True)
    return Contestant(app, parameter="api-key", key=key, has_public=True)


def keyshield(*, cached: bool) -> Contestant:
    """Protect with keyshield, as its README shows it: Argon2, SQLAlchemy and a SQLite file."""
    from keyshield_app import make_keyshield

    app, security, key, close = make_keyshield(cached=cached)
    add_endpoints(app, [Depends(security)], public=True)
    bearer, wrong = f"Bearer {key}", f"Bearer {key[:-1]}"
    return Contestant(app, "header", "Authorization", bearer, wrong, has_public=True, close=close)


CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "bare FastAPI": bare,
    "the least: middleware that compares one header": least,
    "tutorial: header, app": partial(tutorial, "header", whole_app=True),
    "tutorial: three schemes, app": partial(tutorial, "three schemes", whole_app=True),
    **{
        f"tutorial: {place}, endpoint": partial(tutorial, place, whole_app=False)
        for place in CHECKS
    },
    **{name: partial(generated, answers) for name, answers in SERVICES.items()},
    "ours: header, injected": partial(injected, SERVICES["ours: header, endpoints"]),
    **{
        f"ours: {place}, without the check": partial(
            without_check, SERVICES[f"ours: {place}, whole_app"]
        )
        for place in LOCATIONS
    },
    "fastapi-key-auth: middleware": partial(key_auth, middleware=True),
    "fastapi-key-auth: dependency": partial(key_auth, middleware=False),
    "fastapi-simple-security": simple_security,
    "keyshield: cached": partial(keyshield, cached=True),
    "keyshield: default": partial(keyshield, cached=False),
}
REFERENCE = "bare FastAPI"
WITHOUT_LIMIT = "ours: header, whole_app"
MANY_KEYS: dict[str, Callable[[], Contestant]] = {
    "1 key" if count == 1 else f"{count} keys": partial(
        generated, SERVICES["ours: header, whole_app"], keys=count
    )
    for count in KEY_COUNTS
}
LIMITED: dict[str, Callable[[], Contestant]] = {
    **{
        f"in memory, {count} consumer{'s' * (count > 1)}": partial(limited, consumers=count)
        for count in CONSUMER_COUNTS
    },
    "in Redis": partial(limited, redis=True),
}
WITH_SETTINGS = "bare with settings"
APPLICATIONS = {**CONTESTANTS, **MANY_KEYS, **LIMITED, WITH_SETTINGS: bare_with_settings}
