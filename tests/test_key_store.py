"""Services whose keys are in a real PostgreSQL, which is changed, stopped, frozen and flooded."""

import asyncio
import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from support.combinations import Answers
from support.commands import run, run_python
from support.generation import Bake
from support.keys import key_module
from support.live import Live, manage, run_service
from support.postgresql import Postgres
from support.server_process import free_port, run_server
from support.suites import SUITE
from support.waiting import run_async, until

ANSWERS: Answers = {
    "key_location": "header",
    "protection": "whole_app",
    "key_store": "database",
}
# Half a minute would be a long time for a test.
QUICK = {"KEY_CACHE_SECONDS": "1"}


@pytest.fixture
def database_project(bake: Bake) -> Path:
    """Return a project that keeps its keys in a database."""
    return bake(**ANSWERS)


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """Return the URL of a new database."""
    return postgres.database()


def create_key(live: Live, *options: str) -> tuple[str, str]:
    """Create a key while the service runs, and return it with its id."""
    said = manage("keys", "create", *options, "--json", cwd=live.log.parent, env=live.variables)
    answer = json.loads(said)
    return answer["key"], str(answer["entry"]["id"])


def test_key_is_created_rotated_and_revoked_while_the_service_runs(
    database_project: Path, database_url: str, tmp_path: Path
) -> None:
    with run_service(
        database_project, ANSWERS, tmp_path, DATABASE_URL=database_url, **QUICK
    ) as live:
        key, number = create_key(live, "customer", "--scope", "admin")
        answer = live.ask("/users/me", key)
        assert json.loads(answer.body) == {"consumer": "customer", "scopes": ["admin"]}
        said = manage("keys", "rotate", number, "--grace", "7d", cwd=tmp_path, env=live.variables)
        assert live.status_for(key) == 200
        manage("keys", "revoke", number, cwd=tmp_path, env=live.variables)
        until(lambda: live.status_for(key) == 401)
        listed = manage("keys", "list", "--json", cwd=tmp_path, env=live.variables)
    [old, new] = json.loads(listed)[-2:]
    assert old["revoked"]
    assert (new["consumer"], new["scopes"], new["revoked"]) == ("customer", ["admin"], None)
    listed = manage("keys", "list", "--json", cwd=tmp_path, env=live.variables)
    assert [bool(entry["last_used"]) for entry in json.loads(listed)[-2:]] == [True, False]
    assert key not in said + listed + live.log.read_text()


