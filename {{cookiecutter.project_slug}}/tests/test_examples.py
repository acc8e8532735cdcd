"""The example routes: delete this file together with them."""

import httpx
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }} import __version__

from .conftest import WithKey
from .helpers import ADMIN_KEY, WEB_KEY

pytestmark = pytest.mark.anyio

RESET = {"user": 1, "new_password": "correct horse battery staple"}


async def test_the_service_tells_its_name_and_version(
    app: FastAPI, client: httpx.AsyncClient, with_key: WithKey
) -> None:
    answer = await client.get("/", **with_key(WEB_KEY))
    assert answer.json() == {"name": app.title, "version": __version__}


async def test_a_consumer_is_told_who_it_is(client: httpx.AsyncClient, with_key: WithKey) -> None:
    answer = await client.get("/users/me", **with_key(ADMIN_KEY))
    assert answer.json() == {"consumer": "admin", "scopes": ["admin"]}


async def test_only_an_admin_resets_passwords(client: httpx.AsyncClient, with_key: WithKey) -> None:
    for key, status in ((WEB_KEY, 403), (ADMIN_KEY, 204)):
        answer = await client.post("/admin/password_reset", json=RESET, **with_key(key))
        assert answer.status_code == status


@pytest.mark.parametrize(
    "reset", [{}, {"user": 1}, RESET | {"user": "1"}, RESET | {"new_password": 1}, RESET | {"x": 1}]
)
async def test_a_password_reset_is_checked_strictly(
    client: httpx.AsyncClient, with_key: WithKey, reset: dict[str, object]
) -> None:
    answer = await client.post("/admin/password_reset", json=reset, **with_key(ADMIN_KEY))
    assert answer.status_code == 422
