"""Servers as processes of their own, on free ports of this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def run_server(
    *command: str | Path,
    port: int,
    cwd: Path,
    host: str = "127.0.0.1",
    env: dict[str, str] | None = None,
    user: int | None = None,
) -> Iterator[Path]:
    """Run a server and yield, once it is ready, the file that takes what it prints."""
    output = cwd / f"server-{port}.log"
    with output.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        try:
            _wait_until_ready(f"http://{host}:{port}/health/ready", process, output)
            yield output
        finally:
            _stop(process)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=60):
                return
        except (URLError, TimeoutError):
            time.sleep(0.05)
    pytest.fail(f"the server did not get ready:\n{output.read_text(encoding='utf-8')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.terminate()
    else:  # the server may be a grandchild: of make, of uv, of its own reloader
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=120)
