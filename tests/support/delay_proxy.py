"""A TCP proxy in front of a server on this machine, which delays both directions.

It runs in a process of its own, so that it goes on while the event loop of a test stands still, and
ends after two minutes by itself. Each line on stdin sets a new delay.
"""

import asyncio
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

LIFETIME_SECONDS = 120


class DelayProxy:
    """A running proxy with a round trip of so many milliseconds."""

    def __init__(self, target: int, milliseconds: float) -> None:
        command = [sys.executable, __file__, str(target), str(milliseconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.url = f"redis://127.0.0.1:{int(self.process.stdout.readline())}"

    def set_delay(self, milliseconds: float) -> None:
        """Change the delay of what is forwarded from now on."""
        assert self.process.stdin
        self.process.stdin.write(f"{milliseconds}\n".encode())
        self.process.stdin.flush()
        time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()


class Forwarder:
    """Forwards connections to a port on this host."""

    def __init__(self, target: int, delay: float) -> None:
        self.target = target
        self.delay = delay
        self.pumps: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, upstream_writer), (upstream_reader, writer)):
            task = asyncio.create_task(self.pump(source, sink))
            self.pumps.add(task)
            task.add_done_callback(self.pumps.discard)

    async def pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Forward one direction, each piece after half of the round trip."""
        loop = asyncio.get_running_loop()
        while data := await source.read(65536):
            loop.call_later(self.delay / 2, sink.write, data)
        loop.call_later(self.delay / 2, sink.close)


async def run_proxy(target: int, milliseconds: float) -> None:
    """Print the port and forward what arrives there."""
    forwarder = Forwarder(target, milliseconds / 1000)
    server = await asyncio.start_server(forwarder.accept, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()

    def read_delay() -> None:
        line = sys.stdin.readline()
        if line:
            forwarder.delay = float(line) / 1000
        else:
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, read_delay)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(LIFETIME_SECONDS)


if __name__ == "__main__":
    asyncio.run(run_proxy(int(sys.argv[1]), float(sys.argv[2])))
