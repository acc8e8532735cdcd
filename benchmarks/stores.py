"""Servers of PostgreSQL and Redis for the benchmarks, where this machine has the programs."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from over_socket import free_port


@contextmanager
def run_redis(folder: Path) -> Iterator[str | None]:
    """Run a Redis that saves nothing, and yield its URL; None where there is no Redis."""
    program = shutil.which("redis-server")
    if not program:
        yield None
        return
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@contextmanager
def run_postgresql(folder: Path) -> Iterator[str | None]:
    """Run a new PostgreSQL, and yield the URL of its database; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb") or (found and str(found[-1]))
    if not program:
        yield None
        return
    programs = Path(program).resolve().parent
    # Its programs refuse to run as root.
    user = "postgres" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
    folder.mkdir()
    if user:
        shutil.chown(folder, user)
        for parent in folder.parents[:-2]:
            parent.chmod(0o755)
    port, data = free_port(), folder / "data"

    def execute(*command: str | Path) -> None:
        subprocess.run(
            [str(part) for part in (programs / command[0], *command[1:])],
            cwd=folder,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )

    execute("initdb", "--auth=trust", "--username=bench", "--encoding=UTF8", "--no-sync", data)
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    execute("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
    try:
        yield f"postgresql://bench@127.0.0.1:{port}/postgres"
    finally:
        execute("pg_ctl", "stop", "-w", "-m", "fast", "-D", data)


def wait_for_port(port: int) -> None:
    """Wait until a server listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError("a server does not listen")
