"""What a request costs, counted and not timed: every machine finds the same."""

import inspect
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import fastapi.dependencies.utils
import fastapi.routing
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.auth import Authenticator
{% if cookiecutter.__database %}
from {{ cookiecutter.__package }}.queries import Database
{% endif %}
from {{ cookiecutter.__package }}.settings import KeyEntry

from .conftest import WithKey
from .helpers import ADMIN_KEY, UNKNOWN_KEY, WEB_KEY, ask, make_app, to_asgi

pytestmark = pytest.mark.anyio

{% if cookiecutter.__database %}
CACHED = {"__call__": 1, "is_well_formed": 1, "digest": 1}
ONE_LOOK_UP = CACHED | {"find": 1}
{% else %}
ONE_LOOK_UP = {"__call__": 1, "is_well_formed": 1, "digest": 1}
{% endif %}


@pytest.fixture
def calls(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what costs time."""
    counted: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            counted[name] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, name, call)

    count(Authenticator, "__call__")
    count(keys, "is_well_formed")
    count(keys, "digest")
    {% if cookiecutter.__database %}
    count(Database, "find")
    {% endif %}
    return counted


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of what FastAPI solves: each dependency, and the endpoint itself."""
    names: list[str] = []
    solve = fastapi.dependencies.utils.solve_dependencies

    async def watched(**arguments: Any) -> Any:
        call = arguments["dependant"].call
        names.append(getattr(call, "__name__", type(call).__name__))
        return await solve(**arguments)

    monkeypatch.setattr(fastapi.dependencies.utils, "solve_dependencies", watched)
    monkeypatch.setattr(fastapi.routing, "solve_dependencies", watched)
    return names


async def coroutines(app: FastAPI, path: str, **request: Any) -> set[str]:
    """Return the coroutines of this service, without those of its routes, that a request runs."""
    ran = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        ours = Path(code.co_filename).parent == Path(keys.__file__).parent
        if event == "call" and ours and code.co_flags & inspect.CO_COROUTINE:
            ran.add(code.co_qualname)

    sys.setprofile(watch)
    try:
        await ask(app, path, **request)
    finally:
        sys.setprofile(None)
    return ran


async def test_a_key_is_looked_up_once_whoever_asks_for_it(
    app: FastAPI, calls: Counter[str], with_key: WithKey
) -> None:
    assert (await ask(app, "/whoami", **to_asgi(with_key(WEB_KEY)))).status == 200
    assert calls == ONE_LOOK_UP


async def test_an_unknown_key_costs_one_look_up_too(
    app: FastAPI, calls: Counter[str], with_key: WithKey
) -> None:
    assert (await ask(app, "/whoami", **to_asgi(with_key(UNKNOWN_KEY)))).status == 401
    assert calls == ONE_LOOK_UP


{% if cookiecutter.__database %}
@pytest.mark.parametrize(("key", "status"), [(WEB_KEY, 200), (UNKNOWN_KEY, 401)])
async def test_what_was_looked_up_a_moment_ago_costs_no_query(
    app: FastAPI, calls: Counter[str], with_key: WithKey, key: str, status: int
) -> None:
    for expected in (ONE_LOOK_UP, CACHED):
        calls.clear()
        assert (await ask(app, "/whoami", **to_asgi(with_key(key)))).status == status
        assert calls == expected


{% endif %}
@pytest.mark.parametrize("key", ["short", WEB_KEY[:-1], WEB_KEY[:-1] + "-"])
async def test_a_malformed_key_costs_no_look_up(
    app: FastAPI, calls: Counter[str], with_key: WithKey, key: str
) -> None:
    assert (await ask(app, "/whoami", **to_asgi(with_key(key)))).status == 401
    assert calls["digest"] == 0


async def test_no_key_costs_nothing_and_is_asked_for_once(
    app: FastAPI, calls: Counter[str]
) -> None:
    assert (await ask(app, "/whoami")).status == 401
    assert calls == {"__call__": 1}


async def test_a_public_request_asks_for_no_key(app: FastAPI, calls: Counter[str]) -> None:
    assert (await ask(app, "/health/live")).status == 200
    assert not calls


async def test_many_keys_cost_no_more_than_one(with_key: WithKey, calls: Counter[str]) -> None:
    entries = [KeyEntry(consumer="many", sha256=f"{number:064x}") for number in range(1000)]
    entries.append(KeyEntry(consumer="web", sha256=keys.digest(WEB_KEY)))
    app = make_app(api_keys=tuple(entries))
    calls.clear()
    assert (await ask(app, "/whoami", **to_asgi(with_key(WEB_KEY)))).status == 200
    assert calls == ONE_LOOK_UP


async def test_a_body_is_read_once_and_only_for_a_key(app: FastAPI, with_key: WithKey) -> None:
    keyless = await ask(app, "/notes", method="POST", body=b"{}")
    assert (keyless.status, keyless.receives) == (401, 0)
    request = to_asgi(with_key(ADMIN_KEY))
    request["headers"]["Content-Type"] = "application/json"
    welcome = await ask(app, "/notes", method="POST", body=b"{}", **request)
    assert (welcome.status, welcome.receives) == (204, 1)


async def test_a_public_request_awaits_only_what_must_wait(app: FastAPI) -> None:
    {% if cookiecutter.protection == "whole_app" %}
    assert await coroutines(app, "/health/live") == {"Service.__call__", "Gate.__call__"}
    {% else %}
    assert await coroutines(app, "/health/live") == {"Service.__call__"}
    {% endif %}


{% if not cookiecutter.__async %}
async def test_a_key_is_checked_without_waiting(app: FastAPI, with_key: WithKey) -> None:
    request = to_asgi(with_key(WEB_KEY))
    {% if cookiecutter.protection == "whole_app" %}
    assert await coroutines(app, "/", **request) == {"Service.__call__", "Gate.__call__"}
    {% else %}
    ran = {"Service.__call__", "_KeyDependency.__call__"}
    assert await coroutines(app, "/whoami", **request) == ran
    {% endif %}


{% endif %}
async def test_fastapi_solves_a_key_for_those_alone_who_ask_for_it(
    app: FastAPI, solved: list[str], with_key: WithKey
) -> None:
    for path, expected in {
        "/health/live": ["live"],
        "/": ["about"],
        "/whoami": ["whoami", "_KeyDependency"],
    }.items():
        solved.clear()
        assert (await ask(app, path, **to_asgi(with_key(WEB_KEY)))).status == 200
        assert solved == expected


async def test_a_refusal_solves_nothing(app: FastAPI, solved: list[str]) -> None:
    assert (await ask(app, "/notes", method="POST", body=b"{}")).status == 401
    assert solved == []
