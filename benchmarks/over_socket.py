"""Measures the applications in a server: throughput, CPU time, memory and start-up."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
from contestants import REFERENCE

HERE = Path(__file__).parent
UPLOAD_SIZE = 60 * 1000 * 1000
FLOOD_PIECES = 820  # of 20 KB each
SLOW_CLIENTS = 200
SLOW_SECONDS = 12


@dataclass
class Server:
    """A running server, and how to ask it with a key."""

    process: psutil.Process
    port: int
    headers: list[str]
    target: str
    seconds_to_first_response: float
    log: Path

    def cpu(self) -> float:
        """Return the seconds of CPU that it and its worker processes have used."""
        processes = [self.process, *self.process.children(recursive=True)]
        times = [process.cpu_times() for process in processes]
        return float(sum(time.user + time.system for time in times))

    def memory(self) -> int:
        """Return the bytes of its resident memory."""
        resident: int = self.process.memory_info().rss
        return resident

    def peak_memory(self) -> int:
        """Return the most bytes of resident memory that it ever had; Linux knows."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def allowed_cores() -> list[int]:
    """Return the cores that this process may use; only Linux tells."""
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin_server(pid: int) -> None:
    """Leave a server the first core, and the other ones to its clients; only Linux can."""
    if sys.platform == "linux":
        os.sched_setaffinity(pid, allowed_cores()[:1])


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def command_of(how: str, port: int, workers: int) -> list[str]:
    """Return the command that serves `served:app`: `plain` without logs, `shipped` or `granian`."""
    if how == "shipped":
        return [sys.executable, "shipped.py", str(port), str(workers)]
    if how == "granian":
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--access-log"]
        return [*command, "--port", str(port), "--workers", str(workers), "served:app"]
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", str(port)]
    return [*command, "--loop", "uvloop", "--http", "httptools", "--no-access-log"]


@contextmanager
def serving(contestant: str, how: str = "plain", workers: int = 1) -> Iterator[Server]:
    """Run a server with a contestant; its log goes to a file. One process gets the first core."""
    port = free_port()
    environment = {**os.environ, "CONTESTANT": contestant}
    if how == "plain":
        environment["LOG_LEVEL"] = "error"
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        told, logged = Path(folder, "told.json"), Path(folder, "log")
        environment["TOLD"] = str(told)
        with logged.open("wb") as log:
            started = time.perf_counter()
            process = subprocess.Popen(
                command_of(how, port, workers), cwd=HERE, env=environment, stdout=log, stderr=log
            )
        try:
            if workers == 1:
                pin_server(process.pid)
            wait_for_response(port, process, logged)
            seconds = time.perf_counter() - started
            asked = how_to_ask(json.loads(told.read_text()))
            yield Server(psutil.Process(process.pid), port, *asked, seconds, logged)
        finally:
            end_server(process)


def end_server(process: "subprocess.Popen[bytes]") -> None:
    """Kill a server and its worker processes."""
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


def how_to_ask(told: dict[str, Any]) -> tuple[list[str], str]:
    """Return the headers and the target of a request with a key."""
    if told["location"] == "query":
        return [], f"/item?{told['parameter']}={told['key']}"
    if told["location"] == "cookie":
        return [f"Cookie: {told['parameter']}={told['key']}"], "/item"
    return [f"{told['parameter']}: {told['key']}"], "/item"


