"""The processes that serve, and how they end.

`server.py` relies on uvicorn's internals. If these tests fail after an update of uvicorn, adapt it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import (
    protocols,
    server,
)

from .served import Connection, wait_until

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


class Process:
    """A server in a process of its own."""

    def __init__(self, folder: Path, workers: int, patch: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        code = (
            f"import logging, {server.__name__} as server; logging.basicConfig(level='INFO');"
            f"{patch};server.run_server('served:app', host='127.0.0.1',"
            f"port={self.port}, workers={workers})"
        )
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", code],
                stderr=log,
                env={**os.environ, "PYTHONPATH": path, **environment},
            )
        wait_until(self.serves, 30)

    def serves(self) -> bool:
        """Return whether it responds to a request on a new connection."""
        try:
            connection = Connection(self.port)
            with connection.socket:
                connection.get("/a")
                return b"HTTP/1.1 200 " in connection.socket.recv(65536)
        except ConnectionError:
            return False


@contextmanager
def run_process(
    folder: Path, patch: str, workers: int = 1, **environment: str
) -> Iterator[Process]:
    """Run a server in a process, and end it in any case."""
    process = Process(folder, workers, patch, **environment)
    try:
        yield process
    finally:
        if process.popen.poll() is None:
            process.popen.kill()
            process.popen.wait(10)


@needs_signals
def test_requests_cancelled_at_shutdown_get_503(tmp_path: Path) -> None:
    with run_process(tmp_path, "server.DRAIN_SECONDS = 1") as process:
        connection = Connection(process.port)
        connection.get("/slow")
        time.sleep(0.2)
        process.popen.send_signal(signal.SIGTERM)
        response = connection.read()
        connection.socket.close()
        process.popen.wait(10)
        log = process.log.read_text()
    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in response
    assert "Traceback" not in log
    assert log.count("Cancel 1 running task(s)") == 1


@needs_signals
def test_a_hanging_shutdown_is_bounded(tmp_path: Path) -> None:
    patch = "server.DRAIN_SECONDS, server.SHUTDOWN_SECONDS = 0, 1"
    with run_process(tmp_path, patch, SLOW_LIFESPAN="30") as process:
        process.popen.send_signal(signal.SIGTERM)
        process.popen.wait(10)
        assert "Shutdown took too long" in process.log.read_text()


def test_workers_refuse_sighup_and_end_with_parent(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such signals")
    with run_process(tmp_path, "server.SHUTDOWN_SECONDS = 21", workers=2) as process:
        process.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "SIGHUP does not reload" in process.log.read_text())
        assert process.serves()
        process.popen.kill()
        process.popen.wait(10)
        wait_until(lambda: not process.serves(), 10)


@needs_signals
def test_open_files_bound_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda kind: (1024, 4096))
    monkeypatch.setattr("resource.setrlimit", lambda kind, pair: limits.append(pair))
    reserved = protocols.EXCESS_CONNECTIONS + server.OTHER_FILES
    assert server.fit_open_files(1000) == 1000
    assert server.fit_open_files(5000) == 4096 - reserved
    assert limits == [(1000 + server.BACKLOG + reserved, 4096), (4096, 4096)]
