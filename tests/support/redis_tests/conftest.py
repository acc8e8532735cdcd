"""What these tests share: servers, limits that are counted there, and what is logged."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from my_service.auth import limits
from my_service.auth.limits import RateLimits
from my_service.auth.refusals import Refusal

from support.redis_server import Redis, find_redis

Create = Callable[..., RateLimits]
Logged = Callable[[], list[tuple[str, str]]]
Start = Callable[..., Redis]


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as uvicorn does."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Return a Redis that all tests share."""
    server = Redis(find_redis(), tmp_path_factory.mktemp("redis"), password="")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def server(shared_server: Redis) -> Redis:
    """Return an empty Redis."""
    shared_server.client().flushall()
    return shared_server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return what starts a Redis with these options, which a test may break."""
    with ExitStack() as stack:

        def start_redis(*options: str, password: str = "") -> Redis:
            server = Redis(find_redis(), tmp_path, options, password)
            stack.callback(server.stop)
            server.start()
            return server

        yield start_redis


@pytest.fixture
def own(start: Start) -> Redis:
    """Return a Redis that a test may break."""
    return start()


@pytest.fixture
async def create() -> AsyncIterator[Create]:
    """Return what creates rate limits, which are closed after the test."""
    async with AsyncExitStack() as stack:

        def create_limits(url: str, **options: Any) -> RateLimits:
            defaults: dict[str, Any] = {"default": "20/minute", "timeout_ms": 500}
            defaults |= {"fail_open": True, "prefix": "test"}
            rate_limits = RateLimits(storage_url=url, **defaults | options)
            stack.push_async_callback(rate_limits.close)
            return rate_limits

        yield create_limits


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Return what gives the level and text of each line about limits."""
    caplog.set_level("INFO", logger=limits.__name__)
    return lambda: [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == limits.__name__
    ]


async def hit(rate_limits: RateLimits, times: int, limit: str | None = None) -> list[str]:
    """Send requests at once, and return the outcome of each."""

    async def one() -> str:
        try:
            state = await rate_limits.hit("web", limit)
        except Refusal as refusal:
            return str(refusal.reason)
        return "uncounted" if state.remaining is None else "counted"

    return await asyncio.gather(*[one() for _ in range(times)])
