"""CPU time per request, by calling the applications without a server: run in a process of its own.

Prints a line of JSON for each round, so that the caller can show the progress.
"""

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from contestants import CONTESTANTS, REFERENCE, SERVICES, Contestant, generated

UPLOAD = json.dumps({"text": "x" * (1024 * 1024)}).encode()
CHUNK = 64 * 1024
BLOCK = 0.003  # seconds of CPU that one measurement takes, about
SLOW = 0.02  # what takes longer is measured in the first round only
KINDS = ("key", "keyless", "wrong key", "upload", "public")


@dataclass
class Case:
    """One kind of request to one application, and what it is compared with."""

    contestant: str
    kind: str
    call: Callable[[], Awaitable[int]]
    reference: Callable[[], Awaitable[int]]
    status: int = 0
    repeat: int = 1
    slow: bool = False


def request(contestant: Contestant, kind: str) -> Callable[[], Awaitable[int]]:
    """Return a function that sends a request of this kind and returns the status."""
    query, sent = credentials(contestant, kind)
    headers = [(b"host", b"bench.test"), (b"user-agent", b"bench/1.0"), (b"accept", b"*/*"), *sent]
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


def credentials(contestant: Contestant, kind: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the query and the headers with the key that a request of this kind has, if any."""
    key = {"key": contestant.key, "wrong key": contestant.wrong_key}.get(kind)
    if not key:
        return b"", []
    if contestant.location == "query":
        return f"{contestant.parameter}={key}".encode(), []
    if contestant.location == "cookie":
        return b"", [(b"cookie", f"{contestant.parameter}={key}".encode())]
    return b"", [(contestant.parameter.lower().encode(), key.encode())]


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


def cases(name: str, contestant: Contestant, bare: Contestant) -> list[Case]:
    """Return what is measured of an application.

    Bare FastAPI gets the same request beside it: the same path, and a key in the same place. Only
    the large body it is spared, which would cost it more than any refusal.
    """
    twin = replace(contestant, app=bare.app)
    kinds = [kind for kind in KINDS if kind == "key" or contestant.protected or kind == "public"]
    return [
        Case(
            name,
            kind,
            request(contestant, kind),
            request(twin, "keyless" if kind == "upload" else kind),
        )
        for kind in kinds
        if kind != "public" or (contestant.has_public and name != REFERENCE)
    ]


def every_case(only: str) -> tuple[list[Case], dict[str, str]]:
    """Return all cases, and why those applications are missing that do not run."""
    found, missing, bare = [], {}, CONTESTANTS[REFERENCE]()
    for name, make in CONTESTANTS.items():
        if only in name or name == REFERENCE:
            try:
                found += cases(name, make(), bare)
            except Exception as error:  # a peer may not run on today's FastAPI: that is a result
                missing[name] = f"{type(error).__name__}: {error}"
    return found, missing


def key_cases(counts: list[int]) -> list[Case]:
    """Return one case for each number of configured keys, which is compared with one key."""
    answers = SERVICES["ours: header, whole_app"]
    one = request(generated(answers), "key")
    return [
        Case(
            "1 key" if count == 1 else f"{count} keys",
            "key",
            request(generated(answers, keys=count), "key"),
            one,
        )
        for count in counts
    ]


async def prepare(case: Case) -> None:
    """Check the responses, and find how many calls make a measurement."""
    case.status = await case.call()
    passes = case.kind in ("key", "public")
    if passes != (case.status == 200) or await case.reference() != 200:
        raise SystemExit(f"{case.contestant} responds {case.status} to a request: {case.kind}")
    taken = await seconds(case.call, 1)
    case.slow = taken > SLOW
    while not case.slow and (taken := await seconds(case.call, case.repeat)) < BLOCK / case.repeat:
        case.repeat = max(case.repeat * 2, int(BLOCK / max(taken, 1e-6)))


async def seconds(call: Callable[[], Awaitable[int]], repeat: int) -> float:
    """Return the seconds of CPU that a call takes, once the caches of the processor know it."""
    for _ in range(repeat // 8):
        await call()
    started = time.process_time()
    for _ in range(repeat):
        await call()
    return (time.process_time() - started) / repeat


async def measure(case: Case, *, reference_first: bool) -> list[float]:
    """Return the seconds of CPU per call, of the case and of its reference beside it."""
    repeat = max(case.repeat, 64)
    if reference_first:
        reference = await seconds(case.reference, repeat)
        return [await seconds(case.call, case.repeat), reference]
    return [await seconds(case.call, case.repeat), await seconds(case.reference, repeat)]


async def run(found: list[Case], rounds: int) -> None:
    """Measure all cases in turn, round after round, and print each round."""
    for case in found:
        await prepare(case)
    status = [[case.contestant, case.kind, case.status] for case in found]
    print(json.dumps({"cases": status}), flush=True)
    gc.collect()
    gc.freeze()
    for number in range(rounds):
        time.sleep(0.05)  # the caller has read the last round, and leaves the processor alone
        measured = [
            None if case.slow and number else await measure(case, reference_first=number % 2 == 0)
            for case in found
        ]
        print(json.dumps({"round": measured}), flush=True)


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
