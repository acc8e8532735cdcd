"""The log says why a request was refused, and the response does not."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message

from {{ cookiecutter.__package }}.auth import events, keys
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.logs import (
    RedactingJSONFormatter,
)

from .helpers import (
    EXPIRED_KEY,
    LOCATIONS,
    UNKNOWN_KEY,
    WEB_KEY,
    base_url,
    call_asgi,
    make_app,
    make_entry,
    make_scope,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

LOCATION = LOCATIONS[0]
DISABLED_KEY = keys.generate_key()
FOREIGN_KEY = keys.generate_key()
MISTYPED_KEY = WEB_KEY[:-8] + f"{int(WEB_KEY[-8:], 16) ^ 1:08x}"
ENTRIES = (
    make_entry(WEB_KEY),
    make_entry(EXPIRED_KEY, expires="2020-01-31"),
    make_entry(DISABLED_KEY, enabled=False),
    make_entry(FOREIGN_KEY, networks=["192.0.2.0/24"]),
)


class Lines(logging.Handler):
    """Keeps the events of refused requests as they are written in production."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(RedactingJSONFormatter())
        self.events: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        line = self.format(record)
        for key in (WEB_KEY, EXPIRED_KEY, UNKNOWN_KEY, DISABLED_KEY, FOREIGN_KEY, MISTYPED_KEY):
            assert key not in line
        self.events.append(json.loads(line))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Return the events that are logged."""
    handler = Lines()
    events.logger.addHandler(handler)
    yield handler
    events.logger.removeHandler(handler)


@pytest.fixture
def app() -> FastAPI:
    """Return the service with a key for each reason."""
    return make_app(api_keys=ENTRIES)


def id_of(key: str) -> str:
    """Return the public id of a key."""
    return keys.key_id(keys.hash_key(key))


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        (UNKNOWN_KEY, {"reason": "unknown", "hint": keys.key_hint(UNKNOWN_KEY)}),
        (MISTYPED_KEY, {"reason": "mistyped"}),
        ("wrong", {"reason": "malformed"}),
        (EXPIRED_KEY, {"reason": "expired", "key_id": id_of(EXPIRED_KEY), "consumer": "web"}),
        (DISABLED_KEY, {"reason": "disabled", "key_id": id_of(DISABLED_KEY), "consumer": "web"}),
        (FOREIGN_KEY, {"reason": "network", "key_id": id_of(FOREIGN_KEY), "consumer": "web"}),
    ],
    ids=["unknown", "mistyped", "malformed", "expired", "disabled", "network"],
)
async def test_log_and_response_differ_in_the_reason(
    client: httpx2.AsyncClient, lines: Lines, location: Location, key: str, fields: dict[str, str]
) -> None:
    headers = {"X-Request-ID": "request-1"}
    without = await client.get("/_tests/whoami", headers=headers)
    request = with_key(location, key)
    sent = [*dict(request.pop("headers", {})).items(), *headers.items()]
    refused = await client.get("/_tests/whoami", headers=sent, **request)
    assert (refused.status_code, refused.content) == (401, without.content)
    ignored = {"referrer-policy", "content-length"}  # the former follows from the key in the URL
    assert {n: v for n, v in refused.headers.items() if n not in ignored} == {
        n: v for n, v in without.headers.items() if n not in ignored
    }
    missing, event = lines.events
    common = {
        "level": "WARNING",
        "logger": events.logger.name,
        "request_id": "request-1",
        "event": "request_refused",
        "client": "127.0.0.1",
        "status": 401,
        "count": 1,
    }
    for line, own in ((missing, {"reason": "missing"}), (event, fields)):
        assert line.pop("time")
        assert line.pop("message") == f"Request refused: {own['reason']}"
        assert line == common | own


async def test_two_keys_at_once_are_repeated(app: FastAPI, lines: Lines) -> None:
    scope = make_scope("/_tests/whoami", **to_asgi(with_key(LOCATION, WEB_KEY)))
    scope["headers"] *= 2
    scope["query_string"] += b"&" + scope["query_string"]

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        assert message.get("status", 401) == 401

    await app(scope, receive, send)
    assert [event["reason"] for event in lines.events] == ["repeated"]


async def test_misplaced_key_is_told_with_its_place(
    client: httpx2.AsyncClient, lines: Lines
) -> None:
    await client.get("/_tests/whoami", headers={"X-Elsewhere": WEB_KEY})
    [event] = lines.events
    assert (event["reason"], event["sent_in"]) == ("wrong_location", "header x-elsewhere")
    assert "key_id" not in event


async def test_missing_scope_is_named(client: httpx2.AsyncClient, lines: Lines) -> None:
    request = with_key(LOCATION, WEB_KEY)
    refused = await client.post("/_tests/notes", json={"text": "hello"}, **request)
    assert refused.status_code == 403
    [event] = lines.events
    assert (event["reason"], event["missing_scope"]) == ("scope", "admin")
    assert event["key_id"] == id_of(WEB_KEY)


@pytest.mark.parametrize("extensions", [None, {"websocket.http.response": {}}], ids=["old", "new"])
async def test_refused_websocket_is_logged_once(
    app: FastAPI, lines: Lines, extensions: dict[str, object] | None
) -> None:
    await call_asgi(app, "/_tests/feed", websocket=True, extensions=extensions)
    assert [event["reason"] for event in lines.events] == ["missing"]


async def test_answered_request_is_not_logged(client: httpx2.AsyncClient, lines: Lines) -> None:
    await client.get("/_tests/whoami", **with_key(LOCATION, WEB_KEY))
    await client.get("/_tests/greeting", **with_key(LOCATION, WEB_KEY))
    await client.get("/_tests/no-such-path", **with_key(LOCATION, WEB_KEY))
    assert lines.events == []


async def test_flood_is_one_line_a_minute(
    app: FastAPI, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "REPEAT_SECONDS", 1e6)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=base_url(app)) as client:
            for _ in range(5):
                await client.get("/_tests/whoami")
                await client.get("/_tests/whoami", **with_key(LOCATION, EXPIRED_KEY))
        assert [event["count"] for event in lines.events] == [1, 1]
    missing, expired = lines.events[2:]
    assert (missing["reason"], missing["count"]) == ("missing", 4)
    assert (expired["reason"], expired["count"]) == ("expired", 4)
    assert (expired["client"], expired["key_id"]) == ("127.0.0.1", id_of(EXPIRED_KEY))
    assert "request_id" not in expired


async def test_table_of_kinds_is_bounded(
    app: FastAPI, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_KINDS", 3)
    for number in range(9):
        transport = httpx2.ASGITransport(app, client=(f"192.0.2.{number}", 1))
        async with httpx2.AsyncClient(transport=transport, base_url=base_url(app)) as client:
            await client.get("/_tests/whoami")
    assert len(lines.events) == 9
    assert len(app._app.refusals._kinds) == 3  # type: ignore[attr-defined]
