"""What every test may ask for: the service with settings of its own, and a client for it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from .helpers import LOCATIONS, make_app

WithKey = Callable[..., dict[str, Any]]


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture
def app() -> FastAPI:
    """Return the service as production runs it, with the endpoints of `make_app`."""
    return make_app()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the service, which shows the service's errors as its callers see them."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://service.test") as client:
        yield client


@pytest.fixture(params=LOCATIONS)
def with_key(request: pytest.FixtureRequest) -> WithKey:
    """Return what puts keys into a request, for each place where the service looks for them."""
    place: WithKey = request.param
    return place
