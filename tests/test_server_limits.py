"""A service as shipped holds without a proxy: hostile connections, and how its processes end."""

import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.combinations import Answers, name
from support.commands import run
from support.generation import Bake
from support.live import Live, parse, run_service
from support.server_process import free_port, run_server
from support.waiting import until

SETTINGS: Answers = {"key_location": "header", "protection": "whole_app"}
DATABASE: Answers = {
    "key_location": "bearer",
    "protection": "endpoints",
    "key_store": "database",
}
MEBIBYTE = 1024 * 1024
SIGHUP = "SIGHUP does not reload settings; restart the service instead"

both_stores = pytest.mark.parametrize("answers", [SETTINGS, DATABASE], ids=name)
workers = pytest.mark.parametrize("workers", ["1", "2"])
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture(scope="module", params=[SETTINGS, DATABASE], ids=name)
def shared(
    request: pytest.FixtureRequest, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """Return a running service for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("shared")
    with run_service(bake(**request.param), request.param, folder) as service:
        yield service


@pytest.fixture
def live(
    request: pytest.FixtureRequest, bake: Bake, tmp_path: Path, answers: Answers
) -> Iterator[Live]:
    """Return a running service for one test, which is parametrized with settings for it."""
    with run_service(bake(**answers), answers, tmp_path, **request.param) as service:
        yield service


def lines(live: Live) -> list[dict[str, Any]]:
    """Return the lines of the log."""
    return [json.loads(line) for line in live.log.read_text(encoding="utf-8").splitlines()]


def messages(live: Live, level: str = "") -> list[str]:
    """Return the messages of the log, all or those of one level."""
    return [line["message"] for line in lines(live) if line["level"].startswith(level)]


def count_event(live: Live, event: str) -> int:
    """Return how many lines of the log have an event."""
    return [line.get("event") for line in lines(live)].count(event)


def process_ids(live: Live, kind: str) -> list[int]:
    """Return the ids of the processes that have started: of the `parent` or a `server`."""
    return [int(pid) for pid in re.findall(rf"Started {kind} process \[(\d+)", str(messages(live)))]


def leader(live: Live) -> int:
    """Return the id of the process that was started first."""
    return [*process_ids(live, "parent"), *process_ids(live, "server")][0]


def connect(live: Live) -> socket.socket:
    """Return a connection to a service."""
    return socket.create_connection(("127.0.0.1", live.port), timeout=60)


def read(connection: socket.socket) -> bytes:
    """Return all until the server closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def is_refused(live: Live) -> bool:
    """Return whether the port of a service is closed."""
    try:
        connect(live).close()
    except ConnectionRefusedError:
        return True
    return False


def peak_memory(live: Live) -> int:
    """Return the most bytes of memory that the only process ever had."""
    [pid] = process_ids(live, "server")
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) * 1024


@contextmanager
def request_in_flight(live: Live) -> Iterator[socket.socket]:
    """Open a request whose body is not complete, and which the service therefore waits for."""
    body = b'{"user": 1, "new_password": "correct horse"}'
    json_type = ["Content-Type: application/json"]
    request = live.request(
        "/admin/password_reset", live.keys["admin"], method="POST", headers=json_type, body=body
    )
    with connect(live) as connection:
        connection.sendall(request[:-10])
        time.sleep(0.5)
        connection.settimeout(60)
        yield connection


# Hostile connections


