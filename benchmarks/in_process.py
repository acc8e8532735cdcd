"""CPU time per request, by calling the applications without a server: run in a process of its own.

Prints a line of JSON for each round, so that whoever waits can show how far it is.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from contestants import CONTESTANTS, Contestant, generated

UPLOAD = json.dumps({"text": "x" * (1024 * 1024)}).encode()
CHUNK = 64 * 1024
ROUND = 0.01  # seconds of CPU that one measurement of a round takes, at least


@dataclass
class Case:
    """One kind of request to one application."""

    contestant: str
    kind: str
    call: Callable[[], Awaitable[int]]
    status: int = 0
    repeat: int = 1


def request(contestant: Contestant, kind: str) -> Callable[[], Awaitable[int]]:
    """Return a function that sends a request of this kind and returns the status of the answer."""
    key = {"key": contestant.key, "wrong key": contestant.wrong_key}.get(kind)
    headers = [(b"host", b"bench.test"), (b"user-agent", b"bench/1.0"), (b"accept", b"*/*")]
    query = b""
    if key and contestant.location == "query":
        query = f"{contestant.parameter}={key}".encode()
    elif key and contestant.location == "cookie":
        headers.append((b"cookie", f"{contestant.parameter}={key}".encode()))
    elif key:
        headers.append((contestant.parameter.lower().encode(), key.encode()))
    body = UPLOAD if kind == "upload" else b""
    if body:
        headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(body)).encode()))
    path = "/public" if kind == "public" else "/item"
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 50000),
        "server": ("bench.test", 80),
    }
    return sender(contestant.app, scope, body)


def sender(app: Any, scope: dict[str, Any], body: bytes) -> Callable[[], Awaitable[int]]:
    """Return a function that calls an application with a copy of the scope, as a server does."""

    async def send_request() -> int:
        sent, status = 0, 0

        async def receive() -> dict[str, Any]:
            nonlocal sent
            part = body[sent : sent + CHUNK]
            sent += CHUNK
            return {"type": "http.request", "body": part, "more_body": sent < len(body)}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        await app({**scope, "headers": list(scope["headers"]), "state": {}}, receive, send)
        return status

    return send_request


def cases(name: str, contestant: Contestant) -> list[Case]:
    """Return what is measured of an application."""
    kinds = ["key", "keyless", "wrong key", "upload"]
    if contestant.has_public:
        kinds.append("public")
    if name == "bare FastAPI":
        kinds = ["key"]
    return [Case(name, kind, request(contestant, kind)) for kind in kinds]


def every_case(only: str) -> tuple[list[Case], dict[str, str]]:
    """Return all cases, and why those applications are missing that do not run."""
    found, missing = [], {}
    for name, make in CONTESTANTS.items():
        if only in name or name == "bare FastAPI":
            try:
                found += cases(name, make())
            except Exception as error:  # a peer may not run on today's FastAPI: that is a result
                missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def key_cases(counts: list[int]) -> list[Case]:
    """Return one case for each number of configured keys."""
    made = {count: generated("header", "whole_app", keys=count) for count in counts}
    return [
        Case(f"{count} keys", "key", request(contestant, "key"))
        for count, contestant in made.items()
    ]


async def prepare(case: Case) -> None:
    """Call once, look at the answer, and find how many calls make a measurement."""
    case.status = await case.call()
    if (case.status == 200) != (case.kind in ("key", "public")):
        raise SystemExit(f"{case.contestant} answers {case.status} to a request: {case.kind}")
    case.repeat = 1
    while (taken := await measure(case) * case.repeat) < ROUND and case.repeat < 4096:
        case.repeat = max(case.repeat * 2, int(case.repeat * ROUND / max(taken, 1e-4)))


async def measure(case: Case) -> float:
    """Return seconds of CPU per call."""
    started = time.process_time()
    for _ in range(case.repeat):
        await case.call()
    return (time.process_time() - started) / case.repeat


async def run(found: list[Case], rounds: int) -> None:
    """Measure all cases in turn, round after round, and print each round."""
    for case in found:
        await prepare(case)
    status = [[case.contestant, case.kind, case.status] for case in found]
    print(json.dumps({"cases": status}), flush=True)
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        print(json.dumps({"round": [await measure(case) for case in found]}), flush=True)


def main() -> None:
    """Measure the contestants, or what more keys cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--keys", type=int, nargs="*", help="numbers of keys to compare instead")
    parser.add_argument("--only", default="", help="contestants whose name holds this")
    options = parser.parse_args()
    found, missing = (key_cases(options.keys), {}) if options.keys else every_case(options.only)
    print(json.dumps({"missing": missing}), flush=True)
    asyncio.run(run(found, options.rounds))


if __name__ == "__main__":
    main()
