"""The example routes: delete the tests of each together with it."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }} import __version__
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)

from .helpers import ADMIN_KEY, INVALID, WEB_KEY, with_key

pytestmark = pytest.mark.anyio

RESET: dict[str, Any] = {"user": 1, "new_password": "correct horse battery staple"}


async def test_service_names_itself(
    app: FastAPI, client: httpx2.AsyncClient, location: Location
) -> None:
    response = await client.get(app.url_path_for("about"), **with_key(location, WEB_KEY))
    assert response.json() == {"name": app.title, "version": __version__}
{% if cookiecutter.__endpoints %}
    assert (await client.get(app.url_path_for("about"))).status_code == 200
{% else %}
    assert (await client.get(app.url_path_for("about"))).status_code == 401
{% endif %}


async def test_consumer_is_named(
    app: FastAPI, client: httpx2.AsyncClient, location: Location
) -> None:
    response = await client.get(app.url_path_for("me"), **with_key(location, ADMIN_KEY))
    assert response.json() == {"consumer": "admin", "scopes": ["admin"]}


async def test_only_an_admin_resets_passwords(
    app: FastAPI, client: httpx2.AsyncClient, location: Location
) -> None:
    path = app.url_path_for("reset_password")
    for key, status in ((WEB_KEY, 403), (ADMIN_KEY, 204)):
        response = await client.post(path, json=RESET, **with_key(location, key))
        assert response.status_code == status


@pytest.mark.parametrize(
    "reset",
    [{}, {"user": 1}, RESET | {"user": "1"}, RESET | {"new_password": 1}, RESET | {"x": 1}],
    ids=["empty", "no password", "user as text", "password as number", "unknown field"],
)
async def test_password_reset_is_checked_strictly(
    app: FastAPI, client: httpx2.AsyncClient, location: Location, reset: dict[str, Any]
) -> None:
    request = with_key(location, ADMIN_KEY)
    response = await client.post(app.url_path_for("reset_password"), json=reset, **request)
    assert response.status_code in INVALID
