"""Server processes and their shutdown.

uvicorn has no limit on the time of a whole shutdown, and its workers outlive a parent that is killed.
Like `protocols.py`, this module relies on uvicorn's internals; `tests/test_server.py` fails if they
change.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import ChangeReload, Multiprocess

from .auth.events import log_state
from .protocols import (
    EXCESS_CONNECTIONS,
    MAX_CONNECTIONS,
    BoundedHTTPProtocol,
    QuietWebSocketProtocol,
    send_unavailable,
)

if sys.platform != "win32":
    import resource

SHUTDOWN_SECONDS = 25  # of a whole shutdown
DRAIN_SECONDS = 20  # of it, for requests in flight
ORPHAN_DRAIN_SECONDS = 3  # the same for a worker whose parent process was killed
KEEP_ALIVE_SECONDS = 10
BACKLOG = 2048
OTHER_FILES = 256  # that a process opens besides connections
# Another line says it, with a reason or an event.
REPEATED_LINES = {"Application startup failed. Exiting.", "Shutting down"}
{% if cookiecutter.__database %}
# Psycopg cannot use the event loop that Windows has by default.
LOOP = "asyncio:SelectorEventLoop" if sys.platform == "win32" else "auto"
{% endif %}

logger = logging.getLogger("uvicorn.error")


def run_server(
    app: str,
    *,
    host: str,
    port: int,
    workers: int = 1,
    forwarded_allow_ips: str | None = None,
    root_path: str = "",
    max_connections: int = MAX_CONNECTIONS,
    max_message_size: int = 1024 * 1024,
    reload: bool = False,
) -> None:
    """Serve an application until a signal ends the process.

    `app` is an import string, because each process imports it anew: so the module itself must
    configure logging. `max_connections` counts for each worker, `max_message_size` for WebSockets.
    With `reload`, the process starts anew when the code changes.

    Raises:
        SystemExit: the application or the address is not usable; a log line says why.
    """
    config = ServerConfig(
        app,
        max_connections=fit_open_files(max_connections),
        host=host,
        port=port,
        workers=workers,
        forwarded_allow_ips=forwarded_allow_ips,
        root_path=root_path,
        ws_max_size=max_message_size,
        reload=reload,
        reload_dirs=str(Path(__file__).parent) if reload else None,
{% if cookiecutter.__database %}
        loop=LOOP,
{% endif %}
    )
    server = uvicorn.Server(config)
    failed = False
    with contextlib.suppress(KeyboardInterrupt):
        if config.should_reload:
            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        elif config.workers > 1:
            supervisor = Supervisor(config, sockets=[config.bind_socket()])
            supervisor.run()
            failed = any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes)
        else:
            server.run()
            failed = not server.started
    if failed:
        sys.exit(STARTUP_FAILURE)


def fit_open_files(connections: int) -> int:
    """Raise the limit of open files, often 1024, and return how many connections it allows."""
    if sys.platform != "win32":
        reserved = EXCESS_CONNECTIONS + OTHER_FILES
        needed = connections + BACKLOG + reserved
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < needed:
            soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            if soft < connections + reserved:
                connections = max(1, soft - reserved)
                text = "%d open files allow %d connections only"
                log_state(logger, logging.WARNING, "open_files_low", text, soft, connections)
    return connections


class ServerConfig(uvicorn.Config):
    """The configuration that all workers get, and what each does with it once it is started."""

    def __init__(self, app: Any, *, max_connections: int, **options: Any) -> None:
        super().__init__(
            app,
            http=BoundedHTTPProtocol,
            ws=QuietWebSocketProtocol,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            log_config=None,
            **options,
        )
        self.max_connections = max_connections
        self.is_replacement = False  # for a worker that ended
        # Patched by tests: workers import this module anew, but get the attributes.
        self.exit_seconds = SHUTDOWN_SECONDS - DRAIN_SECONDS

    def load(self) -> None:
        """Import the application; uvicorn calls this once in each process that serves."""
        logger.addFilter(lambda line: line.msg not in REPEATED_LINES)
        if threading.current_thread() is threading.main_thread():
            self.bound_shutdown()
        super().load()
        if self.is_replacement:
            text = "This process replaces another one, which ended or did not respond"
            log_state(logger, logging.ERROR, "worker_replaced", text)
        self.loaded_app = refuse_when_cancelled(self.loaded_app)

    def bound_shutdown(self) -> None:
        """End the process some time after SIGTERM or after its parent, whatever hangs."""
        # Not an Event: a second signal may interrupt the handler, and `put` alone allows that.
        signals: SimpleQueue[int] = SimpleQueue()
        for signum in HANDLED_SIGNALS:
            stop_server = signal.getsignal(signum)  # uvicorn's handler

            def stop(number: int, frame: FrameType | None, stop_server: Any = stop_server) -> None:
                signals.put(number)
                stop_server(number, frame)

            signal.signal(signum, stop)
        if sys.platform != "win32":
            signal.signal(signal.SIGHUP, lambda *_: refuse_reload())
        threading.Thread(target=self.end_process, args=(signals,), daemon=True).start()

    def end_process(self, signals: SimpleQueue[int]) -> None:
        """Wait for a signal or the end of the parent process, then for the rest of the process."""
        parent = multiprocessing.parent_process()
        while not _has_arrived(signals):
            if parent is not None and not parent.is_alive():
                log_state(logger, logging.ERROR, "parent_ended", "The parent process ended")
                self.timeout_graceful_shutdown = ORPHAN_DRAIN_SECONDS
                signal.raise_signal(signal.SIGTERM)
                break
        seconds = self.timeout_graceful_shutdown or 0
        text = "Shutting down: requests in flight have %d seconds"
        log_state(logger, logging.INFO, "shutdown_started", text, seconds)
        time.sleep(seconds + self.exit_seconds)
        text = "Shutdown took too long; exiting before it is complete"
        log_state(logger, logging.ERROR, "shutdown_too_slow", text)
        os._exit(1)


def _has_arrived(signals: SimpleQueue[int]) -> bool:
    try:
        signals.get(timeout=1)
    except Empty:
        return False
    return True


class Supervisor(Multiprocess):
    """The parent process of several workers."""

    config: ServerConfig

    def keep_subprocess_alive(self) -> None:
        """Replace workers that ended; the new ones log it, because they also export metrics."""
        self.config.is_replacement = True
        super().keep_subprocess_alive()
        self.config.is_replacement = False

    def terminate_all(self) -> None:
        """Close the listening sockets too; the system accepts connections while one is open."""
        for socket in self.sockets:
            socket.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Refuse to replace the workers: the parent would keep the settings that it has read."""
        refuse_reload()


def refuse_reload() -> None:
    """Log that SIGHUP does nothing."""
    text = "SIGHUP does not reload settings; restart the service instead"
    log_state(logger, logging.WARNING, "reload_refused", text)


def refuse_when_cancelled(app: Any) -> Any:
    """Send 503 for a request that uvicorn cancels at the end of the drain, without a traceback."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if scope["type"] == "lifespan" or task is None or not task.cancelling():
                raise
            # RuntimeError: the response has started. A second cancellation ends a blocked send.
            with contextlib.suppress(RuntimeError, asyncio.CancelledError):
                if scope["type"] == "http":
                    await send_unavailable(send)

    return run
