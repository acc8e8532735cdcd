"""Counting in a real Redis."""

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from my_service.auth import counters, redis_counter
from my_service.auth.counters import Count, Limit, MemoryCounter
from my_service.auth.errors import ConfigurationError
from my_service.auth.refusals import Refusal

from support.redis_server import Redis
from support.server_process import free_port

from .conftest import Create, Start, hit

pytestmark = pytest.mark.anyio

Run = Callable[[Limit, int], Count]

KEY = "test:rate-limit:web:3/60"


@pytest.fixture
def run(server: Redis) -> Run:
    """Return what runs the script by a clock of its own, in microseconds."""
    client = server.client()
    script = redis_counter._SCRIPT.replace("redis.call('TIME')", "{ARGV[4], ARGV[5]}")
    registered = client.register_script(script)

    def run_script(limit: Limit, now: int) -> Count:
        clock = divmod(now, 1_000_000)
        arguments = [limit.amount, limit.window, limit.step, *clock]
        passed, remaining, reset = registered(keys=["log"], args=arguments)
        return Count(bool(passed), remaining, reset)

    return run_script


async def test_response_states_what_remains(create: Create, server: Redis) -> None:
    rate_limits = create(server.url, default="3/minute")
    for remaining in (2, 1, 0):
        state = await rate_limits.hit("web", None)
        assert (state.remaining, state.reset) == (remaining, 60)
    with pytest.raises(Refusal) as refused:
        await rate_limits.hit("web", None)
    assert refused.value.headers is not None
    assert refused.value.headers["Retry-After"] == "60"
    client = server.client()
    assert 59_000 < client.pttl(KEY) <= 60_001
    assert rate_limits.state == "ok"


async def test_retry_after_is_true(create: Create, server: Redis) -> None:
    rate_limits = create(server.url)
    assert await hit(rate_limits, 3, "2/second") == ["counted", "counted", "over_limit"]
    await asyncio.sleep(1)
    assert await hit(rate_limits, 3, "2/second") == ["counted", "counted", "over_limit"]


@pytest.mark.parametrize("limit", [Limit(7, 1), Limit(1500, 2)])
async def test_redis_counts_as_memory_does(
    run: Run, monkeypatch: pytest.MonkeyPatch, limit: Limit
) -> None:
    now = 1_800_000_000_123_456
    monkeypatch.setattr(counters, "monotonic_ns", lambda: now * 1000)
    memory = MemoryCounter()
    source = random.Random(1)  # noqa: S311
    pause = 2 * limit.window // limit.amount
    outcomes = set()
    for _ in range(4 * limit.amount):
        now += source.choice((0, 1, source.randrange(pause), source.randrange(pause)))
        count = run(limit, now)
        assert count == await memory.hit("web", limit)
        outcomes.add(count.passed)
    assert outcomes == {True, False}


def test_processes_share_a_limit_exactly(server: Redis) -> None:
    command = [sys.executable, "-m", "support.redis_tests.hit_redis", server.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    passed = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(passed) == 100


async def test_one_round_trip_and_one_connection(create: Create, server: Redis) -> None:
    rate_limits = create(server.url)
    await rate_limits.check_configuration()
    client = server.client()
    client.config_resetstat()
    assert (await hit(rate_limits, 200)).count("counted") == 20
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 200
    assert "cmdstat_eval" not in client.info("commandstats")
    assert client.info("stats")["total_connections_received"] == 0


@pytest.mark.parametrize("forget", ["flushall", "script_flush"])
async def test_forgotten_script_is_sent_again(create: Create, server: Redis, forget: str) -> None:
    rate_limits = create(server.url, fail_open=False)
    for _ in range(3):
        getattr(server.client(), forget)()
        if forget == "flushall":
            server.client().script_flush()
        assert await hit(rate_limits, 5) == ["counted"] * 5
    assert rate_limits.state == "ok"


@pytest.mark.parametrize("limit", [Limit(1000, 60), Limit(100_000, 3600), Limit(10**6, 86_400)])
def test_memory_in_redis_is_bounded(run: Run, server: Redis, limit: Limit) -> None:
    for number in range(3000):  # one window and a half
        run(limit, 1_800_000_000_000_000 + number * limit.window // 2000)
    client = server.client()
    assert client.memory_usage("log", samples=0) < 20_000
    assert client.llen("log") <= 2 * 1003


@pytest.mark.parametrize("back", [2, 86_400])
def test_clock_set_back_blocks_nobody(run: Run, back: int) -> None:
    counts = [run(Limit(3, 60), (1_000_000 - late) * 1_000_000) for late in (0, 0, 0, back, back)]
    assert [count.remaining for count in counts] == [2, 1, 0, 2, 1]
    assert all(count.passed and count.reset <= 60_000_000 for count in counts)


def test_small_clock_steps_change_nothing(run: Run) -> None:
    moments = [1_000_900_000, 1_000_100_000, 1_000_500_000, 1_000_600_000]
    assert [run(Limit(3, 60), moment).passed for moment in moments] == [True, True, True, False]


async def test_database_and_password_are_used(create: Create, start: Start) -> None:
    server = start(password="p@ss/word")  # noqa: S106
    rate_limits = create(f"redis://:p%40ss%2Fword@127.0.0.1:{server.port}/5", default="3/minute")
    await rate_limits.check_configuration()
    await rate_limits.hit("web", None)
    assert server.client(db=5).exists(KEY)


async def test_user_needs_few_permissions(create: Create, start: Start) -> None:
    rights = "+evalsha +eval +time +lindex +ltrim +rpush +lset +del +pexpire"
    server = start()
    url = f"redis://app:pw@127.0.0.1:{server.port}"
    client = server.client()
    client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~test:*", *rights.split())
    rate_limits = create(url)
    await rate_limits.check_configuration()
    assert (await rate_limits.hit("web", None)).remaining == 19
    client.execute_command("ACL", "SETUSER", "app", "-rpush")
    with pytest.raises(ConfigurationError, match="ERR: its user lacks a permission"):
        await create(url).check_configuration()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a certificate for this host, and its key beside it."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    command += f" -keyout {key} -out {cert} -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(command.split(), check=True, stderr=subprocess.DEVNULL)
    return cert


async def test_tls_is_used(create: Create, start: Start, certificate: Path) -> None:
    port = free_port()
    options = f"--tls-port {port} --tls-auth-clients no --tls-cert-file {certificate}"
    start(*options.split(), "--tls-key-file", str(certificate.with_name("key.pem")))
    url = f"rediss://127.0.0.1:{port}"
    rate_limits = create(f"{url}?ssl_ca_certs={certificate}")
    await rate_limits.check_configuration()
    assert (await rate_limits.hit("web", None)).remaining == 19
    with pytest.raises(ConfigurationError, match="has a TLS certificate that is not trusted"):
        await create(url).check_configuration()
    unencrypted = create(f"redis://127.0.0.1:{port}")
    await unencrypted.check_configuration()
    assert unencrypted.state == "unavailable"


async def test_closing_leaves_nothing(create: Create, server: Redis) -> None:
    rate_limits = create(server.url)
    await rate_limits.hit("web", None)
    await rate_limits.close()
    await rate_limits.close()
    assert [task for task in asyncio.all_tasks() if "Link._run" in repr(task)] == []
    client = server.client()
    await asyncio.sleep(0.1)
    assert {entry["cmd"] for entry in client.client_list()}.isdisjoint({"eval", "evalsha"})
