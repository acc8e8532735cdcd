"""An application to serve in tests, and raw connections to its server."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
HANDSHAKE = (
    "GET {} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{}\r\n"
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Respond with the path, or as the path says."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(float(os.environ.get("SLOW_LIFESPAN", 0)))
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(30)
    if scope["type"] == "websocket":
        await respond_to_websocket(path, receive, send)
        return
    while path == "/read" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": path.encode()})


async def respond_to_websocket(path: str, receive: Any, send: Any) -> None:
    """Close, refuse or accept a WebSocket, as its path says."""
    await receive()
    if path == "/close":
        await send({"type": "websocket.close"})
    elif path == "/refuse":
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": "seen"})


class Connection:
    """A connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def get(self, path: str) -> None:
        """Send a request."""
        self.send(GET.replace(b"/", path.encode(), 1))

    def handshake(self, path: str, headers: str = "") -> bytes:
        """Ask for a WebSocket, and return the response."""
        self.send(HANDSHAKE.format(path, headers).encode())
        return self.receive()

    def receive(self) -> bytes:
        """Return the data that arrives next; fail if the connection is closed."""
        data = self.socket.recv(65536)
        assert data, "the connection was closed"
        return data

    def read(self) -> bytes:
        """Return all data until the server closes the connection."""
        received = b""
        with suppress(ConnectionError):
            while data := self.socket.recv(65536):
                received += data
        return received

    def send_until_closed(self, data: bytes, pause: float, times: int = 100) -> None:
        """Send bytes again and again; raise ConnectionError when the server closes."""
        for _ in range(times):
            self.send(data)
            time.sleep(pause)


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until a condition holds, and fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
