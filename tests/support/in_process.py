"""A generated service within the process of the tests, called as a server calls it."""

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from starlette.types import ASGIApp

from support.combinations import Answers, locations_of
from support.keys import new_key
from support.live import NAMES, PATIENT

Headers = list[tuple[bytes, bytes]]


@dataclass
class InProcessService:
    """A generated service within this process."""

    app: ASGIApp
    answers: Answers
    key: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def order(self) -> list[str]:
        """The locations of a key in the order in which they are searched."""
        return locations_of(self.answers)

    def drive(
        self,
        headers: Headers,
        query: bytes = b"",
        path: str = "/users/me",
        *,
        method: str = "GET",
    ) -> int:
        """Call the app as a server does and return the status; remember scope and messages."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": quote_from_bytes(path.encode()).encode(),
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "query_string": query,
            "headers": [(b"host", b"service.test"), *headers],
        }
        self.seen = [scope]

        async def receive() -> dict[str, Any]:
            raise AssertionError("the body was read")

        async def send(message: Any) -> None:
            self.seen.append(message)

        async def call() -> None:
            await self.app(scope, receive, send)

        asyncio.run(call())
        status: int = self.seen[1]["status"]
        return status

    def drive_with_key(self, key: str, path: str = "/users/me") -> int:
        """Call the app with a key where it looks first, and return the status."""
        location = self.order[0]
        name = NAMES[location].encode()
        sent: dict[str, tuple[Headers, bytes]] = {
            "cookie": ([(b"cookie", name + b"=" + key.encode())], b""),
            "header": ([(name.lower(), key.encode())], b""),
            "bearer": ([(name.lower(), b"Bearer " + key.encode())], b""),
            "query": ([], name + b"=" + key.encode()),
        }
        headers, query = sent[location]
        return self.drive(headers, query, path)


@contextmanager
def import_service(project: Path, answers: Answers) -> Iterator[InProcessService]:
    """Import a service here, with one key of the consumer `web`, and forget it afterwards."""
    key, digest = new_key(project)
    root = logging.getLogger()
    before = root.level, [(handler, handler.formatter) for handler in root.handlers]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "src"))
        patch.setenv("API_KEYS", json.dumps([{"consumer": "web", "sha256": digest}]))
        for name, value in PATIENT.items():
            patch.setenv(name, value)
        patch.chdir(project.parent)
        # The service puts its own in their place.
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(sys, "unraisablehook", sys.unraisablehook)
        patch.setattr("threading.excepthook", sys.modules["threading"].excepthook)
        patch.setattr(logging.Handler, "handleError", logging.Handler.handleError)
        import my_service.main

        yield InProcessService(my_service.main.app, answers, key)
    logging.captureWarnings(False)
    for module in [module for module in sys.modules if module.split(".")[0] == "my_service"]:
        del sys.modules[module]
    root.setLevel(before[0])
    for handler, formatter in before[1]:
        handler.setFormatter(formatter)
