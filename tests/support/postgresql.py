"""A real PostgreSQL, which tests start, stop and freeze."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest

from support.machine import missing
from support.server_process import free_port

# It keeps nothing when the machine fails, says what it is asked, and listens nowhere else.
SERVER_OPTIONS = ["fsync=off", "log_statement=all", "listen_addresses='127.0.0.1,::1'"]
SERVER_OPTIONS += ["unix_socket_directories=''", "lc_messages=C"]


@dataclass
class Postgres:
    """A server of PostgreSQL with a password, in a folder of its own."""

    programs: Path
    folder: Path
    user: str | None
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    port: int = field(default_factory=free_port)
    numbers: Iterator[int] = field(default_factory=count)

    def execute(self, program: str, *options: str | Path) -> None:
        """Run one of its programs, which refuse to run as root."""
        # What it starts keeps what it prints: in a pipe that would never end.
        with (self.folder / "programs.log").open("a") as log:
            subprocess.run(
                [str(part) for part in (self.programs / program, *options)],
                cwd=self.folder,
                user=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                timeout=120,
            )

    def make(self) -> None:
        """Make the folder of its data."""
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self.user:
            shutil.chown(self.folder, self.user)
            shutil.chown(secret, self.user)
        self.folder.chmod(0o700)
        options = ["--auth=scram-sha-256", "--username=owner", "--encoding=UTF8", "--no-sync"]
        self.execute("initdb", *options, f"--pwfile={secret}", self.folder / "data")
        with (self.folder / "data/postgresql.conf").open("a") as config:
            config.write("\n".join([*SERVER_OPTIONS, f"port={self.port}", ""]))

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.execute("pg_ctl", "start", "-w", "-D", self.folder / "data", "-l", self.folder / "log")

    def stop(self) -> None:
        """Stop it at once, even if clients are connected."""
        self.execute("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.folder / "data")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it take connections, and answer none."""
        if sys.platform == "win32":
            pytest.skip("Windows has no signal for it")
        leader = int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        processes = [leader, *map(int, children)]
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)

    def database(self) -> str:
        """Return the URL of a new database."""
        name = f"keys_{next(self.numbers)}"
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://owner:{self.password}@127.0.0.1:{self.port}/{name}"

    def asked(self, text: str) -> int:
        """Return how many statements with this text it was asked so far."""
        log = (self.folder / "log").read_text(encoding="utf-8")
        return len(re.findall(f"^.*(?:statement|execute .*): .*{text}", log, re.MULTILINE))


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a server for as long as the block lasts."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb") or (found and found[-1])
    if not program:
        missing("no PostgreSQL: install it (Debian: apt install postgresql)")
    as_root = sys.platform != "win32" and os.geteuid() == 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = Postgres(
            Path(program).resolve().parent, Path(folder), "postgres" if as_root else None
        )
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a running server."""
    with run_postgres() as server:
        yield server
