"""Open WebSockets end with their key."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket, WebSocketDisconnect
from starlette.types import Message, Scope

from {{ cookiecutter.__package }}.auth import (
    CurrentConsumer,
    OptionalConsumer,
    keys,
)
from {{ cookiecutter.__package }}.auth.context import (
    get_context,
)
from {{ cookiecutter.__package }}.auth.records import (
    KeyRecord,
)
from {{ cookiecutter.__package }}.auth.refusals import (
    Reason,
    Refusal,
)
from {{ cookiecutter.__package }}.service import (
    Service,
)

from .helpers import (
    ADMIN_KEY,
    LOCATIONS,
    call_asgi,
    host_of,
    make_app,
    make_scope,
    to_asgi,
    with_key,
)

pytestmark = pytest.mark.anyio

# A test that waits for this long hangs: whatever it waits for happens at once.
SECONDS = 10
CLOSED = {"type": "websocket.close", "code": 1008}


class Client:
    """A client that opens a WebSocket, sends no message and stays."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.accepted = asyncio.Event()
        self._opened = False

    async def receive(self) -> Message:
        """Return the handshake, and then wait."""
        if self._opened:
            await asyncio.Event().wait()
        self._opened = True
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        """Record a message of the service, and let other tasks run."""
        self.messages.append(message)
        self.accepted.set()
        await asyncio.sleep(0)


@pytest.fixture
def ends() -> list[str]:
    """Return the list in which the endpoints below record how they ended."""
    return []


@pytest.fixture
def service(ends: list[str]) -> Service:
    """Return a service that checks keys again at once, with WebSockets of each kind."""
    app = make_app()
    router = APIRouter(prefix="/_sockets")

    @router.websocket("/receives")
    async def receives(websocket: WebSocket, consumer: CurrentConsumer) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as error:
            await websocket.close()
            ends.append(f"disconnect {error.code}")

    @router.websocket("/sends")
    async def sends(websocket: WebSocket, consumer: OptionalConsumer) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("tick")
        except WebSocketDisconnect:
            ends.append("disconnect 1008")

    @router.websocket("/careless")
    async def careless(websocket: WebSocket, consumer: CurrentConsumer) -> None:
        await websocket.accept()
        async for _ in websocket.iter_text():
            pass
        ends.append("disconnect 1008")
        while True:
            await websocket.send_text("tick")

    app.include_router(router)
    app.router.routes.insert(0, app.router.routes.pop())
    assert isinstance(app, Service)
    store: Any = app.authenticator.store
    store.recheck_seconds = 0.001
    store.confirm = store.find  # the tests below say when a key ends
    return app


