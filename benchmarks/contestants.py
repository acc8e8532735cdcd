"""The applications that are compared, with the same endpoints behind different protections.

`GET /item` and `POST /item` need a key. Where endpoints are protected one by one, `GET /public`
needs none. These are the first routes of each application: nobody pays for another's routes.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery

KEY = "tutorial-3f1c9f0b2c4e4f7d8a6b5c4d3e2f1a0b"
SERVICES = [
    (location, protection)
    for location in ("header", "cookie", "query", "fallback")
    for protection in ("whole_app", "endpoints")
]


@dataclass
class Contestant:
    """An application, and how a valid and a wrong key are sent to it."""

    app: FastAPI
    location: str = "header"
    parameter: str = "X-API-Key"
    key: str = KEY
    wrong_key: str = KEY[::-1]
    has_public: bool = False
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
    return Contestant(app, has_public=True)


def bare_with_settings() -> Contestant:
    """The same, with one setting that pydantic-settings reads: what start-up is compared with."""
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        api_keys: str = ""

    contestant = bare()
    contestant.app.state.settings = Settings()
    return contestant


async def check_header(key: Annotated[str, Security(APIKeyHeader(name="X-API-Key"))]) -> str:
    """Check a key as the tutorial of FastAPI suggests."""
    if key != KEY:
        raise HTTPException(401, "Invalid API key")
    return key


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


def tutorial(check: Callable[..., Any], *, whole_app: bool) -> Contestant:
    """Protect with a dependency: of the application, or of each endpoint."""
    needed = [Security(check)]
    if whole_app:
        app = FastAPI(openapi_url=None, dependencies=needed)
        add_endpoints(app)
    else:
        app = FastAPI(openapi_url=None)
        add_endpoints(app, needed, public=True)
    return Contestant(app, has_public=not whole_app)


def generated(location: str, protection: str, *, keys: int = 1) -> Contestant:
    """Return what this template generates; the project is in the folder `PROJECTS`."""
    package = f"{location}_{protection}"
    project = Path(os.environ["PROJECTS"], package.replace("_", "-"))
    sys.path.insert(0, str(project / "src"))
    minting = importlib.import_module(f"{package}.keys")
    key, wrong_key = minting.mint(), minting.mint()
    first = json.dumps([{"consumer": "bench", "sha256": minting.digest(key)}])
    os.environ |= {"API_KEYS": first, "CONFIG_FILE": os.devnull, "SECRETS_DIR": os.devnull}
    main = importlib.import_module(f"{package}.main")
    entry = main.settings.api_keys[0].model_copy(update={"sha256": minting.digest(key)})
    others = [entry.model_copy(update={"sha256": f"{n:064x}"}) for n in range(keys - 1)]
    settings = main.settings.model_copy(update={"api_keys": (*others, entry)})
    app = main.create_app(settings)
    needed = []
    if protection == "endpoints":
        needed = [Security(importlib.import_module(f"{package}.auth").get_api_key)]
    add_endpoints(app, needed, public=protection == "endpoints")
    place = "header" if location == "fallback" else location
    names = {"header": "X-API-Key", "cookie": "__Host-api_key", "query": "api_key"}
    return Contestant(
        app, place, names[place], key, wrong_key, has_public=protection == "endpoints"
    )


def key_auth(*, middleware: bool) -> Contestant:
    """Protect with fastapi-key-auth, as its README shows it: keys stand in the environment."""
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
    return Contestant(app, "header", "Authorization", bearer, wrong, True, close)


CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "bare FastAPI": bare,
    "tutorial: header, app": lambda: tutorial(check_header, whole_app=True),
    "tutorial: header, endpoint": lambda: tutorial(check_header, whole_app=False),
    "tutorial: three schemes, app": lambda: tutorial(check_three, whole_app=True),
    "tutorial: three schemes, endpoint": lambda: tutorial(check_three, whole_app=False),
    **{
        f"ours: {location}, {protection}": partial(generated, location, protection)
        for location, protection in SERVICES
    },
    "fastapi-key-auth: middleware": lambda: key_auth(middleware=True),
    "fastapi-key-auth: dependency": lambda: key_auth(middleware=False),
    "fastapi-simple-security": simple_security,
    "keyshield: cached": lambda: keyshield(cached=True),
    "keyshield: default": lambda: keyshield(cached=False),
}
REFERENCE = "bare FastAPI"
