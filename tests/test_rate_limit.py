"""Running services whose consumers may call only so often, which a real Redis counts."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.combinations import Answers, name
from support.generation import Bake
from support.live import Live, run_service
from support.redis_server import PASSWORD, Redis
from support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no Redis for Windows")

LIMITED: Answers = {"key_location": "header", "protection": "whole_app", "rate_limit": "yes"}
ENDPOINTS = LIMITED | {"key_location": "fallback", "protection": "endpoints"}


@pytest.fixture
def limited_project(bake: Bake) -> Path:
    """Return a project that limits consumers."""
    return bake(**LIMITED)


def about_redis(live: Live) -> list[str]:
    """Return the lines of the log about Redis, in a log without its password."""
    log = live.log.read_text(encoding="utf-8")
    assert PASSWORD not in log
    return [line for line in log.splitlines() if '"message": "Redis ' in line]


def own_status(live: Live) -> int:
    """Return the status of the response to a request with a right key."""
    return live.status_for(live.keys["web"])


def ask_often(services: list[Live], times: int) -> Counter[int]:
    """Send many requests at once, to each service in turn, and count the statuses."""
    with ThreadPoolExecutor(24) as pool:
        return Counter(
            pool.map(lambda number: own_status(services[number % len(services)]), range(times))
        )


@pytest.mark.parametrize("answers", [LIMITED, ENDPOINTS], ids=name)
def test_two_processes_share_one_limit(
    answers: Answers, bake: Bake, tmp_path: Path, redis: Redis
) -> None:
    settings = {"RATE_LIMIT": "100/hour", "RATE_LIMIT_STORAGE_URL": redis.url}
    with ExitStack() as stack:
        services = [
            stack.enter_context(run_service(bake(**answers), answers, tmp_path, **settings))
            for _ in range(2)
        ]
        assert ask_often(services, 1000) == {200: 100, 429: 900}
        for live in services:
            answer = live.ask("/users/me", live.keys["web"])
            assert answer.headers["ratelimit-policy"] == '"consumer";q=100;w=3600'
            assert answer.headers["ratelimit"].startswith('"consumer";r=0;t=')
            assert 0 < int(answer.headers["retry-after"]) <= 3600
            assert live.ask("/users/me", live.keys["admin"]).status == 200
    assert not [line for live in services for line in about_redis(live)]


def test_without_redis_requests_pass_until_it_is_back(
    limited_project: Path, tmp_path: Path, redis: Redis
) -> None:
    settings = {"RATE_LIMIT": "5/hour", "RATE_LIMIT_STORAGE_URL": redis.url, "LOG_LEVEL": "debug"}
    with run_service(limited_project, LIMITED, tmp_path, **settings) as live:
        assert ask_often([live], 10) == {200: 5, 429: 5}
        redis.stop()
        assert ask_often([live], 50) == {200: 50}
        assert all("requests pass uncounted" in line for line in about_redis(live))
        assert 1 <= len(about_redis(live)) <= 2  # it closes the connection, then refuses another
        redis.start()
        until(lambda: own_status(live) == 429)
        assert ask_often([live], 10) == {429: 10}
        assert "Redis is available again" in about_redis(live)[-1]


def test_without_redis_requests_may_be_refused_until_it_is_back(
    limited_project: Path, tmp_path: Path, redis: Redis
) -> None:
    settings = {"RATE_LIMIT_FAIL_OPEN": "false", "RATE_LIMIT_STORAGE_URL": redis.url}
    redis.stop()
    with run_service(limited_project, LIMITED, tmp_path, **settings) as live:
        refused = live.ask("/users/me", live.keys["web"])
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert ask_often([live], 50) == {503: 50}
        assert live.ask("/users/me").status == 401
        assert live.ask("/health/ready").status == 200
        [line] = about_redis(live)
        assert "Redis refused the connection: requests are refused" in line
        redis.start()
        until(lambda: own_status(live) == 200)


def test_a_redis_that_hangs_holds_nobody_up(
    limited_project: Path, tmp_path: Path, redis: Redis
) -> None:
    settings = {"RATE_LIMIT": "5/hour", "RATE_LIMIT_STORAGE_URL": redis.url}
    with run_service(limited_project, LIMITED, tmp_path, **settings) as live:
        assert ask_often([live], 10) == {200: 5, 429: 5}
        redis.freeze()
        assert ask_often([live], 100) == {200: 100}  # a client gives up after 20 seconds
        assert "Redis was slower than 500 ms: requests pass uncounted" in about_redis(live)[0]
        redis.thaw()
        until(lambda: own_status(live) == 429)


def test_processes_that_count_in_their_own_memory_are_warned_of(
    limited_project: Path, tmp_path: Path
) -> None:
    with run_service(limited_project, LIMITED, tmp_path, WORKERS="2") as live:
        assert own_status(live) == 200
    log = live.log.read_text(encoding="utf-8")
    assert log.count("2 processes count requests separately") == 1


def test_wrong_keys_lock_their_sender_out(limited_project: Path, tmp_path: Path) -> None:
    with run_service(limited_project, LIMITED, tmp_path, FAILED_ATTEMPTS_LIMIT="10/hour") as live:
        wrong = [live.ask("/users/me", live.keys["unknown"]).status for _ in range(12)]
        assert wrong == [401] * 10 + [429] * 2
        other = {"headers": ["X-Forwarded-For: 2001:db8::1"]}  # this machine is a trusted proxy
        assert live.ask("/users/me", live.keys["unknown"], **other).status == 401
        assert own_status(live) == 200  # a known key needs no look-up
        assert live.ask("/users/me").status == 401
        assert live.ask("/health/live").status == 200
