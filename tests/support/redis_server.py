"""A real Redis on a free port, which tests may stop, start and freeze."""

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from support.machine import missing
from support.server_process import free_port
from support.waiting import until

PASSWORD = "plugh-xyzzy"  # noqa: S105


@dataclass
class Redis:
    """A server that holds its data in memory alone, and requires a password unless it is empty."""

    program: str
    folder: Path
    options: tuple[str, ...] = ()
    password: str = PASSWORD
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where a client finds it."""
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it answers."""
        options = {
            "bind": "127.0.0.1 -::1",  # "-": where there is IPv6
            "port": str(self.port),
            # For a cluster alone: the default is 10 000 beyond the port, which may be no port.
            "cluster-port": str(free_port()),
            "requirepass": self.password,
            "save": "",
            "dir": str(self.folder),
        }
        command = [part for name, value in options.items() for part in (f"--{name}", value)]
        command = [self.program, *command, *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def client(self, **options: Any) -> Any:
        """Return a client for its administration."""
        options = {"password": self.password or None} | options
        return redis_client.Redis(port=self.port, **options)

    def stop(self) -> None:
        """End it."""
        if self.process:
            self.process.kill()
            self.process.wait(timeout=120)
            self.process = None

    def freeze(self) -> None:
        """Let it hang: its connections stay open, and nothing comes back."""
        if sys.platform == "win32":
            pytest.skip("Windows has no signal for it")
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if sys.platform == "win32":
            pytest.skip("Windows has no signal for it")
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return bool(connection.recv(100))
        except OSError:
            return False


def find_redis() -> str:
    """Return the program that runs a Redis; where CI runs, it has to be there."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if not program:
        missing("no redis-server: install Redis or Valkey (Debian: apt install redis-server)")
    return program


@contextmanager
def run_redis(folder: Path) -> Iterator[Redis]:
    """Run a server for as long as the block lasts."""
    server = Redis(find_redis(), folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """Return a running server."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with run_redis(folder) as server:
        yield server
