"""Which keys are accepted, and the response to all others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }}.auth import keys
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)

from .helpers import (
    ADMIN_KEY,
    EXPIRED_KEY,
    LOCATIONS,
    UNKNOWN_KEY,
    WEB_KEY,
    base_url,
    call_asgi,
    make_app,
    make_entry,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

PATH = "/_tests/whoami"
CHALLENGE = {% if cookiecutter.__bearer %}'Bearer realm="{{ cookiecutter.project_slug }}"'{% else %}"APIKey"{% endif %}

INVALID_KEYS = {
    "empty": "",
    "space": " ",
    "wrong": "wrong",
    "unknown": UNKNOWN_KEY,
    "expired": EXPIRED_KEY,
    "hash": keys.hash_key(WEB_KEY),
    "cut off": WEB_KEY[:-1],
    "another end": WEB_KEY[:-1] + "-",
    "upper case": WEB_KEY.upper(),
    "longer": WEB_KEY + WEB_KEY[-1],
    "quotes": f'"{WEB_KEY}"',
    "scheme": f"Token {WEB_KEY}",
    "comma": f"{WEB_KEY},{WEB_KEY}",
    "not ASCII": WEB_KEY + "é",
    "Chinese": "漢字",
    "control character": "\x00" + WEB_KEY,
    "over 256 characters": "k" * 257,
    "8000 characters": keys.PREFIX + "_" + "a" * 8000,
}


def make_client(app: FastAPI) -> httpx2.AsyncClient:
    """Return a client of an application."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=base_url(app))


async def test_valid_key_names_its_consumer(client: httpx2.AsyncClient, location: Location) -> None:
    response = await client.get(PATH, **with_key(location, WEB_KEY))
    assert response.status_code == 200
    assert response.json() == {"consumer": "web", "scopes": []}


async def test_consumer_may_hold_several_keys(location: Location) -> None:
    old, new = keys.generate_key(), keys.generate_key()
    async with make_client(make_app(api_keys=(make_entry(old), make_entry(new)))) as client:
        for key in (old, new):
            response = await client.get(PATH, **with_key(location, key))
            assert response.json()["consumer"] == "web"


async def test_missing_key_is_401(client: httpx2.AsyncClient) -> None:
    response = await client.get(PATH)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == CHALLENGE
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", INVALID_KEYS)
async def test_invalid_key_is_refused_like_none(
    client: httpx2.AsyncClient, location: Location, kind: str
) -> None:
    client.headers["X-Request-ID"] = "same"
    missing = await client.get(PATH)
    response = await client.get(PATH, **with_key(location, INVALID_KEYS[kind]))
    assert response.status_code == 401
    assert response.content == missing.content
    for name in ("WWW-Authenticate", "Cache-Control", "Content-Type", "Content-Length"):
        assert response.headers[name] == missing.headers[name]


@pytest.mark.parametrize(
    ("first", "second"),
    [(WEB_KEY, WEB_KEY), (WEB_KEY, ADMIN_KEY), ("", WEB_KEY), (WEB_KEY, "")],
    ids=["same", "another", "empty first", "empty last"],
)
async def test_repeated_key_is_refused(
    client: httpx2.AsyncClient, location: Location, first: str, second: str
) -> None:
    response = await client.get(PATH, **with_key(location, first, second))
    assert response.status_code == 401


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"headers": {"Authorization": f"Bearer {WEB_KEY}"}},
        {"headers": {"X-Elsewhere": WEB_KEY}},
        {"headers": {"Cookie": f"elsewhere={WEB_KEY}"}},
        {"params": {"elsewhere": WEB_KEY}},
    ],
    ids=["bearer", "header", "cookie", "query"],
)
async def test_key_elsewhere_is_refused(
    client: httpx2.AsyncClient, elsewhere: dict[str, Any]
) -> None:
    headers = [location.header for location in LOCATIONS]
    expected = 200 if {*headers} & {*elsewhere.get("headers", {})} else 401
    response = await client.get(PATH, **elsewhere)
    assert response.status_code == expected
    # A public endpoint refuses it too: a client that sends a key expects to be recognized.
    assert (await client.get("/_tests/greeting", **elsewhere)).status_code == expected


