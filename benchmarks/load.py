"""Requests one URL over 16 connections as fast as possible, on machines without `wrk`.

python load.py SECONDS URL [HEADER ...]
"""

import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

CONNECTIONS = 16


def is_complete(received: bytes) -> bool:
    """Tell whether these bytes are a whole response; say so if it is no success."""
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if not head.startswith(b"HTTP/1.1 2"):
        print("Non-2xx or 3xx responses")
    return len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])


def ask(port: int, request: bytes, deadline: float) -> int:
    """Send a request over all connections again and again; return the number of responses."""
    responses, parts = 0, {}
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(request)
            parts[connection] = b""
        while time.perf_counter() < deadline:
            for key, _ in selector.select(timeout=1):
                ready: socket.socket = key.fileobj  # type: ignore[assignment]
                received = ready.recv(65536)
                if not received:
                    raise SystemExit("the server closed a connection")
                parts[ready] += received
                if is_complete(parts[ready]):
                    responses += 1
                    parts[ready] = b""
                    ready.sendall(request)
        for connection in parts:
            connection.close()
    return responses


def main(seconds: float, url: str, headers: list[str]) -> None:
    """Print the number of responses in the format of `wrk`."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
    started = time.perf_counter()
    responses = ask(parts.port or 80, "\r\n".join(lines).encode(), started + seconds)
    taken = time.perf_counter() - started
    print(f"{responses} requests in {taken:.2f}s\nRequests/sec: {responses / taken:.2f}")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2], sys.argv[3:])
