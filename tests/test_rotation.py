"""A key is changed while the service is busy, and no request fails: as in the README, by a rollout.

What Kubernetes does is done here with processes: a new one is started and ready before an old one
gets no more connections, a moment later the signal to stop, and time to finish.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from itertools import count
from pathlib import Path

import pytest
from support.generation import Bake
from support.keys import new_key
from support.server_process import free_port, run_server
from support.waiting import run_async

CLIENTS = 8


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
            "PYTHONPATH": str(self.project / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SECRETS_DIR": str(self.folder),
            "PORT": str(port),
        }
        command = [sys.executable, "-m", "my_service", "serve"]
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
        """Pass one request on to a process that is ready, and its answer back."""
        request = await client.readuntil(b"\r\n\r\n")
        port = list(self.ready)[next(self.turn) % len(self.ready)]
        self.served.add(port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer.write(await reader.read())
        for end in (writer, answer):
            end.close()
            await end.wait_closed()


class Load:
    """Clients that call without a pause, each with the key that they have now."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.key = key
        self.answers: list[str] = []

    async def call(self, key: str) -> str:
        """Return the start of the answer to one request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        with closing(writer):
            head = f"GET /users/me HTTP/1.1\r\nHost: service.test\r\nX-API-Key: {key}\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            return (await reader.read()).decode().partition("\r\n")[0]

    async def go_on(self) -> None:
        """Call until cancelled, and remember the answers."""
        while True:
            self.answers.append(await self.call(self.key))


@asynccontextmanager
async def under_load(rollout: Rollout, key: str) -> AsyncIterator[Load]:
    """Run the proxy and its clients; a client that breaks down fails the test."""
    async with await asyncio.start_server(rollout.forward, "127.0.0.1", 0) as proxy:
        load = Load(proxy.sockets[0].getsockname()[1], key)
        clients = [asyncio.create_task(load.go_on()) for _ in range(CLIENTS)]
        try:
            yield load
        finally:
            for client in clients:
                client.cancel()
            ends = await asyncio.gather(*clients, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def rotate(rollout: Rollout, old: tuple[str, str], new: tuple[str, str]) -> list[str]:
    """Change the key of busy clients and return every answer that they got."""
    async with AsyncExitStack() as stack:
        rollout.allow(old[1])
        for _ in range(2):
            await asyncio.to_thread(rollout.start_process)
        stack.push_async_callback(stop_all, rollout)
        async with under_load(rollout, old[0]) as load:
            rollout.allow(old[1], new[1])
            await rollout.roll()
            load.key = new[0]
            await asyncio.sleep(0.3)  # a request with the old key may still be on its way
            rollout.allow(new[1])
            await rollout.roll()
            assert " 401 " in await load.call(old[0])
        return load.answers


async def stop_all(rollout: Rollout) -> None:
    """Stop what still runs."""
    for port in list(rollout.ready):
        await rollout.stop_process(port)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal to stop gracefully")
def test_a_key_is_rotated_without_a_failed_request(bake: Bake, tmp_path: Path) -> None:
    project = bake(deployment="kubernetes")
    rollout = Rollout(project, tmp_path)
    answers = run_async(rotate(rollout, new_key(project), new_key(project)))
    assert set(answers) == {"HTTP/1.1 200 OK"}
    assert len(answers) > 10 * CLIENTS
    assert len(rollout.served) == 6
