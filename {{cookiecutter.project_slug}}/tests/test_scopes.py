"""Commands know the scopes that endpoints require."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket

from {{ cookiecutter.__package }} import cli
from {{ cookiecutter.__package }}.app import (
    create_app,
)
from {{ cookiecutter.__package }}.auth import (
    Consumer,
    CurrentConsumer,
    get_api_key,
)
from {{ cookiecutter.__package }}.auth.scopes import (
    find_scopes,
)

from .helpers import make_settings


def find_owner(consumer: CurrentConsumer) -> str:
    """Return the consumer, as a dependency of an endpoint."""
    return consumer.name


def find_other(token: str = "") -> str:
    """Return a value that depends on no key."""
    return token


def test_scopes_of_all_kinds_of_endpoints_are_found() -> None:
    app, mounted = FastAPI(), FastAPI(dependencies=[Security(get_api_key, scopes=["mounted"])])
    router = APIRouter(dependencies=[Security(get_api_key, scopes=["router"])])

    @router.get("/endpoint")
    async def endpoint(
        consumer: Annotated[Consumer, Security(get_api_key, scopes=["a", "b"])],
    ) -> None:
        """Require a key with scopes."""

    @app.get("/nested")
    async def nested(
        owner: Annotated[str, Security(find_owner, scopes=["nested"])],
        other: Annotated[str, Security(find_other, scopes=["other"])],
    ) -> None:
        """Require a key in a dependency of a dependency."""

    @app.websocket("/feed")
    async def feed(
        websocket: WebSocket, _: Annotated[Any, Security(get_api_key, scopes=["feed"])]
    ) -> None:
        """Require a key before a WebSocket is accepted."""

    @mounted.get("/inner")
    async def inner(owner: Annotated[str, Depends(find_owner)]) -> None:
        """Require a key in a mounted application."""

    app.include_router(router, prefix="/v1")
    app.mount("/mounted", mounted)
    assert find_scopes(app) == {"router", "a", "b", "nested", "feed", "mounted"}


def test_scopes_are_read_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = find_scopes(create_app(make_settings()))
    monkeypatch.setenv("API_KEYS", "[{")
    monkeypatch.setenv("CORS_ORIGINS", "nonsense")
    assert cli.find_scopes() == asked
