"""Requests one URL over 16 connections as fast as possible, on machines without `wrk`.

python load.py SECONDS URL [HEADER ...]
"""

import asyncio
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 16


async def ask(port: int, request: bytes, deadline: float) -> int:
    """Send a request again and again over one connection; return the number of responses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    responses = 0
    while time.perf_counter() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 2"):
            print("Non-2xx or 3xx responses")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        responses += 1
    writer.close()
    return responses


async def main(seconds: float, url: str, headers: list[str]) -> None:
    """Print the number of responses in the format of `wrk`."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
    started = time.perf_counter()
    asking = [
        ask(parts.port or 80, "\r\n".join(lines).encode(), started + seconds)
        for _ in range(CONNECTIONS)
    ]
    responses = sum(await asyncio.gather(*asking))
    taken = time.perf_counter() - started
    print(f"{responses} requests in {taken:.2f}s\nRequests/sec: {responses / taken:.2f}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