async def test_optional_key_has_to_be_valid(client: httpx2.AsyncClient, location: Location) -> None:
    path = "/_tests/greeting"
    assert (await client.get(path, **with_key(location, WEB_KEY))).json() == "web"
    assert (await client.get(path, **with_key(location, UNKNOWN_KEY))).status_code == 401
{% if cookiecutter.__endpoints %}
    assert (await client.get(path)).json() is None
{% endif %}
{% if cookiecutter.key_location == "fallback" %}


@pytest.mark.parametrize(
    ("sent", "consumer"),
    [
        ((WEB_KEY, ADMIN_KEY, ADMIN_KEY), "web"),
        (("", WEB_KEY, ADMIN_KEY), "web"),
        (("", "", WEB_KEY), "web"),
        ((UNKNOWN_KEY, WEB_KEY, WEB_KEY), None),
        (("", UNKNOWN_KEY, WEB_KEY), None),
        (("wrong", WEB_KEY, ""), None),
        (("", "", ""), None),
    ],
    ids=["all", "header", "query", "bad cookie", "bad header", "wrong cookie", "none"],
)
async def test_first_location_with_a_key_decides(
    app: FastAPI, sent: tuple[str, ...], consumer: str | None
) -> None:
    request: dict[str, Any] = {"headers": {}, "query": ""}
    for location, key in zip(LOCATIONS, sent, strict=False):
        part = to_asgi(with_key(location, key))
        request["headers"] |= part["headers"]
        request["query"] += part["query"]
    response = await call_asgi(app, PATH, **request)
    assert response.status == (200 if consumer else 401)
    assert (consumer or "").encode() in response.messages[1]["body"]
{% endif %}


async def test_scope_is_required(client: httpx2.AsyncClient, location: Location) -> None:
    for key, status in ((WEB_KEY, 403), (ADMIN_KEY, 204)):
        note = {"text": "hello"}
        response = await client.post("/_tests/notes", json=note, **with_key(location, key))
        assert response.status_code == status


@pytest.mark.parametrize(("hours", "status"), [(-1, 401), (1, 200)])
async def test_key_is_valid_until_it_expires(location: Location, hours: int, status: int) -> None:
    key = keys.generate_key()
    expires = datetime.now(UTC) + timedelta(hours=hours)
    app = make_app(api_keys=(make_entry(key, expires=expires),))
    assert (await call_asgi(app, PATH, **to_asgi(with_key(location, key)))).status == status


async def test_key_is_valid_in_its_networks_only(location: Location) -> None:
    inside, outside = keys.generate_key(), keys.generate_key()
    entries = (
        make_entry(inside, networks=["127.0.0.0/8"]),
        make_entry(outside, networks=["10.0.0.0/8"]),
    )
    app = make_app(api_keys=entries)
    for key, status in ((inside, 200), (outside, 401)):
        assert (await call_asgi(app, PATH, **to_asgi(with_key(location, key)))).status == status


async def test_disabled_key_is_refused(location: Location) -> None:
    key = keys.generate_key()
    app = make_app(api_keys=(make_entry(key, enabled=False),))
    assert (await call_asgi(app, PATH, **to_asgi(with_key(location, key)))).status == 401
{% if cookiecutter.__cookie %}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"sec-fetch-site": "same-origin"}, 204),
        ({"sec-fetch-site": "none"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "own"}, 204),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
    ids=["none", "same", "typed", "cross", "sibling", "own", "other", "null"],
)
async def test_cookie_from_another_origin_is_403(
    app: FastAPI, headers: dict[str, str], status: int
) -> None:
    cookie = next(location for location in LOCATIONS if location.name == "cookie")
    request = to_asgi(with_key(cookie, ADMIN_KEY))
    request["headers"] |= {"content-type": "application/json", **headers}
    if headers.get("origin") == "own":
        request["headers"]["origin"] = base_url(app)
    response = await call_asgi(app, "/_tests/notes", method="POST", body=b"{}", **request)
    assert response.status == status
    assert response.receives == (1 if status == 204 else 0)
    opened = await call_asgi(app, "/_tests/feed", websocket=True, **request)
    assert opened.status == (101 if status == 204 else 403)
    assert (await call_asgi(app, PATH, **request)).status == 200
{% endif %}
