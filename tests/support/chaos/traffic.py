"""Clients that send requests without a pause, and remember each response."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

# How long a client waits for a response.
PATIENCE_SECONDS = 20


class Seen(NamedTuple):
    """A response: what it was about, when the request began, how long it took, and its status."""

    kind: str
    at: float
    seconds: float
    status: int  # 0 when the connection broke
    counted: bool


@dataclass
class Client:
    """Sends one kind of request over a connection of its own."""

    kind: str
    path: str
    keys: Iterator[str]
    pause: float
    keep: bool = True


@dataclass
class Traffic:
    """Clients in a thread."""

    port: int
    clients: list[Client]
    seen: list[Seen] = field(default_factory=list)
    stopped: bool = False

    def __enter__(self) -> "Traffic":
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped = True
        self._thread.join(PATIENCE_SECONDS + 5)

    def since(self, moment: float) -> list[Seen]:
        """Return the responses to what was sent after a moment."""
        return [seen for seen in self.seen if seen.at >= moment]

    def settle(self, healed: float, is_right: Callable[[Seen], bool], most: float = 40) -> float:
        """Return how long after a moment the last wrong response came, once all are right."""
        while time.monotonic() < healed + most:
            time.sleep(0.25)
            wrong = [s.at + s.seconds for s in self.since(healed) if not is_right(s)]
            last = max(wrong, default=healed)
            if time.monotonic() > last + 3:
                return last - healed
        raise AssertionError(f"still wrong after {most} seconds: {self.seen[-5:]}")

    async def _run(self) -> None:
        await asyncio.gather(*map(self._send_all, self.clients))
        await asyncio.sleep(0.1)  # until all connections are closed

    async def _send_all(self, client: Client) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.stopped:
            began, status, counted = time.monotonic(), 0, False
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    streams = streams or await asyncio.open_connection("127.0.0.1", self.port)
                    status, counted = await self._send(client, *streams)
            except (OSError, asyncio.IncompleteReadError):
                status = 0
            self.seen.append(Seen(client.kind, began, time.monotonic() - began, status, counted))
            if streams and not (status and client.keep):
                streams[1].close()
                streams = None
            await asyncio.sleep(client.pause)
        if streams:
            streams[1].close()

    async def _send(
        self, client: Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bool]:
        key = next(client.keys)
        header = f"X-API-Key: {key}\r\n" if key else ""
        writer.write(f"GET {client.path} HTTP/1.1\r\nHost: service.test\r\n{header}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        await reader.readexactly(int(length or 0))
        return int(head.split()[1]), "\r\nratelimit: " in head
