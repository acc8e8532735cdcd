"""Which keys open the service, and how it answers to all the others."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from {{ cookiecutter.__package }} import auth, keys
from {{ cookiecutter.__package }}.settings import KeyEntry

from .conftest import WithKey
{% if cookiecutter.key_location == "fallback" %}
from .helpers import (
    ADMIN_KEY,
    COOKIE_NAME,
    EXPIRED_KEY,
    HEADER_NAME,
    QUERY_NAME,
    UNKNOWN_KEY,
    WEB_KEY,
    make_app,
)
{% else %}
from .helpers import (
    ADMIN_KEY,
    ELSEWHERE,
    EXPIRED_KEY,
    UNKNOWN_KEY,
    WEB_KEY,
    make_app,
)
{% endif %}

pytestmark = pytest.mark.anyio

NOTE = {"text": "hello"}


async def test_a_valid_key_opens_and_says_whose_it_is(
    client: httpx.AsyncClient, with_key: WithKey
) -> None:
    answer = await client.get("/whoami", **with_key(WEB_KEY))
    assert answer.status_code == 200
    assert answer.json() == {"consumer": "web", "scopes": []}


async def test_a_consumer_may_hold_several_keys(with_key: WithKey) -> None:
    old, new = keys.mint(), keys.mint()
    entries = tuple(KeyEntry(consumer="web", sha256=keys.digest(key)) for key in (old, new))
    transport = httpx.ASGITransport(make_app(api_keys=entries))
    async with httpx.AsyncClient(transport=transport, base_url="https://service.test") as client:
        for key in (old, new):
            answer = await client.get("/whoami", **with_key(key))
            assert answer.json()["consumer"] == "web"


async def test_without_a_key_the_answer_is_401(client: httpx.AsyncClient) -> None:
    answer = await client.get("/whoami")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Missing or invalid API key"}
    assert answer.headers["WWW-Authenticate"] == "APIKey"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "wrong",
        UNKNOWN_KEY,
        EXPIRED_KEY,
        keys.digest(WEB_KEY),
        WEB_KEY[:-1],
        WEB_KEY[:-1] + "-",
        WEB_KEY.upper(),
        WEB_KEY + WEB_KEY[-1],
        f'"{WEB_KEY}"',
        f"Bearer {WEB_KEY}",
        f"{WEB_KEY},{WEB_KEY}",
        WEB_KEY + "é",
        "漢字",
        "\x00" + WEB_KEY,
        "k" * 257,
        keys.PREFIX + "_" + "a" * 8000,
    ],
)
async def test_every_wrong_key_gets_the_same_answer_as_no_key(
    client: httpx.AsyncClient, with_key: WithKey, key: str
) -> None:
    client.headers["X-Request-ID"] = "same"
    keyless = await client.get("/whoami")
    answer = await client.get("/whoami", **with_key(key))
    assert answer.status_code == 401
    assert answer.content == keyless.content
    assert answer.headers == keyless.headers


@pytest.mark.parametrize(
    "sent", [(WEB_KEY, WEB_KEY), (WEB_KEY, ADMIN_KEY), ("", WEB_KEY), (WEB_KEY, "")]
)
async def test_a_repeated_key_is_refused(
    client: httpx.AsyncClient, with_key: WithKey, sent: tuple[str, ...]
) -> None:
    assert (await client.get("/whoami", **with_key(*sent))).status_code == 401


{% if cookiecutter.key_location == "fallback" %}
@pytest.mark.parametrize(
    ("cookie", "header", "query", "consumer"),
    [
        (WEB_KEY, ADMIN_KEY, ADMIN_KEY, "web"),
        ("", WEB_KEY, ADMIN_KEY, "web"),
        ("", "", WEB_KEY, "web"),
        (UNKNOWN_KEY, WEB_KEY, WEB_KEY, None),
        ("", UNKNOWN_KEY, WEB_KEY, None),
        ("wrong", WEB_KEY, "", None),
        ("", "", "", None),
    ],
)
async def test_the_first_location_with_a_key_decides(
    client: httpx.AsyncClient, cookie: str, header: str, query: str, consumer: str | None
) -> None:
    answer = await client.get(
        "/whoami",
        headers={"Cookie": f"{COOKIE_NAME}={cookie}", HEADER_NAME: header},
        params={QUERY_NAME: query},
    )
    assert answer.json().get("consumer") == consumer
    assert answer.status_code == (401 if consumer is None else 200)
{% else %}
@pytest.mark.parametrize("elsewhere", ELSEWHERE)
async def test_a_valid_key_elsewhere_opens_nothing(
    client: httpx.AsyncClient, elsewhere: WithKey
) -> None:
    assert (await client.get("/whoami", **elsewhere(WEB_KEY))).status_code == 401
{% endif %}


async def test_a_key_without_the_scope_is_403(client: httpx.AsyncClient, with_key: WithKey) -> None:
    answer = await client.post("/notes", json=NOTE, **with_key(WEB_KEY))
    assert answer.status_code == 403
    assert answer.json() == {"detail": "This needs a key with scope: admin"}


async def test_a_key_with_the_scope_is_let_in(client: httpx.AsyncClient, with_key: WithKey) -> None:
    answer = await client.post("/notes", json=NOTE, **with_key(ADMIN_KEY))
    assert answer.status_code == 204


@pytest.mark.parametrize(("days", "status"), [(-1, 401), (0, 200), (1, 200)])
async def test_a_key_is_valid_through_its_last_day(
    with_key: WithKey, days: int, status: int
) -> None:
    key = keys.mint()
    last_day = datetime.now(UTC).date() + timedelta(days=days)
    entry = KeyEntry(consumer="web", sha256=keys.digest(key), expires=last_day)
    transport = httpx.ASGITransport(make_app(api_keys=(entry,)))
    async with httpx.AsyncClient(transport=transport, base_url="https://service.test") as client:
        assert (await client.get("/whoami", **with_key(key))).status_code == status


async def test_a_key_expires_without_a_restart_when_its_day_ends_in_utc(
    client: httpx.AsyncClient, with_key: WithKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LastDay(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return datetime(2020, 1, 31, 23, 59, 59, tzinfo=UTC)

    monkeypatch.setattr(auth, "datetime", LastDay)
    assert (await client.get("/whoami", **with_key(EXPIRED_KEY))).status_code == 200
    monkeypatch.undo()
    assert (await client.get("/whoami", **with_key(EXPIRED_KEY))).status_code == 401


async def test_a_malformed_key_is_never_looked_up(
    client: httpx.AsyncClient, with_key: WithKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []
    monkeypatch.setattr(keys, "digest", looked_up.append)
    for key in ("wrong", WEB_KEY[:-1] + "-", "k" * 257):
        await client.get("/whoami", **with_key(key))
    assert looked_up == []
