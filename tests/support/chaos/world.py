"""A service with two workers, its PostgreSQL and its Redis, and a link to each."""

import json
import os
import re
import secrets
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import psycopg

from support.chaos.link import Link
from support.chaos.traffic import Client, Traffic
from support.combinations import Answers
from support.keys import key_module
from support.live import Live, manage, run_service
from support.postgresql import Postgres
from support.redis_server import Redis

ANSWERS: Answers = {
    "key_location": "header",
    "protection": "whole_app",
    "key_store": "database",
    "rate_limit": "yes",
}
CACHE_SECONDS = 2


@dataclass
class World:
    """What faults are injected into."""

    project: Path
    folder: Path
    postgres: Postgres
    redis: Redis
    to_postgres: Link
    to_redis: Link
    live: Live
    revoked: str

    def admin(self) -> psycopg.Connection[Any]:
        """Return a connection of the administrator, past the link."""
        return psycopg.connect(self.postgres.url_of(self.database), autocommit=True)

    @property
    def database(self) -> str:
        """The name of the database."""
        return self.live.variables["DATABASE_URL"].rpartition("/")[2]

    def execute(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with self.admin() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def end_sessions(self) -> None:
        """End all sessions of the service."""
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'"
        )

    def leader(self) -> int:
        """Return the id of the parent process."""
        log = self.live.log.read_text(encoding="utf-8")
        return int(re.findall(r"Started parent process \[(\d+)", log)[-1])

    def workers(self) -> list[int]:
        """Return the ids of the processes that serve."""
        leader = self.leader()
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return [int(pid) for pid, command in commands.items() if b"spawn_main" in command]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the parent process."""
        os.kill(self.leader(), number)

    def create_key(self, consumer: str) -> tuple[str, str]:
        """Create a key and return it with its id."""
        printed = manage(
            "keys", "create", consumer, "--json", cwd=self.folder, env=self.direct_settings()
        )
        answer = json.loads(printed)
        return answer["key"], str(answer["entry"]["id"])

    def revoke_key(self, key_id: str) -> None:
        """Revoke a key."""
        manage("keys", "revoke", key_id, cwd=self.folder, env=self.direct_settings())

    def direct_settings(self) -> dict[str, str]:
        """Return the settings of commands, which reach the database past the link."""
        url = self.live.variables["DATABASE_URL"]
        direct = url.replace(f":{self.to_postgres.port}/", f":{self.postgres.port}/")
        return {**self.live.variables, "DATABASE_URL": direct}

    def traffic(self) -> Traffic:
        """Return clients of all kinds."""
        key = self.live.keys["web"]
        generate = key_module(self.project)["generate_key"]
        unknown = (generate() for _ in repeat(None))
        return Traffic(
            self.live.port,
            [
                *(Client("known", "/users/me", repeat(key), 0.02) for _ in range(6)),
                *(Client("unknown", "/users/me", unknown, 0.1, keep=False) for _ in range(2)),
                Client("revoked", "/users/me", repeat(self.revoked), 0.1, keep=False),
                Client("ready", "/health/ready", repeat(""), 0.1, keep=False),
                Client("live", "/health/live", repeat(""), 0.1, keep=False),
            ],
        )

    def lines(self, start: int) -> Counter[str]:
        """Return what was logged after this number of lines, by event, without refusals."""
        found: Counter[str] = Counter()
        for text in self.live.log.read_text(encoding="utf-8").splitlines()[start:]:
            line = json.loads(text) if text.startswith("{") else {"message": text, "level": "?"}
            if line["level"] != "INFO" and line.get("event") != "request_refused":
                found[line.get("event") or line["message"].partition(":")[0][:60]] += 1
            if "exception" in line:
                found["traceback"] += 1
        return found

    def line_count(self) -> int:
        """Return how many lines the log has."""
        return len(self.live.log.read_text(encoding="utf-8").splitlines())


@contextmanager
def make_world(
    project: Path, folder: Path, postgres: Postgres, redis: Redis, **settings: str
) -> Iterator[World]:
    """Run a service with two workers under the eyes of an administrator."""
    with ExitStack() as stack:
        links = [Link(postgres.port), Link(redis.port)]
        for link in links:
            stack.callback(link.close)
        url = make_database(postgres, links[0].port)
        variables = {
            "DATABASE_URL": url,
            "RATE_LIMIT_STORAGE_URL": redis.url.replace(f":{redis.port}/", f":{links[1].port}/"),
            "KEY_CACHE_SECONDS": str(CACHE_SECONDS),
            "WORKERS": "2",
            **settings,
        }
        live = stack.enter_context(run_service(project, ANSWERS, folder, **variables))
        world = World(project, folder, postgres, redis, links[0], links[1], live, "")
        world.revoked, key_id = world.create_key("gone")
        world.revoke_key(key_id)
        wait_for_workers(world)
        yield world


def make_database(postgres: Postgres, port: int) -> str:
    """Return the URL of a new database, over a port, for a user without privileges elsewhere."""
    name = postgres.database().rpartition("/")[2]
    password = secrets.token_hex(8)
    with psycopg.connect(postgres.url_of(name), autocommit=True) as connection:
        [(exists,)] = connection.execute(
            b"SELECT count(*) FROM pg_roles WHERE rolname = 'service'"
        ).fetchall()
        verb = "ALTER" if exists else "CREATE"
        for statement in (
            f"{verb} ROLE service LOGIN PASSWORD '{password}'",
            f"ALTER DATABASE {name} OWNER TO service",
            "ALTER SCHEMA public OWNER TO service",
        ):
            connection.execute(statement.encode())
    return f"postgresql://service:{password}@127.0.0.1:{port}/{name}"


def wait_for_workers(world: World) -> None:
    """Return when both workers serve."""
    deadline = time.monotonic() + 30
    while len(world.workers()) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