def wait_for_response(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a server responds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/public", timeout=5):
                return
        except URLError as error:
            if hasattr(error, "code"):
                return
            time.sleep(0.002)
    raise RuntimeError(f"the server does not respond: {log.read_text()}")


def load(server: Server, seconds: float) -> tuple[float, float | None]:
    """Ask as fast as it goes; return requests per second and seconds of CPU per request.

    What takes longer than all of `seconds` has no figure for one request.
    """
    url = f"http://127.0.0.1:{server.port}{server.target}"
    before = server.cpu()
    if shutil.which("wrk"):
        command = ["wrk", "-t1", "-c16", f"-d{seconds}s", url]
        command += [part for header in server.headers for part in ("-H", header)]
    else:
        command = [sys.executable, str(HERE / "load.py"), str(seconds), url, *server.headers]
    allowed = allowed_cores()
    core = ",".join(map(str, allowed[1:] or allowed))
    pinned = ["taskset", "-c", core, *command] if shutil.which("taskset") else command
    told = subprocess.run(pinned, capture_output=True, text=True, check=True, cwd=HERE).stdout
    if "Non-2xx" in told:
        raise RuntimeError(f"refused: {told}")
    requests = int(re.findall(r"(\d+) requests in", told)[0])
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", told)[0])
    return rate, (server.cpu() - before) / requests if requests else None


def ask_once(server: Server) -> None:
    """Send a request with the key, and wait for the response."""
    headers = dict(header.split(": ", 1) for header in server.headers)
    request = Request(f"http://127.0.0.1:{server.port}{server.target}", headers=headers)
    urlopen(request, timeout=60).close()


def throughput(
    names: list[str],
    rounds: int,
    *,
    how: str = "plain",
    workers: int = 1,
    reference: str = REFERENCE,
    seconds: int = 1,
) -> Iterator[dict[str, Any]]:
    """Measure each contestant in turn, round after round, each time beside the reference.

    Both servers share a core, and one of them waits while the other one is asked.
    """
    beside_how = "plain" if how == "plain" else "shipped"
    with serving(reference, beside_how, workers) as bare:
        load(bare, seconds)  # the first requests are slower
        for _ in range(rounds):
            for name in names:
                with serving(name, how, workers) as server:
                    ask_once(server)
                    load(server, seconds)
                    bare_rate, bare_cpu = load(bare, seconds)
                    rate, cpu = load(server, seconds)
                yield {
                    "contestant": name,
                    "requests/s": [rate, bare_rate],
                    "CPU/request": [cpu, bare_cpu] if cpu else None,
                }


def beside(
    reference: str,
    names: list[str],
    rounds: int,
    measure: Callable[[Server], dict[str, float]],
    how: str = "plain",
) -> Iterator[dict[str, Any]]:
    """Measure each contestant on a server of its own, in turn, round after round."""
    for _ in range(rounds):
        compared: dict[str, float] = {}
        for name in [reference, *names]:
            with serving(name, how) as server:
                measured = measure(server)
            compared = compared or measured
            pairs = {figure: [value, compared[figure]] for figure, value in measured.items()}
            yield {"contestant": name, **pairs}


def start_up(server: Server) -> dict[str, float]:
    """Return the time from the start of the process to its first response."""
    return {"start-up": server.seconds_to_first_response}


def memory(server: Server) -> dict[str, float]:
    """Return resident memory: idle, and the most during an upload that brings no key."""
    idle = server.memory()
    upload(server.port)
    return {"idle": idle, "peak": server.peak_memory()}


def upload(port: int) -> None:
    """Send 60 MB of JSON without a key, as far as the server takes them."""
    head = f"POST /item HTTP/1.1\r\nHost: bench.test\r\nContent-Length: {UPLOAD_SIZE}\r\n"
    head += "Content-Type: application/json\r\nConnection: close\r\n\r\n"
    piece = b"1" * (64 * 1024)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        left = UPLOAD_SIZE
        try:
            while left > 0:
                connection.sendall(piece[:left])
                left -= len(piece)
            while connection.recv(65536):
                pass
        except (ConnectionError, BrokenPipeError):  # refused before it was all sent
            pass


def attack(server: Server) -> dict[str, float]:
    """Return what hostile clients do to a server.

    These are the most resident memory while one connection sends 16 MiB of headers, and how many of
    200 connections are still open 12 seconds after they have sent half a request.
    """
    flood(server.port)
    peak = server.peak_memory()
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            for _ in range(SLOW_CLIENTS)
        ]
        for connection in connections:
            connection.sendall(b"GET /item HTTP/1.1\r\nHost: bench.test\r\n")
        time.sleep(SLOW_SECONDS)
        return {"flood": peak, "slow": sum(map(is_open, connections))}


def flood(port: int) -> None:
    """Send 16 MiB of headers in one request, as far as the server takes them."""
    with ExitStack() as stack:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        stack.enter_context(connection)
        stack.enter_context(suppress(ConnectionError))
        connection.sendall(b"GET /item HTTP/1.1\r\nHost: bench.test\r\n")
        for _ in range(FLOOD_PIECES):
            connection.sendall(b"a:b\r\n" * 3_276)
        connection.sendall(b"\r\n")
        connection.recv(65536)


def is_open(connection: socket.socket) -> bool:
    """Tell whether a server has neither closed a connection nor refused its request."""
    connection.setblocking(False)
    try:
        connection.recv(65536)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False
