"""A million keys in a database: requests by cold and by warm keys, and the commands for keys."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import psycopg
from contestants import SERVICES, folder_of
from over_socket import free_port
from stores import run_postgresql, wait_for_port

FEW, MANY = 1_000, 1_000_000
COLD_KEYS = 50
FOLDER = folder_of(SERVICES["ours: header, database"])
PACKAGE = FOLDER.replace("-", "_")
FILL = {
    "PostgreSQL": """
INSERT INTO api_keys (id, name, consumer, digest, scopes, networks, enabled, created)
SELECT 'id' || n, 'name' || n % 1000, 'consumer' || n % 20000, lpad(n::text, 64, '0'), '', '', true,
    now() - (n || ' seconds')::interval
FROM generate_series(1, {}) n
""",
    "SQLite": """
WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < {})
INSERT INTO api_keys (id, name, consumer, digest, scopes, networks, enabled, created)
SELECT 'id' || n, 'name' || n % 1000, 'consumer' || n % 20000, printf('%064d', n), '', '', 1,
    strftime('%Y-%m-%d %H:%M:%f000', 'now', -n || ' seconds')
FROM count
""",
}
# What people run, and what the figure is called.
COMMANDS = {
    "start-up of a command": ["keys", "--help"],
    "revoke": ["keys", "revoke", "id7"],
    "revoke, no such name": ["keys", "revoke", "--consumer", "cnosumer7"],
}


def run(environment: dict[str, str], *command: str) -> None:
    """Run a command of the service; some of them are meant to fail."""
    subprocess.run(
        [sys.executable, "-m", PACKAGE, *command],
        env=environment,
        cwd=os.environ["PROJECTS"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def fill(store: str, url: str, count: int) -> None:
    """Add rows to the table of keys."""
    statement = FILL[store].format(count)
    if store == "SQLite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.execute("ANALYZE")
            connection.commit()
        return
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        connection.execute("ANALYZE api_keys")


def measure(store: str, url: str, count: int) -> dict[str, float]:
    """Return the seconds of requests and commands with so many keys in the database."""
    source = Path(os.environ["PROJECTS"], FOLDER, "src")
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(source)}
    environment |= {"CONFIG_FILE": os.devnull, "SECRETS_DIR": os.devnull, "LOG_LEVEL": "error"}
    keys = make_keys(environment)
    digests = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    entries = [{"consumer": f"cold{n}", "sha256": digest} for n, digest in enumerate(digests)]
    environment["API_KEYS"] = json.dumps(entries)
    run(environment, "migrate")
    run(environment, "keys", "import")
    fill(store, url, count)
    return request_times(environment, keys) | command_times(environment)


def make_keys(environment: dict[str, str]) -> list[str]:
    """Return some new keys."""
    program = f"from {PACKAGE}.auth.keys import generate_key as g; import json;"
    program += f"print(json.dumps([g() for _ in range({COLD_KEYS})]))"
    printed = subprocess.check_output([sys.executable, "-c", program], env=environment)
    keys: list[str] = json.loads(printed)
    return keys


def request_times(environment: dict[str, str], keys: list[str]) -> dict[str, float]:
    """Return how long requests take: the first with each key, and later ones."""
    port = free_port()
    command = [sys.executable, "-m", PACKAGE, "serve"]
    environment = {**environment, "PORT": str(port), "HOST": "127.0.0.1"}
    with subprocess.Popen(command, env=environment, cwd=os.environ["PROJECTS"]) as process:
        try:
            wait_for_port(port)
            with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                request_time(connection, keys[0])  # the server connects to its database
                cold = [request_time(connection, key) for key in keys[1:]]
                warm = [request_time(connection, key) for key in keys[1:] * 4]
        finally:
            process.kill()
    return {"cold": median(cold), "warm": median(warm)}


def request_time(connection: HTTPConnection, key: str) -> float:
    """Return the seconds that a request takes."""
    started = time.perf_counter()
    connection.request("GET", "/users/me", headers={"X-API-Key": key})
    response = connection.getresponse()
    response.read()
    if response.status != 200:
        raise SystemExit(f"{response.status} for a key in the database")
    return time.perf_counter() - started


def command_times(environment: dict[str, str]) -> dict[str, float]:
    """Return how long commands take."""
    run(environment, "keys", "--help")  # from now on its files are in memory
    taken = {}
    for figure, command in COMMANDS.items():
        started = time.perf_counter()
        run(environment, *command)
        taken[figure] = time.perf_counter() - started
    return taken | {"list": first_page_time(environment)}


def first_page_time(environment: dict[str, str]) -> float:
    """Return how long `keys list` takes to print the first page."""
    started = time.perf_counter()
    command = [sys.executable, "-m", PACKAGE, "keys", "list"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, cwd=os.environ["PROJECTS"], stdout=pipe, bufsize=0
    ) as process:
        if not (process.stdout and process.stdout.readline()):
            raise SystemExit("keys list printed nothing")
        process.kill()
    return time.perf_counter() - started


def many_rows(folder: Path, stores: list[str], many: int = MANY) -> Iterator[dict[str, object]]:
    """Measure each database with few keys, and with many beside it."""
    for store in stores:
        few: dict[str, float] = {}
        for count in (FEW, many):
            place = folder / f"{store}-{count}"
            if store == "SQLite":
                taken = measure(store, f"sqlite:///{place}.db", count)
            else:
                with run_postgresql(place) as url:
                    if url is None:
                        yield {"missing": {store: "it is not installed"}}
                        break
                    taken = measure(store, url, count)
            few = few or taken
            pairs = {figure: [value, few[figure]] for figure, value in taken.items()}
            yield {"contestant": f"{store}, {count:_} keys".replace("_", " "), **pairs}
