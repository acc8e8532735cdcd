"""What a request costs, counted and not timed: every machine finds the same."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }} import keys
from {{ cookiecutter.__package }}.auth import Authenticator
from {{ cookiecutter.__package }}.settings import KeyEntry

from .conftest import WithKey
from .helpers import ADMIN_KEY, UNKNOWN_KEY, WEB_KEY, ask, make_app, to_asgi

pytestmark = pytest.mark.anyio

ONE_LOOK_UP = {"__call__": 1, "is_well_formed": 1, "digest": 1}


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
    return counted


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
