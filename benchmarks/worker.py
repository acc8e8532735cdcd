"""Measures one application, called without a server: `in_process.py` runs and asks it.

Each line of standard input is a request as JSON. The response is the status and the seconds of CPU
that a call takes.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from contestants import APPLICATIONS, Contestant

UPLOAD = json.dumps({"text": "x" * (1024 * 1024)}).encode()
CHUNK = 64 * 1024
BLOCK = 0.003  # seconds of CPU that one measurement takes, about
SLOW = 0.02  # what takes longer is called once

Call = Callable[[], Awaitable[int]]


def sender(app: Any, request: dict[str, Any]) -> Call:
    """Return a function that sends a request, as a server does, and returns the status."""
    body = UPLOAD if request["upload"] else b""
    sent_headers = {"host": "bench.test", "user-agent": "bench/1.0", "accept": "*/*"}
    if body:
        sent_headers |= {"content-type": "application/json", "content-length": str(len(body))}
    headers = [
        (name.encode(), value.encode())
        for name, value in {**sent_headers, **request["headers"]}.items()
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST" if body else "GET",
        "scheme": "http",
        "path": request["path"],
        "raw_path": request["path"].encode(),
        "root_path": "",
        "query_string": request["query"].encode(),
        "client": ("127.0.0.1", 50000),
        "server": ("bench.test", 80),
    }

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

        await app({**scope, "headers": [*headers], "state": {}}, receive, send)
        return status

    return send_request


async def seconds(call: Call, repeat: int) -> float:
    """Return the seconds of CPU that a call takes, once the caches of the processor know it."""
    for _ in range(repeat // 8):
        await call()
    started = time.process_time()
    for _ in range(repeat):
        await call()
    return (time.process_time() - started) / repeat


async def find_repeat(call: Call) -> int:
    """Return how many calls make a measurement."""
    repeat, taken = 1, await seconds(call, 1)
    while taken < SLOW and (taken := await seconds(call, repeat)) < BLOCK / repeat:
        repeat = max(repeat * 2, int(BLOCK / max(taken, 1e-6)))
    return repeat


async def measure(app: Any) -> None:
    """Measure each request that is asked for."""
    prepared: dict[str, tuple[Call, int, int]] = {}
    for line in sys.stdin:
        if line not in prepared:
            call = sender(app, json.loads(line))
            prepared[line] = (call, await call(), await find_repeat(call))
            gc.collect()
            gc.freeze()
        call, status, repeat = prepared[line]
        print(json.dumps({"status": status, "seconds": await seconds(call, repeat)}), flush=True)


def describe(contestant: Contestant) -> dict[str, Any]:
    """Return what one has to know to send requests to a contestant."""
    names = ("location", "parameter", "key", "wrong_key", "has_public", "protected")
    return {name: getattr(contestant, name) for name in names}


def main(name: str) -> None:
    """Make an application and measure it."""
    try:
        contestant = APPLICATIONS[name]()
    except Exception as error:  # a peer may not run on today's FastAPI: that is a result
        print(json.dumps({"missing": f"{type(error).__name__}: {error}"}))
        return
    print(json.dumps(describe(contestant)), flush=True)
    asyncio.run(measure(contestant.app))


if __name__ == "__main__":
    main(sys.argv[1])
