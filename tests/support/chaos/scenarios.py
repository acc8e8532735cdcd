"""How the processes of a service start, end and are replaced, each with a service of its own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.chaos.report import Row
from support.chaos.world import CACHE_SECONDS, World, make_world
from support.keys import key_module, new_key
from support.live import parse
from support.postgresql import Postgres
from support.redis_server import Redis
from support.rollout import Rollout, rotate
from support.waiting import run_async

# compose and Kubernetes kill after 30 seconds.
SHUTDOWN_SECONDS = 25
RESET_BY_PEER = (ConnectionRefusedError, ConnectionResetError)


@dataclass
class Scenario:
    """A scenario that starts and stops a service of its own."""

    name: str
    promise: str
    play: Callable[["Stage"], tuple[str, float]]
    # How many seconds it may take.
    most: float
    quick: bool = False

    def run(self, project: Path, folder: Path, postgres: Postgres, redis: Redis) -> Row:
        """Play it, and judge what was seen."""
        stage = Stage(project, folder, postgres, redis)
        try:
            seen, seconds = self.play(stage)
        except AssertionError as error:
            row = Row(self.name, self.promise, "")
            row.broken = [str(error).partition("\n")[0][:200]]
            return row
        row = Row(self.name, self.promise, seen, recovered=seconds, lines=stage.lines)
        if seconds > self.most:
            row.broken.append(f"it took more than {self.most:.0f} s")
        if row.lines["traceback"]:
            row.broken.append("a traceback")
        return row


class Stage:
    """Where a scenario is played."""

    def __init__(self, project: Path, folder: Path, postgres: Postgres, redis: Redis) -> None:
        self.project = project
        self.folder = folder
        self.postgres = postgres
        self.redis = redis
        self.lines = Row("", "", "").lines

    @contextmanager
    def world(self, **settings: str) -> Iterator[World]:
        """Run a service, which the scenario ends."""
        with (
            contextlib.suppress(ProcessLookupError),
            make_world(self.project, self.folder, self.postgres, self.redis, **settings) as world,
        ):
            line = world.line_count()
            yield world
            self.lines = world.lines(line)


def send(
    world: World, path: str, key: str, method: str = "GET", body: bytes = b""
) -> socket.socket:
    """Send a request, or its beginning, and return its connection."""
    connection = socket.create_connection(("127.0.0.1", world.live.port), timeout=60)
    headers = ["Content-Type: application/json"] if body else []
    request = world.live.request(path, key, method=method, headers=headers, body=body)
    connection.sendall(request[:-10] if body else request)
    time.sleep(0.5)
    return connection


def receive(connection: socket.socket) -> int:
    """Return the status of the response; 0 when the connection was reset."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    connection.close()
    return parse(received).status


def is_open(world: World) -> bool:
    """Tell whether anything listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", world.live.port), timeout=5).close()
    except RESET_BY_PEER:
        return False
    return True


def wait(condition: Callable[[], bool], seconds: float = 60) -> float:
    """Wait for a condition, and return the seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, "the condition never held"
        time.sleep(0.05)
    return time.monotonic() - began


