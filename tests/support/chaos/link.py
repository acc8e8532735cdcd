"""A TCP proxy in a thread of this process, between a service and its database or Redis."""

import asyncio
import threading
from collections.abc import Callable


class Link:
    """A way to a port of this machine that can be slow, go silent or break."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.round_trip = 0.0  # seconds
        self._target = target
        self._broken = False
        self._paused = False
        self._flowing: set[asyncio.Event] = set()  # of each direction that is not dead
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(ready),))
        self._thread.start()
        ready.wait(10)

    def pause(self) -> None:
        """Deliver nothing until `resume`, as where a cable is unplugged."""
        self._call(self._pause)

    def resume(self) -> None:
        """Deliver again, and what was held back too."""
        self._call(self._resume)

    def kill_silently(self) -> None:
        """Let the connections that exist be dead for ever, as after a firewall forgot them."""
        self._call(self._kill)

    def cut(self) -> None:
        """Close all connections, and new ones at once."""
        self._broken = True
        self._call(self._close_all)

    def mend(self) -> None:
        """Accept connections again."""
        self._broken = False

    def close(self) -> None:
        """End the thread."""
        self._call(self._stopped.set)
        self._thread.join(10)

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopped.wait()
        server.close()
        self._close_all()
        for task in self._tasks:
            task.cancel()
        await asyncio.sleep(0.1)  # until all is closed

    def _pause(self) -> None:
        self._paused = True
        self._stop_all()

    def _stop_all(self) -> None:
        for flowing in self._flowing:
            flowing.clear()

    def _kill(self) -> None:
        self._stop_all()
        self._flowing.clear()

    def _resume(self) -> None:
        self._paused = False
        for flowing in self._flowing:
            flowing.set()

    def _close_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def _close(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self._writers.discard(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._broken:
                raise ConnectionError
            upstream = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, upstream[1]}
        for source, sink in ((reader, upstream[1]), (upstream[0], writer)):
            task = self._loop.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        flowing = asyncio.Event()
        self._flowing.add(flowing)
        if not self._paused:
            flowing.set()
        try:
            while data := await source.read(65536):
                await flowing.wait()
                self._loop.call_later(self.round_trip / 2, sink.write, data)
            await flowing.wait()
        except ConnectionError:
            pass
        finally:
            self._flowing.discard(flowing)
            self._loop.call_later(self.round_trip / 2, self._close, sink)
