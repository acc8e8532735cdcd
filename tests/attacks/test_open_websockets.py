"""WebSockets that are open when their key ends are closed, over real connections."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from support.combinations import CORE, Answers, name
from support.generation import Bake
from support.live import NAMES, Live, manage, run_app
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

DATABASES = [{**answers, "key_store": "database"} for answers in (CORE[0], CORE[-1])]
SERVERS = {
    "websockets": ("--ws", "websockets"),
    "serve": ("--ws", "my_service.protocols:QuietWebSocketProtocol"),
}


def socket(live: Live, path: str, key: str) -> ClientConnection:
    """Open a WebSocket with a key where the service looks first."""
    location = live.locations[0]
    values = {"cookie": f"{NAMES['cookie']}={key}", "bearer": f"Bearer {key}", "header": key}
    names = {"cookie": "Cookie"} | {place: NAMES[place] for place in ("bearer", "header")}
    query = f"?{NAMES['query']}={key}" if location == "query" else ""
    headers = {names[location]: values[location]} if location in values else {}
    return connect(f"ws://127.0.0.1:{live.port}{path}{query}", additional_headers=headers)


def close_code(connection: ClientConnection) -> int:
    """Return the code with which the service closes a WebSocket."""
    try:
        while True:
            connection.recv(timeout=60)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


@pytest.mark.parametrize("answers", DATABASES, ids=name)
def test_sockets_of_a_revoked_key_are_closed(answers: Answers, bake: Bake, tmp_path: Path) -> None:
    with run_app(bake(**answers), answers, tmp_path, KEY_CACHE_SECONDS="1") as live:
        check_sockets(live, tmp_path)


@pytest.mark.parametrize("server", SERVERS)
def test_sockets_are_closed_whatever_serves_them(server: str, bake: Bake, tmp_path: Path) -> None:
    options = SERVERS[server]
    answers = DATABASES[0]
    with run_app(bake(**answers), answers, tmp_path, *options, KEY_CACHE_SECONDS="1") as live:
        check_sockets(live, tmp_path)


def check_sockets(live: Live, folder: Path) -> None:
    """Check that WebSockets of a revoked key are closed, and that others stay open."""
    with ExitStack() as stack:
        web, admin = live.keys["web"], live.keys["admin"]
        sockets = [stack.enter_context(socket(live, path, web)) for path in ("/ticks", "/ears")]
        other = stack.enter_context(socket(live, "/ticks", admin))
        assert sockets[0].recv(timeout=60) == "web"
        manage("keys", "revoke", "--consumer", "web", cwd=folder, env=live.variables)
        assert [close_code(connection) for connection in sockets] == [1008, 1008]
        assert other.recv(timeout=60) == "admin"
        written = live.log.read_text(encoding="utf-8")
    assert "websocket_closed" in written
    assert '"level": "ERROR"' not in written
