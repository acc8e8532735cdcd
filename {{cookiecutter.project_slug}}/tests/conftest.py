"""What every test may ask for: the service with settings of its own, and a client for it."""

from collections.abc import AsyncIterator, Callable
{% if cookiecutter.__database %}
from types import SimpleNamespace
{% endif %}
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

{% if cookiecutter.__database %}
from {{ cookiecutter.__package }} import commands, store

from .helpers import LOCATIONS, make_app, make_database
from .stores import Rig, rows

Run = Callable[..., str]
{% else %}
from .helpers import LOCATIONS, make_app

{% endif %}
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
{% if cookiecutter.__database %}


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return a store that keeps keys for 30 seconds, or 100 without its database, and never retries."""
    made = Rig(key_cache_seconds=30, key_grace_seconds=100)
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=made.clock))
    monkeypatch.setattr(store, "RETRY_SECONDS", 3600)
    return made


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database without keys, which is that of the settings."""
    url = make_database(())
    monkeypatch.setenv("DATABASE_URL", url)
    return url


@pytest.fixture
def run(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command and returns what it says."""

    def run_command(*arguments: str) -> str:
        commands.main(list(arguments))
        return capsys.readouterr().out

    return run_command


@pytest.fixture
def refusal(url: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command that is a mistake, and returns what it says."""

    def run_command(*arguments: str) -> str:
        before = rows(url)
        with pytest.raises(SystemExit) as stopped:
            commands.main(list(arguments))
        shown = capsys.readouterr()
        assert (stopped.value.code, shown.out, rows(url)) == (2, "", before)
        assert shown.err.count("\n") == 1
        return shown.err.removesuffix("\n")

    return run_command
{% endif %}
