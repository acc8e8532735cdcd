"""CPU time per request, by calling applications without a server, each in a process of its own.

In one process, applications that share code would share what Python has specialised in it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contestants import REFERENCE

HERE = Path(__file__).parent
SLOW = 0.02  # seconds: what takes longer is measured in the first round only


class Worker:
    """A process with one application, which measures what it is asked."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.about = self.read()

    def read(self) -> dict[str, Any]:
        """Return the next line that it prints."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise SystemExit(f"a worker failed: {self.process.args!r}")
        read: dict[str, Any] = json.loads(line)
        return read

    def measure(self, request: dict[str, Any]) -> tuple[float, int]:
        """Return the seconds of CPU per request, and the status."""
        assert self.process.stdin  # noqa: S101 - it was made with a pipe
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        told = self.read()
        return float(told["seconds"]), int(told["status"])


@contextmanager
def running(name: str) -> Iterator[Worker]:
    """Run a worker for as long as the block lasts."""
    command = [sys.executable, "-W", "ignore", "worker.py", name]
    environment = {**os.environ, "LOG_LEVEL": "error"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=HERE, env=environment, stdin=pipe, stdout=pipe, text=True
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def make_request(about: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a request of this kind, with the key where the contestant expects it."""
    key = {"key": about["key"], "wrong key": about["wrong_key"]}.get(kind)
    headers, query = {}, ""
    if key and about["location"] == "query":
        query = f"{about['parameter']}={key}"
    elif key and about["location"] == "cookie":
        headers = {"cookie": f"{about['parameter']}={key}"}
    elif key:
        headers = {about["parameter"].lower(): key}
    path = "/public" if kind == "public" else "/item"
    return {"path": path, "query": query, "headers": headers, "upload": kind == "upload"}


def kinds_of(about: dict[str, Any], name: str, reference: str) -> list[str]:
    """Return the kinds of requests that are measured of a contestant."""
    if reference != REFERENCE:
        return ["key"]
    kinds = ["key"]
    if about["protected"]:
        kinds += ["keyless", "wrong key", "upload"]
    if about["has_public"] and name != REFERENCE:
        kinds.append("public")
    return kinds


def compare(
    names: Iterable[str], reference: str, *, parts: int, rounds: int
) -> Iterator[dict[str, Any]]:
    """Measure each contestant beside the reference, each in new processes for every part.

    The reference gets the same request: the same path, and a key in the same place. Only the large
    body it is spared, which would cost it more than any refusal.
    """
    for _ in range(parts):
        with running(reference) as other:
            for name in names:
                with running(name) as own:
                    yield from compare_two(name, own, other, reference, rounds)


def compare_two(
    name: str, own: Worker, other: Worker, reference: str, rounds: int
) -> Iterator[dict[str, Any]]:
    """Measure a contestant and its reference in turn, round after round."""
    if "missing" in own.about:
        yield {"missing": {name: own.about["missing"]}}
        return
    slow: set[str] = set()
    sent_by = own.about if reference == REFERENCE else other.about
    for number in range(rounds):
        time.sleep(0.01)  # the progress bar is drawn by then
        for kind in kinds_of(own.about, name, reference):
            if kind in slow:
                continue
            request = make_request(own.about, kind)
            twin = make_request(sent_by, "keyless" if kind == "upload" else kind)
            if number % 2:
                compared, status = other.measure(twin)
                taken, own_status = own.measure(request)
            else:
                taken, own_status = own.measure(request)
                compared, status = other.measure(twin)
            if status != 200 or (kind in ("key", "public")) != (own_status == 200):
                raise SystemExit(f"{name} responds with {own_status} to a request: {kind}")
            if taken > SLOW:
                slow.add(kind)
            yield {"contestant": name, kind: [taken, compared], "status": {kind: own_status}}
