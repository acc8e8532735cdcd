"""The dependencies that require a key, and how tests override them."""

from typing import Annotated

import httpx2
import pytest
from fastapi import Depends, FastAPI, Request, Security, WebSocket

from {{ cookiecutter.__package }}.auth import (
    Consumer,
    CurrentConsumer,
    OptionalConsumer,
    get_api_key,
)
from {{ cookiecutter.__package }}.auth.locations import (
    Location,
)

from .helpers import ADMIN_KEY, UNKNOWN_KEY, WEB_KEY, call_asgi, to_asgi, with_key

pytestmark = pytest.mark.anyio

TESTER = Consumer("tester", frozenset({"admin"}), "id", "test")


async def test_endpoint_gets_the_consumer(client: httpx2.AsyncClient, location: Location) -> None:
    response = await client.get("/_tests/whoami", **with_key(location, ADMIN_KEY))
    assert response.json() == {"consumer": "admin", "scopes": ["admin"]}


async def test_request_state_holds_the_consumer(app: FastAPI, location: Location) -> None:
    seen: list[Consumer | None] = []

    @app.get("/_state", dependencies=[Security(get_api_key)])
    async def state(request: Request) -> None:
        seen.append(request.state.consumer)

    app.router.routes.insert(0, app.router.routes.pop())
    await call_asgi(app, "/_state", **to_asgi(with_key(location, WEB_KEY)))
    assert [(consumer.name, consumer.location) for consumer in seen if consumer] == [
        ("web", location.name)
    ]


async def test_missing_scope_is_403_and_named(
    app: FastAPI, client: httpx2.AsyncClient, location: Location
) -> None:
    app.exception_handlers.pop(403, None)  # a handler of the owner may say less
    note = {"text": "hello"}
    response = await client.post("/_tests/notes", json=note, **with_key(location, WEB_KEY))
    assert response.status_code == 403
    assert "admin" in response.text
    assert response.headers["Cache-Control"] == "no-store"
    response = await client.post("/_tests/notes", json=note, **with_key(location, ADMIN_KEY))
    assert response.status_code == 204


async def test_missing_scope_refuses_a_websocket(app: FastAPI, location: Location) -> None:
    @app.websocket("/_admin", dependencies=[Security(get_api_key, scopes=["admin"])])
    async def admin(websocket: WebSocket) -> None:
        await websocket.accept()

    app.router.routes.insert(0, app.router.routes.pop())
    for key, status in ((WEB_KEY, 403), (ADMIN_KEY, 101)):
        request = to_asgi(with_key(location, key))
        assert (await call_asgi(app, "/_admin", websocket=True, **request)).status == status
    request = to_asgi(with_key(location, WEB_KEY))
    closed = await call_asgi(app, "/_admin", websocket=True, extensions={}, **request)
    assert closed.messages == [{"type": "websocket.close", "code": 1008}]


async def test_optional_key_has_to_be_valid(app: FastAPI, location: Location) -> None:
    seen: list[Consumer | None] = []

    @app.get("/_greeting")
    async def greeting(consumer: OptionalConsumer) -> None:
        seen.append(consumer)

    app.router.routes.insert(0, app.router.routes.pop())
    for key, status in ((WEB_KEY, 200), (UNKNOWN_KEY, 401)):
        request = to_asgi(with_key(location, key))
        assert (await call_asgi(app, "/_greeting", **request)).status == status
    assert [consumer.name for consumer in seen if consumer] == ["web"]
{% if cookiecutter.__endpoints %}
    assert (await call_asgi(app, "/_greeting")).status == 200
    assert seen[-1] is None
{% endif %}


async def test_override_is_used_without_a_key(app: FastAPI) -> None:
    app.dependency_overrides[get_api_key] = lambda: TESTER
    response = await call_asgi(app, "/_tests/whoami")
    assert response.status == 200
    assert b"tester" in response.messages[1]["body"]
    assert (await call_asgi(app, "/_tests/feed", websocket=True)).status == 101
    del app.dependency_overrides[get_api_key]
    assert (await call_asgi(app, "/_tests/whoami")).status == 401
    assert (await call_asgi(app, "/_tests/feed", websocket=True)).status == 401


async def test_override_is_used_with_any_key(app: FastAPI, location: Location) -> None:
    app.dependency_overrides[get_api_key] = lambda: TESTER
    for key in (WEB_KEY, UNKNOWN_KEY):
        response = await call_asgi(app, "/_tests/whoami", **to_asgi(with_key(location, key)))
        assert b"tester" in response.messages[1]["body"]


async def test_override_may_refuse(app: FastAPI) -> None:
    class OverrideError(Exception):
        pass

    async def refuse(request: Request) -> None:
        raise OverrideError

    app.dependency_overrides[get_api_key] = refuse
    with pytest.raises(OverrideError):
        await call_asgi(app, "/_tests/whoami")


async def test_mounted_application_has_own_overrides(app: FastAPI) -> None:
    mounted, other = FastAPI(), FastAPI()
    for application in (mounted, other):

        @application.get("/whoami")
        async def whoami(consumer: CurrentConsumer) -> str:
            return consumer.name

    app.mount("/_mounted", mounted)
    app.mount("/_other", other)
    app.router.routes[:0] = [app.router.routes.pop(), app.router.routes.pop()]
    mounted.dependency_overrides[get_api_key] = lambda: TESTER
    assert (await call_asgi(app, "/_mounted/whoami")).status == 200
    assert (await call_asgi(app, "/_other/whoami")).status == 401
    assert (await call_asgi(app, "/_tests/whoami")).status == 401


async def test_dependency_may_build_on_the_consumer(app: FastAPI, location: Location) -> None:
    def shout(consumer: CurrentConsumer) -> str:
        return consumer.name.upper()

    @app.get("/_shout")
    async def show(name: Annotated[str, Depends(shout)]) -> str:
        return name

    app.router.routes.insert(0, app.router.routes.pop())
    request = to_asgi(with_key(location, WEB_KEY))
    assert b"WEB" in (await call_asgi(app, "/_shout", **request)).messages[1]["body"]
