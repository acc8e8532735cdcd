"""A generated service under attack: started by uvicorn, spoken to in raw bytes."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from support.combinations import Answers, locations_of
from support.commands import run
from support.keys import new_key
from support.server_process import free_port, run_server
from support.template import TEMPLATE

LOCATIONS = ("cookie", "header", "query", "bearer")
SCHEMES = {location: f"ServiceKey{location.title()}" for location in LOCATIONS}
NAMES = {
    "cookie": "__Host-api_key",
    "header": "X-API-Key",
    "query": "api_key",
    "bearer": "Authorization",
}

# The service with what its owner might add.
EXTENDED_APP = "support.apps.extended:app"

# A service that limits calls lets one attacker try everything.
PATIENT = {"RATE_LIMIT": "1000000/minute", "FAILED_ATTEMPTS_LIMIT": "1000000/minute"}


# The databases with keys that were made, by their projects.
_FILES: dict[Path, bytes] = {}
# In one process, which takes half the time of two.
MAKE_DATABASE = """
from my_service.cli import main

for command in (["migrate"], ["keys", "import"]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise
"""


@dataclass
class Response:
    """What came back on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Live:
    """A running service, its keys, and where it looks for them."""

    answers: Answers
    port: int
    log: Path
    keys: dict[str, str]
    digests: dict[str, str]
    environment: str
    variables: dict[str, str]

    @property
    def whole_app(self) -> bool:
        """Whether everything is behind the key."""
        return self.answers["protection"] == "whole_app"

    @property
    def locations(self) -> list[str]:
        """Where the service looks for keys, in its order."""
        return locations_of(self.answers)

    def request(
        self,
        target: str,
        key: str | bytes | None = None,
        *,
        location: str | None = None,
        method: str = "GET",
        headers: list[str] | None = None,
        body: bytes = b"",
    ) -> bytes:
        """Return the bytes of a request with a key where the service looks first, or elsewhere."""
        lines = ["Host: service.test", "Connection: close", *(headers or [])]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        raw = [line.encode("latin-1") for line in lines]
        place = location or self.locations[0]
        path = target.encode("latin-1")
        if key is not None:
            value = key.encode("latin-1") if isinstance(key, str) else key
            if place == "query":
                path += (b"&" if b"?" in path else b"?") + NAMES[place].encode() + b"=" + value
            elif place == "cookie":
                raw.append(b"Cookie: " + NAMES[place].encode() + b"=" + value)
            elif place == "bearer":
                raw.append(NAMES[place].encode() + b": Bearer " + value)
            else:
                raw.append(NAMES[place].encode() + b": " + value)
        start = method.encode() + b" " + path + b" HTTP/1.1"
        return b"\r\n".join([start, *raw, b"", body])

    def send(self, request: bytes) -> Response:
        """Send the bytes of one request and return the response, parsed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                if b"\r\n\r\n" in received and received.startswith(b"HTTP/1.1 101"):
                    break
        return parse(received)

    def ask(self, target: str, key: str | bytes | None = None, **parts: Any) -> Response:
        """Send a request as `request` makes it."""
        return self.send(self.request(target, key, **parts))

    def status_for(self, key: str, target: str = "/users/me") -> int:
        """Return the status of the response to a request with this key."""
        return self.ask(target, key).status

    def handshake(self, target: str, key: str | None = None, *headers: str) -> Response:
        """Try to open a WebSocket."""
        upgrade = [
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *headers,
        ]
        request = self.request(target, key, headers=upgrade)
        return self.send(request.replace(b"Connection: close", b"Connection: Upgrade"))


def parse(received: bytes) -> Response:
    """Return an HTTP response as its parts; an empty one has the status 0."""
    head, _, body = received.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    status = re.match(r"HTTP/1\.1 (\d+)", start)
    fields = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in fields}
    return Response(int(status[1]) if status else 0, headers, body)


def manage(*command: str, cwd: Path, env: dict[str, str]) -> str:
    """Run a command of the service's program and return what it prints."""
    finished = run(sys.executable, "-m", "my_service", *command, cwd=cwd, env=env)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@contextmanager
def run_app(
    project: Path,
    answers: Answers,
    folder: Path,
    *options: str,
    app: str = EXTENDED_APP,
    **settings: str,
) -> Iterator[Live]:
    """Serve an app of a project with uvicorn, on a free port: as it is, or as `apps` extend it."""
    (folder / "page.txt").write_text("hello")
    more = {"DOCS_ENABLED": "true", "STATIC_FILES": str(folder), **settings}
    port = free_port()
    command = ["uvicorn", app, "--port", str(port), "--app-dir", str(TEMPLATE / "tests")]
    with _run_live(project, answers, folder, port, *command, *options, **more) as live:
        yield live


@contextmanager
def run_service(project: Path, answers: Answers, folder: Path, **settings: str) -> Iterator[Live]:
    """Serve a project as its README says, on a free port of this machine."""
    port = free_port()
    settings["PORT"] = str(port)
    with _run_live(project, answers, folder, port, "my_service", "serve", **settings) as live:
        yield live


@contextmanager
def _run_live(
    project: Path, answers: Answers, folder: Path, port: int, *module: str, **settings: str
) -> Iterator[Live]:
    keys, digests = map(dict, _keys_of(project))
    entries: list[dict[str, object]] = [
        {"consumer": "web", "sha256": digests["web"]},
        {"consumer": "admin", "sha256": digests["admin"], "scopes": ["admin"]},
        {"consumer": "old", "sha256": digests["expired"], "expires": "2020-01-31"},
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "API_KEYS": json.dumps(entries),
        "FASTAPI_ENV": "production",
        **(PATIENT if answers.get("rate_limit") == "yes" else {}),
        **settings,
    }
    if answers.get("key_store") == "database":
        _make_database(project, folder, environment)
        del environment["API_KEYS"]
    command = [sys.executable, "-m", *module]
    with run_server(*command, port=port, cwd=folder, env=environment) as log:
        yield Live(answers, port, log, keys, digests, environment["FASTAPI_ENV"], environment)


@cache
def _keys_of(project: Path) -> tuple[dict[str, str], dict[str, str]]:
    pairs = {name: new_key(project) for name in ("web", "admin", "expired", "unknown")}
    keys = {name: key for name, (key, _) in pairs.items()}
    return keys, {name: digest for name, (_, digest) in pairs.items()}


def _make_database(project: Path, folder: Path, environment: dict[str, str]) -> None:
    """Make the tables and import the keys; a file is made once for each project, and copied."""
    kept = _FILES.get(project)
    if kept and "DATABASE_URL" not in environment:
        (folder / "keys.db").write_bytes(kept)
        return
    finished = run(sys.executable, "-c", MAKE_DATABASE, cwd=folder, env=environment)
    assert finished.returncode == 0, finished.stderr
    if "DATABASE_URL" not in environment:
        _FILES[project] = (folder / "keys.db").read_bytes()
