"""A Redis that fails: what is logged, what passes, and how counting goes on afterwards."""

import asyncio
import socket
import time

import pytest
from my_service.auth import limits, redis_link
from my_service.auth.errors import ConfigurationError
from my_service.auth.limits import LimitState, RateLimits

from support.delay_proxy import DelayProxy
from support.redis_server import Redis
from support.server_process import free_port

from .conftest import Create, Logged, Start, hit

pytestmark = pytest.mark.anyio


async def until_ok(rate_limits: RateLimits, seconds: float = 6) -> float:
    """Send requests until they are counted again, and return after how long."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if (await rate_limits.hit("probe", "1000/second")).remaining is not None:
            return time.monotonic() - started
        await asyncio.sleep(0.05)
    raise AssertionError(f"not counted after {seconds} s")


async def test_redis_250_ms_away_counts(create: Create, server: Redis) -> None:
    with DelayProxy(server.port, 250) as proxy:
        rate_limits = create(proxy.url)
        await rate_limits.check_configuration()
        assert rate_limits.state == "ok"
        started = time.monotonic()
        outcomes = await hit(rate_limits, 100)
        assert outcomes == ["counted"] * 20 + ["over_limit"] * 80
        assert time.monotonic() - started < 2  # and not 100 round trips


async def test_slow_redis_is_named_slow(create: Create, server: Redis, logged: Logged) -> None:
    with DelayProxy(server.port, 0) as proxy:
        rate_limits = create(proxy.url, timeout_ms=200)
        await rate_limits.check_configuration()
        proxy.set_delay(300)
        assert await hit(rate_limits, 50) == ["uncounted"] * 50
        started = time.monotonic()
        assert await hit(rate_limits, 1000) == ["uncounted"] * 1000
        assert time.monotonic() - started < 0.4
        proxy.set_delay(100)
        assert await until_ok(rate_limits) < 3
    levels_and_lines = logged()
    assert levels_and_lines[0] == (
        "WARNING",
        "Redis was slower than 200 ms: requests pass uncounted",
    )
    assert levels_and_lines[-1][1].startswith("Redis is available again after")


async def test_hanging_redis_delays_once(create: Create, own: Redis, logged: Logged) -> None:
    rate_limits = create(own.url)
    await rate_limits.hit("web", None)
    own.freeze()
    started = time.monotonic()
    assert await hit(rate_limits, 100) == ["uncounted"] * 100
    assert 0.4 < time.monotonic() - started < 2
    started = time.monotonic()
    assert await hit(rate_limits, 100) == ["uncounted"] * 100
    assert time.monotonic() - started < 0.4
    own.thaw()
    assert await until_ok(rate_limits) < 2
    first, last = (line for _, line in logged())
    assert first == "Redis was slower than 500 ms: requests pass uncounted"
    assert last.startswith("Redis is available again after")


async def test_restarted_redis_counts_again(create: Create, own: Redis, logged: Logged) -> None:
    rate_limits = create(own.url)
    await rate_limits.hit("web", None)
    own.stop()
    await asyncio.sleep(0.05)
    for _ in range(25):
        assert await rate_limits.hit("web", None) == LimitState()
        await asyncio.sleep(0.1)
    own.start()
    assert await until_ok(rate_limits) < 2
    lines = [line for _, line in logged()]
    assert lines[-2] == "Redis refused the connection: requests pass uncounted"
    assert lines[-1].startswith("Redis is available again after")
    assert len(lines) <= 3


async def test_idle_connection_is_replaced(create: Create, own: Redis, logged: Logged) -> None:
    rate_limits = create(own.url)
    for _ in range(3):
        await rate_limits.hit("web", None)
        client = own.client()
        client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.05)
    assert (await rate_limits.hit("web", None)).remaining == 16
    assert logged() == []


async def test_stalled_loop_is_no_outage(create: Create, server: Redis, logged: Logged) -> None:
    rate_limits = create(server.url)
    await rate_limits.check_configuration()
    for _ in range(3):
        loop = asyncio.get_running_loop()
        # After the commands were sent, the loop stands still for longer than the time limit.
        loop.call_later(0.0005, time.sleep, 0.7)
        outcomes = await hit(rate_limits, 69)
        assert "uncounted" not in outcomes
    assert logged() == []
    client = server.client()
    assert client.lrange("test:rate-limit:web:20/60", -1, -1) == [b"20"]


async def test_only_a_stall_is_waited_for_twice(create: Create, own: Redis) -> None:
    rate_limits = create(own.url)
    await rate_limits.hit("web", None)
    own.freeze()
    asyncio.get_running_loop().call_later(0.1, time.sleep, 0.7)
    started = time.monotonic()
    assert await hit(rate_limits, 3) == ["uncounted"] * 3
    assert 1.1 < time.monotonic() - started < 3


async def test_cancelled_requests_disturb_nobody(create: Create, server: Redis) -> None:
    with DelayProxy(server.port, 100) as proxy:
        rate_limits = create(proxy.url)
        await rate_limits.check_configuration()
        tasks = [asyncio.create_task(rate_limits.hit("web", None)) for _ in range(10)]
        await asyncio.sleep(0.05)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        states = [result for result in results if isinstance(result, LimitState)]
        assert [state.remaining for state in states] == [18, 16, 14, 12, 10]


DEFINITE = [
    (("--requirepass", "secret"), "", "NOAUTH: it requires a password"),
    (("--requirepass", "secret"), ":xyzzy@", "WRONGPASS: it refused the user name or the password"),
    ((), ":xyzzy@", "ERR: it has no password, but the URL has one"),
    (("--replicaof", "127.0.0.1 1"), "", "READONLY: it is a read-only replica"),
    (("--maxmemory", "1"), "", "OOM: it is out of memory"),
    (("--cluster-enabled", "yes"), "", "CLUSTERDOWN: its cluster is down"),
    (("--rename-command", "EVALSHA", ""), "", "ERR: it does not know a command that is needed"),
]


@pytest.mark.parametrize(("options", "user", "reason"), DEFINITE)
async def test_definite_answer_is_named(
    create: Create, start: Start, logged: Logged, options: tuple[str, ...], user: str, reason: str
) -> None:
    url = f"redis://{user}127.0.0.1:{start(*options).port}"
    with pytest.raises(ConfigurationError) as stopped:
        await create(url).check_configuration()
    assert str(stopped.value) == f"RATE_LIMIT_STORAGE_URL: Redis responded with an error ({reason})"
    rate_limits = create(url)
    assert await hit(rate_limits, 20) == ["uncounted"] * 20
    assert rate_limits.state == "misconfigured"
    line = f"Redis responded with an error ({reason}): requests pass uncounted"
    assert logged() == [("ERROR", line)]


async def test_full_redis_is_unavailable(create: Create, start: Start, logged: Logged) -> None:
    server = start("--maxclients", "1")
    client = server.client()
    client.ping()
    rate_limits = create(server.url)
    await rate_limits.check_configuration()
    assert rate_limits.state == "unavailable"
    client.close()
    assert await until_ok(rate_limits) < 3
    # Redis closes the connection at once, sometimes before its response was read.
    assert logged()[0] in (
        ("WARNING", f"Redis {reason}: requests pass uncounted")
        for reason in (
            "responded with an error (ERR: it has too many clients)",
            "closed the connection",
        )
    )


async def test_missing_database_is_named(create: Create, server: Redis) -> None:
    with pytest.raises(ConfigurationError, match="it has no database of this number"):
        await create(f"redis://127.0.0.1:{server.port}/99").check_configuration()


async def test_failover_is_followed(create: Create, own: Redis, logged: Logged) -> None:
    rate_limits = create(own.url)
    await rate_limits.hit("web", None)
    client = own.client()
    client.replicaof("127.0.0.1", 1)
    assert await hit(rate_limits, 5) == ["uncounted"] * 5
    connections = client.info("stats")["total_connections_received"]
    client.replicaof("no", "one")
    assert await until_ok(rate_limits) < 2
    assert client.info("stats")["total_connections_received"] > connections
    assert [level for level, _ in logged()] == ["ERROR", "WARNING"]


async def test_unreachable_redis_starts_degraded(create: Create, logged: Logged) -> None:
    for url in (f"redis://127.0.0.1:{free_port()}", "redis://no-such-host.invalid"):
        rate_limits = create(url)
        await rate_limits.check_configuration()
        assert rate_limits.state == "unavailable"
    assert [line for _, line in logged()] == [
        "Redis refused the connection: requests pass uncounted",
        "Redis has a host name that cannot be resolved: requests pass uncounted",
    ]


async def test_silent_host_is_unavailable(
    create: Create, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rate_limits = create(f"redis://:pw@127.0.0.1:{listener.getsockname()[1]}")
        assert await hit(rate_limits, 10) == ["uncounted"] * 10
        await asyncio.sleep(1.2)
        assert await hit(rate_limits, 10) == ["uncounted"] * 10
    assert {line for _, line in logged()} <= {
        "Redis took longer to connect to than 500 ms: requests pass uncounted",
        "Redis could not be connected to within 1 s: requests pass uncounted",
    }


async def test_other_protocol_is_named(create: Create) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConfigurationError, match="does not speak the Redis protocol"):
        await create(f"redis://127.0.0.1:{port}").check_configuration()
    server.close()


async def test_flood_writes_few_lines(
    create: Create, own: Redis, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BACK_OFF_SECONDS", 0.1)
    rate_limits = create(own.url)
    for _ in range(3):
        await hit(rate_limits, 200)
        own.stop()
        for _ in range(10):
            await hit(rate_limits, 200)
            await asyncio.sleep(0.02)
        own.start()
        await until_ok(rate_limits)
    assert len(logged()) <= 9  # three times: closed or refused the connection, and available again


async def test_repeated_stalls_are_no_outage(create: Create, server: Redis) -> None:
    rate_limits = create(server.url)
    await rate_limits.check_configuration()

    async def stall() -> None:
        for _ in range(4):
            time.sleep(0.6)
            await asyncio.sleep(0)

    outcomes, others, _ = await asyncio.gather(hit(rate_limits, 40), hit(rate_limits, 9), stall())
    assert sorted(outcomes + others) == ["counted"] * 20 + ["over_limit"] * 29
    assert rate_limits.state == "ok"