@needs_linux
@pytest.mark.parametrize("mebibytes", [7, 20])
@pytest.mark.parametrize("line", [b"X-A: aaaaaaaaaaaaaaaa\r\n", b"a"], ids=["many", "long"])
def test_a_header_flood_is_refused_and_stalls_nobody(
    shared: Live, mebibytes: int, line: bytes
) -> None:
    shared.ask("/health/ready")
    before = peak_memory(shared)
    flood = line * (mebibytes * MEBIBYTE // len(line))
    received: list[bytes] = []

    def send_flood() -> None:
        with connect(shared) as connection:
            with suppress(ConnectionError):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: service.test\r\nX: " + flood)
            received.append(read(connection))

    thread = threading.Thread(target=send_flood)
    thread.start()
    while thread.is_alive():
        started = time.monotonic()
        assert shared.ask("/health/live").status == 200
        assert time.monotonic() - started < 1
    thread.join()
    assert received[0].startswith(b"HTTP/1.1 431 ")
    assert peak_memory(shared) - before < 4 * MEBIBYTE


def test_slow_and_silent_connections_are_closed(shared: Live) -> None:
    half = shared.request("/users/me", shared.keys["web"])[:-10]
    whole = half.replace(b"Connection: close\r\n", b"")
    opened = [b""] * 20 + [half] * 200 + [whole.split(b"\r\n\r\n")[0] + b"\r\n\r\n"] * 20
    started = time.monotonic()
    connections = [connect(shared) for _ in opened]
    for connection, sent in zip(connections, opened, strict=True):
        connection.sendall(sent)
    ends = []
    for connection in connections:
        read(connection)
        connection.close()
        ends.append(time.monotonic() - started)
    assert min(ends) > 8
    assert max(ends) < 15
    assert shared.ask("/users/me", shared.keys["web"]).status == 200


@both_stores
@pytest.mark.parametrize("live", [{"MAX_CONNECTIONS": "20"}], indirect=True, ids=["20"])
def test_connections_beyond_the_setting_get_503(live: Live) -> None:
    silent = [connect(live) for _ in range(20)]
    time.sleep(0.2)
    refused = live.ask("/users/me", live.keys["web"])
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0
    assert live.handshake("/users/me", live.keys["web"]).status == 503
    for target in ("/health/live", "/health/ready"):
        assert live.ask(target).status == 200
    for connection in silent:
        connection.close()
    until(lambda: live.status_for(live.keys["web"]) == 200)
    assert "Limit of 20 connections reached" in messages(live, "WARNING")


def test_a_refused_websocket_writes_no_error_line(shared: Live) -> None:
    refused = 401 if shared.whole_app else 403
    before = len(lines(shared))
    assert shared.handshake("/feed").status == refused
    assert shared.handshake("/feed", shared.keys["unknown"]).status == refused
    assert shared.handshake("/feed", shared.keys["web"]).status in (403, 404)
    shared.ask("/health/live")
    assert {line["level"] for line in lines(shared)[before:]} <= {"INFO", "WARNING"}


def test_an_oversized_handshake_gets_a_response(shared: Live) -> None:
    before = len(lines(shared))
    for target, header in (("/feed?" + "a" * 9000, "X: a"), ("/feed", "X: " + "a" * 9000)):
        started = time.monotonic()
        assert 400 <= shared.handshake(target, None, header).status < 500
        assert time.monotonic() - started < 2
    assert "ERROR" not in {line["level"] for line in lines(shared)[before:]}


# The end of processes


class Load:
    """Clients that send one request after the other, each on a new connection."""

    def __init__(self, live: Live, clients: int) -> None:
        self.live = live
        self.ended = threading.Event()
        # What each request got, when it was sent and how long it took.
        self.seen: list[tuple[int | str, float, float]] = []
        self.threads = [threading.Thread(target=self.send) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join(30)

    def send(self) -> None:
        """Send requests until the end."""
        while not self.ended.is_set():
            started = time.monotonic()
            result: int | str
            try:
                result = self.live.ask("/users/me", self.live.keys["web"]).status
            except ConnectionError as error:
                result = type(error).__name__
            self.seen.append((result, started, time.monotonic() - started))
            time.sleep(0.01)


@needs_signals
@both_stores
@pytest.mark.parametrize("live", [{"WORKERS": "2"}], indirect=True, ids=["two workers"])
def test_connections_after_sigterm_are_refused_at_once(live: Live) -> None:
    with request_in_flight(live) as slow, Load(live, clients=4) as load:
        time.sleep(1)
        os.kill(leader(live), signal.SIGTERM)
        until(lambda: is_refused(live))
        refused_at = time.monotonic()
        time.sleep(1)
        slow.sendall(b'rrect horse"}'[-10:])
        assert parse(slow.recv(65536)).status in (204, 422)
    assert max(seconds for _, _, seconds in load.seen) < 2
    before = [result for result, started, _ in load.seen if started < refused_at]
    after = [result for result, started, _ in load.seen if started > refused_at]
    assert before.count(200) > 20
    # 0: the connection was closed before its request was read.
    assert set(before) <= {200, 0, "ConnectionRefusedError", "ConnectionResetError"}
    assert set(after) == {"ConnectionRefusedError"}


@needs_signals
@pytest.mark.parametrize("answers", [SETTINGS], ids=name)
@pytest.mark.parametrize("live", [{"WORKERS": "2"}], indirect=True, ids=["two workers"])
def test_a_request_cut_at_the_end_of_the_drain_gets_503(live: Live) -> None:
    with request_in_flight(live) as slow:
        started = time.monotonic()
        os.kill(leader(live), signal.SIGTERM)
        response = parse(read(slow))
        seconds = time.monotonic() - started
    assert response.status == 503
    assert int(response.headers["retry-after"]) > 0
    assert 19 < seconds < 23
    until(lambda: any("Stopping parent process" in message for message in messages(live)))
    assert time.monotonic() - started < 25
    assert [line for line in lines(live) if "exception" in line] == []
    assert len(messages(live, "ERROR")) == 1


@workers
def test_sighup_changes_nothing_and_says_so(bake: Bake, tmp_path: Path, workers: str) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such signals")
    with run_service(bake(**SETTINGS), SETTINGS, tmp_path, WORKERS=workers) as live:
        with request_in_flight(live) as slow:
            os.kill(leader(live), signal.SIGHUP)
            until(lambda: SIGHUP in messages(live, "WARNING"))
            time.sleep(1)
            assert live.status_for(live.keys["web"]) == 200
            slow.sendall(b'rrect horse"}'[-10:])
            assert parse(slow.recv(65536)).status in (204, 422)
        assert messages(live, "WARNING").count(SIGHUP) == 1
        assert len(process_ids(live, "server")) == int(workers)


@both_stores
@pytest.mark.parametrize("live", [{"WORKERS": "2"}], indirect=True, ids=["two workers"])
def test_workers_end_within_10_s_of_their_parent(live: Live) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such signals")
    with request_in_flight(live) as slow:
        started = time.monotonic()
        os.kill(leader(live), signal.SIGKILL)
        assert parse(read(slow)).status == 503
        until(lambda: is_refused(live))
        assert time.monotonic() - started < 10
    assert "The parent process ended" in messages(live, "ERROR")


@pytest.mark.parametrize("answers", [SETTINGS], ids=name)
@pytest.mark.parametrize("live", [{"WORKERS": "2"}], indirect=True, ids=["two workers"])
def test_a_worker_that_replaces_another_says_so(live: Live) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no such signals")
    until(lambda: len(process_ids(live, "server")) == 2)
    assert count_event(live, "worker_replaced") == 0
    workers = process_ids(live, "server")
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: len(process_ids(live, "server")) == 3)
    assert count_event(live, "worker_replaced") == 1
    os.kill(leader(live), signal.SIGTERM)
    until(lambda: count_event(live, "shutdown_started") == 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_disk_that_is_full_stops_nothing(bake: Bake, tmp_path: Path) -> None:
    command = ["sh", "-c", 'exec "$0" -m my_service serve 2>/dev/full', sys.executable]
    with run_service(bake(**SETTINGS), SETTINGS, tmp_path) as live:
        pass
    with run_server(*command, port=live.port, cwd=tmp_path, env=live.variables):
        for _ in range(3):
            assert live.status_for(live.keys["web"]) == 200
            assert live.status_for(live.keys["unknown"]) == 401
            assert live.handshake("/feed").status == 401


@workers
def test_a_port_in_use_ends_the_start(bake: Bake, tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        env = {
            **os.environ,
            "PYTHONPATH": str(bake(**SETTINGS) / "src"),
            "API_KEYS": json.dumps([{"consumer": "web", "sha256": "0" * 64}]),
            "PORT": str(taken.getsockname()[1]),
            "WORKERS": workers,
        }
        finished = run(sys.executable, "-m", "my_service", "serve", cwd=tmp_path, env=env)
    assert finished.returncode not in (0, None)
    assert "address" in finished.stderr.lower()
    assert "Traceback" not in finished.stderr