def end_key(service: Service, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Let the key store have another record, as if another process had changed it."""
    find = service.authenticator.store.find

    async def confirm(digest: str) -> KeyRecord | None:
        record = await find(digest)
        return replace(record, **changes) if record else None

    monkeypatch.setattr(service.authenticator.store, "confirm", confirm)


def checks() -> list[str]:
    """Return the tasks that check the keys of WebSockets."""
    tasks = [repr(task.get_coro()) for task in asyncio.all_tasks()]
    return [task for task in tasks if "CheckedWebSocket" in task]


def make_handshake(app: FastAPI, path: str, key: str = ADMIN_KEY) -> Scope:
    """Return the handshake of a WebSocket with a key."""
    parts = to_asgi(with_key(LOCATIONS[-1], key))
    return make_scope(path, websocket=True, host=host_of(app), **parts)


@asynccontextmanager
async def open_socket(app: FastAPI, path: str, key: str = ADMIN_KEY) -> AsyncIterator[Client]:
    """Open a WebSocket, and wait for the end of its endpoint."""
    client = Client()
    scope = make_handshake(app, path, key)
    running = asyncio.ensure_future(app(scope, client.receive, client.send))
    async with asyncio.timeout(SECONDS):
        await client.accepted.wait()
        yield client
        await running


@pytest.mark.parametrize("path", ["receives", "sends", "careless"])
async def test_socket_is_closed_when_its_key_ends(
    service: Service, ends: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with open_socket(service, f"/_sockets/{path}") as client:
        await asyncio.sleep(0.05)
        assert len(checks()) == 1
        assert CLOSED not in client.messages
        end_key(service, monkeypatch, revoked=True)
    assert client.messages[-1] == CLOSED
    assert client.messages.count(CLOSED) == 1
    assert ends == ["disconnect 1008"]
    assert checks() == []


@pytest.mark.parametrize(
    "changes",
    [{"revoked": True}, {"enabled": False}, {"scopes": frozenset()}],
    ids=["revoked", "disabled", "without its scope"],
)
async def test_log_says_why_a_socket_was_closed(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
) -> None:
    caplog.set_level(logging.WARNING)
    async with open_socket(service, "/_sockets/receives"):
        end_key(service, monkeypatch, **changes)
    events = [getattr(record, "event", "") for record in caplog.records if hasattr(record, "event")]
    assert events == ["websocket_closed"]


async def test_deleted_key_closes_its_socket(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def confirm(digest: str) -> None:
        return None

    async with open_socket(service, "/_sockets/receives") as client:
        monkeypatch.setattr(service.authenticator.store, "confirm", confirm)
    assert client.messages[-1] == CLOSED


async def test_unavailable_store_sends_retry_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def confirm(digest: str) -> None:
        raise Refusal(503, "later", Reason.MISSING)

    async with open_socket(service, "/_sockets/receives") as client:
        monkeypatch.setattr(service.authenticator.store, "confirm", confirm)
    assert client.messages[-1] == {"type": "websocket.close", "code": 1013}


async def test_failing_check_is_logged_and_repeated(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def confirm(digest: str) -> None:
        end_key(service, monkeypatch, revoked=True)
        raise RuntimeError

    async with open_socket(service, "/_sockets/receives") as client:
        monkeypatch.setattr(service.authenticator.store, "confirm", confirm)
    assert client.messages[-1] == CLOSED
    assert "Could not check the key of a WebSocket" in caplog.text


async def test_socket_is_closed_when_its_key_expires(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = service.authenticator.store
    store.recheck_seconds = 3600
    record = await store.find(keys.hash_key(ADMIN_KEY))
    found: list[KeyRecord] = []

    def peek(digest: str) -> KeyRecord:
        found.append(replace(record, expires=datetime.now(UTC) + timedelta(seconds=0.5)))
        return found[-1]

    async def confirm(digest: str) -> KeyRecord:
        return found[-1]

    monkeypatch.setattr(store, "peek", peek)
    monkeypatch.setattr(store, "confirm", confirm)
    async with open_socket(service, "/_sockets/receives") as client:
        pass
    assert client.messages[-1] == CLOSED
    assert found[-1].expires is not None
    assert datetime.now(UTC) >= found[-1].expires


@pytest.mark.parametrize("path", ["/_sockets/receives", "/_sockets/sends"])
async def test_closed_socket_leaves_no_task(service: Service, path: str) -> None:
    client = Client()

    async def disconnect() -> Message:
        opening = not client.accepted.is_set()
        return await client.receive() if opening else {"type": "websocket.disconnect", "code": 1001}

    async def send(message: Message) -> None:
        if len(client.messages) > 3:
            raise OSError
        await client.send(message)

    async with asyncio.timeout(SECONDS):
        await service(make_handshake(service, path), disconnect, send)
    assert checks() == []
    assert CLOSED not in client.messages


async def test_only_sockets_with_a_key_are_checked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []

    async def check_again(*_: object) -> None:
        checked.append("again")
        raise Refusal(401, "ended", Reason.REVOKED)

    monkeypatch.setattr(service.authenticator, "check_again", check_again)
    key = to_asgi(with_key(LOCATIONS[-1], ADMIN_KEY))
    await call_asgi(service, "/_tests/whoami", **key)
    await call_asgi(service, "/_sockets/receives", websocket=True)
    await asyncio.sleep(0.02)
    assert checked == []
    async with open_socket(service, "/_sockets/receives"):
        pass
    assert checked == ["again"]


async def test_context_of_a_socket_names_the_reason(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client()
    scope = make_handshake(service, "/_sockets/receives")
    end_key(service, monkeypatch, revoked=True)
    async with asyncio.timeout(SECONDS):
        await service(scope, client.receive, client.send)
    refusal = get_context(scope).refusal
    assert refusal is not None
    assert refusal.reason is Reason.REVOKED
