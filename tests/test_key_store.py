"""Services whose keys are in a real PostgreSQL, which is changed, stopped, frozen and flooded."""

import asyncio
import json
import runpy
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from combinations import Answers
from conftest import Bake, run, run_async
from live import Live, manage, served
from postgresql import Postgres
from test_generated_suites import SUITE

ANSWERS: Answers = {
    "key_location": "header",
    "protection": "whole_app",
    "key_store": "database",
}
# Half a minute would be a long time for a test.
QUICK = {"KEY_CACHE_SECONDS": "1"}


@pytest.fixture
def project(bake: Bake) -> Path:
    """Return a project that keeps its keys in a database."""
    return bake(**ANSWERS)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Return the URL of a new database."""
    return postgres.database()


def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so, and fail when it never is."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def status(live: Live, key: str, target: str = "/users/me") -> int:
    """Return the status of the answer to a request."""
    return live.ask(target, key).status


def mint(live: Live, *options: str) -> tuple[str, str]:
    """Mint a key while the service runs, and return it with its id."""
    said = manage("new", *options, "--json", cwd=live.log.parent, env=live.variables)
    answer = json.loads(said)
    return answer["key"], str(answer["entry"]["id"])


def test_a_key_is_minted_rotated_and_revoked_while_the_service_runs(
    project: Path, url: str, tmp_path: Path
) -> None:
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url, **QUICK) as live:
        key, number = mint(live, "customer", "--scope", "admin")
        answer = live.ask("/users/me", key)
        assert json.loads(answer.body) == {"consumer": "customer", "scopes": ["admin"]}
        said = manage("rotate", number, "--grace", "7d", cwd=tmp_path, env=live.variables)
        assert status(live, key) == 200
        manage("revoke", number, cwd=tmp_path, env=live.variables)
        until(lambda: status(live, key) == 401)
        listed = manage("list", "--json", cwd=tmp_path, env=live.variables)
    [old, new] = json.loads(listed)[-2:]
    assert old["revoked"]
    assert (new["consumer"], new["scopes"], new["revoked"]) == ("customer", ["admin"], None)
    listed = manage("list", "--json", cwd=tmp_path, env=live.variables)
    assert [bool(entry["last_used"]) for entry in json.loads(listed)[-2:]] == [True, False]
    assert key not in said + listed + live.log.read_text()


def test_two_processes_share_the_keys_of_one_database(
    project: Path, url: str, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with (
        served(project, ANSWERS, folders[0], DATABASE_URL=url, **QUICK) as one,
        served(project, ANSWERS, folders[1], DATABASE_URL=url, **QUICK) as other,
    ):
        key, number = mint(one, "customer")
        assert status(one, key) == status(other, key) == 200
        manage("revoke", number, cwd=folders[1], env=other.variables)
        until(lambda: status(one, key) == status(other, key) == 401)


def test_while_the_database_is_away_known_keys_work_and_it_recovers_by_itself(
    project: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url, **QUICK) as live:
        known, unknown = live.keys["web"], live.keys["unknown"]
        minted_key, _ = mint(live, "customer")
        assert (status(live, known), status(live, unknown)) == (200, 401)
        postgres.stop()
        try:
            until(lambda: live.ask("/health/ready").status == 503)
            for _ in range(3):
                assert status(live, known) == 200
                answer = live.ask("/users/me", minted_key)
                assert answer.status == 503
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["cache-control"] == "no-store"
                assert live.ask("/health/live").status == 200
        finally:
            postgres.start()
        until(lambda: live.ask("/health/ready").status == 200)
        assert status(live, minted_key) == 200
        assert status(live, known) == 200
        written = live.log.read_text(encoding="utf-8")
    assert written.count("The database does not answer") == 1
    assert written.count("The database answers again.") == 1
    secrets = (minted_key, *live.keys.values(), *live.digests.values(), postgres.password)
    assert not [secret for secret in secrets if secret in written]


def test_a_grace_comes_to_its_end(
    project: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    settings = {"KEY_CACHE_SECONDS": "0", "KEY_GRACE_SECONDS": "1"}
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url, **settings) as live:
        assert status(live, live.keys["web"]) == 200
        postgres.stop()
        try:
            until(lambda: status(live, live.keys["web"]) == 503)
        finally:
            postgres.start()
        until(lambda: status(live, live.keys["web"]) == 200)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc")
def test_a_database_that_hangs_is_away_too(
    project: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url, **QUICK) as live:
        assert status(live, live.keys["web"]) == 200
        with postgres.frozen():
            until(lambda: live.ask("/health/ready").status == 503)
            assert status(live, live.keys["web"]) == 200
            assert status(live, live.keys["unknown"]) == 503
        until(lambda: live.ask("/health/ready").status == 200)
        assert status(live, live.keys["unknown"]) == 401


def test_a_service_with_a_wrong_password_starts_and_is_not_ready(
    project: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url) as live:
        environment = live.variables | {"DATABASE_URL": url.replace(postgres.password, "hunter2")}
        command = [sys.executable, "-m", "my_service.keys", "list"]
        finished = run(*command, cwd=tmp_path, env=environment)
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert "password authentication failed" in finished.stderr
    assert "hunter2" not in finished.stderr


async def flood(live: Live, keys: list[str]) -> list[int]:
    """Send each key over a connection of its own, many at a time; return the statuses."""
    gate = asyncio.Semaphore(200)

    async def send(key: str) -> int:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            writer.write(live.request("/users/me", key))
            answer = await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            return int(answer.split()[1])

    return await asyncio.gather(*map(send, keys))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_flood_of_keys_with_good_checksums_takes_nothing_from_others(
    project: Path, postgres: Postgres, url: str, tmp_path: Path
) -> None:
    mint_one = runpy.run_path(str(project / "src/my_service/keys.py"))["mint"]
    wrong = [mint_one() for _ in range(3000)]
    with served(project, ANSWERS, tmp_path, DATABASE_URL=url) as live:
        stranger, _ = mint(live, "customer")
        before = postgres.asked("SELECT api_keys.digest")
        statuses = run_async(flood(live, [*wrong[:2000], stranger, *wrong[2000:]]))
        queries = postgres.asked("SELECT api_keys.digest") - before
        with psycopg.connect(url) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            [(connections,)] = connection.execute(query.encode()).fetchall()
    assert statuses.count(401) == 3000
    assert statuses.count(200) == 1
    assert 0 < queries < 1500
    assert connections <= 3  # two of the service, and the one that counts


def test_processes_that_migrate_at_the_same_time_wait_for_each_other(
    project: Path, url: str, tmp_path: Path
) -> None:
    environment = {"PYTHONPATH": str(project / "src"), "DATABASE_URL": url}
    command = [sys.executable, "-m", "my_service.keys", "migrate"]
    processes = [subprocess.Popen(command, cwd=tmp_path, env=environment) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4


def test_the_generated_tests_of_the_migration_pass_with_postgresql(
    project: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", url)
    command = [sys.executable, *SUITE, "--basetemp", str(tmp_path), "tests/test_migrations.py"]
    finished = run(*command, cwd=project)
    assert finished.returncode == 0, finished.stdout
    assert "[postgresql]" in run(*command, "--collect-only", "-q", cwd=project).stdout