def is_running(process: int) -> bool:
    """Tell whether a process runs."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def terminate(stage: Stage) -> tuple[str, float]:
    """Stop two workers while one waits for the rest of a body."""
    with stage.world() as world, world.traffic() as traffic:
        time.sleep(1)
        slow = send(world, "/admin/password_reset", world.live.keys["admin"], "POST", b"{" * 40)
        leader, began = world.leader(), time.monotonic()
        world.signal(signal.SIGTERM)
        refused = wait(lambda: not is_open(world))
        status = receive(slow)
        wait(lambda: not is_running(leader))
        seconds = time.monotonic() - began
        traffic.stopped = True
        hung = [s for s in traffic.since(began - 1) if s.seconds > 2]
        statuses = sorted({s.status for s in traffic.seen if s.kind == "known"} - {0})
    assert status == 503, f"the cancelled request got {status}"
    assert not hung, f"{len(hung)} requests hung"
    assert statuses == [200], f"statuses {statuses}"
    return f"refused after {refused:.1f} s, the cancelled request got 503", seconds


def terminate_without_database(stage: Stage) -> tuple[str, float]:
    """Stop two workers while PostgreSQL hangs and a key waits to be looked up."""
    with stage.world() as world:
        assert receive(send(world, "/users/me", world.live.keys["web"])) == 200
        unknown = key_module(stage.project)["generate_key"]()
        with stage.postgres.frozen():
            waiting = send(world, "/users/me", unknown)
            leader, began = world.leader(), time.monotonic()
            world.signal(signal.SIGTERM)
            status = receive(waiting)
            wait(lambda: not is_running(leader))
            seconds = time.monotonic() - began
    assert status == 503, f"the request that waited got {status}"
    return "the waiting request got 503", seconds


def kill_parent(stage: Stage) -> tuple[str, float]:
    """Kill the parent of two workers."""
    if sys.platform == "win32":
        raise NotImplementedError
    with stage.world() as world:
        workers, began = world.workers(), time.monotonic()
        world.signal(signal.SIGKILL)
        wait(lambda: not is_open(world))
        wait(lambda: not any(map(is_running, workers)))
        return f"{len(workers)} workers ended", time.monotonic() - began


def revoke_from_afar(stage: Stage) -> tuple[str, float]:
    """Revoke a key that is in use with a slow PostgreSQL."""
    with stage.world() as world:
        key, key_id = world.create_key("leaver")
        world.to_postgres.round_trip = 0.3
        for _ in range(20):
            assert world.live.status_for(key) == 200
        world.revoke_key(key_id)
        revoked, accepted = time.monotonic(), 0.0
        while time.monotonic() < revoked + 3 * CACHE_SECONDS:
            began = time.monotonic()
            if world.live.status_for(key) == 200:
                accepted = began - revoked
    return "both workers refuse the key", accepted


def roll_out(stage: Stage) -> tuple[str, float]:
    """Change a key in two rolling restarts."""
    folder = stage.folder / "rollout"
    folder.mkdir()
    began = time.monotonic()
    rollout = Rollout(stage.project.parent / "rolled/my-service", folder)
    load = run_async(rotate(rollout, new_key(rollout.project), new_key(rollout.project)))
    right = load.responses.count("HTTP/1.1 200 OK")
    opened = load.handshakes.count("101")
    text = (
        f"{right} of {len(load.responses)} requests and streams, {opened} of {len(load.handshakes)}"
    )
    assert (right, opened) == (len(load.responses), len(load.handshakes)), text
    return f"{text} WebSocket handshakes", time.monotonic() - began


def migrate_often(stage: Stage) -> tuple[str, float]:
    """Migrate a new SQLite file four times at once."""
    folder = stage.folder / "migrate"
    folder.mkdir()
    env = {**os.environ, "PYTHONPATH": str(stage.project / "src")}
    env["DATABASE_URL"] = f"sqlite:///{folder / 'keys.db'}"
    began = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "my_service", "migrate"],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    printed = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, str(printed)
    created = sum("Before: none." in out for out, _ in printed)
    waited = sum("waiting for it" in error for _, error in printed)
    assert created == 1, str(printed)
    return (
        f"one process created the tables; {waited} had to wait",
        time.monotonic() - began,
    )


def start_wrongly(stage: Stage) -> tuple[str, float]:
    """Start with configurations that only the owner can correct."""
    with stage.world() as world:
        settings = world.direct_settings()
        settings["PORT"] = "1"
        url = settings["DATABASE_URL"]
        user, _, rest = url.removeprefix("postgresql://").partition(":")
        _, _, place = rest.partition("@")
        server = place.partition("/")[0]
        cases = {
            "wrong password": f"postgresql://{user}:wrong@{place}",
            "no such user": f"postgresql://nobody:{rest}",
            "no such database": url.replace(f"@{place}", f"@{server}/nothing"),
            "no tables": url.replace(f"@{place}", f"@{server}/{empty_database(stage)}"),
        }
        began, said = time.monotonic(), []
        for case, wrong in cases.items():
            status, errors = try_to_serve(stage, {**settings, "DATABASE_URL": wrong})
            assert status not in (0, None), f"{case}: it started"
            assert len(errors) == 1, f"{case}: {len(errors)} lines: {errors}"
            said.append(case)
        world.execute("REVOKE SELECT ON api_keys FROM service")
        status, errors = try_to_serve(stage, settings)
        assert status not in (0, None), "no permission: it started"
        assert len(errors) == 1, f"no permission: {errors}"
        return f"refused, each with one line: {', '.join([*said, 'no permission'])}", (
            time.monotonic() - began
        )


def empty_database(stage: Stage) -> str:
    """Return the name of a database without tables, which the user of the service may open."""
    return stage.postgres.database().rpartition("/")[2]


def try_to_serve(stage: Stage, settings: dict[str, str]) -> tuple[int | None, list[str]]:
    """Start a service that must not start; return its exit status and the lines above `info`."""
    process = subprocess.run(
        [sys.executable, "-m", "my_service", "serve"],
        cwd=stage.folder,
        env={**settings, "WORKERS": "1", "PORT": "18181"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = (process.stdout + process.stderr).splitlines()
    levels = [json.loads(line)["level"] if line.startswith("{") else "?" for line in lines]
    return process.returncode, [
        line for line, level in zip(lines, levels, strict=True) if level not in ("INFO", "WARNING")
    ]


SCENARIOS = [
    Scenario(
        "SIGTERM while a client is slow",
        "new connections are refused; requests have 20 s to finish, the process has 25 s",
        terminate,
        SHUTDOWN_SECONDS,
    ),
    Scenario(
        "SIGTERM while PostgreSQL hangs",
        "the process ends within 25 s",
        terminate_without_database,
        SHUTDOWN_SECONDS,
        quick=True,
    ),
    Scenario("the parent process is killed", "the workers end within 10 s", kill_parent, 10),
    Scenario(
        "a key is revoked with a round trip of 300 ms to PostgreSQL",
        f"the key is refused within {CACHE_SECONDS} s and a round trip",
        revoke_from_afar,
        CACHE_SECONDS + 1,
    ),
    Scenario(
        "two rolling restarts change a key",
        "no request and no handshake fails",
        roll_out,
        60,
    ),
    Scenario(
        "four processes migrate a new SQLite file",
        "one process migrates, the others wait",
        migrate_often,
        60,
    ),
    Scenario(
        "the configuration is wrong at the start",
        "the service does not start, and logs one line with the reason",
        start_wrongly,
        60,
    ),
]
