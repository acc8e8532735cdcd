"""Fixtures for every test. Settings come from the tests alone, never from this machine."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)

from .helpers import LOCATIONS, base_url, make_app


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the terminal of this machine: tables would have other columns, or colors."""
    for variable in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def app() -> FastAPI:
    """Return the service as production runs it, with the endpoints of `make_app`."""
    return make_app()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client of the service, which shows errors of the service as clients see them."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url(app)) as client:
        yield client


@pytest.fixture(params=LOCATIONS, ids=lambda location: location.name)
def location(request: pytest.FixtureRequest) -> Location:
    """Return each location of a key in turn."""
    found: Location = request.param
    return found
