"""The log says why a request was refused, and the response does not."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from {{ cookiecutter.__package }}.auth import (
    events,
    keys,
    metrics,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)
from {{ cookiecutter.__package }}.auth.records import KeyRecord
from {{ cookiecutter.__package }}.auth.refusals import Reason
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
    with_key,
)

pytestmark = pytest.mark.anyio

LOCATION = LOCATIONS[0]
{% if cookiecutter.__cookie %}
[COOKIE] = [location for location in LOCATIONS if location.name == "cookie"]
{% endif %}
DISABLED_KEY = keys.generate_key()
FOREIGN_KEY = keys.generate_key()
MISTYPED_KEY = WEB_KEY[:-8] + f"{int(WEB_KEY[-8:], 16) ^ 1:08x}"
ENTRIES = (
    make_entry(WEB_KEY),
    make_entry(EXPIRED_KEY, expires="2020-01-31"),
    make_entry(DISABLED_KEY, enabled=False),
    make_entry(FOREIGN_KEY, networks=["192.0.2.0/24"]),
)


def id_of(key: str) -> str:
    """Return the public id of a key."""
    return keys.key_id(keys.hash_key(key))


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
        assert line.items() >= (common | own).items()


# For each reason: a request that is refused for it, and the details in the log.
REQUESTS: dict[Reason, tuple[dict[str, Any], dict[str, str]]] = {
    Reason.MISSING: ({}, {}),
    Reason.MALFORMED: (with_key(LOCATION, "wrong"), {}),
    Reason.MISTYPED: (with_key(LOCATION, MISTYPED_KEY), {}),
    Reason.UNKNOWN: (with_key(LOCATION, UNKNOWN_KEY), {"hint": keys.key_hint(UNKNOWN_KEY)}),
    Reason.EXPIRED: (with_key(LOCATION, EXPIRED_KEY), {"key_id": id_of(EXPIRED_KEY)}),
    Reason.REVOKED: (with_key(LOCATION, WEB_KEY), {"key_id": id_of(WEB_KEY)}),
    Reason.DISABLED: (with_key(LOCATION, DISABLED_KEY), {"key_id": id_of(DISABLED_KEY)}),
    Reason.WRONG_LOCATION: (
        {"headers": {"X-Elsewhere": WEB_KEY}},
        {"sent_in": "header x-elsewhere"},
    ),
    Reason.REPEATED: (with_key(LOCATION, WEB_KEY, WEB_KEY), {}),
{% if cookiecutter.__cookie %}
    Reason.CROSS_ORIGIN: (
        {"headers": {**with_key(COOKIE, WEB_KEY)["headers"], "Sec-Fetch-Site": "cross-site"}},
        {"key_id": id_of(WEB_KEY)},
    ),
{% endif %}
    Reason.NETWORK: (with_key(LOCATION, FOREIGN_KEY), {"key_id": id_of(FOREIGN_KEY)}),
    Reason.SCOPE: (
        with_key(LOCATION, WEB_KEY),
        {"key_id": id_of(WEB_KEY), "missing_scope": "admin"},
    ),
{% if cookiecutter.__limited %}
    Reason.THROTTLED: (with_key(LOCATION, UNKNOWN_KEY), {}),
    Reason.OVER_LIMIT: (with_key(LOCATION, WEB_KEY), {"key_id": id_of(WEB_KEY)}),
{% endif %}
{% if cookiecutter.__database %}
    Reason.STORE_UNAVAILABLE: (with_key(LOCATION, WEB_KEY), {}),
{% elif cookiecutter.__limited %}
    Reason.STORE_UNAVAILABLE: (with_key(LOCATION, WEB_KEY), {"key_id": id_of(WEB_KEY)}),
{% endif %}
}
{% if cookiecutter.__limited %}
# The settings under which a request is refused for a reason.
SETTINGS: dict[str, dict[str, Any]] = {
    "throttled": {"failed_attempts_limit": "1/minute"},
    "over_limit": {"rate_limit": "1/minute"},
    "store_unavailable": {
        "rate_limit_storage_url": "redis://127.0.0.1:1",
        "rate_limit_fail_open": False,
    },
}
{% endif %}
OTHER_STATUSES = {"cross_origin": 403, "scope": 403, "throttled": 429, "over_limit": 429}
OTHER_STATUSES["store_unavailable"] = 503
{% if cookiecutter.__database %}
# `test_api.py` has a request that is refused for this reason.
ELSEWHERE = {Reason.LIFETIME}
{% endif %}


async def refuse(reason: Reason, monkeypatch: pytest.MonkeyPatch) -> httpx2.Response:
    """Return the response to a request that is refused for this reason."""
{% if cookiecutter.__limited %}
    app: Any = make_app(api_keys=ENTRIES, **SETTINGS.get(reason, {}))
{% else %}
    app: Any = make_app(api_keys=ENTRIES)
{% endif %}
    store = app.authenticator.store
    if reason is Reason.REVOKED:
        revoked = KeyRecord(id_of(WEB_KEY), "web", revoked=True)
        monkeypatch.setattr(store, "peek", lambda digest: revoked)
{% if cookiecutter.__database %}
    if reason is Reason.STORE_UNAVAILABLE:
        monkeypatch.setattr(store, "_failure", "TimeoutError")
{% endif %}
    request, _ = REQUESTS[reason]
    sent: Any = request.get("headers", [])
    headers = [*(sent if isinstance(sent, list) else sent.items()), ("X-Request-ID", "request-1")]
    request = {**request, "headers": headers}
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url(app)) as client:
        if OTHER_STATUSES.get(reason) == 429:
            await client.post("/_tests/notes", **request)
        return await client.post("/_tests/notes", **request)


def write_access_line() -> dict[str, Any]:
    """Return the access log line of the last request."""
    arguments = ("127.0.0.1:50000", "POST", "/_tests/notes", "1.1", 401)
    fields = {"name": "uvicorn.access", "msg": "%s %s %s %s %s", "args": arguments}
    line: dict[str, Any] = json.loads(
        RedactingJSONFormatter().format(logging.makeLogRecord(fields))
    )
    return line


{% if cookiecutter.__database %}
@pytest.mark.parametrize("reason", sorted(set(Reason) - ELSEWHERE), ids=str)
{% else %}
@pytest.mark.parametrize("reason", Reason, ids=str)
{% endif %}
async def test_reason_is_in_warning_and_access_line(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    response = await refuse(reason, monkeypatch)
    assert response.status_code == OTHER_STATUSES.get(reason, 401)
    event, access_line = lines.events[-1], write_access_line()
    details = {"reason": reason, "request_id": "request-1", **REQUESTS[reason][1]}
    names = {"reason", "request_id", "key_id", "hint", "sent_in", "missing_scope"}
    for line in (event, access_line):
        assert {name: value for name, value in line.items() if name in names} == details
        assert line.get("consumer") == ("web" if "key_id" in details else None)
    assert (event["level"], event["event"]) == ("WARNING", "request_refused")
    assert (event["status"], event["client"]) == (response.status_code, "127.0.0.1")


async def test_every_401_is_the_same_response(monkeypatch: pytest.MonkeyPatch) -> None:
    ignored = {"referrer-policy"}  # it follows from the key in the URL
    seen = set()
    for reason in Reason:
        if reason in REQUESTS and reason not in OTHER_STATUSES:
            response = await refuse(reason, monkeypatch)
            headers = [pair for pair in response.headers.multi_items() if pair[0] not in ignored]
            seen.add((response.status_code, *headers, response.content))
    assert len(seen) == 1


async def test_misplaced_key_event_names_its_place(
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


async def test_authenticated_request_is_not_a_refusal(
    client: httpx2.AsyncClient, lines: Lines
) -> None:
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


async def test_repetitions_are_logged_when_their_minute_ends(
    client: httpx2.AsyncClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "REPEAT_SECONDS", 0.01)
    monkeypatch.setattr(events, "monotonic", lambda: 0.0)  # no new minute begins in between
    await client.get("/_tests/whoami")
    for minute in (1, 2):
        await client.get("/_tests/whoami")
        await asyncio.sleep(0.02)  # the timer, which was set earlier, is due first
        assert len(lines.events) == 1 + minute
        assert lines.events[-1]["message"] == "Request refused: missing, 1 more times"


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


async def test_changes_of_state_are_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_state_changes", Counter())
    logger = logging.getLogger("some.module")
    for event in ("store_slow", "store_slow", "limiter_available"):
        events.log_state(logger, logging.ERROR, event, "State of %s", "the store")
    records = [record for record in caplog.records if record.name == "some.module"]
    assert [record.getMessage() for record in records] == ["State of the store"] * 3
    record = records[-1]
    assert (record.levelname, record.module) == ("ERROR", "test_events")
    assert vars(record)["event"] == "limiter_available"
