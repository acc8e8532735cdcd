"""A service whose servers cannot be resolved for some time, and one that uses IPv6 alone."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.combinations import Answers
from support.generation import Bake
from support.live import parse, run_service
from support.machine import missing
from support.postgresql import Postgres
from support.redis_server import Redis
from support.server_process import run_server
from support.waiting import until

ANSWERS: Answers = {
    "key_location": "header",
    "protection": "whole_app",
    "key_store": "database",
    "rate_limit": "yes",
}
# Takes the place of the system's resolver, and responds to no question about this name for as long
# as a file exists. uvloop and libpq call it too.
RESOLVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    if (node && strcmp(node, "localhost") == 0 && access(getenv("RESOLVER_HANGS"), F_OK) == 0) {
        for (int i = 0; i < 60 && access(getenv("RESOLVER_HANGS"), F_OK) == 0; i++)
            usleep(100000);
        return EAI_AGAIN;
    }
    return next(node, service, hints, result);
}
"""


def make_resolver(folder: Path) -> Path:
    """Return a library whose resolver can be made to hang."""
    compiler = shutil.which("cc")
    if not compiler:
        missing("no C compiler: install it (Debian: apt install gcc)")
    library = folder / "resolver.so"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library), "-ldl"]
    subprocess.run(command, input=RESOLVER, text=True, check=True)
    return library


@pytest.mark.skipif(sys.platform != "linux", reason="replaces the resolver of Linux")
def test_a_resolver_that_hangs_is_an_outage(
    bake: Bake, tmp_path: Path, postgres: Postgres, redis: Redis
) -> None:
    hanging = tmp_path / "hanging"
    settings = {
        "LD_PRELOAD": str(make_resolver(tmp_path)),
        "RESOLVER_HANGS": str(hanging),
        "DATABASE_URL": postgres.database().replace("127.0.0.1", "localhost"),
        "RATE_LIMIT_STORAGE_URL": redis.url.replace("127.0.0.1", "localhost"),
        "KEY_CACHE_SECONDS": "1",
    }
    with run_service(bake(**ANSWERS), ANSWERS, tmp_path, **settings) as live:
        known, unknown = live.keys["web"], live.keys["unknown"]
        assert "ratelimit" in live.ask("/users/me", known).headers
        hanging.touch()
        for server in (postgres, redis):  # the service has to look both up again
            server.stop()
            server.start()
        ended = time.monotonic() + 15
        while time.monotonic() < ended:
            began = time.monotonic()
            assert live.status_for(known) == 200
            assert time.monotonic() - began < 4
            assert live.status_for(unknown) in (401, 503)
            assert live.ask("/health/live").status == 200
        assert live.ask("/health/ready").status == 503
        hanging.unlink()
        until(lambda: live.ask("/health/ready").status == 200)
        until(lambda: "ratelimit" in live.ask("/users/me", known).headers)
        assert live.status_for(unknown) == 401
    lines = [json.loads(line) for line in live.log.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if "exception" in line] == []
    events = [line.get("event") for line in lines]
    assert {"store_unavailable", "store_available"} <= {*events}
    assert {"limiter_unavailable", "limiter_available"} <= {*events}


def has_ipv6() -> bool:
    """Tell whether this machine has the address ::1."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_ipv6_alone_will_do(bake: Bake, tmp_path: Path, postgres: Postgres, redis: Redis) -> None:
    settings = {
        "DATABASE_URL": postgres.database().replace("127.0.0.1", "[::1]"),
        "RATE_LIMIT_STORAGE_URL": redis.url.replace("127.0.0.1", "[::1]"),
    }
    with run_service(bake(**ANSWERS), ANSWERS, tmp_path, **settings) as live:
        assert "ratelimit" in live.ask("/users/me", live.keys["web"]).headers
    command = [sys.executable, "-m", "my_service", "serve"]
    env = live.variables | {"HOST": "::1"}
    with (
        run_server(*command, host="[::1]", port=live.port, cwd=tmp_path, env=env) as log,
        socket.create_connection(("::1", live.port), timeout=60) as connection,
    ):
        connection.sendall(live.request("/users/me", live.keys["unknown"]))
        assert parse(connection.recv(65536)).status == 401
    assert '"client": "::1"' in log.read_text(encoding="utf-8")