def test_two_processes_share_the_keys_of_one_database(
    database_project: Path, database_url: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with (
        run_service(
            database_project, ANSWERS, folders[0], DATABASE_URL=database_url, **QUICK
        ) as one,
        run_service(
            database_project, ANSWERS, folders[1], DATABASE_URL=database_url, **QUICK
        ) as other,
    ):
        key, number = create_key(one, "customer")
        assert one.status_for(key) == other.status_for(key) == 200
        manage("keys", "revoke", number, cwd=folders[1], env=other.variables)
        until(lambda: one.status_for(key) == other.status_for(key) == 401)


def test_while_the_database_is_away_known_keys_work_and_it_recovers_by_itself(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    with run_service(
        database_project, ANSWERS, tmp_path, DATABASE_URL=database_url, **QUICK
    ) as live:
        known, unknown = live.keys["web"], live.keys["unknown"]
        created_key, _ = create_key(live, "customer")
        assert (live.status_for(known), live.status_for(unknown)) == (200, 401)
        postgres.stop()
        try:
            until(lambda: live.ask("/health/ready").status == 503)
            for _ in range(3):
                assert live.status_for(known) == 200
                answer = live.ask("/users/me", created_key)
                assert answer.status == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["cache-control"] == "no-store"
                assert live.ask("/health/live").status == 200
        finally:
            postgres.start()
        until(lambda: live.ask("/health/ready").status == 200)
        assert live.status_for(created_key) == 200
        assert live.status_for(known) == 200
        written = live.log.read_text(encoding="utf-8")
    assert written.count("The database is unavailable") == 1
    assert written.count("The database is available again.") == 1
    secrets = (created_key, *live.keys.values(), *live.digests.values(), postgres.password)
    assert not [secret for secret in secrets if secret in written]


def test_a_grace_comes_to_its_end(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    settings = {"KEY_CACHE_SECONDS": "0", "KEY_GRACE_SECONDS": "1"}
    with run_service(
        database_project, ANSWERS, tmp_path, DATABASE_URL=database_url, **settings
    ) as live:
        assert live.status_for(live.keys["web"]) == 200
        postgres.stop()
        try:
            until(lambda: live.status_for(live.keys["web"]) == 503)
        finally:
            postgres.start()
        until(lambda: live.status_for(live.keys["web"]) == 200)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_database_that_hangs_is_away_too(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    with run_service(
        database_project, ANSWERS, tmp_path, DATABASE_URL=database_url, **QUICK
    ) as live:
        assert live.status_for(live.keys["web"]) == 200
        with postgres.frozen():
            until(lambda: live.ask("/health/ready").status == 503)
            assert live.status_for(live.keys["web"]) == 200
            assert live.status_for(live.keys["unknown"]) == 503
        until(lambda: live.ask("/health/ready").status == 200)
        assert live.status_for(live.keys["unknown"]) == 401


@pytest.fixture(scope="module")
def refusing(
    postgres: Postgres, bake: Bake, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return URLs of databases that refuse to look a key up, by the reason that they give."""
    ready, closed = postgres.database(), postgres.database()
    env = {"PYTHONPATH": str(bake(**ANSWERS) / "src"), "DATABASE_URL": ready}
    manage("migrate", cwd=tmp_path_factory.mktemp("ready"), env={**os.environ, **env})
    with psycopg.connect(closed, autocommit=True) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'hunter2'")
        name = closed.rpartition("/")[2]
        connection.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC".encode())
    outdated = postgres.database()
    with psycopg.connect(outdated, autocommit=True) as connection:
        connection.execute("CREATE TABLE api_keys (id text)")

    def as_guest(url: str) -> str:
        return url.replace(f"owner:{postgres.password}", "guest:hunter2")

    return {
        "password authentication failed": ready.replace(postgres.password, "hunter2"),
        'database "nosuch" does not exist': postgres.url_of("nosuch"),
        "its tables are missing, create them with: ": postgres.database(),
        "its tables are outdated, update them with: ": outdated,
        "permission denied for table api_keys": as_guest(ready),
        "permission denied for database": as_guest(closed),
    }


REFUSALS = [
    "password authentication failed",
    'database "nosuch" does not exist',
    "its tables are missing, create them with: ",
    "its tables are outdated, update them with: ",
    "permission denied for table api_keys",
    "permission denied for database",
]


@pytest.mark.parametrize("reason", REFUSALS)
def test_service_refuses_to_start_on_a_definite_error(
    database_project: Path, refusing: dict[str, str], tmp_path: Path, reason: str
) -> None:
    env = {"DATABASE_URL": refusing[reason], "PORT": str(free_port()), "LOG_LEVEL": "error"}
    env["PYTHONPATH"] = str(database_project / "src")
    served = run_python("-m", "my_service", "serve", cwd=tmp_path, env={**os.environ, **env})
    assert served.returncode == 3, served.stderr
    lines = [json.loads(line) for line in served.stderr.splitlines()]
    assert {line["level"] for line in lines} == {"ERROR"}
    assert any(reason in line["message"] for line in lines)
    assert lines[0]["message"].startswith("DATABASE_URL: ")
    assert "Traceback" not in served.stderr
    assert "hunter2" not in served.stderr


def test_a_command_says_that_the_password_is_wrong(
    database_project: Path, refusing: dict[str, str], tmp_path: Path
) -> None:
    env = {"DATABASE_URL": refusing[REFUSALS[0]], "PYTHONPATH": str(database_project / "src")}
    command = ("-m", "my_service", "keys", "list")
    finished = run_python(*command, cwd=tmp_path, env={**os.environ, **env})
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert REFUSALS[0] in finished.stderr
    assert "hunter2" not in finished.stderr


async def spread(live: Live, key: str, started: asyncio.Event) -> None:
    """Create a key with a key, another one with that, and so on until one is refused."""
    body = json.dumps({"consumer": "leaked", "scopes": ["keys:write"]}).encode()
    headers = ["Content-Type: application/json"]
    while True:
        request = live.request("/keys", key, method="POST", headers=headers, body=body)
        answer = await asyncio.to_thread(live.send, request)
        if answer.status == 401:
            return
        assert answer.status == 201, answer
        key = json.loads(answer.body)["key"]
        started.set()


async def revoke_while_it_spreads(live: Live, key: str, key_id: str, folder: Path) -> str:
    """Revoke a key and what came from it while it creates others; return what revoke says."""
    started = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(spread(live, key, started))
        await started.wait()
        command = ("keys", "revoke", key_id, "--with-successors")
        return await asyncio.to_thread(manage, *command, cwd=folder, env=live.variables)


def test_no_key_slips_past_the_revocation_of_what_it_came_from(
    database_project: Path, database_url: str, tmp_path: Path
) -> None:
    with run_service(database_project, ANSWERS, tmp_path, DATABASE_URL=database_url) as live:
        key, key_id = create_key(live, "leaked", "--scope", "keys:write")
        said = run_async(revoke_while_it_spreads(live, key, key_id, tmp_path))
        command = ("keys", "list", "--consumer", "leaked", "--json")
        listed = json.loads(manage(*command, cwd=tmp_path, env=live.variables))
    assert said.count("is revoked: it gets 401") == len(listed) > 4
    assert {entry["state"] for entry in listed} == {"revoked"}


async def flood(live: Live, keys: list[str]) -> list[int]:
    """Send each key over a connection of its own, many at a time; return the statuses."""
    gate = asyncio.Semaphore(200)

    async def send_key(key: str) -> int:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(live.request("/users/me", key))
            answer = await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            return int(answer.split()[1])

    return await asyncio.gather(*map(send_key, keys))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_flood_of_keys_with_good_checksums_takes_nothing_from_others(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    generate_key = key_module(database_project)["generate_key"]
    wrong = [generate_key() for _ in range(3000)]
    with run_service(database_project, ANSWERS, tmp_path, DATABASE_URL=database_url) as live:
        stranger, _ = create_key(live, "customer")
        before = postgres.asked("SELECT api_keys.id, api_keys.name")
        statuses = run_async(flood(live, [*wrong[:2000], stranger, *wrong[2000:]]))
        queries = postgres.asked("SELECT api_keys.id, api_keys.name") - before
        with psycopg.connect(database_url) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            [(connections,)] = connection.execute(query.encode()).fetchall()
    assert statuses.count(401) == 3000
    assert statuses.count(200) == 1
    assert 0 < queries < 1500
    assert connections <= 3  # two of the service, and the one that counts


def test_a_look_up_takes_one_statement_and_no_transaction(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    generate_key = key_module(database_project)["generate_key"]
    with run_service(database_project, ANSWERS, tmp_path, DATABASE_URL=database_url) as live:
        assert live.status_for(generate_key()) == 401  # the connection is open now
        before = postgres.asked("")
        for _ in range(5):
            assert live.status_for(generate_key()) == 401
        assert postgres.asked("") - before == 5


def test_a_read_only_database_starts_with_an_error_line(
    database_project: Path, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    with run_service(database_project, ANSWERS, tmp_path, DATABASE_URL=database_url) as live:
        pass
    name = database_url.rpartition("/")[2]
    with psycopg.connect(postgres.url_of("postgres"), autocommit=True) as connection:
        statement = f"ALTER DATABASE {name} SET default_transaction_read_only = on"
        connection.execute(statement.encode())
    command = [sys.executable, "-m", "my_service", "serve"]
    port = int(live.variables["PORT"])
    with run_server(*command, port=port, cwd=tmp_path, env=live.variables) as log:
        assert live.status_for(live.keys["web"]) == 200
    errors = [line for line in log.read_text().splitlines() if '"level": "ERROR"' in line]
    assert len(errors) == 1
    assert "The database of keys is read-only" in errors[0]


def test_the_generated_tests_of_the_migration_pass_with_postgresql(
    database_project: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", database_url)
    options = ["--basetemp", str(tmp_path), "-v", "-k", "postgresql", "tests/test_migrations.py"]
    finished = run(sys.executable, *SUITE, *options, cwd=database_project)
    assert finished.returncode == 0, finished.stdout
    for test in ("create_the_tables", "concurrent_migrations"):
        assert re.search(rf"{test}\w*\[postgresql\] PASSED", finished.stdout)
