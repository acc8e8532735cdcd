"""A rollout as Kubernetes does it, done with processes, and clients that notice nothing of it.

A new process is started and ready before an old one gets no more connections, a moment later the
signal to stop, and time to finish.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, suppress
from itertools import count
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from support.server_process import free_port, run_server
from support.template import TEMPLATE

CLIENTS = 8
# Reconnecting after the end of a WebSocket or a stream, these have to get in too.
STREAMING_CLIENTS = 2
SERVE = (
    "from my_service.server import run_server;"
    "run_server('support.apps.streaming:app', host='127.0.0.1', port={port})"
)


class Rollout:
    """The processes of a service behind a proxy, all with the keys of one secret."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project = project
        self.folder = folder
        self.ready: dict[int, ExitStack] = {}
        self.served: set[int] = set()
        self.turn = count()

    def allow(self, *digests: str) -> None:
        """Edit the secret: these keys open from the next start of a process on."""
        entries = [{"consumer": "web", "sha256": digest} for digest in digests]
        (self.folder / "api_keys").write_text(json.dumps(entries))

    def start_process(self) -> None:
        """Start a process, and send it requests once it is ready."""
        port, running = free_port(), ExitStack()
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(self.project / "src"), str(TEMPLATE / "tests")]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SECRETS_DIR": str(self.folder),
        }
        command = [sys.executable, "-c", SERVE.format(port=port)]
        running.enter_context(run_server(*command, port=port, cwd=self.folder, env=env))
        self.ready[port] = running

    async def stop_process(self, port: int) -> None:
        """Send a process no more requests, then the signal to stop; wait for its end."""
        running = self.ready.pop(port)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(running.close)

    async def roll(self) -> None:
        """Put a new process in place of each old one, one after the other."""
        for port in list(self.ready):
            await asyncio.to_thread(self.start_process)
            await self.stop_process(port)

    async def forward(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Connect a client with a process that is ready."""
        port = list(self.ready)[next(self.turn) % len(self.ready)]
        self.served.add(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(client, writer), _copy(reader, answer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


class Load:
    """Clients that call without a pause, each with its current key."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.responses: list[str] = []
        self.handshakes: list[str] = []
        self.echoes = 0
        self.events = 0

    async def call(self, key: str, path: str = "/users/me") -> str:
        """Return the response to one request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer):
            head = f"GET {path} HTTP/1.1\r\nHost: service.test\r\nX-API-Key: {key}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            return (await reader.read()).decode()

    async def send_requests(self) -> None:
        """Send one request after the other."""
        while True:
            response = await self.call(self.key)
            self.responses.append(response.partition("\r\n")[0])

    async def read_events(self) -> None:
        """Read streams of events, one after the other."""
        while True:
            stream = await self.call(self.key, "/events")
            complete = stream.endswith("0\r\n\r\n")
            self.responses.append(stream.partition("\r\n")[0] if complete else "a stream was cut")
            self.events += stream.count("data:")

    async def keep_websocket(self) -> None:
        """Keep a WebSocket open; open another one when it is closed."""
        url = f"ws://127.0.0.1:{self.port}/feed"
        while True:
            try:
                async with connect(url, additional_headers={"X-API-Key": self.key}) as websocket:
                    self.handshakes.append("101")
                    with suppress(ConnectionClosed):
                        while True:
                            await websocket.send("ping")
                            await websocket.recv()
                            self.echoes += 1
                            await asyncio.sleep(0.05)
            except (InvalidHandshake, OSError) as error:
                self.handshakes.append(str(error))


@asynccontextmanager
async def under_load(rollout: Rollout, key: str) -> AsyncIterator[Load]:
    """Run the proxy and its clients; a client that breaks down fails the test."""
    async with await asyncio.start_server(rollout.forward, "127.0.0.1", 0) as proxy:
        load = Load(proxy.sockets[0].getsockname()[1], key)
        kinds: list[Callable[[], Coroutine[None, None, None]]] = [load.send_requests] * CLIENTS
        kinds += [load.read_events, load.keep_websocket] * STREAMING_CLIENTS
        clients = [asyncio.create_task(kind()) for kind in kinds]
        try:
            yield load
        finally:
            for client in clients:
                client.cancel()
            ends = await asyncio.gather(*clients, return_exceptions=True)
            proxy.close()
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def rotate(rollout: Rollout, old: tuple[str, str], new: tuple[str, str]) -> Load:
    """Change the key of busy clients and return what they saw."""
    async with AsyncExitStack() as stack:
        rollout.allow(old[1])
        for _ in range(2):
            await asyncio.to_thread(rollout.start_process)
        stack.push_async_callback(stop_all, rollout)
        async with under_load(rollout, old[0]) as load:
            rollout.allow(old[1], new[1])
            await rollout.roll()
            load.key = new[0]
            # A request with the old key may still be on its way, a stream longer.
            await asyncio.sleep(1.5)
            rollout.allow(new[1])
            await rollout.roll()
            assert " 401 " in (await load.call(old[0])).partition("\r\n")[0]
        return load


async def stop_all(rollout: Rollout) -> None:
    """Stop what still runs."""
    for port in list(rollout.ready):
        await rollout.stop_process(port)
